/*
 * negotiate.c - see negotiate.h and RFC 9110, 12.4 and 12.5.
 */
#include "negotiate.h"

#include <string.h>
#include <strings.h>

struct range {
	const char *name;
	const char *version; /* the only one we speak; NULL: has none */
	enum preference preference;
};

static const struct range types[] = {
	{ "application/openmetrics-text", "1.0.0", LIKES_OPENMETRICS },
	{ "text/plain", "0.0.4", LIKES_TEXT },
	{ "text/*", NULL, LIKES_ANY_TEXT },
	{ "*/*", NULL, LIKES_ANY_TYPE },
	{ NULL, NULL, PREFERENCES },
};

static const struct range codings[] = {
	{ "gzip", NULL, LIKES_GZIP },
	{ "x-gzip", NULL, LIKES_GZIP },
	{ "identity", NULL, LIKES_IDENTITY },
	{ "*", NULL, LIKES_ANY_CODING },
	{ NULL, NULL, PREFERENCES },
};

/* text_cut, but what stands between quotes is not looked at; trimmed. */
static struct text
cut_unquoted(struct text *rest, char at)
{
	bool quoted = false;

	for (size_t i = 0; i < rest->len; i++) {
		char c = rest->ptr[i];
		if (quoted && c == '\\') {
			i++;
		} else if (c == '"') {
			quoted = !quoted;
		} else if (c == at && !quoted) {
			struct text first = { rest->ptr, i };
			rest->ptr += i + 1;
			rest->len -= i + 1;
			return text_trim(first);
		}
	}
	struct text all = *rest;
	*rest = (struct text){ NULL, 0 };
	return text_trim(all);
}

static bool
same_word(struct text t, const char *word)
{
	return t.len == strlen(word) && strncasecmp(t.ptr, word, t.len) == 0;
}

/* "0.75" in thousandths; -1: not a weight ("1.5", "0.1234", "", "-0"). */
static int
weight_read(struct text t)
{
	int weight = 0;

	if (t.len == 0 || t.len > 5 || (t.ptr[0] != '0' && t.ptr[0] != '1'))
		return -1;
	if (t.len > 1 && t.ptr[1] != '.')
		return -1;
	for (size_t i = 0; i < 5; i++) {
		if (i == 1)
			continue;
		int digit = i < t.len ? t.ptr[i] : '0';
		if (digit < '0' || digit > '9')
			return -1;
		weight = weight * 10 + (digit - '0');
	}
	return weight > 1000 ? -1 : weight;
}

/* The weight of one element, its parameters being what is left of it; -1: it
 * says nothing that we understand. */
static int
element_weight(const struct range *range, struct text parameters)
{
	int weight = 1000;

	while (parameters.ptr != NULL) {
		struct text value = cut_unquoted(&parameters, ';');
		struct text name = cut_unquoted(&value, '=');
		if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
			value = (struct text){ value.ptr + 1, value.len - 2 };
		if (same_word(name, "q"))
			weight = weight_read(text_trim(value));
		else if (range->version != NULL && same_word(name, "version") &&
			 !text_is(text_trim(value), range->version))
			return -1;
		if (weight < 0)
			return -1;
	}
	return weight;
}

static void
negotiate(struct negotiation *n, const struct range *ranges, struct text header)
{
	while (header.ptr != NULL) {
		struct text element = cut_unquoted(&header, ',');
		struct text name = cut_unquoted(&element, ';');
		for (const struct range *r = ranges; r->name != NULL; r++) {
			if (!same_word(name, r->name))
				continue;
			int weight = element_weight(r, element) + 1;
			if (n->weight[r->preference] < weight)
				n->weight[r->preference] = weight;
		}
	}
}

void
negotiate_accept(struct negotiation *n, struct text header)
{
	negotiate(n, types, header);
}

void
negotiate_encoding(struct negotiation *n, struct text header)
{
	negotiate(n, codings, header);
}

/* The closest thing named decides, be it to say no. */
static int
first_named(const struct negotiation *n, const enum preference *closest_first, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (n->weight[closest_first[i]] > 0)
			return n->weight[closest_first[i]];
	return 0;
}

bool
negotiate_openmetrics(const struct negotiation *n)
{
	static const enum preference text[] = { LIKES_TEXT, LIKES_ANY_TEXT, LIKES_ANY_TYPE };
	int openmetrics = n->weight[LIKES_OPENMETRICS];

	return openmetrics > 1 && openmetrics >= first_named(n, text, 3);
}

bool
negotiate_gzip(const struct negotiation *n)
{
	static const enum preference coding[] = { LIKES_GZIP, LIKES_ANY_CODING };
	int gzip = first_named(n, coding, 2);

	return gzip > 1 && gzip >= n->weight[LIKES_IDENTITY];
}
