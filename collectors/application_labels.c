/*
 * application_labels.c - what stands between { and } of a line.
 *
 *	{ name = " value " , name = " value " [,] }
 *
 * Text 0.0.4 allows blanks at every gap and a comma at the end, OpenMetrics
 * does not.  Values stay as they are written: no member of a closed set has
 * anything in it that is escaped.
 */
#include <string.h>

#include "application.h"

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

struct scan { /* one pair of braces */
	const char *at, *end;
	bool openmetrics;
	unsigned n;
	struct text *seen; /* names, APPLICATION_LABELS_MAX */
};

static void
skip_blanks(struct scan *s)
{
	while (!s->openmetrics && s->at < s->end && (*s->at == ' ' || *s->at == '\t'))
		s->at++;
}

static bool
skip_char(struct scan *s, char c)
{
	if (s->at == s->end || *s->at != c)
		return false;
	s->at++;
	return true;
}

static struct text
scan_name(struct scan *s)
{
	const char *begin = s->at;

	for (; s->at < s->end; s->at++) {
		char c = *s->at, lower = (char)(c | 0x20);
		bool letter = (lower >= 'a' && lower <= 'z') || c == '_';
		if (!letter && (s->at == begin || c < '0' || c > '9'))
			break;
	}
	return (struct text){ begin, (size_t)(s->at - begin) };
}

/* Goes over bytes that mean nothing, eight at a time: any that is a quote, a
 * backslash or not ASCII ends it. */
static const char *
skip_plain(const char *at, const char *end)
{
	uint64_t bytes;

	for (; (size_t)(end - at) >= sizeof bytes; at += sizeof bytes) {
		memcpy(&bytes, at, sizeof bytes);
		uint64_t quote = bytes ^ EACH('"'), backslash = bytes ^ EACH('\\');
		uint64_t zero = ((quote - EACH(1)) & ~quote) | ((backslash - EACH(1)) & ~backslash);
		if (((zero | bytes) & EACH(0x80)) != 0)
			break;
	}
	while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at < 0x80)
		at++;
	return at;
}

/* What may stand behind a backslash: in OpenMetrics anything means itself. */
static bool
is_escape(char c, bool openmetrics)
{
	return openmetrics || c == '\\' || c == '"' || c == 'n';
}

/* Behind the opening quote; takes the closing one, too. */
static bool
scan_value(struct scan *s, struct text *value)
{
	const char *begin = s->at;
	bool ascii = true;

	for (;;) {
		s->at = skip_plain(s->at, s->end);
		if (s->at == s->end)
			return false;
		if (*s->at == '"')
			break;
		if (*s->at == '\\') {
			if (++s->at == s->end || !is_escape(*s->at, s->openmetrics))
				return false;
			ascii = ascii && (unsigned char)*s->at < 0x80;
		} else {
			ascii = false;
		}
		s->at++;
	}
	*value = (struct text){ begin, (size_t)(s->at++ - begin) };
	return ascii || text_is_utf8(*value);
}

static bool
scan_label(struct scan *s, struct text *name, struct text *value)
{
	*name = scan_name(s);
	if (name->len == 0 || s->n == APPLICATION_LABELS_MAX || text_is(*name, "__name__"))
		return false;
	skip_blanks(s);
	if (!skip_char(s, '='))
		return false;
	skip_blanks(s);
	if (!skip_char(s, '"') || !scan_value(s, value))
		return false;
	for (unsigned i = 0; i < s->n; i++)
		if (text_equal(s->seen[i], *name))
			return false;
	s->seen[s->n++] = *name;
	skip_blanks(s);
	return true;
}

/* Behind a label: is there another one?  False and *good false: neither. */
static bool
another(struct scan *s, bool *good)
{
	if (skip_char(s, '}')) {
		*good = true;
		return false;
	}
	*good = skip_char(s, ',');
	skip_blanks(s);
	if (*good && !s->openmetrics && skip_char(s, '}'))
		return false; /* a comma at the end */
	return *good;
}

static bool
take_label(struct application_sample *sample, const struct application_page *p, struct text name,
    struct text value)
{
	const struct application_name *known = sample->name;
	const struct group *g = known == NULL || known->family == APPLICATION_START
				    ? NULL
				    : p->plan->family[known->family].group;
	double number;

	for (unsigned i = 0; g != NULL && i < g->nlabels; i++)
		if (text_is(name, g->labels[i].name))
			sample->label[i] = value;
	if (p->number_quantile && text_is(name, "quantile"))
		return application_number(value, p->openmetrics, &number);
	if (!p->number_le || !text_is(name, "le"))
		return true;
	sample->has_le = true;
	return application_number(value, p->openmetrics, &sample->le);
}

const char *
application_labels(struct application_sample *sample, const struct application_page *p,
    const char *at, const char *end)
{
	struct text seen[APPLICATION_LABELS_MAX], name, value;
	struct scan s = { .at = at, .end = end, .openmetrics = p->openmetrics, .seen = seen };
	bool good = true;

	skip_blanks(&s);
	if (skip_char(&s, '}'))
		return s.at;
	do
		if (!scan_label(&s, &name, &value) || !take_label(sample, p, name, value))
			return NULL;
	while (another(&s, &good));
	return good ? s.at : NULL;
}

const char *
application_exemplar_labels(const char *at, const char *end)
{
	enum { EXEMPLAR_MAX = 128 }; /* characters of all names and values */
	struct text seen[APPLICATION_LABELS_MAX], name, value;
	struct scan s = { .at = at, .end = end, .openmetrics = true, .seen = seen };
	size_t len = 0;
	bool good = true;

	if (skip_char(&s, '}'))
		return s.at;
	do {
		if (!scan_label(&s, &name, &value))
			return NULL;
		for (size_t i = 0; i < value.len; i++)
			len += ((unsigned char)value.ptr[i] & 0xc0) != 0x80;
		len += name.len;
	} while (another(&s, &good));
	return good && len <= EXEMPLAR_MAX ? s.at : NULL;
}
