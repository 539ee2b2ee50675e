/*
 * flags.c - the table of flags, and the loops over it.
 */
#include "flags.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector.h"

enum flag_type { FLAG_TEXT, FLAG_LIST, FLAG_SWITCH };

struct flag {
	const char *name;
	const char *arg; /* what the help calls its value; NULL: it has none */
	const char *help;
	size_t offset; /* into struct flags */
	enum flag_type type;
	bool env; /* also an environment variable */
	bool hidden;
};

/* clang-format off */
#define AT(field) offsetof(struct flags, field)
static const struct flag flags[] = {
	{ "config.file", "FILE", "Configuration file (default " CONFIG_FILE ").", AT(config_file), FLAG_TEXT, true, false },
	{ "web.listen-address", "ADDRESS:PORT", "Where to listen; may be repeated (in the environment: separated by commas).", AT(listen), FLAG_LIST, true, false },
	{ "web.telemetry-path", "PATH", "Path of the metrics.", AT(telemetry_path), FLAG_TEXT, true, false },
	{ "log.level", "LEVEL", "debug, info, warn or error.", AT(log_level), FLAG_TEXT, true, false },
	{ "log.format", "FORMAT", "logfmt or json.", AT(log_format), FLAG_TEXT, true, false },
	{ "check", NULL, "Read the configuration, load the collectors, check all tables; connect to nothing.", AT(check), FLAG_SWITCH, false, false },
	{ "probe", NULL, "One collection of all targets, or those named behind it, to standard output; reasons to standard error; status 1 when a target failed.", AT(probe), FLAG_SWITCH, false, false },
	{ "metrics", NULL, "Print the reference of all metrics.", AT(metrics), FLAG_SWITCH, false, false },
	{ "options", NULL, "Print the reference of all options.", AT(options), FLAG_SWITCH, false, false },
	{ "version", NULL, "Print the version.", AT(version), FLAG_SWITCH, false, false },
	{ "help", NULL, "Print this help.", AT(help), FLAG_SWITCH, false, false },
	{ "worker", "NAME", "Be a worker process; only the program itself starts these.", AT(worker), FLAG_TEXT, false, true },
};
/* clang-format on */

static void
env_name(char *out, size_t size, const struct flag *f)
{
	size_t n = (size_t)snprintf(out, size, "DATATIER_%s", f->name);

	for (size_t i = 0; i < n && i < size; i++)
		out[i] =
		    out[i] == '.' || out[i] == '-' ? '_' : (char)toupper((unsigned char)out[i]);
}

static void *
field(struct flags *out, const struct flag *f)
{
	return (char *)out + f->offset;
}

static bool
add_to_list(const char **list, const char *value, const struct flag *f, char *why, size_t size)
{
	for (size_t i = 0; i < LISTEN_MAX; i++)
		if (list[i] == NULL) {
			list[i] = value;
			return true;
		}
	snprintf(why, size, "--%s is given more than %d times", f->name, LISTEN_MAX);
	return false;
}

static bool
set(struct flags *out, const struct flag *f, const char *value, char *why, size_t size)
{
	if (f->type == FLAG_SWITCH)
		*(bool *)field(out, f) = true;
	else if (f->type == FLAG_LIST)
		return add_to_list(field(out, f), value, f, why, size);
	else
		*(const char **)field(out, f) = value;
	return true;
}

static bool
set_list(struct flags *out, const struct flag *f, const char *value, char *why, size_t size)
{
	char *copy = strdup(value), *rest = copy, *item;

	while (copy != NULL && (item = strsep(&rest, ", ")) != NULL)
		if (item[0] != '\0' && !set(out, f, item, why, size))
			return false;
	return true; /* NOLINT(clang-analyzer-unix.Malloc): the copy is never freed */
}

static bool
from_environment(struct flags *out, char *why, size_t size)
{
	char name[64];

	for (size_t i = 0; i < COUNT(flags); i++) {
		const struct flag *f = &flags[i];
		if (!f->env)
			continue;
		env_name(name, sizeof name, f);
		const char *value = getenv(name);
		if (value == NULL || value[0] == '\0')
			continue;
		bool good = f->type == FLAG_LIST ? set_list(out, f, value, why, size)
						 : set(out, f, value, why, size);
		if (!good)
			return false;
	}
	return true;
}

static const struct flag *
find(struct text name)
{
	for (size_t i = 0; i < COUNT(flags); i++)
		if (text_is(name, flags[i].name))
			return &flags[i];
	return NULL;
}

/* One flag at *argv, its value perhaps in the next; how many it took, 0: a
 * fault. */
static int
take_flag(struct flags *out, char **argv, bool *listed, char *why, size_t size)
{
	struct text rest = text_of(argv[0] + 2);
	struct text name = text_cut(&rest, '=');
	const struct flag *f = find(name);

	if (f == NULL) {
		snprintf(why, size, "unknown flag %s (see --help)", argv[0]);
		return 0;
	}
	const char *value = rest.ptr != NULL ? rest.ptr : f->arg != NULL ? argv[1] : NULL;
	if ((value == NULL) != (f->arg == NULL)) {
		snprintf(why, size, "--%s %s", f->name,
		    f->arg == NULL ? "takes no value" : "needs a value");
		return 0;
	}
	if (f->type == FLAG_LIST && !*listed) { /* the first one replaces the environment's */
		memset(field(out, f), 0, sizeof out->listen);
		*listed = true;
	}
	return !set(out, f, value, why, size) ? 0 : value != NULL && rest.ptr == NULL ? 2 : 1;
}

bool
flags_parse(struct flags *out, char **argv, char *why, size_t size)
{
	bool listed = false;

	*out = (struct flags){ .config_file = CONFIG_FILE };
	if (!from_environment(out, why, size))
		return false;
	for (argv++; *argv != NULL && strncmp(*argv, "--", 2) == 0;) {
		if (strcmp(*argv, "--") == 0) {
			argv++;
			break;
		}
		int took = take_flag(out, argv, &listed, why, size);
		if (took == 0)
			return false;
		argv += took;
	}
	out->names = (const char *const *)argv;
	if (*argv == NULL || out->probe)
		return true;
	snprintf(why, size, "unexpected argument \"%s\" (see --help)", *argv);
	return false;
}

void
flags_help(struct buf *b)
{
	buf_str(b, "usage: datatier_exporter [flags] [--probe [TARGET...]]\n\n");
	for (size_t i = 0; i < COUNT(flags); i++) {
		const struct flag *f = &flags[i];
		char left[64], env[64] = "";
		if (f->hidden)
			continue;
		snprintf(left, sizeof left, "--%s%s%s", f->name, f->arg != NULL ? "=" : "",
		    f->arg != NULL ? f->arg : "");
		if (f->env)
			env_name(env, sizeof env, f);
		buf_printf(b, "  %-34s %s%s%s%s\n", left, f->help, f->env ? " [" : "", env,
		    f->env ? "]" : "");
	}
}

void
flags_reference(struct buf *b)
{
	buf_str(b, "\n## Command line\n\n"
		   "A flag beats its environment variable, which beats the configuration file.\n\n"
		   "| flag | environment | meaning |\n|---|---|---|\n");
	for (size_t i = 0; i < COUNT(flags); i++) {
		const struct flag *f = &flags[i];
		char env[64] = "-";
		if (f->hidden)
			continue;
		if (f->env)
			env_name(env, sizeof env, f);
		buf_printf(b, "| `--%s%s%s` | %s%s%s | %s |\n", f->name, f->arg != NULL ? "=" : "",
		    f->arg != NULL ? f->arg : "", f->env ? "`" : "", env, f->env ? "`" : "",
		    f->help);
	}
}
