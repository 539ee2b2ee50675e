/*
 * test_text.c - text.c and buf.c: nothing from outside is believed.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "../exporter/buf.h"
#include "../exporter/collector.h"

/* After ours: it defines fail as a macro. */
#include <cmocka.h>

static void
a_secret_is_told_in_part_too(void **state)
{
	(void)state;
	assert_true(text_tells(TEXT("you said hunter2!"), "hunter2"));
	assert_true(text_tells(TEXT("...rrect-hors"), "correct-horse"));
	assert_false(text_tells(TEXT("correct horse"), "correct-horse"));
	assert_false(text_tells(TEXT("a horse"), "correct-horse"));
	assert_true(text_tells(TEXT("1234"), "1234"));
	assert_false(text_tells(TEXT("0123"), "1234"));
	assert_false(text_tells(TEXT("abc"), "abc"));
	assert_false(text_tells(TEXT("abc"), NULL));
	assert_false(text_tells(TEXT(""), "secret"));
	assert_false(text_tells((struct text){ NULL, 0 }, "secret"));
}

static void
numbers_are_whole_or_nothing(void **state)
{
	static const char *const bad[] = { "", " 1", "1 ", "0x10", "1e", "--1", "1.2.3", "nan",
		"inf", "infinity", "1,5", ".", "+", "1_000", "NaN ", "e5" };
	static const struct {
		const char *text;
		double value;
	} good[] = { { "0", 0 }, { "42", 42 }, { "-7", -7 }, { "+3", 3 }, { "1.5", 1.5 },
		{ ".5", .5 }, { "5.", 5 }, { "1e3", 1000 }, { "1E-3", .001 },
		{ "9007199254740993", 9007199254740992.0 },
		{ "123456789012345", 123456789012345.0 } };
	double v = -99;
	(void)state;

	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(text_number(text_of(bad[i]), &v));
	assert_true(v == -99);
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_true(text_number(text_of(good[i].text), &v));
		assert_true(v == good[i].value);
	}
	assert_true(text_number(TEXT("NaN"), &v) && isnan(v));
	assert_true(text_number(TEXT("-Inf"), &v) && isinf(v) && v < 0);
	assert_false(text_number((struct text){ "12\0", 3 }, &v));
}

static void
integers_do_not_overflow(void **state)
{
	int64_t n = 5;
	(void)state;

	assert_true(text_integer(TEXT("9223372036854775807"), &n) && n == INT64_MAX);
	assert_true(text_integer(TEXT("-9223372036854775808"), &n) && n == INT64_MIN);
	assert_false(text_integer(TEXT("9223372036854775808"), &n));
	assert_false(text_integer(TEXT("-9223372036854775809"), &n));
	assert_false(text_integer(TEXT("1.0"), &n));
	assert_false(text_integer(TEXT("-"), &n));
	assert_true(n == INT64_MIN);
}

static void
durations_have_a_unit(void **state)
{
	int64_t ns = 0;
	(void)state;

	assert_true(text_duration(TEXT("500ms"), &ns) && ns == 500000000);
	assert_true(text_duration(TEXT("1.5m"), &ns) && ns == INT64_C(90000000000));
	assert_true(text_duration(TEXT("1d"), &ns) && ns == INT64_C(86400000000000));
	assert_true(text_duration(TEXT("0s"), &ns) && ns == 0);
	assert_false(text_duration(TEXT("5"), &ns));
	assert_false(text_duration(TEXT("-5s"), &ns));
	assert_false(text_duration(TEXT("s"), &ns));
	assert_false(text_duration(TEXT("5 s"), &ns));
	assert_false(text_duration(TEXT("1000000000000d"), &ns));
	assert_true(ns == 0);
}

static void
cut_and_trim_stay_inside(void **state)
{
	struct text rest = TEXT("a:b::c"), t;
	(void)state;

	assert_true(text_is(text_cut(&rest, ':'), "a"));
	assert_true(text_is(text_cut(&rest, ':'), "b"));
	assert_true(text_is(text_cut(&rest, ':'), ""));
	assert_true(text_is(text_cut(&rest, ':'), "c") && rest.ptr == NULL && rest.len == 0);
	t = text_cut(&rest, ':');
	assert_true(t.len == 0);
	assert_true(text_is(text_trim(TEXT(" \r\n")), ""));
	assert_true(text_is(text_trim(TEXT("\tx y\n")), "x y"));
	assert_true(text_begins(TEXT("cmdstat_get"), "cmdstat_"));
	assert_false(text_begins(TEXT("cmd"), "cmdstat_"));
}

static void
cleaning_replaces_what_is_not_utf8(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "plain", "plain" }, { "a\nb\x7f", "a?b?" }, { "\xc3\xa4", "\xc3\xa4" },
		{ "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd" },                 /* overlong */
		{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, /* surrogate */
		{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
		{ "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "x\xc3", "x\xef\xbf\xbd" }, /* cut short */
	};
	char out[64], small[6];
	(void)state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(
		    text_clean(out, sizeof out, text_of(cases[i].in)), strlen(cases[i].out));
		assert_string_equal(out, cases[i].out);
	}
	assert_int_equal(text_clean(small, sizeof small, TEXT("1234\xc3\xa4")), 4);
	assert_string_equal(small, "1234");
	assert_int_equal(text_clean(out, sizeof out, (struct text){ "a\0b", 3 }), 3);
	assert_string_equal(out, "a?b");
}

static void
a_buffer_has_an_end_and_its_error_sticks(void **state)
{
	struct buf b = BUF(300);
	(void)state;

	for (int i = 0; i < 30; i++)
		buf_str(&b, "0123456789");
	assert_true(buf_ok(&b) && b.len == 300);
	buf_char(&b, 'x');
	assert_false(buf_ok(&b));
	assert_int_equal(b.len, 300);
	buf_printf(&b, "%d", 5);
	assert_false(buf_ok(&b));
	buf_reset(&b);
	buf_printf(&b, "%s=%d", "five", 5);
	assert_true(buf_ok(&b));
	assert_memory_equal(b.ptr, "five=5", b.len);
	assert_null(buf_room(&b, SIZE_MAX));
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_whole_or_nothing),
		cmocka_unit_test(integers_do_not_overflow),
		cmocka_unit_test(a_secret_is_told_in_part_too),
		cmocka_unit_test(durations_have_a_unit),
		cmocka_unit_test(cut_and_trim_stay_inside),
		cmocka_unit_test(cleaning_replaces_what_is_not_utf8),
		cmocka_unit_test(a_buffer_has_an_end_and_its_error_sticks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
