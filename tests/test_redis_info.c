/*
 * The parsers of the Redis collector, each by itself: lines of INFO, lists in a
 * line, replies as positions.
 */
#include "redis_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void
lines_without_a_field_are_passed_over(void **unused)
{
	struct text info = TEXT("# Head\r\n\r\nno colon\r\na:1\r\n \r\nb: x:y \nlast:"), field,
		    value;

	(void)unused;
	assert_true(redis_info_next(&info, &field, &value));
	assert_true(text_is(field, "a") && text_is(value, "1"));
	assert_true(redis_info_next(&info, &field, &value));
	assert_true(text_is(field, "b") && text_is(value, " x:y"));
	assert_true(redis_info_next(&info, &field, &value));
	assert_true(text_is(field, "last") && value.len == 0);
	assert_false(redis_info_next(&info, &field, &value));
}

static void
a_field_is_found_by_its_whole_name(void **unused)
{
	struct redis_info info = { 0 };

	(void)unused;
	assert_null(redis_info_field(&info, "used_memory").ptr);
	redis_info_read(&info, TEXT("used_memory_rss:5\r\nused_memory:4\r\n"));
	assert_true(text_is(redis_info_field(&info, "used_memory"), "4"));
	assert_null(redis_info_field(&info, "used").ptr);
	redis_info_free(&info);
}

static void
a_part_is_found_by_its_whole_key(void **unused)
{
	struct text value = TEXT("calls=3,usec_per_call=1.5,usec=4,empty=,x");

	(void)unused;
	assert_true(text_is(redis_info_part(value, "usec"), "4"));
	assert_true(text_is(redis_info_part(value, "calls"), "3"));
	assert_int_equal(redis_info_part(value, "empty").len, 0);
	assert_null(redis_info_part(value, "x").ptr);
	assert_null(redis_info_part(value, "call").ptr);
}

static void
lines_are_cut_once_and_bounded(void **unused)
{
	struct redis_info info = { 0 };
	struct buf many = BUF(8 << 20);

	(void)unused;
	redis_info_read(&info, TEXT("# Keyspace\r\n"));
	assert_true(info.keyspace && info.n == 0);
	for (int i = 0; i < REDIS_INFO_FIELDS_MAX; i++)
		buf_printf(&many, "f%d:%d\n", i, i);
	redis_info_read(&info, (struct text){ many.ptr, many.len });
	assert_false(info.over);
	assert_int_equal(info.n, REDIS_INFO_FIELDS_MAX);
	assert_false(info.keyspace);
	buf_str(&many, "more:1\n");
	redis_info_read(&info, (struct text){ many.ptr, many.len });
	assert_true(info.over);
	redis_info_free(&info);
	buf_free(&many);
}

static bool
goes_by(struct text text, const char *version)
{
	struct redis_info info = { 0 };

	redis_info_read(&info, text);
	bool good = text_is(redis_info_version(&info), version);
	redis_info_free(&info);
	return good;
}

static void
valkey_goes_by_its_own_version(void **unused)
{
	(void)unused;
	assert_true(goes_by(TEXT("redis_version:7.2.4\r\nvalkey_version:8.1.0\r\n"), "8.1.0"));
	assert_true(goes_by(TEXT("redis_version:7.2.4\r\n"), "7.2.4"));
}

static void
replies_are_positions_one_behind_the_other(void **unused)
{
	struct redis_replies r = { 0 };
	size_t at = 0;

	(void)unused;
	assert_true(redis_replies_open(&r));
	assert_true(redis_replies_feed(
	    &r, TEXT("*3\r\n*2\r\n:1\r\n$-1\r\n$0\r\n\r\n-E x\r\n$3\r\na\rb"), 2));
	assert_int_equal(r.nroots, 1);
	assert_true(redis_replies_feed(&r, TEXT("\r\n"), 2));
	assert_int_equal(r.nroots, 2);
	struct redis_value v = redis_take(&r, &at);
	assert_int_equal(v.type, REDIS_REPLY_ARRAY);
	assert_int_equal(v.integer, 3);
	redis_skip(&r, &at); /* the inner array */
	v = redis_take(&r, &at);
	assert_int_equal(v.type, REDIS_REPLY_STRING);
	assert_int_equal(v.text.len, 0);
	v = redis_take(&r, &at);
	assert_int_equal(v.type, REDIS_REPLY_ERROR);
	assert_true(text_is(v.text, "E x"));
	assert_int_equal(at, r.root[1]);
	v = redis_take(&r, &at);
	assert_true(text_is(v.text, "a\rb"));
	v = redis_take(&r, &at);
	assert_int_equal(v.type, 0);
	redis_skip(&r, &at);
	redis_replies_close(&r);
}

static void
calls_above_the_last_bound_go_into_infinity(void **unused)
{
	struct harness h;
	struct text answer =
	    TEXT("$73\r\nredis_version:7.2.0\r\ncmdstat_get:calls=9,usec=4000000\r\n"
		 "# Keyspace: none\r\n\r\n"
		 "*2\r\n$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:9\r\n$14\r\nhistogram_usec\r\n"
		 "*6\r\n:1\r\n:2\r\n:541065\r\n:5\r\n:1073741\r\n:9\r\n");

	(void)unused;
	harness_begin(&h, "redis://127.0.0.1");
	assert_true(harness_answer(&h, 1 << REDIS_INFO | 1 << REDIS_LATENCY, answer));
	struct text page = harness_page(&h);
	static const char *const lines[] = {
		"redis_get_latency_seconds_bucket{le=\"1e-06\"} 2\n",
		"redis_get_latency_seconds_bucket{le=\"0.270532\"} 2\n",
		"redis_get_latency_seconds_bucket{le=\"0.541065\"} 5\n",
		"redis_get_latency_seconds_bucket{le=\"+Inf\"} 9\n",
		"redis_get_latency_seconds_sum 4\n",
		"redis_get_latency_seconds_count 9\n",
		"redis_set_latency_seconds_count 0\n",
	};
	for (size_t i = 0; i < COUNT(lines); i++)
		if (memmem(page.ptr, page.len, lines[i], strlen(lines[i])) == NULL)
			fail_msg("no line %s", lines[i]);
	assert_null(memmem(page.ptr, page.len, "1.073741", 8));
	harness_end(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_without_a_field_are_passed_over),
		cmocka_unit_test(a_field_is_found_by_its_whole_name),
		cmocka_unit_test(lines_are_cut_once_and_bounded),
		cmocka_unit_test(a_part_is_found_by_its_whole_key),
		cmocka_unit_test(valkey_goes_by_its_own_version),
		cmocka_unit_test(replies_are_positions_one_behind_the_other),
		cmocka_unit_test(calls_above_the_last_bound_go_into_infinity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
