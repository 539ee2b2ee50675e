/*
 * Pages line by line.  The vectors (tests/fuzz/corpus/application_page) say in
 * their names what they are: text-ok-... and text-bad-... of text 0.0.4, om-...
 * of OpenMetrics; tests/live holds the former against promtool.
 */
#include "application_harness.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "golden.h"

#define VECTORS "tests/fuzz/corpus/application_page"

/* Has the page no bad line, and its end? */
static bool
well_formed(struct harness *h, const struct buf *b, bool openmetrics, size_t piece)
{
	struct application_page *p;
	char why[WHY_MAX];

	harness_page_in(h, 0, (struct text){ b->ptr, b->len }, openmetrics, piece);
	p = &h->state.instances[0].page;
	bool good = p->bad == 0 && (application_page_end(p, why) || b->len == 0);
	return good;
}

static void
vectors(const char *pattern, bool openmetrics, bool good, size_t least)
{
	struct harness h;
	glob_t found;

	harness_begin(&h, "http://127.0.0.1/metrics");
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_true(found.gl_pathc >= least);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct buf b = read_file(found.gl_pathv[i]);
		for (size_t piece = 1; piece <= 1024; piece *= 4)
			if (well_formed(&h, &b, openmetrics, piece) != good)
				fail_msg("%s, in pieces of %zu: %s", found.gl_pathv[i], piece,
				    good ? "a bad line" : "no bad line");
		buf_free(&b);
	}
	globfree(&found);
	harness_end(&h);
}

static void
text_vectors_are_judged_right(void **unused)
{
	(void)unused;
	vectors(VECTORS "/text-ok-*", false, true, 25);
	vectors(VECTORS "/text-bad-*", false, false, 50);
}

static void
openmetrics_vectors_are_judged_right(void **unused)
{
	(void)unused;
	vectors(VECTORS "/om-ok-*", true, true, 25);
	vectors(VECTORS "/om-bad-*", true, false, 60);
}

static void
bad_lines_are_counted_and_skipped(void **unused)
{
	struct harness h;

	(void)unused;
	harness_begin(&h, "http://127.0.0.1/metrics");
	assert_true(harness_page(&h, 0,
	    "ws_active_connections{a=\"1\"} 3\nws_active_connections{a=} 100\n"
	    "ws_active_connections 4 5 6\n\nws_active_connections{a=\"2\"} 4\n"));
	assert_int_equal(harness_collect(&h), DONE);
	assert_true(harness_has(&h, "ws_active_connections 7"));
	assert_true(
	    harness_has(&h, "datatier_application_bad_lines_total{instance=\"127.0.0.1:80\"} 2"));
	assert_true(
	    harness_has(&h, "datatier_application_page_samples{instance=\"127.0.0.1:80\"} 2"));
	harness_end(&h);
}

static void
refused(const char *page, bool openmetrics, const char *words)
{
	struct harness h;

	harness_begin(&h, "http://127.0.0.1/metrics");
	assert_false(harness_page_in(&h, 0, text_of(page), openmetrics, 1000));
	assert_string_equal(h.state.instances[0].why, words);
	harness_end(&h);
}

static void
what_is_no_page_is_quoted_cut_and_cleaned(void **unused)
{
	char line[1000];

	(void)unused;
	refused("<!DOCTYPE html>\n<html>\n", false,
	    "this is no metrics page, it begins: <!DOCTYPE html>");
	refused("\n  \n {\"a\":\t1}\n", false, "this is no metrics page, it begins: {\"a\":?1}");
	refused(
	    "\x1b[2J\xff one", false, "this is no metrics page, it begins: ?[2J\xef\xbf\xbd one");
	memset(line, '<', sizeof line - 1);
	line[sizeof line - 1] = '\0';
	char words[200] = "this is no metrics page, it begins: ";
	size_t n = strlen(words);
	memset(words + n, '<', APPLICATION_QUOTE_MAX);
	refused(line, false, words);
	refused("", false, "the page is empty");
	refused("a 1\n", true, "the page does not end in # EOF: it was cut off");
}

/* A download that is none is not read to its end. */
static void
a_hopeless_page_ends_early(void **unused)
{
	struct buf b = BUF(1 << 20);
	struct harness h;

	(void)unused;
	harness_begin(&h, "http://127.0.0.1/metrics");
	for (int i = 0; i < 1000; i++)
		buf_str(&b, "<p>\n");
	assert_false(harness_page_in(&h, 0, (struct text){ b.ptr, b.len }, false, 4));
	assert_true(h.state.instances[0].page.bad < 100);
	buf_reset(&b);
	buf_str(&b, "a 1\n");
	for (int i = 0; i < 1000; i++)
		buf_str(&b, "<p>\n");
	assert_true(harness_page_in(&h, 0, (struct text){ b.ptr, b.len }, false, 4));
	assert_int_equal(h.state.instances[0].page.bad, 1000);
	buf_free(&b);
	harness_end(&h);
}

static void
a_line_may_be_long_but_not_without_end(void **unused)
{
	struct buf b = BUF(1 << 20);
	struct harness h;

	(void)unused;
	harness_begin(&h, "http://127.0.0.1/metrics");
	for (size_t len = APPLICATION_LINE_MAX - 100; len <= APPLICATION_LINE_MAX + 100;
	     len += 50) {
		buf_reset(&b);
		buf_str(&b, "ws_active_connections{a=\"");
		while (b.len < len)
			buf_char(&b, 'x');
		buf_str(&b, "\"} 5\nws_active_connections 1\n");
		bool fits = len + 4 <= APPLICATION_LINE_MAX;
		for (size_t piece = 1000; piece < 1000000; piece *= 200) {
			harness_page_in(&h, 0, (struct text){ b.ptr, b.len }, false, piece);
			assert_int_equal(h.state.instances[0].page.bad, !fits);
			assert_int_equal(harness_collect(&h), DONE);
			assert_true(harness_has(
			    &h, fits ? "ws_active_connections 6" : "ws_active_connections 1"));
		}
	}
	assert_true(h.state.instances[0].page.carry.cap <= APPLICATION_LINE_MAX);
	buf_free(&b);
	harness_end(&h);
}

static void
numbers_are_exact(void **unused)
{
	static const struct {
		const char *text;
		double value;
	} good[] = { { "0", 0 }, { "7", 7 }, { "1.5", 1.5 }, { "0.1", 0.1 }, { "0.005", 0.005 },
		{ "9007199254740993", 9007199254740992.0 },
		{ "123456789012345678", 123456789012345678.0 },
		{ "0.12345678901234567", 0.12345678901234567 }, { "1e22", 1e22 }, { "-2", -2 },
		{ "1.7976931348623157e308", 1.7976931348623157e308 }, { "5e-324", 5e-324 },
		{ "000000000000000000000001", 1 }, { "3.", 3 }, { ".5", 0.5 } };
	static const char *const bad[] = { "", ".", "1..2", "1.2.3", "e5", "0x10", "1 ", " 1",
		"--1", "1e400", "infinit", "+nan", "1_0", "١" };
	double value;

	(void)unused;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_true(application_number(text_of(good[i].text), false, &value));
		if (value != good[i].value)
			fail_msg("%s became %.17g", good[i].text, value);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		if (application_number(text_of(bad[i]), false, &value))
			fail_msg("%s is no number", bad[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_vectors_are_judged_right),
		cmocka_unit_test(openmetrics_vectors_are_judged_right),
		cmocka_unit_test(bad_lines_are_counted_and_skipped),
		cmocka_unit_test(what_is_no_page_is_quoted_cut_and_cleaned),
		cmocka_unit_test(a_hopeless_page_ends_early),
		cmocka_unit_test(a_line_may_be_long_but_not_without_end),
		cmocka_unit_test(numbers_are_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
