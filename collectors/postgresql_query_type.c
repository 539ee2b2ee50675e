/*
 * postgresql_query_type.c - reads as much of SQL as is needed to tell which of
 * five kinds a statement is: words at bracket depth 0, past comments, strings
 * and quoted names.
 */
#include "postgresql_query_type.h"

#include <strings.h>

static const struct {
	const char *word;
	enum query_type type;
} verbs[] = {
	{ "select", QUERY_SELECT },
	{ "insert", QUERY_INSERT },
	{ "update", QUERY_UPDATE },
	{ "delete", QUERY_DELETE },
	{ "merge", QUERY_OTHER },
	{ "values", QUERY_SELECT },
	{ "table", QUERY_SELECT },
};

static const char mark[] = "datatier_exporter";

const char *
query_type_name(enum query_type type)
{
	static const char *const names[QUERY_TYPES] = {
		[QUERY_SELECT] = "select",
		[QUERY_INSERT] = "insert",
		[QUERY_UPDATE] = "update",
		[QUERY_DELETE] = "delete",
		[QUERY_OTHER] = "other",
	};

	return names[type];
}

static void
skip(struct text *t, size_t n)
{
	n = n < t->len ? n : t->len;
	t->ptr += n;
	t->len -= n;
}

static bool
is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || (unsigned char)c >= 0x80;
}

/* Past a comment that begins here; comments nest. */
static bool
skip_comment(struct text *t)
{
	if (text_begins(*t, "--")) {
		text_cut(t, '\n');
		return true;
	}
	if (!text_begins(*t, "/*"))
		return false;
	unsigned depth = 0;
	do {
		if (text_begins(*t, "/*") || text_begins(*t, "*/")) {
			depth += t->ptr[0] == '/' ? 1u : -1u;
			skip(t, 1);
		}
		skip(t, 1);
	} while (depth > 0 && t->len > 0);
	return true;
}

/* Past a string or quoted name that begins here; a doubled quote begins the
 * next one, which comes to the same. */
static bool
skip_quoted(struct text *t)
{
	char quote = t->ptr[0];

	if (quote != '\'' && quote != '"')
		return false;
	skip(t, 1);
	text_cut(t, quote);
	return true;
}

/* The next word at bracket depth *depth or deeper; empty: there is none. */
static struct text
next_word(struct text *t, int *depth)
{
	while (t->len > 0) {
		struct text word = { t->ptr, 0 };
		while (word.len < t->len && is_word(t->ptr[word.len]))
			word.len++;
		if (word.len > 0) {
			skip(t, word.len);
			return word;
		}
		if (skip_comment(t) || skip_quoted(t))
			continue;
		if (t->ptr[0] == '(')
			++*depth;
		if (t->ptr[0] == ')')
			--*depth;
		skip(t, 1);
	}
	return (struct text){ NULL, 0 };
}

static bool
word_is(struct text word, const char *what)
{
	size_t n = 0;

	while (what[n] != '\0')
		n++;
	return word.len == n && strncasecmp(word.ptr, what, n) == 0;
}

static enum query_type
verb_type(struct text word)
{
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (word_is(word, verbs[i].word))
			return verbs[i].type;
	return QUERY_UNKNOWN;
}

/* The mark stands in a comment behind the first word. */
static bool
is_ours(struct text behind)
{
	behind = text_trim(behind);
	if (!text_begins(behind, "/*"))
		return false;
	skip(&behind, 2);
	return text_begins(text_trim(behind), mark);
}

enum query_type
query_type_of_word(struct text t)
{
	int depth = 0;
	struct text word = next_word(&t, &depth);

	if (word.len > 0 && is_ours(t))
		return QUERY_OURS;
	enum query_type type = verb_type(word);
	return type == QUERY_OTHER ? QUERY_UNKNOWN : type;
}

enum query_type
query_type_of(struct text t)
{
	int depth = 0, opened;
	struct text word = next_word(&t, &depth);

	if (word.len > 0 && is_ours(t))
		return QUERY_OURS;
	if (!word_is(word, "with")) {
		enum query_type type = verb_type(word);
		return type == QUERY_UNKNOWN ? QUERY_OTHER : type;
	}
	opened = depth;
	while ((word = next_word(&t, &depth)).len > 0) {
		enum query_type type = verb_type(word);
		if (depth == opened && type != QUERY_UNKNOWN)
			return type;
	}
	return QUERY_SELECT;
}
