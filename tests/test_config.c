/*
 * Whole configurations.  Each tests/golden/config/NAME.conf is read, and what
 * comes of it - faults, notes, targets - must be NAME.txt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Before cmocka, which has a macro named fail. */
#include "../config/config.h"
#include "stub_collector.h"

#include <cmocka.h>

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <unistd.h>

#define GOLDEN "tests/golden/config"
#define SECRET "hunter2" /* must not appear in anything that is said */

struct reading {
	struct config *config;
	struct buf faults, notes;
};

static struct reading
finish(struct reading r)
{
	buf_char(&r.faults, '\0');
	buf_char(&r.notes, '\0');
	assert_true(buf_ok(&r.faults) && buf_ok(&r.notes));
	assert_null(strstr(r.faults.ptr, SECRET));
	assert_null(strstr(r.notes.ptr, SECRET));
	return r;
}

static struct reading
read_file(const char *path)
{
	struct reading r = { NULL, BUF(1 << 20), BUF(1 << 20) };
	r.config = config_load(path, stub_find, &r.faults, &r.notes);
	return finish(r);
}

static struct reading
read_text(const char *text)
{
	struct reading r = { NULL, BUF(1 << 20), BUF(1 << 20) };
	r.config = config_load_text("x.conf", text_of(text), stub_find, &r.faults, &r.notes);
	return finish(r);
}

static void
done(struct reading *r)
{
	config_free(r->config);
	buf_free(&r->faults);
	buf_free(&r->notes);
}

static void
print_many(struct buf *out, const char *name, const char *const *many)
{
	buf_printf(out, "  %s =", name);
	for (; *many != NULL; many++)
		buf_printf(out, " <%s>", *many);
	buf_char(out, '\n');
}

static void
print_conf(struct buf *out, const struct stub_conf *c)
{
	buf_printf(out, "  uri = <%s>\n  user = <%s>\n  password = <%s>\n", c->uri, c->user,
	    c->password == NULL ? "(none)" : c->password);
	buf_printf(
	    out, "  topics = <%s>\n  port = %lld\n  ratio = %g\n", c->topics, c->port, c->ratio);
	buf_printf(out, "  timeout = %g s\n  tls = %d\n", clock_seconds(c->timeout), c->tls);
	print_many(out, "databases", c->databases);
	print_many(out, "tags", c->tags);
	print_many(out, "kafka", c->kafka);
}

static void
print_target(struct buf *out, const struct config_target *t)
{
	struct stub_conf conf = { 0 };
	char why[200];
	buf_printf(out, "target <%s> %s groups %llx every", t->name, t->collector->name,
	    (unsigned long long)t->groups);
	for (unsigned i = 0; i < t->collector->ngroups; i++)
		buf_printf(out, " %g", clock_seconds(t->every[i]));
	buf_char(out, '\n');
	assert_true(options_fill(stub_options, COUNT(stub_options), &conf, t->settings,
	    t->nsettings, why, sizeof why, NULL));
	print_conf(out, &conf);
	options_free(stub_options, COUNT(stub_options), &conf);
}

static void
print_reading(struct buf *out, const struct reading *r)
{
	buf_printf(out, "faults:\n%snotes:\n%s", r->faults.ptr, r->notes.ptr);
	if (r->config == NULL)
		return;
	buf_str(out, "config:\n");
	print_many(out, "listen", r->config->listen);
	buf_printf(out, "  telemetry_path = <%s>\n  log = <%s> <%s>\n", r->config->telemetry_path,
	    r->config->log_level, r->config->log_format);
	for (size_t i = 0; i < r->config->ntargets; i++)
		print_target(out, &r->config->targets[i]);
}

static char *
whole_file(const char *path)
{
	static char text[65536];
	FILE *file = fopen(path, "r");
	size_t n = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);
	if (file != NULL)
		fclose(file);
	text[n] = '\0';
	return text;
}

static void
golden_files_read_as_recorded(void **state)
{
	(void)state;
	char home[4096];
	glob_t found;
	assert_non_null(getcwd(home, sizeof home));
	assert_int_equal(chdir(GOLDEN), 0);
	assert_int_equal(glob("*.conf", 0, NULL, &found), 0);
	assert_true(found.gl_pathc >= 8);
	int differ = 0;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct buf out = BUF(1 << 20);
		struct reading r = read_file(found.gl_pathv[i]);
		char expected[256];
		print_reading(&out, &r);
		buf_char(&out, '\0');
		snprintf(expected, sizeof expected, "%.*s.txt",
		    (int)(strlen(found.gl_pathv[i]) - strlen(".conf")), found.gl_pathv[i]);
		if (strcmp(out.ptr, whole_file(expected)) != 0) {
			fprintf(stderr, "# %s is not what came:\n%s", expected, out.ptr);
			differ++;
		}
		done(&r);
		buf_free(&out);
	}
	globfree(&found);
	assert_int_equal(chdir(home), 0);
	assert_int_equal(differ, 0);
}

static void
faults_end_at_a_maximum(void **state)
{
	(void)state;
	char text[8192] = "targets = ();\n";
	size_t len = strlen(text);
	for (int i = 0; i < CONFIG_FAULTS_MAX + 7; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "wrong%d = 1;\n", i);
	struct reading r = read_text(text);
	unsigned lines = 0;
	for (const char *p = r.faults.ptr; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	assert_null(r.config);
	assert_int_equal(lines, CONFIG_FAULTS_MAX + 1);
	assert_non_null(strstr(r.faults.ptr, "\nand 7 more\n"));
	done(&r);
}

static void
too_many_targets_are_refused(void **state)
{
	(void)state;
	struct buf text = BUF(1 << 20);
	buf_str(&text, "targets = (");
	for (int i = 0; i <= CONFIG_TARGETS_MAX; i++)
		buf_str(&text, i == 0 ? "{}" : ",{}");
	buf_str(&text, ");");
	buf_char(&text, '\0');
	struct reading r = read_text(text.ptr);
	assert_null(r.config);
	assert_string_equal(r.faults.ptr, "x.conf:1: targets must be a list of groups, at most "
					  "4096: targets = ( { ... }, { ... } );\n");
	buf_free(&text);
	done(&r);
}

static void
as_many_targets_as_allowed_are_read(void **state)
{
	(void)state;
	struct buf text = BUF(1 << 20);
	buf_str(&text, "targets = (");
	for (int i = 0; i < CONFIG_TARGETS_MAX; i++)
		buf_printf(&text,
		    "%s{ collector = \"stub\"; name = \"t%d\"; uri = \"stub://h\"; }\n",
		    i == 0 ? "" : ",", i);
	buf_str(&text, ");");
	buf_char(&text, '\0');
	struct reading r = read_text(text.ptr);
	assert_string_equal(r.faults.ptr, "");
	assert_int_equal(r.config->ntargets, CONFIG_TARGETS_MAX);
	buf_free(&text);
	done(&r);
}

static void
file_that_is_not_there_is_said(void **state)
{
	(void)state;
	struct reading r = read_file("nowhere/x.conf");
	assert_null(r.config);
	assert_string_equal(
	    r.faults.ptr, "nowhere/x.conf: cannot open: No such file or directory\n");
	done(&r);
	r = read_file(GOLDEN);
	assert_null(r.config);
	assert_string_equal(r.faults.ptr, GOLDEN ": not a regular file\n");
	done(&r);
}

static void
reference_has_every_row(void **state)
{
	(void)state;
	const struct collector *const list[] = { &stub };
	struct buf out = BUF(1 << 20);
	config_reference(list, 1, &out);
	buf_char(&out, '\0');
	assert_non_null(strstr(out.ptr, "\n| `telemetry_path` | string | `/metrics` | "));
	assert_non_null(strstr(out.ptr, "\n| `uri` | address | required | Where it is. |\n"));
	assert_non_null(
	    strstr(out.ptr, "\n| `topics` | regex | `^a\\|b$` | Which \\| topics. |\n"));
	assert_non_null(
	    strstr(out.ptr, "\n| `timeout` | duration from 100ms to 1m | `5s` | How long. |\n"));
	assert_non_null(strstr(out.ptr, "\n| `size` | when enabled | size() |\n"));
	buf_free(&out);
}

static int
set_up(void **state)
{
	(void)state;
	static const char *const environment[][2] = {
		{ "STUB_URI", "stub://${HOST}/\"x\"" },
		{ "STUB_PASSWORD", SECRET },
		{ "STUB_PASSWORD_URI", "wrong://u:" SECRET "@h" },
		{ "STUB_PORT", "5432" },
		{ "STUB_TLS", "off" },
		{ "STUB_TIMEOUT", "2s" },
		{ "STUB_LIST", " a, b c ,,d" },
		{ "STUB_EMPTY", "" },
		{ "STUB_LOST_FILE", "/nowhere/secret" },
	};
	unsetenv("CREDENTIALS_DIRECTORY");
	unsetenv("STUB_UNSET");
	for (size_t i = 0; i < COUNT(environment); i++)
		setenv(environment[i][0], environment[i][1], 1);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_files_read_as_recorded),
		cmocka_unit_test(faults_end_at_a_maximum),
		cmocka_unit_test(too_many_targets_are_refused),
		cmocka_unit_test(as_many_targets_as_allowed_are_read),
		cmocka_unit_test(file_that_is_not_there_is_said),
		cmocka_unit_test(reference_has_every_row),
	};
	return cmocka_run_group_tests_name("config", tests, set_up, NULL);
}
