/*
 * test_scrape_workers.c - fleet, targets, worker processes and scrapes with the
 * fake collector: what one target or one process does stays its own affair.
 */
#include "fleet_harness.h"

#include <pthread.h>

#define UP(t) "datatier_target_up{target=\"" t "\",collector=\"fake\"}"
#define TOTAL(t) "fake_things_total{target=\"" t "\"}"

static void
values_arrive_with_target_scale_and_labels(void **state)
{
	struct fleet *f = start_fleet((const char *[]){ "a", "b", NULL }, "step = 3;");
	char *page = scrape(f, none, none, 5000);
	(void)state;

	assert_true(value_of(page, UP("a")) == 1);
	assert_true(value_of(page, TOTAL("b")) == 3);
	assert_true(
	    value_of(page, "fake_state_ratio{target=\"a\",name=\"a\",kind=\"one\"}") == 0.5);
	assert_true(value_of(page, "fake_thing_seconds_bucket{target=\"a\",le=\"1.0\"}") == 1);
	assert_true(
	    value_of(page,
		"datatier_group_success{target=\"a\",collector=\"fake\",group=\"states\"}") == 1);
	free(page);
	end_fleet(f);
}

static void
names_narrow_a_scrape(void **state)
{
	static const char *const b[] = { "b", NULL }, *const states[] = { "states", NULL };
	static const char *const unknown[] = { "nobody", NULL };
	struct fleet *f = start_fleet((const char *[]){ "a", "b", NULL }, "");
	struct buf body = BUF(1 << 16);
	struct http_scrape wrong_target = { unknown, none, deadline_in(NS_PER_S), false, false };
	struct http_scrape wrong_group = { none, unknown, deadline_in(NS_PER_S), false, false };
	(void)state;

	char *page = scrape(f, b, states, 5000);
	assert_true(value_of(page, UP("b")) == 1);
	assert_true(value_of(page, UP("a")) == -1);
	assert_true(value_of(page, TOTAL("b")) == -1);
	assert_null(strstr(page, "process_cpu")); /* one exporter, many small scrapes */
	assert_non_null(strstr(page, "fake_state_ratio{target=\"b\""));
	free(page);
	assert_int_equal(scrape_run(f, &wrong_target, &body), 400);
	assert_int_equal(scrape_run(f, &wrong_group, &body), 400);
	buf_free(&body);
	end_fleet(f);
}

/* Who asks for one target puts the label there, on everything. */
static void
a_bare_scrape_has_all_of_its_target_but_the_label(void **state)
{
	static const char *const b[] = { "b", NULL };
	struct fleet *f = start_fleet((const char *[]){ "a", "b", NULL }, "");
	struct http_scrape req = { b, none, deadline_in(5 * NS_PER_S), false, true };
	struct buf bare = BUF(1 << 22);
	char *page = scrape(f, b, none, 5000);
	(void)state;

	assert_int_equal(scrape_run(f, &req, &bare), 200);
	buf_char(&bare, '\0');
	assert_null(strstr(bare.ptr, "target="));
	assert_true(value_of(bare.ptr, "datatier_target_up{collector=\"fake\"}") == 1);
	assert_true(value_of(bare.ptr, "fake_things_total") > 0);
	assert_true(value_of(bare.ptr, "fake_state_ratio{name=\"a\",kind=\"one\"}") == 0.5);
	assert_true(value_of(bare.ptr, "fake_thing_seconds_bucket{le=\"1.0\"}") > 0);
	assert_int_equal(lines(bare.ptr), lines(page));
	free(page);
	buf_free(&bare);
	end_fleet(f);
}

static void
a_failed_or_absent_group_costs_only_itself(void **state)
{
	struct fleet *f = start_fleet((const char *[]){ "a", "b", NULL }, "");
	(void)state;

	write_word("a", "failed");
	write_word("b", "absent");
	char *page = scrape(f, none, none, 5000);
	assert_true(value_of(page, UP("a")) == 1 && value_of(page, UP("b")) == 1);
	assert_true(value_of(page, TOTAL("a")) == 1);
	assert_null(strstr(page, "fake_state_ratio"));
	assert_true(
	    value_of(page,
		"datatier_group_success{target=\"a\",collector=\"fake\",group=\"states\"}") == 0);
	assert_true(
	    value_of(page,
		"datatier_group_success{target=\"b\",collector=\"fake\",group=\"states\"}") == -1);
	free(page);
	end_fleet(f);
}

static void
a_lost_target_is_down_and_comes_back(void **state)
{
	struct fleet *f = start_fleet((const char *[]){ "a", "b", NULL }, "");
	(void)state;

	write_word("a", "lost");
	assert_true(scrape_value(f, UP("a")) == 0);
	assert_string_equal(fleet_find(f, "a")->why, "the fake hung up");
	write_word("a", "refuse");
	assert_true(scrape_value(f, UP("a")) == 0);
	assert_string_equal(fleet_find(f, "a")->why, "refused by the fake");
	write_word("a", "good");
	assert_true(scrape_value(f, UP("a")) == 1);
	end_fleet(f);
}

static void
a_kept_connection_that_died_is_tried_once_more(void **state)
{
	struct fleet *f = start_fleet((const char *[]){ "a", NULL }, "");
	(void)state;

	assert_true(scrape_value(f, "fake_connects{target=\"a\"}") == 1);
	write_word("a", "stale");
	char *page = scrape(f, none, none, 5000);
	assert_true(value_of(page, UP("a")) == 1);
	assert_true(value_of(page, "fake_connects{target=\"a\"}") == 2);
	free(page);
	end_fleet(f);
}

static void
a_late_target_costs_only_itself(void **state)
{
	struct fleet *f = start_fleet((const char *[]){ "a", "b", "c", NULL }, "");
	(void)state;

	write_word("b", "block");
	int64_t start = clock_ns();
	char *page = scrape(f, none, none, 500);
	assert_true(clock_ns() - start < 3 * NS_PER_S);
	assert_true(value_of(page, UP("a")) == 1 && value_of(page, UP("c")) == 1);
	assert_true(value_of(page, TOTAL("c")) == 1);
	assert_true(value_of(page, UP("b")) == 0);
	assert_true(value_of(page, TOTAL("b")) == -1);
	free(page);
	write_word("b", "good");
	page = scrape(f, none, none, 10000); /* joins the late one or comes after it */
	free(page);
	assert_true(scrape_value(f, UP("b")) == 1);
	end_fleet(f);
}

static void *
scrape_in_thread(void *fleet)
{
	return scrape(fleet, none, none, 5000);
}

static void
scrapes_at_once_share_a_collection(void **state)
{
	struct fleet *f = start_fleet((const char *[]){ "a", NULL }, "");
	pthread_t threads[4];
	void *pages[4];
	(void)state;

	write_word("a", "slow");
	for (size_t i = 0; i < COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, scrape_in_thread, f), 0);
	for (size_t i = 0; i < COUNT(threads); i++)
		assert_int_equal(pthread_join(threads[i], &pages[i]), 0);
	for (size_t i = 0; i < COUNT(threads); i++) {
		/* 300 ms a group: all four came long before the first had ended */
		assert_true(value_of(pages[i], TOTAL("a")) == 1);
		free(pages[i]);
	}
	end_fleet(f);
}

static void
who_wants_more_groups_than_are_under_way_gets_them_next(void **state)
{
	static const char *const states[] = { "states", NULL };
	struct fleet *f = start_fleet((const char *[]){ "a", NULL }, "");
	pthread_t thread;
	void *page;
	(void)state;

	write_word("a", "slow");
	struct target *t = fleet_find(f, "a");
	int64_t ends;
	uint64_t first =
	    target_kick(t, 2, deadline_in(5 * NS_PER_S).at, true, &ends); /* states only */
	assert_int_equal(pthread_create(&thread, NULL, scrape_in_thread, f), 0);
	assert_int_equal(pthread_join(thread, &page), 0);
	assert_true(value_of(page, TOTAL("a")) == 1);
	assert_true(t->done > first);
	free(page);
	page = scrape(f, none, states, 5000);
	free(page);
	end_fleet(f);
}

/* Scrapes until the target is up again; at most some seconds. */
static void
wait_for_up(struct fleet *f)
{
	struct deadline until = deadline_in(20 * NS_PER_S);

	while (scrape_value(f, UP("a")) != 1) {
		assert_true(left_ms(until) > 0);
		usleep(50000);
	}
}

static void
a_dead_worker_is_replaced_and_no_counter_falls(void **state)
{
	struct fleet *f = start_fleet((const char *[]){ "a", NULL }, "step = 5;");
	(void)state;

	for (int i = 0; i < 4; i++)
		assert_true(scrape_value(f, TOTAL("a")) == 5 * (i + 1));
	for (int death = 1; death <= 2; death++) {
		double before = scrape_value(f, TOTAL("a"));
		pid_t pid = worker_pid(f);
		kill(pid, death == 1 ? SIGKILL : SIGABRT);
		wait_for_up(f);
		assert_true(worker_pid(f) != pid);
		assert_true(scrape_value(f, TOTAL("a")) > before);
		/* what was kept is handed on as it is, and nothing is added */
		double visits = scrape_value(f, "fake_visits{target=\"a\"}");
		assert_true(visits * 5 == scrape_value(f, TOTAL("a")) - 5);
		char *page = scrape(f, none, none, 5000);
		assert_true(
		    value_of(page, "datatier_worker_restarts_total{collector=\"fake\"}") == death);
		/* the histogram went on too: one observation per collection */
		assert_true(value_of(page, "fake_thing_seconds_count{target=\"a\"}") * 5 ==
			    value_of(page, TOTAL("a")));
		free(page);
	}
	end_fleet(f);
}

static void
a_worker_that_dies_in_mid_scrape_ends_that_scrape_in_time(void **state)
{
	struct fleet *f = start_fleet((const char *[]){ "a", "b", NULL }, "");
	(void)state;

	assert_true(scrape_value(f, UP("a")) == 1);
	write_word("a", "abort");
	int64_t start = clock_ns();
	char *page = scrape(f, none, none, 10000);
	assert_true(clock_ns() - start < 5 * NS_PER_S);
	assert_true(value_of(page, UP("a")) == 0);
	assert_non_null(strstr(fleet_find(f, "a")->why, "signal 6"));
	free(page);
	write_word("a", "good");
	wait_for_up(f);
	end_fleet(f);
}

static void
what_a_single_death_interrupts_is_asked_again(void **state)
{
	struct fleet *f = start_fleet((const char *[]){ "a", "b", NULL }, "");
	(void)state;

	assert_true(scrape_value(f, TOTAL("a")) == 1);
	write_word("b", "slow"); /* so that it is under way when the process dies */
	write_word("a", "abort-once");
	char *page = scrape(f, none, none, 10000);
	assert_true(value_of(page, UP("a")) == 1 && value_of(page, UP("b")) == 1);
	assert_true(value_of(page, TOTAL("a")) == 2 && value_of(page, TOTAL("b")) >= 2);
	assert_true(value_of(page, "datatier_worker_restarts_total{collector=\"fake\"}") == 1);
	free(page);
	end_fleet(f);
}

static void
a_stopped_worker_costs_a_deadline_and_comes_back(void **state)
{
	struct fleet *f = start_fleet((const char *[]){ "a", NULL }, "");
	(void)state;

	assert_true(scrape_value(f, UP("a")) == 1);
	pid_t pid = worker_pid(f);
	kill(pid, SIGSTOP);
	char *page = scrape(f, none, none, 300);
	assert_true(value_of(page, UP("a")) == 0);
	free(page);
	kill(pid, SIGCONT);
	wait_for_up(f);
	assert_int_equal(worker_pid(f), pid);
	end_fleet(f);
}

static void
hostile_values_are_cleaned_and_floods_are_cut(void **state)
{
	struct fleet *f = start_fleet((const char *[]){ "a", NULL }, "");
	(void)state;

	write_word("a", "hostile");
	char *page = scrape(f, none, none, 5000);
	assert_non_null(strstr(page, "name=\"\\\"\\\\?\xef\xbf\xbd?z\",kind=\"other\"} 0.03\n"));
	assert_true(value_of(page, "datatier_rows_refused_total{target=\"a\",collector=\"fake\","
				   "group=\"states\",reason=\"duplicate\"}") == 1);
	free(page);
	write_word("a", "flood");
	page = scrape(f, none, none, 5000);
	assert_true(value_of(page, "datatier_rows_refused_total{target=\"a\",collector=\"fake\","
				   "group=\"states\",reason=\"rows\"}") == 992);
	assert_non_null(strstr(page, "name=\"n9\""));
	assert_null(strstr(page, "name=\"n10\""));
	free(page);
	end_fleet(f);
}

static void
a_group_with_every_is_not_asked_again_too_soon(void **state)
{
	struct fleet *f =
	    start_fleet((const char *[]){ "a", NULL }, "every = { counts = \"1h\"; };");
	(void)state;

	assert_true(scrape_value(f, TOTAL("a")) == 1);
	assert_true(scrape_value(f, TOTAL("a")) == 1);
	write_word("a", "lost"); /* old rows of a target that is down are not shown */
	char *page = scrape(f, none, none, 5000);
	assert_true(value_of(page, UP("a")) == 0);
	assert_true(value_of(page, TOTAL("a")) == -1);
	free(page);
	end_fleet(f);
}

static void
a_new_fleet_goes_on_with_the_counters_of_the_old(void **state)
{
	struct fleet *old = start_fleet((const char *[]){ "a", NULL }, "");
	(void)state;

	assert_true(scrape_value(old, TOTAL("a")) == 1);
	assert_true(scrape_value(old, TOTAL("a")) == 2);
	struct fleet *f = start_fleet((const char *[]){ "b", "a", NULL }, "");
	fleet_stop(old);
	fleet_inherit(f, old);
	fleet_free(old);
	assert_true(scrape_value(f, TOTAL("a")) == 3);
	assert_true(scrape_value(f, TOTAL("b")) == 2);
	end_fleet(f);
}

static void
a_probe_says_who_is_down_and_why(void **state)
{
	struct fleet *f = start_fleet((const char *[]){ "a", "b", NULL }, "");
	struct buf body = BUF(1 << 20), reasons = BUF(1 << 16);
	struct http_scrape req = { none, none, deadline_in(5 * NS_PER_S), false, false };
	(void)state;

	write_word("a", "refuse");
	write_word("b", "absent");
	assert_int_equal(scrape_probe(f, &req, &body, &reasons), 1);
	buf_char(&reasons, '\0');
	assert_string_equal(reasons.ptr,
	    "a: refused by the fake\n"
	    "b: group states: this server has no states: install some\n");
	buf_free(&body);
	buf_free(&reasons);
	end_fleet(f);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_arrive_with_target_scale_and_labels),
		cmocka_unit_test(names_narrow_a_scrape),
		cmocka_unit_test(a_bare_scrape_has_all_of_its_target_but_the_label),
		cmocka_unit_test(a_failed_or_absent_group_costs_only_itself),
		cmocka_unit_test(a_lost_target_is_down_and_comes_back),
		cmocka_unit_test(a_kept_connection_that_died_is_tried_once_more),
		cmocka_unit_test(a_late_target_costs_only_itself),
		cmocka_unit_test(scrapes_at_once_share_a_collection),
		cmocka_unit_test(who_wants_more_groups_than_are_under_way_gets_them_next),
		cmocka_unit_test(a_dead_worker_is_replaced_and_no_counter_falls),
		cmocka_unit_test(a_worker_that_dies_in_mid_scrape_ends_that_scrape_in_time),
		cmocka_unit_test(what_a_single_death_interrupts_is_asked_again),
		cmocka_unit_test(a_stopped_worker_costs_a_deadline_and_comes_back),
		cmocka_unit_test(hostile_values_are_cleaned_and_floods_are_cut),
		cmocka_unit_test(a_group_with_every_is_not_asked_again_too_soon),
		cmocka_unit_test(a_new_fleet_goes_on_with_the_counters_of_the_old),
		cmocka_unit_test(a_probe_says_who_is_down_and_why),
	};

	return is_worker(argc, argv) ? worker_main(argv[2], WORKER_FD)
				     : cmocka_run_group_tests(tests, make_folder, remove_folder);
}
