/*
 * The scanner in front of libconfig: what is refused, what is included, and
 * where each line came from.
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

#include "../config/source.h"
#include "scratch_folder.h"

static char folder[SCRATCH_MAX];
static const char *const names[] = { "main", "a", "b", "fifo" };

static const char *
path_of(const char *name)
{
	static char path[SCRATCH_MAX + 64];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static void
write_file(const char *name, const char *text)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void
assert_refused(struct text text, unsigned line, const char *why)
{
	struct arena *arena = arena_new();
	struct source source;
	assert_false(source_read_text(&source, arena, "x.conf", text));
	assert_string_equal(source.why, why);
	assert_string_equal(source.fault.file, "x.conf");
	assert_int_equal(source.fault.line, line);
	source_free(&source);
	arena_free(arena);
}

static void
assert_becomes(const char *text, const char *expected)
{
	struct arena *arena = arena_new();
	struct source source;
	assert_true(source_read_text(&source, arena, "x.conf", text_of(text)));
	assert_string_equal(source.text.ptr, expected);
	source_free(&source);
	arena_free(arena);
}

static void
plain_text_stays(void **state)
{
	(void)state;
	static const char *const texts[] = { "", "a = 1;\n", "a = \"( # /* \\\" // @include \";",
		"/* ( \" */ a = ( { b = [ 1, 2 ]; } ); # ) \" \n// }\n", "a-b*c_d = 2147483647;",
		"a = 1.5e99, b = -2147483648; c = 99999999999L; d = 0x7fffffff;",
		"name2147483648 = 1;", "a = \"two\nlines\";" };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_becomes(texts[i], texts[i]);
	assert_becomes("\xef\xbb\xbf"
		       "a = 1;",
	    "a = 1;");
}

static void
large_integers_are_made_long(void **state)
{
	(void)state;
	assert_becomes("a = 2147483648;", "a = 2147483648L;");
	assert_becomes("a=-2147483649", "a=-2147483649L");
	assert_becomes("a=(1,0xffffffff)", "a=(1,0xffffffffL)");
	assert_refused(text_of("\n\na = 9223372036854775808;"), 3, "a number that is too large");
	assert_refused(text_of("a = 99999999999999999999999999999999999999999999L;"), 1,
	    "a number that is too large");
	assert_refused(text_of("a = 0xfffffffffffffffff;"), 1, "a number that is too large");
}

static void
what_is_open_is_found(void **state)
{
	(void)state;
	assert_refused(text_of("a = 1;\n/* never\n\n"), 2, "this comment is never closed");
	assert_refused(text_of("a = 1;\nb = \"x;\nc = 1;\n"), 2,
	    "the string that begins here is never closed");
	assert_refused(text_of("a = \"x\\"), 1, "the string that begins here is never closed");
	assert_refused(text_of("a = (\n{ b = 1; }\n\n"), 1,
	    "a bracket that is opened here is never closed: ')' is missing");
	assert_refused(
	    text_of("a = (\n{ b = 1; )\n\n"), 2, "')' where the bracket of line 2 needs '}'");
	assert_refused(text_of("a = 1;\n}"), 2, "'}' closes nothing");
}

static void
what_is_not_text_is_refused(void **state)
{
	(void)state;
	assert_refused((struct text){ "a = 1;\n\0", 8 }, 2, "a NUL byte: not a configuration file");
	char deep[SOURCE_NESTING_MAX + 1];
	memset(deep, '(', sizeof deep);
	assert_refused((struct text){ deep, sizeof deep }, 1, "brackets nested more than 32 deep");
}

static void
assert_place(const struct source *source, const char *before, const char *file, unsigned line)
{
	const char *at = strstr(source->text.ptr, before);
	unsigned n = 1;
	assert_non_null(at);
	for (const char *p = source->text.ptr; p < at; p++)
		n += *p == '\n';
	struct source_place place = source_place(source, n);
	assert_string_equal(place.file, file);
	assert_int_equal(place.line, line);
}

static void
included_lines_know_their_file(void **state)
{
	(void)state;
	struct arena *arena = arena_new();
	struct source source;
	char a[SCRATCH_MAX + 64], b[SCRATCH_MAX + 64], main_file[SCRATCH_MAX + 64];
	snprintf(a, sizeof a, "%s", path_of("a"));
	snprintf(b, sizeof b, "%s", path_of("b"));
	snprintf(main_file, sizeof main_file, "%s", path_of("main"));
	write_file("main", "m1 = 1;\n  @include \"a\" m2 = 2;\nm3 = \"x\ny\";\nm4 = 4;\n");
	char text[SCRATCH_MAX + 128];
	snprintf(text, sizeof text, "a1 = 1;\na2 = (\n\t@include \"%s\"\n);\na3 = 3", b);
	write_file("a", text);
	write_file("b", "\"b1\",\n\"b2\"");
	assert_true(source_read(&source, arena, main_file));
	assert_place(&source, "m1", main_file, 1);
	assert_place(&source, "a1", a, 1);
	assert_place(&source, "a2", a, 2);
	assert_place(&source, "b1", b, 1);
	assert_place(&source, "b2", b, 2);
	assert_place(&source, ");", a, 4);
	assert_place(&source, "a3", a, 5);
	assert_place(&source, "m2", main_file, 2);
	assert_place(&source, "m3", main_file, 3);
	assert_place(&source, "m4", main_file, 5);
	source_free(&source);
	arena_free(arena);
}

static void
assert_file_refused(const char *name, const char *fault_name, unsigned line, const char *part)
{
	struct arena *arena = arena_new();
	struct source source;
	char path[SCRATCH_MAX + 64];
	snprintf(path, sizeof path, "%s", path_of(name));
	assert_false(source_read(&source, arena, path));
	assert_string_equal(source.fault.file, path_of(fault_name));
	assert_int_equal(source.fault.line, line);
	if (strstr(source.why, part) == NULL)
		print_message("\"%s\" is not in \"%s\"\n", part, source.why);
	assert_non_null(strstr(source.why, part));
	source_free(&source);
	arena_free(arena);
}

static void
files_that_are_none_are_refused(void **state)
{
	(void)state;
	assert_file_refused("nowhere", "nowhere", 0, "cannot open: No such file");
	assert_file_refused("", "", 0, "not a regular file");
	assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
	assert_file_refused("fifo", "fifo", 0, "not a regular file");
	write_file("main", "a = 1;\n@include \".\"\n");
	assert_file_refused("main", "main", 2, "not a regular file");
	write_file("main", "a = 1;\n@include \"fifo\"\n");
	assert_file_refused("main", "main", 2, "not a regular file");
	write_file("main", "a = 1;\n@include \"nowhere\"\n");
	assert_file_refused("main", "main", 2, "nowhere: cannot open: No such file");
	write_file("main", "a = 1;\n@include \"main\"\n");
	assert_file_refused("main", "main", 2, "include each other");
	write_file("main", "a = 1;\n@include main\n");
	assert_file_refused("main", "main", 2, "write @include");
	write_file("main", "@include \"main\n");
	assert_file_refused("main", "main", 1, "write @include");
	write_file("main", "@include");
	assert_file_refused("main", "main", 1, "write @include");
	write_file("main", "\n@include \"a\"");
	write_file("a", "\n\n)");
	assert_file_refused("main", "a", 3, "closes nothing");
}

static void
huge_files_are_refused(void **state)
{
	(void)state;
	write_file("main", "@include \"a\"\n@include \"a\"\n@include \"a\"\n");
	write_file("a", "# half\n");
	assert_int_equal(truncate(path_of("a"), (off_t)SOURCE_MAX * 3), 0);
	assert_file_refused("a", "a", 0, "larger than");
	char *half = malloc(SOURCE_MAX / 2 + 1);
	memset(half, ' ', SOURCE_MAX / 2);
	half[SOURCE_MAX / 2] = '\0';
	write_file("a", half);
	free(half);
	assert_file_refused("main", "a", 1, "all files together");
}

static int
set_up(void **state)
{
	(void)state;
	return !scratch_folder(folder);
}

static int
tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unlink(path_of(names[i]));
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_text_stays),
		cmocka_unit_test(large_integers_are_made_long),
		cmocka_unit_test(what_is_open_is_found),
		cmocka_unit_test(what_is_not_text_is_refused),
		cmocka_unit_test(included_lines_know_their_file),
		cmocka_unit_test(files_that_are_none_are_refused),
		cmocka_unit_test(huge_files_are_refused),
	};
	return cmocka_run_group_tests_name("source", tests, set_up, tear_down);
}
