/*
 * application_descriptor.c - # HELP, # TYPE and # UNIT, and what they make of
 * the samples that follow.
 */
#include <string.h>
#include <strings.h>

#include "application.h"

enum { SUFFIXES = 4 };

static const struct {
	const char *word;
	enum application_type type;
	bool text, openmetrics;
	const char *suffixes[SUFFIXES]; /* that samples of the family have in OpenMetrics */
} types[] = {
	{ "counter", TYPE_COUNTER, true, true, { "_total", "_created" } },
	{ "gauge", TYPE_GAUGE, true, true, { "" } },
	{ "histogram", TYPE_HISTOGRAM, true, true, { "_bucket", "_sum", "_count", "_created" } },
	{ "summary", TYPE_SUMMARY, true, true, { "", "_sum", "_count", "_created" } },
	{ "untyped", TYPE_UNKNOWN, true, false, { "" } },
	{ "unknown", TYPE_UNKNOWN, false, true, { "" } },
	{ "info", TYPE_GAUGE, false, true, { "_info" } },
	{ "stateset", TYPE_GAUGE, false, true, { "" } },
	{ "gaugehistogram", TYPE_UNKNOWN, false, true, { "_bucket", "_gsum", "_gcount" } },
};

/* The line is about another family than those before. */
static void
descriptor_set(struct application_descriptor *d, struct text name)
{
	*d = (struct application_descriptor){ .len = name.len };
	if (name.len <= sizeof d->name)
		memcpy(d->name, name.ptr, name.len);
	else
		d->len = 0; /* matches nothing */
}

static bool
descriptor_is(const struct application_descriptor *d, struct text name)
{
	return d->len > 0 && text_equal((struct text){ d->name, d->len }, name);
}

/* The suffix of a sample's name when it is of the family at hand; ptr NULL: it
 * is of another. */
static struct text
suffix_of(const struct application_descriptor *d, struct text name)
{
	if (d->len > 0 && name.len >= d->len && memcmp(name.ptr, d->name, d->len) == 0) {
		struct text suffix = { name.ptr + d->len, name.len - d->len };
		const char *const *of_type = types[d->row > 0 ? d->row - 1 : 0].suffixes;
		for (unsigned i = 0; d->row > 0 && i < SUFFIXES && of_type[i] != NULL; i++)
			if (text_is(suffix, of_type[i]))
				return suffix;
		if (suffix.len == 0)
			return suffix;
	}
	return (struct text){ NULL, 0 };
}

/* ---- # HELP, # TYPE, # UNIT ---- */

static bool
escapes_are_good(struct text t, bool openmetrics)
{
	for (size_t i = 0; i < t.len; i++)
		if (t.ptr[i] == '\\' &&
		    (++i == t.len || (!openmetrics && t.ptr[i] != '\\' && t.ptr[i] != 'n')))
			return false;
	return true;
}

static bool
take_type(struct application_page *p, struct text name, struct text word)
{
	struct application_descriptor *d = &p->descriptor;
	int added = application_plan_typed(p->plan, name);

	if (d->row != 0 || d->samples)
		return false;
	for (size_t i = 0; i < COUNT(types); i++) {
		bool here = p->openmetrics ? types[i].openmetrics : types[i].text;
		bool same = p->openmetrics
				? text_is(word, types[i].word)
				: word.len == strlen(types[i].word) &&
				      strncasecmp(word.ptr, types[i].word, word.len) == 0;
		if (!here || !same)
			continue;
		d->row = (unsigned)i + 1;
		d->type = types[i].type;
	}
	if (d->row != 0 && added >= 0)
		p->type[added] = d->type;
	return d->row != 0;
}

/* The unit must be what the name ends in. */
static bool
take_unit(struct application_page *p, struct text name, struct text unit)
{
	bool first = !p->descriptor.unit && !p->descriptor.samples;

	p->descriptor.unit = true;
	if (unit.len == 0)
		return first;
	return first && name.len > unit.len && name.ptr[name.len - unit.len - 1] == '_' &&
	       memcmp(name.ptr + name.len - unit.len, unit.ptr, unit.len) == 0;
}

/* What a keyword says of a family. */
static bool
describe(struct application_page *p, struct text keyword, struct text name, struct text rest)
{
	struct application_descriptor *d = &p->descriptor;

	if (!descriptor_is(d, name))
		descriptor_set(d, name);
	if (text_is(keyword, "TYPE"))
		return take_type(p, name, rest);
	if (text_is(keyword, "UNIT"))
		return take_unit(p, name, rest);
	bool first = !d->help && !(p->openmetrics && d->samples);
	d->help = true;
	return first && escapes_are_good(rest, p->openmetrics);
}

struct text
application_after_blanks(struct text t)
{
	while (t.len > 0 && (t.ptr[0] == ' ' || t.ptr[0] == '\t')) {
		t.ptr++;
		t.len--;
	}
	return t;
}

struct text
application_take_word(struct text *t)
{
	struct text word = *t;

	word.len = 0;
	while (t->len > 0 && t->ptr[0] != ' ' && t->ptr[0] != '\t') {
		word.len++;
		t->ptr++;
		t->len--;
	}
	return word;
}

/* Behind the #.  What is no keyword is a comment, and what has nothing behind
 * its name says nothing. */
static bool
text_comment(struct application_page *p, struct text t)
{
	t = application_after_blanks(t);
	struct text keyword = application_take_word(&t);
	if (!text_is(keyword, "HELP") && !text_is(keyword, "TYPE"))
		return true;
	t = application_after_blanks(t);
	if (t.len == 0)
		return true;
	struct text name = application_take_word(&t);
	if (!application_is_name(name))
		return false;
	t = application_after_blanks(t);
	return t.len == 0 || describe(p, keyword, name, t);
}

static bool
openmetrics_comment(struct application_page *p, struct text t)
{
	static const char *const keywords[] = { " HELP", " TYPE", " UNIT" };

	if (text_is(t, " EOF")) {
		p->eof = true;
		return true;
	}
	for (size_t i = 0; i < COUNT(keywords); i++) {
		size_t len = strlen(keywords[i]);
		struct text rest = { t.ptr + len + 1, t.len - len - 1 };
		if (t.len <= len || memcmp(t.ptr, keywords[i], len) != 0 || t.ptr[len] != ' ')
			continue;
		struct text name = text_cut(&rest, ' ');
		return rest.ptr != NULL && application_is_name(name) && text_is_utf8(rest) &&
		       describe(p, text_of(keywords[i] + 1), name, rest);
	}
	return false;
}

bool
application_comment(struct application_page *p, struct text t)
{
	return p->openmetrics ? openmetrics_comment(p, t) : text_comment(p, t);
}

bool
application_descriptor_sample(struct application_page *p, struct text name)
{
	struct application_descriptor *d = &p->descriptor;
	struct text suffix = suffix_of(d, name);

	if (suffix.ptr == NULL) {
		descriptor_set(d, name);
		suffix = TEXT("");
	} else if (p->openmetrics && suffix.len == 0 && d->row > 0 &&
		   types[d->row - 1].suffixes[0][0] != '\0') {
		return false;
	}
	d->samples = true;
	p->number_le = d->type == TYPE_HISTOGRAM && text_is(suffix, "_bucket");
	p->number_quantile = d->type == TYPE_SUMMARY && suffix.len == 0;
	return true;
}
