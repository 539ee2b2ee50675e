/*
 * options_reference.c - OPTIONS.md, printed from the tables that the configuration is
 * read with.
 */
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "keys.h"

static const char intro[] =
    "# Options\n"
    "\n"
    "Printed by `datatier_exporter --options` from the tables the program reads its\n"
    "configuration with.\n"
    "\n"
    "The file is written in [libconfig](https://hyperrealm.github.io/libconfig/)'s language:\n"
    "\n"
    "```\n"
    "web = { listen = \"[::]:10071\"; };\n"
    "targets = (\n"
    "  { collector = \"redis\"; name = \"cache\"; uri = \"${CACHE_URI}\"; },\n"
    "  { collector = \"kafka\"; name = \"events\"; brokers = \"k1:9092,k2:9092\";\n"
    "    kafka = { security_protocol = \"ssl\"; }; every = { partitions = \"5m\"; }; }\n"
    ");\n"
    "```\n"
    "\n"
    "Nothing is guessed: an unknown key, a wrong type or a value out of range is an error with "
    "its\n"
    "file and line, all of them are listed at once, and the program does not start.\n"
    "\n"
    "## Values\n"
    "\n"
    "| type | written |\n"
    "|---|---|\n"
    "| string | `\"text\"` |\n"
    "| address | `\"text\"`; a target whose address is a variable that is empty is left out |\n"
    "| secret | `\"text\"`, best `\"${credential:NAME}\"` or a variable; never shown anywhere |\n"
    "| regex | `\"^chat-\"`, a POSIX extended regular expression |\n"
    "| whole number, number | `5`, `0.5` |\n"
    "| duration | `\"500ms\"`, `\"5s\"`, `\"10m\"`, `\"1h\"`, `\"1d\"`; a number alone is seconds "
    "|\n"
    "| yes or no | `true`, `false` |\n"
    "| list | `( \"a\", \"b\" )`, or one string, `\"a, b\"` |\n"
    "| map | `{ key = \"value\"; }`; the values are never shown |\n"
    "\n"
    "Every value can come from the environment, then it is written in quotes:\n"
    "\n"
    "| in a string | stands for |\n"
    "|---|---|\n"
    "| `${VAR}` | the variable; where it is empty or not set, the file named by `VAR_FILE` without "
    "its last line end |\n"
    "| `${VAR:-default}` | the same, or `default` |\n"
    "| `${credential:NAME}` | the file `NAME` that systemd's `LoadCredential=` provides |\n"
    "| `$$` | a dollar, needed only before `{` |\n"
    "\n"
    "What a variable holds is taken as it is: quotes or `${` in it mean nothing. An option that "
    "is\n"
    "only `\"${VAR}\"` with an empty variable counts as not given. In a longer string a variable "
    "that\n"
    "is not set is an error.\n"
    "\n"
    "`@include \"file\"` on a line of its own reads another file, from the folder of the one it "
    "stands "
    "in.\n";

static const char *
type_name(const struct option *o)
{
	static const char *const names[] = {
		[OPT_STRING] = "string",
		[OPT_ADDRESS] = "address",
		[OPT_SECRET] = "secret",
		[OPT_REGEX] = "regex",
		[OPT_INT] = "whole number",
		[OPT_NUMBER] = "number",
		[OPT_DURATION] = "duration",
		[OPT_BOOL] = "yes or no",
		[OPT_LIST] = "list",
		[OPT_MAP] = "map",
	};
	return names[o->type];
}

/* Text in a cell of a table. */
static void
cell(struct buf *out, const char *text)
{
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '|' || *p == '<')
			buf_char(out, '\\');
		buf_char(out, *p == '\n' ? ' ' : *p);
	}
}

static void
print_default(struct buf *out, const struct option *o)
{
	if (o->required)
		buf_str(out, "required");
	if (o->required || o->def == NULL || *o->def == '\0')
		return;
	buf_char(out, '`');
	cell(out, option_secret(o) ? "***" : o->def);
	buf_char(out, '`');
}

static void
print_options(struct buf *out, const struct option *options, size_t n)
{
	buf_str(out, "| option | type | default | meaning |\n|---|---|---|---|\n");
	for (size_t i = 0; i < n; i++) {
		char range[80];
		option_range(&options[i], range, sizeof range);
		buf_printf(out, "| `%s` | %s", options[i].name, type_name(&options[i]));
		if (options[i].type != OPT_MAP)
			buf_str(out, range);
		buf_str(out, " | ");
		print_default(out, &options[i]);
		buf_str(out, " | ");
		cell(out, options[i].help);
		buf_str(out, " |\n");
	}
}

static void
print_groups(struct buf *out, const struct collector *c)
{
	buf_str(out, "\nGroups, as `enable`, `disable`, `every` and `collect[]` name them:\n\n"
		     "| group | read | from |\n|---|---|---|\n");
	for (unsigned i = 0; i < c->ngroups; i++) {
		buf_printf(out, "| `%s` | %s | ", c->groups[i].name,
		    c->groups[i].off ? "when enabled" : "always");
		cell(out, c->groups[i].about == NULL ? "" : c->groups[i].about);
		buf_str(out, " |\n");
	}
}

void
options_reference(const struct collector *c, struct buf *out)
{
	buf_printf(out, "\n### `%s`\n\n%s\n\n", c->name, c->about);
	print_options(out, c->options, c->noptions);
	if (c->ngroups > 0)
		print_groups(out, c);
}

void
config_reference(const struct collector *const *collectors, size_t n, struct buf *out)
{
	buf_str(out, intro);
	buf_str(out, "\n## `web`\n\n");
	print_options(out, web_options, keys_count(web_options));
	buf_str(out, "\n## `log`\n\n");
	print_options(out, log_options, keys_count(log_options));
	buf_str(out, "\n## Every target\n\n");
	print_options(out, target_options, keys_count(target_options));
	if (n > 0)
		buf_str(out, "\n## Collectors\n");
	for (size_t i = 0; i < n; i++)
		options_reference(collectors[i], out);
}
