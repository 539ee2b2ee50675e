/*
 * The Redis collector against servers that answer: what it asks, what it
 * believes, and what a refusal costs.
 */
#include "redis_harness.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "redis_fake.h"

static void
a_good_server_is_asked_over_one_connection(void **unused)
{
	struct fake f;
	struct harness h;

	(void)unused;
	FAKE(&f, WHOLE, GOOD_7);
	harness_begin(&h, f.url);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(scrape(&h), DONE);
		assert_true(page_has(&h, "\nredis_memory_used_bytes 77\n"));
		assert_true(page_has(&h, "\nredis_slowlog_length 3\n"));
	}
	assert_int_equal(f.connections, 1);
	harness_end(&h);
	fake_stop(&f);
}

static void
a_proxy_of_the_environment_is_not_used(void **unused)
{
	static const char *const names[] = { "http_proxy", "all_proxy", "ALL_PROXY" };
	struct fake f;
	struct harness h;

	(void)unused;
	for (size_t i = 0; i < COUNT(names); i++)
		setenv(names[i], "http://127.0.0.1:1", 1);
	FAKE(&f, WHOLE, GOOD_7);
	harness_begin(&h, f.url);
	assert_int_equal(scrape(&h), DONE);
	harness_end(&h);
	fake_stop(&f);
	for (size_t i = 0; i < COUNT(names); i++)
		unsetenv(names[i]);
}

static void
a_long_answer_is_taken(void **unused)
{
	enum { LINES = 20000 };
	struct fake f;
	struct harness h;
	struct buf info = BUF(8 << 20), answer = BUF(8 << 20);

	(void)unused;
	buf_str(&info, INFO_7);
	for (int i = 0; i < LINES; i++)
		buf_printf(&info, "cmdstat_module.command%d:calls=%d,usec=5\r\n", i, i);
	buf_printf(&answer, "$%zu\r\n", info.len);
	buf_text(&answer, (struct text){ info.ptr, info.len });
	buf_str(&answer, "\r\n" NO_LATENCY SLOWLOG);
	fake_start(&f, WHOLE, answer.ptr, answer.len);
	harness_begin(&h, f.url);
	assert_int_equal(scrape(&h), DONE);
	assert_true(page_has(&h, "redis_commands_total{command=\"module.command1023\"} 1023\n"));
	assert_false(page_has(&h, "module.command1024"));
	assert_int_equal(h.rows[2]->refused[REFUSED_ROWS], LINES - 1024);
	harness_end(&h);
	fake_stop(&f);
	buf_free(&info);
	buf_free(&answer);
}

static void
one_write_asks_everything_and_later_only_the_sections_needed(void **unused)
{
	static const char first[] =
	    "*2\r\n$4\r\nINFO\r\n$3\r\nall\r\n"
	    "*4\r\n$7\r\nLATENCY\r\n$9\r\nHISTOGRAM\r\n$3\r\nget\r\n$3\r\nset\r\n"
	    "*2\r\n$7\r\nSLOWLOG\r\n$3\r\nLEN\r\n";
	static const char later[] = "*9\r\n$4\r\nINFO\r\n$6\r\nserver\r\n";
	struct fake f;
	struct harness h;

	(void)unused;
	FAKE(&f, WHOLE, GOOD_7);
	harness_begin(&h, f.url);
	assert_int_equal(scrape(&h), DONE);
	assert_int_equal(f.got, sizeof first - 1);
	assert_memory_equal(f.request, first, sizeof first - 1);
	assert_int_equal(scrape(&h), DONE);
	assert_memory_equal(f.request + sizeof first - 1, later, sizeof later - 1);
	harness_end(&h);
	fake_stop(&f);
}

static void
answer_with(struct fake *f, const char *answer)
{
	f->answer = answer;
	f->len = strlen(answer);
	f->got = 0;
}

static void
an_old_server_is_not_asked_for_histograms_again(void **unused)
{
	struct fake f;
	struct harness h;

	(void)unused;
	FAKE(&f, WHOLE, GOOD_6);
	harness_begin(&h, f.url);
	assert_int_equal(scrape(&h), DONE);
	assert_int_equal(outcome_of(&h, "latency"), ABSENT);
	assert_true(page_has(&h, "LATENCY HISTOGRAM needs Redis 7, this is 6.2.14"));
	answer_with(&f, BULK(50, INFO_6) SLOWLOG);
	assert_int_equal(scrape(&h), DONE);
	assert_null(memmem(f.request, f.got, "LATENCY", 7));
	assert_non_null(memmem(f.request, f.got, "\r\nall\r\n", 7));
	assert_int_equal(outcome_of(&h, "latency"), ABSENT);
	assert_true(page_has(&h, "\nredis_slowlog_length 3\n"));
	harness_end(&h);
	fake_stop(&f);
}

static void
a_server_that_refuses_sections_is_asked_for_all(void **unused)
{
	struct fake f;
	struct harness h;

	(void)unused;
	FAKE(&f, WHOLE, GOOD_7);
	harness_begin(&h, f.url);
	assert_int_equal(scrape(&h), DONE);
	answer_with(&f, "$0\r\n\r\n" NO_LATENCY SLOWLOG);
	assert_int_equal(scrape(&h), DONE);
	assert_int_equal(outcome_of(&h, "server"), FAILED);
	answer_with(&f, GOOD_7);
	assert_int_equal(scrape(&h), DONE);
	assert_non_null(memmem(f.request, f.got, "\r\nall\r\n", 7));
	assert_int_equal(outcome_of(&h, "server"), DONE);
	harness_end(&h);
	fake_stop(&f);
}

/* Nor is it for ever: the next connection may be to another server. */
static void
what_is_refused_for_now_does_not_change_the_questions(void **unused)
{
	static const char denied[] = "-NOPERM no INFO for you\r\n" NO_LATENCY SLOWLOG;
	static const char unknown[] = "-ERR syntax error\r\n" NO_LATENCY SLOWLOG;
	struct fake f;
	struct harness h;

	(void)unused;
	FAKE(&f, WHOLE, GOOD_7);
	harness_begin(&h, f.url);
	assert_int_equal(scrape(&h), DONE);
	answer_with(&f, denied);
	assert_int_equal(scrape(&h), DONE);
	assert_int_equal(outcome_of(&h, "server"), FAILED);
	answer_with(&f, unknown);
	assert_int_equal(scrape(&h), DONE);
	assert_non_null(memmem(f.request, f.got, "\r\nserver\r\n", 10));
	answer_with(&f, GOOD_7);
	assert_int_equal(scrape(&h), DONE);
	assert_non_null(memmem(f.request, f.got, "\r\nall\r\n", 7));
	collector.disconnect(&h.sc);
	assert_int_equal(scrape(&h), DONE); /* which server this is, is not known yet */
	answer_with(&f, GOOD_7);
	assert_int_equal(scrape(&h), DONE);
	assert_non_null(memmem(f.request, f.got, "\r\nserver\r\n", 10));
	harness_end(&h);
	fake_stop(&f);
}

static void
only_what_is_wanted_is_asked(void **unused)
{
	struct fake f;
	struct harness h;

	(void)unused;
	FAKE(&f, WHOLE, SLOWLOG);
	harness_begin(&h, f.url);
	h.sc.groups = UINT64_C(1) << (REDIS_GROUPS - 1);
	assert_int_equal(scrape(&h), DONE);
	assert_null(memmem(f.request, f.got, "INFO", 4));
	assert_true(page_has(&h, "redis_slowlog_length 3\n"));
	harness_end(&h);
	fake_stop(&f);
}

/* ---- AUTH ---- */

static void
auth_goes_out_with_the_first_questions(void **unused)
{
	static const char auth[] = "*3\r\n$4\r\nAUTH\r\n$3\r\nann\r\n$3\r\np@w\r\n*2\r\n$4\r\nINFO";
	struct fake f;
	struct harness h;

	(void)unused;
	FAKE(&f, WHOLE, "+OK\r\n" GOOD_7);
	harness_begin(&h, f.url);
	h.conf.username = "ann";
	h.conf.password = "p@w";
	assert_int_equal(scrape(&h), DONE);
	assert_memory_equal(f.request, auth, sizeof auth - 1);
	answer_with(&f, GOOD_7);
	assert_int_equal(scrape(&h), DONE);
	assert_null(memmem(f.request, f.got, "AUTH", 4));
	harness_end(&h);
	fake_stop(&f);
}

static void
assert_auth_lost(const char *answer, const char *words)
{
	struct fake f;
	struct harness h;

	fake_start(&f, WHOLE, answer, strlen(answer));
	harness_begin(&h, f.url);
	h.conf.password = "hush-hush";
	assert_int_equal(scrape(&h), LOST);
	assert_why(h.sc.why, words);
	assert_null(strstr(h.sc.why, "hush-hush"));
	assert_int_equal(harness_page(&h).len, 0);
	harness_end(&h);
	fake_stop(&f);
}

static void
nothing_is_believed_behind_an_auth_that_failed(void **unused)
{
	(void)unused;
	assert_auth_lost(
	    "-WRONGPASS invalid username-password pair or user is disabled.\r\n" GOOD_7,
	    "wrong user name or password");
	assert_auth_lost("-ERR AUTH <password> called without any password configured for the "
			 "default user.\r\n" GOOD_7,
	    "the server's default user has none");
	assert_auth_lost(
	    "-ERR unknown command 'AUTH', with args beginning with: 'hush-hush'\r\n" GOOD_7,
	    "no AUTH command");
	assert_auth_lost("-hush-hush: you sent 'hush-hush'\r\n" GOOD_7, "AUTH was refused");
	assert_auth_lost(":1\r\n" GOOD_7, "neither OK nor an error");
	assert_auth_lost("+FINE\r\n" GOOD_7, "neither OK nor an error");
}

/* ---- refusals ---- */

static void
refusals_of_the_whole_connection_are_one_sentence(void **unused)
{
	(void)unused;
	LOST_BY(WHOLE, "-NOAUTH Authentication required.\r\n-NOAUTH .\r\n-NOAUTH .\r\n",
	    "the server wants a password");
	LOST_BY(
	    CLOSE, "-DENIED Redis is running in protected mode because ...\r\n", "protected mode");
	LOST_BY(CLOSE, "-ERR max number of clients reached\r\n", "maxclients");
}

static void
a_refused_command_costs_only_its_metrics(void **unused)
{
	struct fake f;
	struct harness h;

	(void)unused;
	FAKE(&f, WHOLE,
	    BULK(50, INFO_7) "-NOPERM this user has no permissions to run the 'latency|histogram' "
			     "command\r\n-MASTERDOWN Link with MASTER is down.\r\n");
	harness_begin(&h, f.url);
	assert_int_equal(scrape(&h), DONE);
	assert_int_equal(outcome_of(&h, "server"), DONE);
	assert_int_equal(outcome_of(&h, "latency"), FAILED);
	assert_true(page_has(&h, "(grant +latency|histogram)"));
	assert_true(
	    page_has(&h, "slowlog failed: SLOWLOG LEN: MASTERDOWN Link with MASTER is down."));
	assert_true(page_has(&h, "\nredis_memory_used_bytes 77\n"));
	answer_with(&f, "-LOADING Redis is loading the dataset in memory\r\n" NO_LATENCY SLOWLOG);
	assert_int_equal(scrape(&h), DONE);
	assert_true(
	    page_has(&h, "server failed: INFO: LOADING Redis is loading the dataset in memory"));
	assert_true(page_has(&h, "redis_slowlog_length 3\n"));
	harness_end(&h);
	fake_stop(&f);
}

static void
a_refusal_that_says_the_password_is_not_quoted(void **unused)
{
	struct fake f;
	struct harness h;

	(void)unused;
	FAKE(&f, WHOLE,
	    "+OK\r\n-ERR I was told open-sesame-1 before\r\n" NO_LATENCY
	    "-NOPERM open-sesame-1 is not enough\r\n");
	harness_begin(&h, f.url);
	h.conf.password = "open-sesame-1";
	assert_int_equal(scrape(&h), DONE);
	assert_int_equal(outcome_of(&h, "server"), FAILED);
	assert_int_equal(outcome_of(&h, "slowlog"), FAILED);
	assert_true(page_has(&h, "INFO was refused, in words that hold the password"));
	assert_false(page_has(&h, "sesame"));
	harness_end(&h);
	fake_stop(&f);
}

static void
answers_of_the_wrong_type_fail_their_groups_only(void **unused)
{
	static const char *const answers[] = {
		":1\r\n:1\r\n+OK\r\n",
		"*0\r\n$-1\r\n$1\r\n3\r\n",
		"$-1\r\n:-5\r\n*1\r\n:3\r\n",
		"*-1\r\n+get\r\n$0\r\n\r\n",
		"$16\r\n" INFO_NONE "\r\n*0\r\n+1\r\n",
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(answers); i++) {
		struct fake f;
		struct harness h;
		fake_start(&f, WHOLE, answers[i], strlen(answers[i]));
		harness_begin(&h, f.url);
		assert_int_equal(scrape(&h), DONE);
		for (unsigned g = 0; g < REDIS_GROUPS; g++)
			if (strcmp(redis_groups[g].name, "prefixes") != 0)
				assert_int_equal(h.outcome[g], FAILED);
		assert_false(page_has(&h, "# TYPE "));
		harness_end(&h);
		fake_stop(&f);
	}
}

static void
histograms_of_an_unknown_form_are_refused(void **unused)
{
	static const char *const answers[] = {
		"*2\r\n$3\r\nget\r\n:1\r\n",
		"*2\r\n$3\r\nget\r\n*0\r\n",
		"*2\r\n$3\r\nget\r\n*2\r\n$5\r\ncalls\r\n:1\r\n",
		"*2\r\n$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:1\r\n$14\r\nhistogram_usec\r\n:1\r\n",
		"*2\r\n$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:9\r\n$14\r\nhistogram_usec\r\n"
		"*4\r\n:1\r\n:5\r\n:2\r\n:4\r\n", /* falls */
		"*2\r\n$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:1\r\n$14\r\nhistogram_usec\r\n"
		"*2\r\n:1\r\n:5\r\n", /* more than calls */
		"*2\r\n$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:-2\r\n$14\r\nhistogram_usec\r\n*0\r\n",
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(answers); i++) {
		struct buf all = BUF(4096);
		struct harness h;
		buf_printf(&all, "%s%s%s", BULK(78, INFO_7 "cmdstat_get:calls=5,usec=9\r\n"),
		    answers[i], SLOWLOG);
		harness_begin(&h, "redis://127.0.0.1");
		assert_true(harness_answer(
		    &h, (1 << REDIS_QUESTIONS) - 1, (struct text){ all.ptr, all.len }));
		assert_int_equal(outcome_of(&h, "latency"), FAILED);
		assert_true(page_has(&h, "the answer for get has an unknown form"));
		assert_false(page_has(&h, "redis_get_latency_seconds_count"));
		assert_true(page_has(&h, "\nredis_slowlog_length 3\n"));
		buf_free(&all);
		harness_end(&h);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_server_is_asked_over_one_connection),
		cmocka_unit_test(a_proxy_of_the_environment_is_not_used),
		cmocka_unit_test(a_long_answer_is_taken),
		cmocka_unit_test(one_write_asks_everything_and_later_only_the_sections_needed),
		cmocka_unit_test(an_old_server_is_not_asked_for_histograms_again),
		cmocka_unit_test(a_server_that_refuses_sections_is_asked_for_all),
		cmocka_unit_test(what_is_refused_for_now_does_not_change_the_questions),
		cmocka_unit_test(only_what_is_wanted_is_asked),
		cmocka_unit_test(auth_goes_out_with_the_first_questions),
		cmocka_unit_test(nothing_is_believed_behind_an_auth_that_failed),
		cmocka_unit_test(refusals_of_the_whole_connection_are_one_sentence),
		cmocka_unit_test(a_refused_command_costs_only_its_metrics),
		cmocka_unit_test(a_refusal_that_says_the_password_is_not_quoted),
		cmocka_unit_test(answers_of_the_wrong_type_fail_their_groups_only),
		cmocka_unit_test(histograms_of_an_unknown_form_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
