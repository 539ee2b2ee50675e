/*
 * options.c - the engine over a collector's option table: one function per type
 * checks a value and stores it, everything else is loops over the rows.
 */
#include "options.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <regex.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../exporter/clock.h"

enum {
	REGEX_LENGTH_MAX = 1024, /* regcomp's memory grows with repeats of repeats */
};

static void
say(char *why, size_t size, const char *words)
{
	snprintf(why, size, "%s", words);
}

/* ---- numbers and their range ---- */

static void
print_seconds(char *out, size_t size, double seconds)
{
	static const struct {
		const char *unit;
		double seconds;
	} units[] = { { "d", 86400 }, { "h", 3600 }, { "m", 60 }, { "s", 1 }, { "ms", 1e-3 } };
	const char *unit = "s";
	double value = seconds;
	for (size_t i = 0; i < COUNT(units); i++) {
		double whole = seconds / units[i].seconds;
		if (whole >= 1 && whole == floor(whole)) {
			unit = units[i].unit;
			value = whole;
			break;
		}
	}
	snprintf(out, size, "%g%s", value, unit);
}

static bool
has_minimum(const struct option *o)
{
	return o->min != 0 || o->max != 0;
}

static bool
has_maximum(const struct option *o)
{
	return o->max > o->min;
}

void
option_range(const struct option *o, char *out, size_t size)
{
	char low[32], high[32];
	if (o->type == OPT_DURATION) {
		print_seconds(low, sizeof low, o->min);
		print_seconds(high, sizeof high, o->max);
	} else {
		snprintf(low, sizeof low, "%.15g", o->min);
		snprintf(high, sizeof high, "%.15g", o->max);
	}
	if (has_minimum(o) && has_maximum(o))
		snprintf(out, size, " from %s to %s", low, high);
	else if (has_minimum(o))
		snprintf(out, size, " of at least %s", low);
	else
		say(out, size, "");
}

static bool
in_range(const struct option *o, double value)
{
	return !(has_minimum(o) && value < o->min) && !(has_maximum(o) && value > o->max);
}

static bool
must_be(const struct option *o, const char *what, char *why, size_t size)
{
	char range[80];
	option_range(o, range, sizeof range);
	snprintf(why, size, "must be %s%s", what, range);
	return false;
}

/* ---- one function per type: check, and store where `to` is not NULL ---- */

typedef bool store(const struct option *, const char *value, void *to, char *why, size_t size);

static bool
store_string(const struct option *o, const char *value, void *to, char *why, size_t size)
{
	(void)o, (void)why, (void)size;
	if (to != NULL)
		memcpy(to, &value, sizeof value);
	return true;
}

static bool
store_address(const struct option *o, const char *value, void *to, char *why, size_t size)
{
	if (*value == '\0') {
		say(why, size, "must not be empty");
		return false;
	}
	return store_string(o, value, to, why, size);
}

static bool
store_regex(const struct option *o, const char *value, void *to, char *why, size_t size)
{
	regex_t regex;
	if (strlen(value) > REGEX_LENGTH_MAX) {
		snprintf(why, size, "must be a regular expression of at most %d characters",
		    REGEX_LENGTH_MAX);
		return false;
	}
	int error = regcomp(&regex, value, REG_EXTENDED | REG_NOSUB);
	if (error != 0) {
		char words[80];
		regerror(error, &regex, words, sizeof words);
		snprintf(why, size, "must be a POSIX extended regular expression (%s)", words);
		return false;
	}
	regfree(&regex);
	return store_string(o, value, to, why, size);
}

static bool
store_int(const struct option *o, const char *value, void *to, char *why, size_t size)
{
	int64_t number;
	if (!text_integer(text_of(value), &number) || !in_range(o, (double)number))
		return must_be(o, "a whole number", why, size);
	long long stored = number;
	if (to != NULL)
		memcpy(to, &stored, sizeof stored);
	return true;
}

static bool
store_number(const struct option *o, const char *value, void *to, char *why, size_t size)
{
	double number;
	if (!text_number(text_of(value), &number) || !isfinite(number) || !in_range(o, number))
		return must_be(o, "a number", why, size);
	if (to != NULL)
		memcpy(to, &number, sizeof number);
	return true;
}

static bool
duration_ns(const char *value, int64_t *ns)
{
	double seconds;
	if (text_duration(text_of(value), ns))
		return true;
	if (!text_number(text_of(value), &seconds) || !(seconds >= 0 && seconds < 1e9))
		return false;
	*ns = (int64_t)(seconds * (double)NS_PER_S);
	return true;
}

static bool
store_duration(const struct option *o, const char *value, void *to, char *why, size_t size)
{
	int64_t ns;
	if (!duration_ns(value, &ns) || !in_range(o, clock_seconds(ns)))
		return must_be(o, "a duration (500ms, 5s, 10m, 1h)", why, size);
	if (to != NULL)
		memcpy(to, &ns, sizeof ns);
	return true;
}

static bool
store_bool(const struct option *o, const char *value, void *to, char *why, size_t size)
{
	static const char *const words[][2] = { { "false", "true" }, { "no", "yes" },
		{ "off", "on" }, { "0", "1" } };
	for (size_t i = 0; i < COUNT(words); i++) {
		bool is = strcasecmp(value, words[i][1]) == 0;
		if (!is && strcasecmp(value, words[i][0]) != 0)
			continue;
		if (to != NULL)
			memcpy(to, &is, sizeof is);
		return true;
	}
	return must_be(o, "true or false", why, size);
}

/* Lists and maps hold any string; fill_many stores them. */
static store *const stores[] = {
	[OPT_STRING] = store_string,
	[OPT_ADDRESS] = store_address,
	[OPT_SECRET] = store_string,
	[OPT_REGEX] = store_regex,
	[OPT_INT] = store_int,
	[OPT_NUMBER] = store_number,
	[OPT_DURATION] = store_duration,
	[OPT_BOOL] = store_bool,
	[OPT_LIST] = store_string,
	[OPT_MAP] = store_string,
};

static bool
holds_many(const struct option *o)
{
	return o->type == OPT_LIST || o->type == OPT_MAP;
}

bool
option_secret(const struct option *o)
{
	return o->type == OPT_SECRET || o->type == OPT_MAP;
}

bool
option_check(const struct option *o, const char *value, char *why, size_t size)
{
	return stores[o->type](o, value, NULL, why, size);
}

const struct option *
option_find(const struct option *options, size_t noptions, const char *name)
{
	size_t len = strcspn(name, ".");
	for (size_t i = 0; i < noptions; i++) {
		const struct option *o = &options[i];
		bool of_map = name[len] == '.' && name[len + 1] != '\0';
		if (strlen(o->name) == len && memcmp(o->name, name, len) == 0 &&
		    of_map == (o->type == OPT_MAP))
			return o;
	}
	return NULL;
}

/* ---- filling a conf struct ---- */

static void *
field(const struct option *o, void *conf)
{
	return (char *)conf + o->offset;
}

/* "sasl_username" becomes "sasl.username", in memory of its own. */
static char *
map_key(const char *name)
{
	char *key = strdup(strchr(name, '.') + 1);
	for (char *p = key; p != NULL && *p != '\0'; p++)
		if (*p == '_')
			*p = '.';
	return key;
}

/* The elements of a list's default, "a, b", end in NUL one after the other in a
 * copy whose address is kept behind the list's end. */
static const char **
default_list(const char *def)
{
	char *copy = strdup(def);
	if (copy == NULL)
		return NULL;
	size_t n = 1;
	for (const char *p = def; (p = strchr(p, ',')) != NULL; p++)
		n++;
	const char **list = calloc(n + 2, sizeof *list);
	if (list == NULL) {
		free(copy);
		return NULL;
	}
	size_t i = 0;
	struct text rest = text_of(copy);
	while (rest.ptr != NULL) {
		struct text word = text_trim(text_cut(&rest, ','));
		if (word.len == 0)
			continue;
		list[i] = copy + (word.ptr - copy);
		copy[(size_t)(word.ptr - copy) + word.len] = '\0';
		i++;
	}
	list[i + 1] = copy;
	return list;
}

/* A list is its elements, NULL, and the address of what options_free must free
 * besides: the copy of a default, or NULL. */
static bool
fill_list(const struct option *o, void *conf, const struct setting *settings, size_t n)
{
	size_t found = 0;
	for (size_t i = 0; i < n; i++)
		found += strcmp(settings[i].name, o->name) == 0;
	const char **list;
	if (found == 0 && o->def != NULL) {
		list = default_list(o->def);
	} else {
		list = calloc(found + 2, sizeof *list);
		size_t at = 0;
		for (size_t i = 0; i < n && list != NULL; i++)
			if (strcmp(settings[i].name, o->name) == 0)
				list[at++] = settings[i].value;
	}
	memcpy(field(o, conf), &list, sizeof list);
	return list != NULL;
}

static bool
of_map(const struct option *o, const char *name)
{
	size_t len = strlen(o->name);
	return strncmp(name, o->name, len) == 0 && name[len] == '.';
}

static bool
fill_map(const struct option *o, void *conf, const struct setting *settings, size_t n)
{
	size_t found = 0;
	for (size_t i = 0; i < n; i++)
		found += of_map(o, settings[i].name);
	const char **map = calloc(2 * found + 1, sizeof *map);
	memcpy(field(o, conf), &map, sizeof map);
	if (map == NULL)
		return false;
	size_t at = 0;
	for (size_t i = 0; i < n; i++) {
		if (!of_map(o, settings[i].name))
			continue;
		if ((map[at] = map_key(settings[i].name)) == NULL)
			return false;
		map[at + 1] = settings[i].value;
		at += 2;
	}
	return true;
}

static bool
fill_defaults(const struct option *options, size_t noptions, void *conf,
    const struct setting *settings, size_t n, char *why, size_t size)
{
	for (size_t i = 0; i < noptions; i++) {
		const struct option *o = &options[i];
		char reason[160];
		if (o->type == OPT_LIST || o->type == OPT_MAP) {
			bool filled = o->type == OPT_LIST ? fill_list(o, conf, settings, n)
							  : fill_map(o, conf, settings, n);
			if (!filled) {
				snprintf(why, size, "%s: out of memory", o->name);
				return false;
			}
		} else if (o->def != NULL &&
			   !stores[o->type](o, o->def, field(o, conf), reason, sizeof reason)) {
			snprintf(why, size, "%s: its default %s", o->name, reason);
			return false;
		}
	}
	return true;
}

static void
say_fault(const struct option *o, const char *value, const char *reason, char *why, size_t size)
{
	struct buf shown = BUF(4096);
	options_redact(&shown, value);
	buf_char(&shown, '\0');
	if (option_secret(o) || !buf_ok(&shown))
		snprintf(why, size, "%s: %s", o->name, reason);
	else
		snprintf(why, size, "%s: %s, not \"%.64s\"", o->name, reason, shown.ptr);
	buf_free(&shown);
}

/* The setting is one that was not there before, but for lists. */
static bool
fill_one(const struct option *o, void *conf, const struct setting *settings, size_t at, char *why,
    size_t size)
{
	char reason[160];
	for (size_t i = 0; i < at && o->type != OPT_LIST; i++)
		if (strcmp(settings[i].name, settings[at].name) == 0) {
			snprintf(why, size, "%s: given twice", settings[at].name);
			return false;
		}
	void *to = holds_many(o) ? NULL : field(o, conf);
	if (stores[o->type](o, settings[at].value, to, reason, sizeof reason))
		return true;
	say_fault(o, settings[at].value, reason, why, size);
	return false;
}

static bool
is_given(const struct option *o, const struct setting *settings, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(settings[i].name, o->name) == 0 ||
		    (o->type == OPT_MAP && of_map(o, settings[i].name)))
			return true;
	return false;
}

bool
options_fill(const struct option *options, size_t noptions, void *conf,
    const struct setting *settings, size_t nsettings, char *why, size_t size, size_t *fault)
{
	size_t unused;
	if (fault == NULL)
		fault = &unused;
	*fault = nsettings;
	say(why, size, "");
	if (!fill_defaults(options, noptions, conf, settings, nsettings, why, size))
		return false;
	for (size_t i = 0; i < nsettings; i++) {
		const struct option *o = option_find(options, noptions, settings[i].name);
		*fault = i;
		if (o == NULL) {
			snprintf(why, size, "%s: no such option", settings[i].name);
			return false;
		}
		if (!fill_one(o, conf, settings, i, why, size))
			return false;
	}
	*fault = nsettings;
	for (size_t i = 0; i < noptions; i++)
		if (options[i].required && !is_given(&options[i], settings, nsettings)) {
			snprintf(why, size, "%s: missing, it is required", options[i].name);
			return false;
		}
	return true;
}

void
options_free(const struct option *options, size_t noptions, void *conf)
{
	for (size_t i = 0; i < noptions; i++) {
		char **many;
		if (!holds_many(&options[i]))
			continue;
		memcpy(&many, field(&options[i], conf), sizeof many);
		memset(field(&options[i], conf), 0, sizeof many);
		if (many == NULL)
			continue;
		size_t n = 0;
		for (; many[n] != NULL; n += options[i].type == OPT_MAP ? 2 : 1)
			if (options[i].type == OPT_MAP)
				free(many[n]);
		if (options[i].type == OPT_LIST)
			free(many[n + 1]);
		free(many);
	}
}
