/*
 * Sampling windows against servers that answer, refuse, flood, and lie; and
 * the thread that opens them, which no scrape waits for.
 */
#include "redis_harness.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "redis_fake.h"

static const char *const prefixes[] = { "user", "message", NULL };
enum { OTHER = 2 };

#define HELLO_OK "%1\r\n$5\r\nproto\r\n:3\r\n"
#define STATS(h, m) "=53\r\ntxt:# Stats\r\nkeyspace_hits:" h "\r\nkeyspace_misses:" m "\r\n\r\n"
#define SUBSCRIBED ">3\r\n$10\r\npsubscribe\r\n$22\r\n__keyevent@*__:keymiss\r\n:1\r\n"
#define WATCHING(h, m) STATS(h, m) SUBSCRIBED "+OK\r\n"
#define LINE(words) "+1795471421.026450 [0 127.0.0.1:58494] " words "\r\n"
#define MISS(n, key)                                                                               \
	">4\r\n$8\r\npmessage\r\n$22\r\n__keyevent@*__:keymiss\r\n$22\r\n__keyevent@0__:keymiss"   \
	"\r\n$" #n "\r\n" key "\r\n"

struct look { /* one window at a fake server */
	struct fake fake;
	struct redis_conf conf;
	struct scrape sc;
	struct redis_limits_of_window limits;
	struct redis_window window;
	enum outcome outcome;
	int64_t ns;
};

static void
look(struct look *l, enum manner manner, const char *const *script)
{
	static const atomic_bool never;

	fake_start(&l->fake, manner, "", 0);
	l->fake.script = script;
	if (l->limits.ns == 0)
		l->limits.ns = 50 * NS_PER_MS;
	if (l->limits.bytes == 0)
		l->limits.bytes = 1 << 20;
	l->limits.reads = l->limits.commands = 1000;
	l->conf.uri = l->fake.url;
	l->conf.key_prefixes = prefixes;
	l->conf.key_separator = ":";
	l->sc.conf = &l->conf;
	int64_t begin = clock_ns();
	l->outcome = redis_window_run(&l->sc, &l->limits, &l->window, &never);
	l->ns = clock_ns() - begin;
	fake_stop(&l->fake);
}

static void
assert_seen(const struct redis_window *w, const char *expected)
{
	char got[80];

	snprintf(got, sizeof got, "%d/%d %d/%d %d/%d", (int)w->hits[0], (int)w->misses[0],
	    (int)w->hits[1], (int)w->misses[1], (int)w->hits[OTHER], (int)w->misses[OTHER]);
	assert_string_equal(got, expected);
}

/* ---- one window ---- */

static void
hits_and_misses_of_a_window_are_told_by_prefix(void **unused)
{
	static const char *const script[] = { HELLO_OK,
		WATCHING("100", "200") MISS(6, "user:9") LINE("\"GET\" \"user:9\"")
		    LINE("\"MGET\" \"user:1\" \"message:1\"") LINE("\"SET\" \"user:2\" \"x\""),
		MISS(1, "x") LINE("\"GET\" \"x\"") STATS("102", "202"), NULL };
	struct look l = { 0 };

	(void)unused;
	look(&l, WHOLE, script);
	assert_int_equal(l.outcome, DONE);
	assert_seen(&l.window, "1/1 1/0 0/1");
	assert_int_equal(l.window.reads, 4);
	assert_int_equal(l.window.events, 2);
	assert_int_equal(l.window.silent_misses, 0);
	assert_non_null(memmem(l.fake.request, l.fake.got, "HELLO\r\n$1\r\n3\r\n*2", 16));
	assert_null(memmem(l.fake.request, l.fake.got, "AUTH", 4));
	assert_null(memmem(l.fake.request, l.fake.got, "CONFIG", 6));
	assert_true(l.window.ns >= 50 * NS_PER_MS);
}

static void
what_the_server_counted_and_nobody_saw_is_others(void **unused)
{
	static const char *const script[] = { HELLO_OK, WATCHING("100", "200"),
		LINE("\"GET\" \"user:1\"") MISS(6, "user:9") LINE("\"GET\" \"user:9\"")
		    STATS("109", "204"),
		NULL };
	struct look l = { 0 };

	(void)unused;
	look(&l, WHOLE, script);
	assert_seen(&l.window, "1/1 0/0 8/3");
	assert_int_equal(l.window.reads, 13);
}

static void
misses_that_are_not_told_of_are_noticed(void **unused)
{
	static const char *const script[] = { HELLO_OK,
		WATCHING("100", "200") LINE("\"GET\" \"user:1\"") LINE("\"GET\" \"user:2\""),
		STATS("101", "201"), NULL };
	struct look l = { 0 };

	(void)unused;
	look(&l, WHOLE, script);
	assert_int_equal(l.outcome, DONE);
	assert_int_equal(l.window.silent_misses, 1);
	assert_seen(&l.window, "0/0 0/0 0/0");
	assert_int_equal(l.window.reads, 0);
}

static void
a_window_ends_at_its_reads_and_at_its_bytes(void **unused)
{
	static char many[200000], full[200000];
	const char *const enough[] = { HELLO_OK, many, STATS("999", "201"), NULL };
	const char *const values[] = { HELLO_OK, full, NULL };
	struct look l = { .limits.ns = 20 * NS_PER_S }, k = l;

	(void)unused;
	strcpy(many, WATCHING("100", "200") MISS(6, "user:9"));
	strcpy(full, WATCHING("100", "200") MISS(6, "user:9"));
	for (size_t len = strlen(many); len < 100000; len += strlen(many + len))
		strcpy(many + len, LINE("\"GET\" \"user:1\""));
	strcat(full, "+1795471421.026450 [0 127.0.0.1:58494] \"SET\" \"user:1\" \"");
	memset(full + strlen(full), 'v', 150000);
	look(&l, WHOLE, enough);
	assert_int_equal(l.outcome, DONE);
	assert_true(l.ns < 10 * NS_PER_S);
	assert_true(l.window.reads >= 1000);
	assert_int_equal(l.window.misses[0], 1);

	k.limits.bytes = 1 << 16;
	look(&k, WHOLE, values);
	assert_int_equal(k.outcome, DONE);
	assert_true(k.ns < 10 * NS_PER_S);
	assert_int_equal(k.window.misses[0], 1);
}

static void
without_an_end_of_misses_nothing_is_believed_of_a_cut_window(void **unused)
{
	static char full[100000];
	const char *const script[] = { HELLO_OK, full, NULL };
	struct look l = { .limits = { .ns = 20 * NS_PER_S, .bytes = 1 << 15 } };

	(void)unused;
	strcpy(full, WATCHING("100", "200"));
	for (size_t len = strlen(full); len < 40000; len += strlen(full + len))
		strcpy(full + len, LINE("\"GET\" \"user:1\""));
	look(&l, WHOLE, script);
	assert_int_equal(l.outcome, DONE);
	assert_seen(&l.window, "0/0 0/0 0/0");
}

static void
a_user_of_its_own_is_used_and_never_named(void **unused)
{
	static const char *const script[] = { "-ERR unknown command 'HELLO', with args beginning "
					      "with: '3' 'AUTH' 'sampler' 'hush-hush' \r\n",
		NULL };
	static const char hello[] =
	    "HELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\nsampler\r\n$9\r\nhush-hush";
	struct look l = { .conf = { .username = "main",
			      .password = "other-secret",
			      .prefix_username = "sampler",
			      .prefix_password = "hush-hush" } };

	(void)unused;
	look(&l, WHOLE, script);
	assert_int_equal(l.outcome, FAILED);
	assert_non_null(memmem(l.fake.request, l.fake.got, hello, sizeof hello - 1));
	assert_null(memmem(l.fake.request, l.fake.got, "other-secret", 12));
	assert_why(l.sc.why, "has no HELLO");
	assert_null(strstr(l.sc.why, "hush"));
}

/* ---- servers that do not do it ---- */

static void
refusals_say_what_to_grant(void **unused)
{
	static const struct {
		const char *const script[3];
		const char *words;
	} table[] = {
		{ { "-WRONGPASS hush\r\n" }, "wrong user name or password of the sampler" },
		{ { "-NOAUTH HELLO must be called with ...\r\n" }, "set prefix_password" },
		{ { "-LOADING Redis is loading\r\n" }, "HELLO 3 was refused" },
		{ { HELLO_OK, "-NOPERM .\r\n" }, "grant +info" },
		{ { HELLO_OK, STATS("1", "22222") "-NOPERM .\r\n" },
		    "grant +psubscribe &__keyevent@*__:keymiss" },
		{ { HELLO_OK, STATS("1", "22222") SUBSCRIBED "-NOPERM .\r\n" }, "grant +monitor" },
		{ { HELLO_OK, STATS("1", "22222") SUBSCRIBED "-ERR no such thing\r\n" },
		    "MONITOR: ERR no such thing" },
		{ { HELLO_OK, STATS("1", "22222") SUBSCRIBED "-ERR not with hush-hush\r\n" },
		    "MONITOR was refused" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct look l = { .conf.prefix_password = "hush-hush" };
		look(&l, WHOLE, table[i].script);
		assert_int_equal(l.outcome, FAILED);
		assert_why(l.sc.why, table[i].words);
		assert_null(strstr(l.sc.why, "hush"));
		assert_seen(&l.window, "0/0 0/0 0/0");
	}
}

static void
answers_that_no_server_gives_end_the_window(void **unused)
{
	static const char *const scripts[][4] = {
		{ "HTTP/1.1 400 Bad Request\r\n\r\n" },
		{ "+OK\r\n" },
		{ ":1\r\n" },
		{ HELLO_OK, ":1\r\n" },
		{ HELLO_OK, "$5\r\nhello\r\n" },
		{ HELLO_OK, STATS("-1", "2222") SUBSCRIBED "+OK\r\n" },
		{ HELLO_OK, STATS("1", "22222") "+OK\r\n" },
		{ HELLO_OK, WATCHING("1", "22222") ":1\r\n" },
		{ HELLO_OK, WATCHING("1",
				"22222") "*2\r\n*2\r\n*2\r\n*2\r\n*2\r\n*2\r\n*2\r\n*2\r\n*2\r\n" },
		{ HELLO_OK, WATCHING("1", "22222") ">999999999\r\n" },
		{ HELLO_OK, WATCHING("1", "22222") "-ERR\r\n" },
		{ HELLO_OK, WATCHING("1", "22222"), STATS("1", "22222") "garbage" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(scripts); i++) {
		struct look l = { .limits.ns = 200 * NS_PER_MS };
		look(&l, WHOLE, scripts[i]);
		if (l.outcome != FAILED)
			fail_msg("script %zu", i);
		assert_true(l.ns < 20 * NS_PER_S);
	}
}

static void
floods_drips_and_closed_connections_are_bounded(void **unused)
{
	static const char *const line[] = { HELLO_OK, LINE("\"GET\" \"user:1\"") };
	static const char *const good[] = { HELLO_OK, WATCHING("1", "22222"), NULL };
	struct look l = { 0 }, k = { 0 };

	(void)unused;
	look(&l, FLOOD, line);
	assert_int_equal(l.outcome, FAILED);
	assert_true(l.ns < 10 * NS_PER_S);
	look(&k, CLOSE, good);
	assert_int_equal(k.outcome, FAILED);
	assert_why(k.sc.why, "closed the sampler's connection");
}

/* ---- the thread ---- */

static void
begin(struct harness *h, struct fake *f)
{
	harness_begin(h, f->url);
	h->conf.key_prefixes = prefixes;
	h->conf.key_separator = ":";
	h->conf.prefix_reads = 2000;
	h->conf.prefix_bytes = 1 << 20;
	h->conf.prefix_share = 0.5;
}

/* The samples of the last scrape say this, within some scrapes. */
static void
assert_comes(struct harness *h, const char *words)
{
	struct deadline until = deadline_in(20 * NS_PER_S);

	while (!page_has(h, words)) {
		if (left_ms(until) == 0)
			fail_msg("%s does not come: %s", words, harness_page(h).ptr);
		poll(NULL, 0, 100);
		assert_int_equal(scrape(h), DONE);
	}
}

#define INFO_CACHE                                                                                 \
	"$72\r\nredis_version:7.0.15\r\nkeyspace_hits:10\r\nkeyspace_misses:20\r\n# "              \
	"Keyspace\r\n\r\n"

static void
scrapes_do_not_wait_for_windows(void **unused)
{
	struct fake f;
	struct harness h;

	(void)unused;
	/* The fake serves one connection at a time: the sampler's waits in vain. */
	FAKE(&f, WHOLE, INFO_CACHE NO_LATENCY SLOWLOG);
	begin(&h, &f);
	for (int i = 0; i < 20; i++) {
		int64_t from = clock_ns();
		assert_int_equal(scrape(&h), DONE);
		assert_true(clock_ns() - from < 2 * NS_PER_S);
		assert_true(
		    page_has(&h, "redis_cache_hits_total{cache_key_prefix=\"other\"} 10\n"));
		assert_true(page_has(&h, "redis_cache_hits_total{cache_key_prefix=\"user\"} 0\n"));
		assert_false(page_has(&h, "\"all\""));
		poll(NULL, 0, 20);
	}
	assert_comes(&h, "prefixes failed: the server does not answer the sampler");
	harness_end(&h);
	fake_stop(&f);
}

static void
without_prefixes_there_is_no_second_connection(void **unused)
{
	struct fake f;
	struct harness h;

	(void)unused;
	FAKE(&f, WHOLE, INFO_CACHE NO_LATENCY SLOWLOG);
	harness_begin(&h, f.url);
	for (int i = 0; i < 5; i++)
		assert_int_equal(scrape(&h), DONE);
	assert_true(page_has(&h, "redis_cache_hits_total{cache_key_prefix=\"all\"} 10\n"));
	assert_false(page_has(&h, "redis_prefix_sample"));
	assert_false(page_has(&h, "prefixes absent"));
	assert_false(h.state.prefixes.sampler.started);
	assert_int_equal(f.connections, 1);
	harness_end(&h);
	fake_stop(&f);
}

static void
an_info_without_the_counters_fails_the_group_only(void **unused)
{
	struct fake f;
	struct harness h;

	(void)unused;
	FAKE(&f, WHOLE, GOOD_7);
	begin(&h, &f);
	assert_int_equal(scrape(&h), DONE);
	assert_int_equal(outcome_of(&h, "cache"), FAILED);
	assert_int_equal(outcome_of(&h, "server"), DONE);
	assert_true(page_has(&h, "cache failed: INFO has no keyspace_hits"));
	harness_end(&h);
	fake_stop(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hits_and_misses_of_a_window_are_told_by_prefix),
		cmocka_unit_test(what_the_server_counted_and_nobody_saw_is_others),
		cmocka_unit_test(misses_that_are_not_told_of_are_noticed),
		cmocka_unit_test(a_window_ends_at_its_reads_and_at_its_bytes),
		cmocka_unit_test(without_an_end_of_misses_nothing_is_believed_of_a_cut_window),
		cmocka_unit_test(a_user_of_its_own_is_used_and_never_named),
		cmocka_unit_test(refusals_say_what_to_grant),
		cmocka_unit_test(answers_that_no_server_gives_end_the_window),
		cmocka_unit_test(floods_drips_and_closed_connections_are_bounded),
		cmocka_unit_test(scrapes_do_not_wait_for_windows),
		cmocka_unit_test(without_prefixes_there_is_no_second_connection),
		cmocka_unit_test(an_info_without_the_counters_fails_the_group_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
