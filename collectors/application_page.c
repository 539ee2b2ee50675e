/*
 * application_page.c - a metrics page as it arrives: pieces -> lines -> samples.
 *
 * Text 0.0.4 is read as strictly as Prometheus reads it, OpenMetrics 1.0 as its
 * grammar says, both line by line: what would take memory for every family of
 * the page (that none stands in two places) is not checked.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "application.h"

enum { HOPELESS = 32 }; /* bad lines before the first sample */

void
application_page_begin(struct application_page *p, const struct application_plan *plan,
    struct application_cell *cells, bool openmetrics)
{
	struct buf carry = p->carry;

	buf_reset(&carry);
	carry.max = APPLICATION_LINE_MAX;
	*p = (struct application_page){
		.plan = plan,
		.cells = cells,
		.openmetrics = openmetrics,
		.carry = carry,
	};
	application_cells_reset(cells, plan->ncells);
}

void
application_page_free(struct application_page *p)
{
	buf_free(&p->carry);
}

void
application_page_quote(struct application_page *p, struct text line)
{
	line = text_trim(line);
	if (p->first[0] != '\0' || line.len == 0)
		return;
	if (p->secrets != NULL && application_tells_secret(p->secrets, line))
		line = TEXT("(not shown: a secret is part of it)");
	text_clean(p->first, sizeof p->first, line);
}

/* ---- samples ---- */

static size_t
name_length(struct text line)
{
	size_t n = 0;

	for (; n < line.len; n++) {
		char c = line.ptr[n], lower = (char)(c | 0x20);
		bool letter = (lower >= 'a' && lower <= 'z') || c == '_' || c == ':';
		if (!letter && (n == 0 || c < '0' || c > '9'))
			break;
	}
	return n;
}

/* Another name than that of the sample before.  False: it does not fit to the
 * family at hand. */
static bool
look_up(struct application_page *p, struct text name)
{
	p->name_len = 0;
	p->known = NULL;
	if (!application_descriptor_sample(p, name))
		return false;
	if (name.len > sizeof p->name)
		return true;
	memcpy(p->name, name.ptr, name.len);
	p->name_len = name.len;
	p->known = application_plan_find(p->plan, name);
	p->number_le |= p->known != NULL && p->known->part == PART_BUCKET;
	p->counter = p->descriptor.type == TYPE_COUNTER ||
		     (p->descriptor.type == TYPE_UNKNOWN && application_ends_in(name, "_total"));
	return true;
}

/* Is there another letter of the name at hand? */
static bool
same_name(const struct application_page *p, struct text line)
{
	size_t n = p->name_len;

	return n > 0 && line.len > n && memcmp(line.ptr, p->name, n) == 0 &&
	       (line.ptr[n] == '{' || line.ptr[n] == ' ');
}

/* What OpenMetrics says of values beyond their form. */
static bool
value_fits(const struct application_page *p, const struct application_sample *s)
{
	enum application_type type = p->descriptor.type;

	if (!p->openmetrics)
		return true;
	if (type == TYPE_HISTOGRAM && p->number_le && !s->has_le)
		return false;
	return type != TYPE_COUNTER || s->value >= 0;
}

static bool
take_sample(struct application_page *p, const struct application_sample *s)
{
	if (!value_fits(p, s))
		return false;
	p->samples++;
	if (s->name == NULL)
		return true;
	if (s->name->family != APPLICATION_START) {
		p->odd += !application_cells_add(p->cells, p->plan, s);
	} else if (isfinite(s->value)) {
		p->start = s->value;
		p->has_start = true;
	}
	return true;
}

/* VALUE [TIMESTAMP] */
static bool
text_value(struct application_page *p, struct application_sample *s, struct text t)
{
	int64_t time;

	t = application_after_blanks(t);
	if (!application_number(application_take_word(&t), false, &s->value))
		return false;
	if (t.len > 0) {
		t = application_after_blanks(t);
		if (!text_integer(application_take_word(&t), &time) || t.len > 0)
			return false;
	}
	return take_sample(p, s);
}

static bool
is_time(struct text t)
{
	double time;

	return application_number(t, true, &time) && isfinite(time);
}

/* Only what counts events one by one has examples of them. */
static bool
may_have_exemplar(const struct application_page *p)
{
	struct text name = { p->name, p->name_len };

	return application_ends_in(name, "_bucket") || application_ends_in(name, "_total");
}

/* Behind " #": {LABELS} VALUE [TIMESTAMP] */
static bool
is_exemplar(const struct application_page *p, struct text t)
{
	double value;

	if (!may_have_exemplar(p) || !text_begins(t, " {"))
		return false;
	const char *at = application_exemplar_labels(t.ptr + 2, t.ptr + t.len);
	if (at == NULL || at == t.ptr + t.len || *at != ' ')
		return false;
	struct text rest = { at + 1, (size_t)(t.ptr + t.len - at) - 1 };
	if (!application_number(text_cut(&rest, ' '), true, &value))
		return false;
	return rest.ptr == NULL || is_time(rest);
}

/* SP VALUE [SP TIMESTAMP] [SP # EXEMPLAR] */
static bool
openmetrics_value(struct application_page *p, struct application_sample *s, struct text t)
{
	if (t.len == 0 || t.ptr[0] != ' ')
		return false;
	t.ptr++;
	t.len--;
	if (!application_number(text_cut(&t, ' '), true, &s->value))
		return false;
	if (t.ptr != NULL && !text_begins(t, "#") && !is_time(text_cut(&t, ' ')))
		return false;
	if (t.ptr != NULL &&
	    (!text_begins(t, "#") || !is_exemplar(p, (struct text){ t.ptr + 1, t.len - 1 })))
		return false;
	return take_sample(p, s);
}

static bool
sample_line(struct application_page *p, struct text line)
{
	size_t n = p->name_len;

	if (!same_name(p, line)) {
		n = name_length(line);
		if (n == 0 || !look_up(p, (struct text){ line.ptr, n }))
			return false;
	}
	struct application_sample s = { .name = p->known, .counter = p->counter };
	struct text rest = { line.ptr + n, line.len - n };
	if (!p->openmetrics)
		rest = application_after_blanks(rest);
	if (rest.len > 0 && rest.ptr[0] == '{') {
		const char *end = rest.ptr + rest.len;
		rest.ptr = application_labels(&s, p, rest.ptr + 1, end);
		if (rest.ptr == NULL)
			return false;
		rest.len = (size_t)(end - rest.ptr);
	}
	return p->openmetrics ? openmetrics_value(p, &s, rest) : text_value(p, &s, rest);
}

/* ---- lines ---- */

static bool
is_well_formed(struct application_page *p, struct text line)
{
	if (p->eof)
		return false;
	if (!p->openmetrics) {
		line = application_after_blanks(line);
		if (line.len == 0)
			return true;
	}
	if (line.len == 0 || line.ptr[0] != '#')
		return sample_line(p, line);
	struct text rest = { line.ptr + 1, line.len - 1 };
	p->name_len = 0;
	return application_comment(p, rest);
}

static void
take_line(struct application_page *p, struct text line)
{
	if (p->first[0] == '\0')
		application_page_quote(p, line);
	/* It may have come in one piece. */
	if (line.len <= APPLICATION_LINE_MAX && is_well_formed(p, line))
		p->good++;
	else
		p->bad++;
}

/* The rest of a line of which there was a piece already. */
static void
take_carried(struct application_page *p, struct text end)
{
	if (!p->skipping)
		buf_text(&p->carry, end);
	if (p->skipping || !buf_ok(&p->carry))
		p->bad++;
	else
		take_line(p, (struct text){ p->carry.ptr, p->carry.len });
	p->skipping = false;
	buf_reset(&p->carry);
}

static void
carry(struct application_page *p, struct text piece)
{
	if (p->skipping)
		return;
	buf_text(&p->carry, piece);
	if (buf_ok(&p->carry))
		return;
	application_page_quote(p, piece);
	buf_reset(&p->carry);
	p->skipping = true;
}

bool
application_page_feed(struct application_page *p, struct text t)
{
	while (t.len > 0) {
		const char *end = memchr(t.ptr, '\n', t.len);
		if (end == NULL) {
			carry(p, t);
			break;
		}
		struct text line = { t.ptr, (size_t)(end - t.ptr) };
		if (p->skipping || p->carry.len > 0)
			take_carried(p, line);
		else
			take_line(p, line);
		t.ptr = end + 1;
		t.len -= line.len + 1;
		if (p->samples == 0 && p->bad >= HOPELESS)
			return false;
	}
	return true;
}

bool
application_page_end(struct application_page *p, char why[static WHY_MAX])
{
	bool cut = p->skipping || p->carry.len > 0;

	/* A line without an end may be half of one: half of a number, too. */
	if (p->openmetrics && text_is((struct text){ p->carry.ptr, p->carry.len }, "# EOF"))
		take_carried(p, TEXT(""));
	else if (cut)
		p->bad++;
	if (p->carry.len > 0)
		application_page_quote(p, (struct text){ p->carry.ptr, p->carry.len });
	if (p->samples == 0 && p->bad > 0)
		snprintf(why, WHY_MAX, "this is no metrics page, it begins: %s", p->first);
	else if (p->good + p->bad == 0)
		snprintf(why, WHY_MAX, "the page is empty");
	else if (p->openmetrics && !p->eof)
		snprintf(why, WHY_MAX, "the page does not end in # EOF: it was cut off");
	else
		return true;
	return false;
}
