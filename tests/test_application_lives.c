/*
 * Counters that never fall: of processes that are started again, of series that
 * go away, of pages that are not whole.
 */
#include "application_sums.h"

#define SENT(n) "messages_sent_total{status=\"success\"} " #n "\n"
#define RECEIVED(n) "messages_received_total{status=\"success\"} " #n "\n"
#define START(n) "process_start_time_seconds " #n "\n"

/* Or an exporter that is started again would look like a burst. */
static void
what_was_counted_before_the_first_page_is_nobodys(void **unused)
{
	struct harness h;

	(void)unused;
	harness_begin(&h, TWO);
	h.first_sight = true;
	harness_page(&h, 0, SENT(100) "ws_active_connections 5\n" API("1", 3) API_END(9, 10.5));
	assert_false(harness_page(&h, 1, "<html>\n"));
	harness_collect(&h);
	has(&h, "messages_sent_total{status=\"success\"} 0");
	has(&h, "ws_active_connections 5");
	has(&h, OUT("1.0", 0));
	has(&h, OUT("+Inf", 0));
	has(&h, "message_api_latency_seconds_sum{endpoint=\"send\"} 0");
	/* An instance that comes later does not make the sum jump, either, and what
	 * is new on a page that is known counts in full. */
	harness_page(&h, 0, SENT(103) RECEIVED(2) API("1", 4) API_END(11, 12.5));
	page(&h, 1, SENT(5000) API("1", 70) API_END(90, 99));
	has(&h, "messages_sent_total{status=\"success\"} 3");
	has(&h, "messages_received_total{status=\"success\"} 2");
	has(&h, OUT("1.0", 1));
	has(&h, OUT("+Inf", 2));
	has(&h, "message_api_latency_seconds_sum{endpoint=\"send\"} 2");
	page(&h, 1, SENT(2) API("1", 1) API_END(1, 1)); /* started again */
	has(&h, "messages_sent_total{status=\"success\"} 5");
	has(&h, OUT("+Inf", 3));
	harness_end(&h);
}

static void
a_new_process_is_added_to_the_old_one(void **unused)
{
	struct harness h;

	(void)unused;
	harness_begin(&h, ONE);
	page(&h, 0, START(1000) SENT(100));
	has(&h, "messages_sent_total{status=\"success\"} 100");
	page(&h, 0, START(2000) SENT(7));
	has(&h, "messages_sent_total{status=\"success\"} 107");
	/* Its first page may show more than the old one's last did. */
	page(&h, 0, START(3000) SENT(200));
	has(&h, "messages_sent_total{status=\"success\"} 307");
	page(&h, 0, START(3000.5) SENT(201)); /* the same one: clocks differ a little */
	has(&h, "messages_sent_total{status=\"success\"} 308");
	page(&h, 0, START(3001) SENT(2)); /* nobody's clock makes a counter fall */
	has(&h, "messages_sent_total{status=\"success\"} 310");
	harness_end(&h);
}

static void
without_a_start_time_most_counters_must_fall(void **unused)
{
	struct harness h;

	(void)unused;
	harness_begin(&h, ONE);
	page(&h, 0, SENT(100) RECEIVED(50) API("1", 3) API_END(9, 10));
	page(&h, 0, SENT(3) RECEIVED(60) API("1", 1) API_END(1, 1));
	has(&h, "messages_sent_total{status=\"success\"} 103");
	has(&h, "messages_received_total{status=\"success\"} 110");
	has(&h, OUT("1.0", 4));
	has(&h, OUT("+Inf", 10));
	has(&h, "message_api_latency_seconds_sum{endpoint=\"send\"} 11");
	harness_end(&h);
}

/* Series of users that are gone: what they counted stays, and is not counted
 * once more. */
static void
series_that_go_away_count_nothing(void **unused)
{
	struct harness h;

	(void)unused;
	harness_begin(&h, ONE);
	page(&h, 0,
	    START(1) SENT(100) SENT(50) RECEIVED(50) API("1", 3) API_END(9, 10) API("1", 1)
		API_END(2, 5));
	page(&h, 0, START(1) SENT(100) RECEIVED(51) API("1", 3) API_END(9, 10));
	has(&h, "messages_sent_total{status=\"success\"} 150");
	has(&h, OUT("1.0", 4));
	has(&h, OUT("+Inf", 11));
	has(&h, "message_api_latency_seconds_sum{endpoint=\"send\"} 15");
	page(&h, 0, START(1) SENT(104) RECEIVED(51) API("1", 4) API_END(10, 11));
	has(&h, "messages_sent_total{status=\"success\"} 154");
	has(&h, OUT("1.0", 5));
	has(&h, OUT("+Inf", 12));
	page(&h, 0, START(1)); /* all of them */
	has(&h, "messages_sent_total{status=\"success\"} 154");
	has(&h, "messages_received_total{status=\"success\"} 51");
	has(&h, OUT("+Inf", 12));
	harness_end(&h);
}

static void
a_new_process_may_have_other_bounds(void **unused)
{
	struct harness h;

	(void)unused;
	harness_begin(&h, ONE);
	page(&h, 0, START(1) API("0.1", 50) API("1", 80) API_END(100, 10));
	page(&h, 0, START(20) API("0.5", 1) API("1", 2) API_END(4, 1));
	/* Of the old process 50 are known to be at or below 0.5. */
	has(&h, OUT("0.5", 51));
	has(&h, OUT("1.0", 82));
	has(&h, OUT("+Inf", 104));
	has_not(&h, "le=\"0.1\"");
	page(&h, 0, START(20) API("0.5", 6) API("1", 7) API_END(9, 1)); /* and goes on exactly */
	has(&h, OUT("0.5", 56));
	has(&h, OUT("+Inf", 109));
	page(&h, 0, START(30)); /* nothing observed yet: the bounds known last */
	has(&h, OUT("0.5", 56));
	has(&h, OUT("+Inf", 109));
	harness_end(&h);
}

static void
an_instance_that_is_down_keeps_its_counters(void **unused)
{
	struct harness h;

	(void)unused;
	harness_begin(&h, TWO);
	harness_page(&h, 0, SENT(100) "ws_active_connections 5\n" API("1", 3) API_END(9, 10));
	page(&h, 1, SENT(20) "ws_active_connections 7\n" API("1", 1) API_END(2, 5));
	has(&h, "messages_sent_total{status=\"success\"} 120");
	has(&h, "ws_active_connections 12");
	has(&h, "datatier_application_instance_up{instance=\"a:1\"} 1");
	assert_false(harness_page(&h, 0, "<html>\n"));
	page(&h, 1, SENT(21) "ws_active_connections 8\n" API("1", 1) API_END(2, 5));
	has(&h, "messages_sent_total{status=\"success\"} 121");
	has(&h, OUT("+Inf", 11));
	has(&h, "ws_active_connections 8");
	has(&h, "datatier_application_instance_up{instance=\"a:1\"} 0");
	has(&h, "datatier_application_instance_up{instance=\"b:2\"} 1");
	has(&h, "instances failed: 1 of 2 instances are down; a:1: this is no metrics page, it "
		"begins: <html>");
	page(&h, 0, SENT(2) "ws_active_connections 1\n" API("1", 1) API_END(1, 1)); /* it was new */
	has(&h, "messages_sent_total{status=\"success\"} 123");
	has(&h, "ws_active_connections 9");
	has(&h, OUT("+Inf", 12));
	harness_end(&h);
}

static void
a_page_that_breaks_off_changes_nothing(void **unused)
{
	struct harness h;

	(void)unused;
	harness_begin(&h, TWO);
	harness_page(&h, 0, SENT(100));
	harness_page(&h, 1, SENT(1));
	assert_false(harness_page_in(&h, 0, text_of(SENT(3)), true, 10)); /* no # EOF */
	harness_collect(&h);
	has(&h, "messages_sent_total{status=\"success\"} 101");
	harness_page(&h, 0, SENT(101));
	harness_collect(&h);
	has(&h, "messages_sent_total{status=\"success\"} 102");
	harness_end(&h);
}

/* What is missing behind its end, or on a line that cannot be read, comes back. */
static void
what_is_cut_off_a_page_is_not_counted_twice(void **unused)
{
	static const char *const starts[] = { START(1), "" };

	(void)unused;
	for (size_t i = 0; i < COUNT(starts); i++) {
		struct harness h;
		char whole[512], cut[512], bad[512];
		snprintf(whole, sizeof whole, "%s" SENT(100) API("1", 3) API_END(9, 10), starts[i]);
		snprintf(cut, sizeof cut, "up 1\n%smessages_sent", starts[i]);
		snprintf(bad, sizeof bad,
		    "messages_sent_total{status=\"success\"} -1\n" API("1", 1) API_END(x, 10) "%s",
		    starts[i]);
		harness_begin(&h, ONE);
		for (unsigned n = 0; n < 3; n++) {
			page(&h, 0, whole);
			has(&h, "messages_sent_total{status=\"success\"} 100");
			has(&h, OUT("+Inf", 9));
			page(&h, 0, n == 1 ? bad : cut);
			has(&h, "messages_sent_total{status=\"success\"} 100");
			has(&h, OUT("+Inf", 9));
		}
		for (unsigned n = 0; n < 6; n++) { /* nor are more of them in a row */
			page(&h, 0, n % 3 == 1 ? bad : cut);
			has(&h, "messages_sent_total{status=\"success\"} 100");
			has(&h, OUT("+Inf", 9));
		}
		page(&h, 0, whole);
		has(&h, "messages_sent_total{status=\"success\"} 100");
		has(&h, OUT("+Inf", 9));
		page(&h, 0, START(9) SENT(5)); /* a new process all the same */
		has(&h, "messages_sent_total{status=\"success\"} 105");
		harness_end(&h);
	}
}

/* Where it is on every page, such a line is no reason to wait for more. */
static void
a_bad_line_that_stays_hides_no_restart(void **unused)
{
	struct harness h;

	(void)unused;
	harness_begin(&h, ONE);
	h.first_sight = true;
	page(&h, 0, "broken line\n" SENT(50));
	page(&h, 0, "broken line\n" SENT(150));
	page(&h, 0, "broken line\n" SENT(7));
	has(&h, "messages_sent_total{status=\"success\"} 107");
	for (unsigned n = 0; n < 30; n++) /* one more has come to stay */
		page(&h, 0, "broken line\nbroken line\n" SENT(8));
	page(&h, 0, "broken line\nbroken line\n" SENT(5));
	has(&h, "messages_sent_total{status=\"success\"} 113");
	harness_end(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_counted_before_the_first_page_is_nobodys),
		cmocka_unit_test(a_new_process_is_added_to_the_old_one),
		cmocka_unit_test(without_a_start_time_most_counters_must_fall),
		cmocka_unit_test(series_that_go_away_count_nothing),
		cmocka_unit_test(a_new_process_may_have_other_bounds),
		cmocka_unit_test(an_instance_that_is_down_keeps_its_counters),
		cmocka_unit_test(a_page_that_breaks_off_changes_nothing),
		cmocka_unit_test(what_is_cut_off_a_page_is_not_counted_twice),
		cmocka_unit_test(a_bad_line_that_stays_hides_no_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
