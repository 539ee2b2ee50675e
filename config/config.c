/*
 * config.c - from the file to struct config.
 */
#include "config.h"

#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../exporter/listen.h"
#include "arena.h"
#include "gather.h"
#include "keys.h"
#include "source.h"

/* ---- web and log ---- */

static void
read_section(struct reader *r, struct config *c, const config_setting_t *root, const char *name,
    const struct option *options, struct gathered *g)
{
	const config_setting_t *s = config_setting_get_member(root, name);
	size_t n = keys_count(options);
	struct keys keys = { .what = name, .options = { options }, .noptions = { n } };
	char why[320];
	if (s != NULL && !config_setting_is_group(s))
		fault(r, config_setting_source_line(s), "%s must be a group: %s = { ... };", name,
		    name);
	else if (s != NULL)
		gather_group(r, s, &keys, g);
	if (!options_fill(options, n, c, g->settings, g->n, why, sizeof why, NULL))
		fault(r, s == NULL ? 1 : config_setting_source_line(s), "%s: %s", name, why);
}

static bool
is_path(const char *path)
{
	if (path[0] != '/' || path[1] == '\0' || path[1] == '-')
		return false;
	for (const char *p = path; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~' || strchr("?#%\"<>&", *p) != NULL)
			return false;
	return true;
}

static bool
is_one_of(const char *value, const char *const *choices)
{
	while (*choices != NULL && strcmp(value, *choices) != 0)
		choices++;
	return *choices != NULL;
}

static void
read_sections(struct reader *r, struct config *c, const config_setting_t *root)
{
	static const char *const levels[] = { "debug", "info", "warn", "error", NULL };
	static const char *const formats[] = { "logfmt", "json", NULL };
	struct gathered web = { 0 }, log = { 0 };
	read_section(r, c, root, "web", web_options, &web);
	read_section(r, c, root, "log", log_options, &log);
	for (size_t i = 0; c->listen != NULL && c->listen[i] != NULL; i++)
		if (!listen_is_address(c->listen[i]))
			fault(r, gathered_line(&web, "listen"),
			    "listen: address %zu must be \"address:port\" or \"[address]:port\"",
			    i + 1);
	if (!is_path(c->telemetry_path))
		fault(r, gathered_line(&web, "telemetry_path"),
		    "telemetry_path must be a path such as \"/metrics\"");
	if (!is_one_of(c->log_level, levels))
		fault(r, gathered_line(&log, "level"), "level must be debug, info, warn or error");
	if (!is_one_of(c->log_format, formats))
		fault(r, gathered_line(&log, "format"), "format must be logfmt or json");
}

/* ---- targets ---- */

/* The names of collectors and groups.  What is none is not repeated in a fault:
 * it may be a password that a wrong variable put there. */
static bool
is_identifier(const char *name)
{
	return *name != '\0' && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

static int
group_find(const struct collector *c, const char *name)
{
	for (unsigned i = 0; i < c->ngroups; i++)
		if (strcmp(c->groups[i].name, name) == 0)
			return (int)i;
	return -1;
}

/* The collector's group of that name; -1 and a fault when it has none. */
static int
known_group(struct reader *r, const struct collector *c, const char *name, unsigned line)
{
	struct nearest near = { .word = name };
	char of[80];
	int found = group_find(c, name);
	if (found >= 0)
		return found;
	if (!is_identifier(name)) {
		fault(r, line, "the name of a group is lower-case letters, digits and _");
		return -1;
	}
	for (unsigned i = 0; i < c->ngroups; i++)
		nearest_try(&near, c->groups[i].name);
	snprintf(of, sizeof of, "collector \"%.32s\"", c->name);
	fault_unknown(r, line, "group", &near, of);
	return -1;
}

static void
set_every(struct reader *r, struct config_target *t, const struct setting *s, unsigned line)
{
	static const struct option duration = {
		.name = "every", .type = OPT_DURATION, .max = 86400
	};
	char why[160];
	int i = known_group(r, t->collector, strchr(s->name, '.') + 1, line);
	if (i < 0)
		return;
	if (!options_fill(&duration, 1, &t->every[i], &(struct setting){ "every", s->value }, 1,
		why, sizeof why, NULL))
		fault(r, line,
		    "every: the time of a group must be a duration (5s, 10m, 1h) of at "
		    "most a day");
}

static void
set_groups(struct reader *r, struct config_target *t, const struct gathered *common)
{
	uint64_t on = 0, off = 0;
	t->every = arena_alloc(r->arena, t->collector->ngroups + 1, sizeof *t->every);
	for (unsigned i = 0; i < t->collector->ngroups; i++)
		t->groups |= t->collector->groups[i].off ? 0 : UINT64_C(1) << i;
	for (size_t i = 0; i < common->n; i++) {
		const struct setting *s = &common->settings[i];
		bool enable = strcmp(s->name, "enable") == 0;
		if (strncmp(s->name, "every.", 6) == 0)
			set_every(r, t, s, common->lines[i]);
		if (!enable && strcmp(s->name, "disable") != 0)
			continue;
		int group = known_group(r, t->collector, s->value, common->lines[i]);
		if (group < 0)
			continue;
		uint64_t bit = UINT64_C(1) << group;
		*(enable ? &on : &off) |= bit;
		if ((on & off & bit) != 0)
			fault(
			    r, common->lines[i], "group \"%s\" is enabled and disabled", s->value);
	}
	t->groups = (t->groups | on) & ~off;
}

/* The collector's own look at the options that are fine one by one. */
static void
check_target(struct reader *r, const struct config_target *t, unsigned line)
{
	const struct collector *c = t->collector;
	void *conf = calloc(1, c->conf_size > 0 ? c->conf_size : 1);
	char why[WHY_MAX] = "";
	struct buf clean = BUF(8 * WHY_MAX);
	bool ok = conf != NULL &&
		  options_fill(c->options, c->noptions, conf, t->settings, t->nsettings, why,
		      sizeof why, NULL) &&
		  (c->check == NULL || c->check(conf, why));
	if (!ok) {
		why[sizeof why - 1] = '\0';
		options_scrub(&clean, why, c->options, c->noptions, t->settings, t->nsettings);
		buf_char(&clean, '\0');
		fault(
		    r, line, "target \"%s\": %s", t->name, buf_ok(&clean) ? clean.ptr : "refused");
	}
	if (conf != NULL)
		options_free(c->options, c->noptions, conf);
	free(conf);
	buf_free(&clean);
}

static bool
is_target_name(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789_.:-");
	return len > 0 && len <= TARGET_NAME_MAX && name[len] == '\0';
}

/* The settings of the common keys go to one list, the collector's to another. */
static void
split_settings(
    struct reader *r, const struct gathered *all, struct gathered *common, struct gathered *own)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct setting *s = &all->settings[i];
		bool is_common =
		    option_find(target_options, keys_count(target_options), s->name) != NULL;
		gathered_add(r, is_common ? common : own, s->name, s->value, all->lines[i]);
	}
}

static const char *
common_value(const struct gathered *common, const char *name)
{
	for (size_t i = 0; i < common->n; i++)
		if (strcmp(common->settings[i].name, name) == 0)
			return common->settings[i].value;
	return NULL;
}

/* NULL: there is a fault, or gather_group will find it. */
static const struct collector *
find_collector(struct reader *r, config_find *find, const config_setting_t *s)
{
	const char *empty = NULL, *name = gather_peek(r, s, "collector", &empty);
	char why[320] = "";
	if (name == NULL || empty != NULL)
		return NULL;
	const struct collector *c = NULL;
	if (is_identifier(name))
		c = find(name, why, sizeof why);
	else
		snprintf(
		    why, sizeof why, "the name of a collector is lower-case letters, digits and _");
	if (c == NULL)
		fault(r, config_setting_source_line(config_setting_get_member(s, "collector")),
		    "%s", why);
	return c;
}

/* Is the target to be left out?  Only its addresses are looked at. */
static bool
address_is_empty(struct reader *r, const config_setting_t *s, const struct collector *c)
{
	for (unsigned i = 0; i < c->noptions; i++) {
		const char *empty = NULL;
		if (c->options[i].type == OPT_ADDRESS)
			(void)gather_peek(r, s, c->options[i].name, &empty);
		if (empty != NULL)
			return true;
	}
	return false;
}

static void
check_name(struct reader *r, const char **names, const config_setting_t *const *where, size_t at)
{
	unsigned line = config_setting_source_line(where[at]);
	if (names[at] == NULL)
		return;
	if (!is_target_name(names[at])) {
		fault(r, line, "the name of a target is 1 to %d letters, digits and _ . : -",
		    TARGET_NAME_MAX);
		names[at] = NULL;
		return;
	}
	for (size_t i = 0; i < at; i++) {
		if (names[i] == NULL || strcmp(names[i], names[at]) != 0)
			continue;
		struct source_place first =
		    source_place(&r->source, config_setting_source_line(where[i]));
		fault(r, line, "a second target with the name \"%.64s\"; the first is at %s:%u",
		    names[at], first.file, first.line);
		return;
	}
}

/* The name goes to *name, also of a target that is left out. */
static void
read_target(struct reader *r, struct config *config, config_find *find, const config_setting_t *s,
    const char **name)
{
	unsigned line = config_setting_source_line(s), faults = r->nfaults;
	const struct collector *c = find_collector(r, find, s);
	char what[128] = "this target";
	const char *empty = NULL;
	*name = gather_peek(r, s, "name", &empty);
	if (empty != NULL)
		*name = NULL;
	else if (*name != NULL && is_target_name(*name))
		snprintf(what, sizeof what, "target \"%.64s\"", *name);
	struct keys keys = { .what = what,
		.options = { target_options, c == NULL ? NULL : c->options },
		.noptions = { keys_count(target_options), c == NULL ? 0 : c->noptions },
		.partial = c == NULL };
	struct gathered all = { 0 }, common = { 0 }, own = { 0 };
	all.muted = c != NULL && address_is_empty(r, s, c);
	gather_group(r, s, &keys, &all);
	if (c == NULL)
		return;
	split_settings(r, &all, &common, &own);
	struct config_target t = { .name = common_value(&common, "name"),
		.collector = c,
		.settings = own.settings,
		.nsettings = own.n };
	set_groups(r, &t, &common);
	if (all.left_out != NULL) {
		note(r, line, "%s is left out: the variable %s is empty or not set", what,
		    all.left_out);
		return;
	}
	if (r->nfaults > faults || t.name == NULL)
		return;
	check_target(r, &t, line);
	config->targets[config->ntargets++] = t;
}

static void
read_targets(
    struct reader *r, struct config *config, config_find *find, const config_setting_t *list)
{
	if (list == NULL) {
		fault(r, 1, "targets is missing: targets = ( { ... }, { ... } );");
		return;
	}
	size_t n = (size_t)config_setting_length(list);
	if (!config_setting_is_list(list) || n > CONFIG_TARGETS_MAX) {
		fault(r, config_setting_source_line(list),
		    "targets must be a list of groups, at most %d: targets = ( { ... }, { ... } );",
		    CONFIG_TARGETS_MAX);
		return;
	}
	const char **names = arena_alloc(r->arena, n + 1, sizeof *names);
	const config_setting_t **where = arena_alloc(r->arena, n + 1, sizeof *where);
	config->targets = arena_alloc(r->arena, n + 1, sizeof *config->targets);
	for (size_t i = 0; i < n; i++) {
		where[i] = config_setting_get_elem(list, (unsigned)i);
		if (config_setting_is_group(where[i]))
			read_target(r, config, find, where[i], &names[i]);
		else
			fault(r, config_setting_source_line(where[i]),
			    "a target is a group: { collector = \"...\"; name = \"...\"; ... }");
		check_name(r, names, where, i);
	}
}

/* ---- the whole ---- */

static void
read_root(struct reader *r, struct config *config, config_find *find, const config_setting_t *root)
{
	static const char *const keys[] = { "web", "log", "targets" };
	for (int i = 0; i < config_setting_length(root); i++) {
		const config_setting_t *s = config_setting_get_elem(root, (unsigned)i);
		struct nearest near = { .word = config_setting_name(s) };
		bool known = false;
		for (size_t k = 0; k < COUNT(keys); k++) {
			known = known || strcmp(keys[k], near.word) == 0;
			nearest_try(&near, keys[k]);
		}
		if (!known)
			fault_unknown(r, config_setting_source_line(s), "key", &near, "the file");
	}
	read_sections(r, config, root);
	read_targets(r, config, find, config_setting_get_member(root, "targets"));
}

static void
read_parsed(struct reader *r, struct config *config, config_find *find)
{
	config_t tree;
	config_init(&tree);
	if (config_read_string(&tree, r->source.text.ptr))
		read_root(r, config, find, config_root_setting(&tree));
	else
		fault(r, (unsigned)config_error_line(&tree),
		    "%s; look at this line and the one before", config_error_text(&tree));
	config_destroy(&tree);
}

/* The file itself was not fit to be parsed. */
static void
fault_source(struct reader *r)
{
	const struct source *source = &r->source;
	r->nfaults++;
	if (source->fault.line == 0)
		buf_printf(r->faults, "%s: %s\n", source->fault.file, source->why);
	else
		buf_printf(
		    r->faults, "%s:%u: %s\n", source->fault.file, source->fault.line, source->why);
}

static struct config *
load(struct reader *r, bool scanned, config_find *find)
{
	struct config *config = arena_alloc(r->arena, 1, sizeof *config);
	config->memory = r->arena;
	if (scanned)
		read_parsed(r, config, find);
	else
		fault_source(r);
	if (r->nfaults > CONFIG_FAULTS_MAX)
		buf_printf(r->faults, "and %u more\n", r->nfaults - CONFIG_FAULTS_MAX);
	source_free(&r->source);
	if (r->nfaults == 0)
		return config;
	config_free(config);
	return NULL;
}

struct config *
config_load(const char *path, config_find *find, struct buf *faults, struct buf *notes)
{
	struct reader r = { .arena = arena_new(), .faults = faults, .notes = notes };
	bool scanned = source_read(&r.source, r.arena, path);
	return load(&r, scanned, find);
}

struct config *
config_load_text(
    const char *name, struct text text, config_find *find, struct buf *faults, struct buf *notes)
{
	struct reader r = { .arena = arena_new(), .faults = faults, .notes = notes };
	bool scanned = source_read_text(&r.source, r.arena, name, text);
	return load(&r, scanned, find);
}

void
config_free(struct config *config)
{
	if (config == NULL)
		return;
	options_free(web_options, keys_count(web_options), config);
	options_free(log_options, keys_count(log_options), config);
	arena_free(config->memory);
}
