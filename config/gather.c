/*
 * gather.c - libconfig's tree, group by group, becomes settings; every fault is
 * noted with the place it was written at.  A value is shown in a fault as it
 * stands in the file, never as it expands.
 */
#include "gather.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "expand.h"

enum { WORDS_MAX = 1024 };

/* ---- faults and notes ---- */

static void
add_line(struct reader *r, struct buf *out, unsigned line, const char *words)
{
	char clean[1024];
	struct source_place place = source_place(&r->source, line);
	text_clean(clean, sizeof clean, text_of(words));
	buf_printf(out, "%s:%u: %s\n", place.file, place.line, clean);
}

void
fault(struct reader *r, unsigned line, const char *fmt, ...)
{
	char words[1024];
	va_list ap;
	if (++r->nfaults > CONFIG_FAULTS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	add_line(r, r->faults, line, words);
}

void
note(struct reader *r, unsigned line, const char *fmt, ...)
{
	char words[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	add_line(r, r->notes, line, words);
}

/* The fault of a value: `reason` says what it must be, raw is what was written. */
static void
fault_value(
    struct reader *r, unsigned line, const struct option *o, const char *raw, const char *reason)
{
	struct buf shown = BUF(EXPANDED_MAX);
	options_redact(&shown, raw);
	buf_char(&shown, '\0');
	if (option_secret(o) || *raw == '\0' || !buf_ok(&shown))
		fault(r, line, "%s %s", o->name, reason);
	else
		fault(r, line, "%s %s, not \"%.64s\"", o->name, reason, shown.ptr);
	buf_free(&shown);
}

/* ---- gathering: libconfig's tree as settings ---- */

void
gathered_add(
    struct reader *r, struct gathered *g, const char *name, const char *value, unsigned line)
{
	if (g->n == g->cap) {
		size_t cap = g->cap == 0 ? 16 : 2 * g->cap;
		struct setting *settings = arena_alloc(r->arena, cap, sizeof *settings);
		unsigned *lines = arena_alloc(r->arena, cap, sizeof *lines);
		if (g->n > 0) {
			memcpy(settings, g->settings, g->n * sizeof *settings);
			memcpy(lines, g->lines, g->n * sizeof *lines);
		}
		g->settings = settings;
		g->lines = lines;
		g->cap = cap;
	}
	g->settings[g->n] = (struct setting){ name, value };
	g->lines[g->n++] = line;
}

static const char *
shortest_number(struct arena *arena, double value)
{
	char out[40];
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(out, sizeof out, "%.*g", digits, value);
		if (strtod(out, NULL) == value)
			break;
	}
	return arena_copy(arena, text_of(out));
}

/* A scalar as it was written, or NULL where the option cannot be of that type. */
static const char *
scalar_text(struct reader *r, const struct option *o, const config_setting_t *s)
{
	char out[40];
	bool wants_text = o->type == OPT_ADDRESS || o->type == OPT_REGEX;
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_STRING: return config_setting_get_string(s);
	case CONFIG_TYPE_BOOL:
		if (o->type != OPT_BOOL && o->type != OPT_MAP)
			return NULL;
		return config_setting_get_bool(s) ? "true" : "false";
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		snprintf(out, sizeof out, "%lld", config_setting_get_int64(s));
		return wants_text || o->type == OPT_BOOL ? NULL
							 : arena_copy(r->arena, text_of(out));
	case CONFIG_TYPE_FLOAT:
		return wants_text || o->type == OPT_BOOL
			   ? NULL
			   : shortest_number(r->arena, config_setting_get_float(s));
	default: return NULL;
	}
}

static const char *
type_words(const struct option *o)
{
	static const char *const words[] = {
		[OPT_STRING] = "must be a string",
		[OPT_ADDRESS] = "must be a string",
		[OPT_SECRET] = "must be a string",
		[OPT_REGEX] = "must be a string",
		[OPT_INT] = "must be a whole number",
		[OPT_NUMBER] = "must be a number",
		[OPT_DURATION] = "must be a duration in quotes, such as \"5s\"",
		[OPT_BOOL] = "must be true or false",
		[OPT_LIST] = "must be a list of strings: ( \"a\", \"b\" )",
		[OPT_MAP] = "must be a group of keys: { key = \"value\"; }",
	};
	return words[o->type];
}

/* One scalar under the name; false: nothing to add, a fault was said if it is one. */
static bool
expanded_value(struct reader *r, const struct option *o, const config_setting_t *s,
    struct gathered *g, const char **value)
{
	unsigned line = config_setting_source_line(s);
	const char *raw = scalar_text(r, o, s);
	struct expansion e;
	char why[320];
	if (raw == NULL) {
		fault(r, line, "%s %s", o->name,
		    o->type == OPT_MAP ? "must hold strings, numbers or true and false only"
				       : type_words(o));
		return false;
	}
	if (!expand(r->arena, raw, &e, why, sizeof why)) {
		if (!g->muted)
			fault(r, line, "%s: %s", o->name, why);
		return false;
	}
	*value = e.value;
	if (e.empty != NULL) {
		if (o->type == OPT_ADDRESS)
			g->left_out = e.empty;
		else if (o->required && !g->muted)
			fault(r, line, "%s is required, but the variable %s is empty or not set",
			    o->name, e.empty);
		return false;
	}
	if (!option_check(o, e.value, why, sizeof why)) {
		fault_value(r, line, o, raw, why);
		return false;
	}
	return true;
}

static const char *
map_setting_name(struct reader *r, const struct option *o, const char *key)
{
	size_t len = strlen(o->name) + strlen(key) + 2;
	char *name = arena_alloc(r->arena, len, 1);
	snprintf(name, len, "%s.%s", o->name, key);
	return name;
}

/* "a, b" where a list is expected: from a variable it cannot come otherwise. */
static void
gather_words(
    struct reader *r, const struct option *o, const char *words, unsigned line, struct gathered *g)
{
	struct text rest = text_of(words);
	while (rest.ptr != NULL) {
		struct text word = text_trim(text_cut(&rest, ','));
		if (word.len > 0)
			gathered_add(r, g, o->name, arena_copy(r->arena, word), line);
	}
}

static void
gather_many(struct reader *r, const struct option *o, const config_setting_t *s, struct gathered *g)
{
	int n = config_setting_length(s);
	if (n == 0 && o->def != NULL)
		fault(r, config_setting_source_line(s), "%s must not be empty", o->name);
	for (int i = 0; i < n; i++) {
		const config_setting_t *element = config_setting_get_elem(s, (unsigned)i);
		const char *value;
		if (!expanded_value(r, o, element, g, &value))
			continue;
		const char *name = o->type == OPT_LIST
				       ? o->name
				       : map_setting_name(r, o, config_setting_name(element));
		gathered_add(r, g, name, value, config_setting_source_line(element));
	}
}

static void
gather(struct reader *r, const struct option *o, const config_setting_t *s, struct gathered *g)
{
	unsigned line = config_setting_source_line(s);
	bool list = config_setting_is_list(s) || config_setting_is_array(s);
	const char *value;
	if (o->type == OPT_LIST && config_setting_type(s) == CONFIG_TYPE_STRING) {
		if (expanded_value(r, o, s, g, &value))
			gather_words(r, o, value, line, g);
	} else if (o->type == OPT_LIST || o->type == OPT_MAP) {
		if (o->type == OPT_LIST ? list : config_setting_is_group(s))
			gather_many(r, o, s, g);
		else
			fault(r, line, "%s %s", o->name, type_words(o));
	} else if (expanded_value(r, o, s, g, &value)) {
		gathered_add(r, g, o->name, value, line);
	}
}

static const struct option *
key_find(const struct keys *keys, const char *name)
{
	for (size_t k = 0; k < COUNT(keys->options); k++)
		for (size_t i = 0; i < keys->noptions[k]; i++)
			if (strcmp(keys->options[k][i].name, name) == 0)
				return &keys->options[k][i];
	return NULL;
}

void
fault_unknown(
    struct reader *r, unsigned line, const char *kind, const struct nearest *near, const char *of)
{
	if (near->best != NULL)
		fault(r, line, "unknown %s \"%.64s\" of %s; did you mean \"%s\"?", kind, near->word,
		    of, near->best);
	else
		fault(r, line, "unknown %s \"%.64s\" of %s", kind, near->word, of);
}

static void
fault_key(struct reader *r, const config_setting_t *s, const struct keys *keys)
{
	struct nearest near = { .word = config_setting_name(s) };
	for (size_t k = 0; k < COUNT(keys->options); k++)
		for (size_t i = 0; i < keys->noptions[k]; i++)
			nearest_try(&near, keys->options[k][i].name);
	if (near.best != NULL || !keys->partial)
		fault_unknown(r, config_setting_source_line(s), "key", &near, keys->what);
}

/* Everything in the group; required keys that are not there. */
void
gather_group(
    struct reader *r, const config_setting_t *group, const struct keys *keys, struct gathered *g)
{
	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
		const struct option *o = key_find(keys, config_setting_name(s));
		if (o != NULL)
			gather(r, o, s, g);
		else
			fault_key(r, s, keys);
	}
	for (size_t k = 0; k < COUNT(keys->options); k++)
		for (size_t i = 0; i < keys->noptions[k]; i++) {
			const struct option *o = &keys->options[k][i];
			if (o->required && config_setting_get_member(group, o->name) == NULL)
				fault(r, config_setting_source_line(group),
				    "%s: %s is missing, it is required", keys->what, o->name);
		}
}

unsigned
gathered_line(const struct gathered *g, const char *name)
{
	for (size_t i = 0; i < g->n; i++)
		if (strcmp(g->settings[i].name, name) == 0)
			return g->lines[i];
	return 0;
}

const char *
gather_peek(struct reader *r, const config_setting_t *group, const char *key, const char **empty)
{
	static const struct option any = { .name = "", .type = OPT_STRING };
	const config_setting_t *member = config_setting_get_member(group, key);
	const char *raw = member == NULL ? NULL : scalar_text(r, &any, member);
	struct expansion e;
	char why[320];
	if (raw == NULL || !expand(r->arena, raw, &e, why, sizeof why))
		return NULL;
	if (empty != NULL)
		*empty = e.empty;
	return e.value;
}
