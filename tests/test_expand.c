/*
 * Expansion: variables, defaults, secrets in files, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../config/expand.h"
#include "scratch_folder.h"

static char folder[SCRATCH_MAX];
static struct arena *arena;

static const char *
path_of(const char *name)
{
	static char path[SCRATCH_MAX + 64];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static void
write_file(const char *name, const void *bytes, size_t len)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

static void
assert_expands(const char *raw, const char *expected)
{
	struct expansion e;
	char why[320] = "";
	assert_true(expand(arena, raw, &e, why, sizeof why));
	assert_string_equal(e.value, expected);
}

static void
assert_empty_by(const char *raw, const char *variable)
{
	struct expansion e;
	char why[320] = "";
	assert_true(expand(arena, raw, &e, why, sizeof why));
	assert_string_equal(e.value, "");
	if (variable == NULL)
		assert_null(e.empty);
	else
		assert_string_equal(e.empty, variable);
}

/* The words must have this part in them. */
static void
assert_refused(const char *raw, const char *part)
{
	struct expansion e;
	char why[320] = "";
	assert_false(expand(arena, raw, &e, why, sizeof why));
	if (strstr(why, part) == NULL)
		print_message("\"%s\" is not in \"%s\"\n", part, why);
	assert_non_null(strstr(why, part));
}

static void
variables_are_replaced(void **state)
{
	(void)state;
	assert_expands("${HOST}", "db1");
	assert_expands("a ${HOST}:${PORT} b", "a db1:5432 b");
	assert_expands("${NOT_SET:-x}-${EMPTY:-y}-${HOST:-z}", "x-y-db1");
	assert_expands("${NOT_SET:-a:-b}", "a:-b");
	assert_expands("[${EMPTY}]", "[]");
	assert_expands("", "");
}

static void
what_they_hold_is_literal(void **state)
{
	(void)state;
	assert_expands("${HOSTILE}", "\"; ${HOST} $$ @include \"/etc/passwd\"\n");
	assert_expands("x${HOSTILE}x", "x\"; ${HOST} $$ @include \"/etc/passwd\"\nx");
}

static void
dollars_stay(void **state)
{
	(void)state;
	assert_expands("^a$|^b$", "^a$|^b$");
	assert_expands("$HOST $ $", "$HOST $ $");
	assert_expands("$${HOST} $$", "${HOST} $");
	assert_expands("$$${HOST}", "$db1");
}

static void
empty_variable_is_named(void **state)
{
	(void)state;
	assert_empty_by("${NOT_SET}", "NOT_SET");
	assert_empty_by("${EMPTY}", "EMPTY");
	assert_empty_by("${NOT_SET:-}", "NOT_SET");
	assert_empty_by("${EMPTY}${NOT_SET:-}", "EMPTY");
	assert_empty_by("", NULL);
}

static void
bad_references_are_refused(void **state)
{
	(void)state;
	assert_refused("http://${NOT_SET}/", "the variable NOT_SET is not set");
	assert_refused("${NOT_SET}${NOT_SET}", "the variable NOT_SET is not set");
	assert_refused("${HOST", "without its }");
	assert_refused("a{2}${", "without its }");
	assert_refused("${}", "a variable is written");
	assert_refused("${1A}", "a variable is written");
	assert_refused("${A B}", "a variable is written");
	assert_refused("${HOST:x}", "a variable is written");
	assert_refused("${HOST:}", "a variable is written");
	assert_refused("${NOT_SET:-${HOST}}", "cannot hold another variable");
}

static void
file_of_a_variable_is_read(void **state)
{
	(void)state;
	write_file("plain", "open${HOST}\"sesame\n", 18);
	setenv("SECRET_FILE", path_of("plain"), 1);
	assert_expands("${SECRET}", "open${HOST}\"sesame");
	assert_expands("u:${SECRET:-default}@h", "u:open${HOST}\"sesame@h");
	setenv("SECRET", "", 1);
	assert_expands("${SECRET}", "open${HOST}\"sesame");
	setenv("SECRET", "direct", 1);
	assert_expands("${SECRET}", "direct");
	unsetenv("SECRET");
	write_file("plain", "two\nlines\r\n", 11);
	assert_expands("${SECRET}", "two\nlines");
	write_file("plain", "\n\n", 2);
	assert_expands("${SECRET}", "\n");
	unsetenv("SECRET_FILE");
}

static void
file_that_cannot_be_used_is_refused(void **state)
{
	(void)state;
	setenv("SECRET_FILE", path_of("nowhere"), 1);
	assert_refused("${SECRET}", "No such file");
	assert_refused("${SECRET:-default}", "SECRET_FILE: cannot use the file");
	setenv("SECRET_FILE", folder, 1);
	assert_refused("${SECRET}", "not a regular file");
	assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
	setenv("SECRET_FILE", path_of("fifo"), 1);
	assert_refused("${SECRET}", "not a regular file");
	write_file("plain", "\n", 1);
	setenv("SECRET_FILE", path_of("plain"), 1);
	assert_refused("${SECRET}", "it is empty");
	write_file("plain", "a\0b", 3);
	assert_refused("${SECRET}", "a NUL byte");
	char *large = calloc(1, SECRET_FILE_MAX + 1);
	memset(large, 'x', SECRET_FILE_MAX + 1);
	write_file("plain", large, SECRET_FILE_MAX + 1);
	assert_refused("${SECRET}", "too large");
	write_file("plain", large, SECRET_FILE_MAX);
	large[SECRET_FILE_MAX] = '\0';
	assert_expands("${SECRET}", large);
	free(large);
	unsetenv("SECRET_FILE");
}

static void
credential_is_read_from_its_directory(void **state)
{
	(void)state;
	assert_refused("${credential:redis}", "CREDENTIALS_DIRECTORY is not set");
	setenv("CREDENTIALS_DIRECTORY", folder, 1);
	assert_refused("${credential:redis}", "No such file");
	write_file("redis", "pw\n", 3);
	assert_expands("${credential:redis}", "pw");
	assert_expands("x${credential:redis}y", "xpwy");
	static const char *const bad[] = { "${credential:}", "${credential:../redis}",
		"${credential:.}", "${credential:a/b}", "${credential:redis:-x}" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_refused(bad[i], "a name is letters");
	unsetenv("CREDENTIALS_DIRECTORY");
}

static void
expansion_without_end_is_refused(void **state)
{
	(void)state;
	char *large = calloc(1, 1001);
	memset(large, 'x', 1000);
	setenv("LARGE", large, 1);
	char *raw = calloc(2000, 8);
	for (size_t i = 0; i < 1100; i++)
		memcpy(raw + 8 * i, "${LARGE}", 8);
	assert_refused(raw, "longer than");
	free(raw);
	free(large);
	unsetenv("LARGE");
}

static int
set_up(void **state)
{
	(void)state;
	arena = arena_new();
	setenv("HOST", "db1", 1);
	setenv("PORT", "5432", 1);
	setenv("EMPTY", "", 1);
	setenv("HOSTILE", "\"; ${HOST} $$ @include \"/etc/passwd\"\n", 1);
	unsetenv("NOT_SET");
	unsetenv("CREDENTIALS_DIRECTORY");
	return !scratch_folder(folder);
}

static int
tear_down(void **state)
{
	(void)state;
	static const char *const names[] = { "plain", "fifo", "redis" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unlink(path_of(names[i]));
	arena_free(arena);
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(variables_are_replaced),
		cmocka_unit_test(what_they_hold_is_literal),
		cmocka_unit_test(dollars_stay),
		cmocka_unit_test(empty_variable_is_named),
		cmocka_unit_test(bad_references_are_refused),
		cmocka_unit_test(file_of_a_variable_is_read),
		cmocka_unit_test(file_that_cannot_be_used_is_refused),
		cmocka_unit_test(credential_is_read_from_its_directory),
		cmocka_unit_test(expansion_without_end_is_refused),
	};
	return cmocka_run_group_tests_name("expand", tests, set_up, tear_down);
}
