/*
 * The Redis collector against servers that are mute, drip, flood, close half
 * way, or are no Redis at all.
 */
#include "redis_harness.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "redis_fake.h"

static void
assert_deadline(enum manner manner)
{
	struct fake f;
	struct harness h;

	FAKE(&f, manner, GOOD_7);
	harness_begin(&h, f.url);
	int64_t begin = clock_ns();
	assert_int_equal(harness_scrape(&h, SHORT * NS_PER_MS), LOST);
	int64_t took = clock_ns() - begin;
	assert_true(took >= (SHORT - 10) * NS_PER_MS);
	assert_true(took < 5 * NS_PER_S);
	assert_why(h.sc.why, "no whole answer before the deadline");
	/* The next scrape is a new connection, not the rest of this answer. */
	assert_null(h.state.stream.easy);
	harness_end(&h);
	fake_stop(&f);
}

static void
a_mute_server_is_left_at_the_deadline(void **unused)
{
	(void)unused;
	assert_deadline(MUTE);
}

static void
a_dripping_server_is_left_at_the_deadline(void **unused)
{
	(void)unused;
	assert_deadline(DRIP);
}

static void
a_server_stopped_before_the_connection_is_left_at_the_deadline(void **unused)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t size = sizeof a;
	struct harness h;
	char uri[64];
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)unused;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, size), 0);
	assert_int_equal(listen(fd, 8), 0); /* the kernel accepts, nobody answers */
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
	for (int tls = 0; tls < 2; tls++) {
		snprintf(
		    uri, sizeof uri, "redis%s://127.0.0.1:%d", tls ? "s" : "", ntohs(a.sin_port));
		harness_begin(&h, uri);
		int64_t begin = clock_ns();
		assert_int_equal(harness_scrape(&h, SHORT * NS_PER_MS), LOST);
		assert_true(clock_ns() - begin < 5 * NS_PER_S);
		assert_why(h.sc.why, tls ? "the TLS handshake was not answered"
					 : "no whole answer before the deadline");
		harness_end(&h);
	}
	close(fd);
}

static void
floods_are_cut_off(void **unused)
{
	int64_t begin = clock_ns();

	(void)unused;
	LOST_BY(FLOOD,
	    "+aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	    "longer than");
	assert_true(clock_ns() - begin < 2 * NS_PER_S);
	LOST_BY(FLOOD, GOOD_7, "more answers came than questions");
	LOST_BY(WHOLE, GOOD_7 ":4\r\n", "more answers came than questions");
}

/* begin, and then what is repeated up to size. */
static void
assert_cut_off(const char *begin, const char *repeated, size_t size, const char *words)
{
	struct buf answer = BUF(64 << 20);

	buf_str(&answer, begin);
	while (answer.len < size)
		buf_str(&answer, repeated);
	assert_lost(WHOLE, answer.ptr, answer.len, words);
	buf_free(&answer);
}

static void
answers_have_a_greatest_length_and_number_of_elements(void **unused)
{
	(void)unused;
	assert_cut_off("$900000000\r\n", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
	    18 << 20, "longer than");
	assert_cut_off("*2000000000\r\n", ":1\r\n", 400000, "longer than");
	assert_cut_off("*2000000000\r\n", "*0\r\n", 400000, "longer than");
	/* Nested: an old hiredis has a greatest depth of its own. */
	assert_cut_off("*2000000000\r\n", "*2000000000\r\n", 1000000, "answers");
}

static void
what_is_no_redis_is_said(void **unused)
{
	(void)unused;
	LOST_BY(CLOSE, "HTTP/1.1 400 Bad Request\r\n\r\n", "an HTTP server answers on this port");
	LOST_BY(CLOSE, "\x15\x03\x01\x00\x02\x02\x46", "use rediss://");
	LOST_BY(CLOSE, "SSH-2.0-OpenSSH_9.2\r\n", "no Redis server answers");
	LOST_BY(CLOSE, "\0\0\0\0", "no Redis server answers");
	LOST_BY(WHOLE, "$-2\r\n", "no Redis server answers");
	LOST_BY(CLOSE, "", "closed the connection before answering (a TLS port?");
}

static void
a_server_that_closes_half_way_is_lost(void **unused)
{
	static const char good[] = GOOD_7;

	(void)unused;
	for (size_t len = 1; len < sizeof good - 1; len++)
		assert_lost(CLOSE, good, len, "in the middle of an answer");
}

static void
a_kept_connection_that_was_closed_is_lost_and_made_anew(void **unused)
{
	struct fake f;
	struct harness h;

	(void)unused;
	FAKE(&f, CLOSE, GOOD_7);
	harness_begin(&h, f.url);
	assert_int_equal(scrape(&h), DONE);
	assert_int_equal(scrape(&h), LOST);
	assert_int_equal(scrape(&h), DONE);
	assert_int_equal(f.connections, 2);
	harness_end(&h);
	fake_stop(&f);
}

static void
an_address_without_a_server_is_said(void **unused)
{
	static const struct {
		const char *uri, *words;
	} table[] = {
		{ "redis://127.0.0.1:1", "127.0.0.1:1: no connection: Connection refused" },
		{ "redis://[::1]:1", "[::1]:1: no connection: " },
		{ "unix:///nonexistent/redis.sock", "/nonexistent/redis.sock: no connection: " },
		{ "redis://no-such-host.invalid", "no-such-host.invalid:6379: " },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct harness h;
		harness_begin(&h, table[i].uri);
		int64_t begin = clock_ns();
		assert_int_equal(harness_scrape(&h, NS_PER_S), LOST);
		assert_true(clock_ns() - begin < 6 * NS_PER_S);
		assert_why(h.sc.why, table[i].words);
		harness_end(&h);
	}
}

static void
a_deadline_that_has_passed_is_kept(void **unused)
{
	struct fake f;
	struct harness h;

	(void)unused;
	FAKE(&f, WHOLE, GOOD_7);
	harness_begin(&h, f.url);
	assert_int_equal(harness_scrape(&h, 0), LOST);
	assert_int_equal(scrape(&h), DONE);
	assert_int_equal(harness_scrape(&h, 0), LOST);
	harness_end(&h);
	fake_stop(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mute_server_is_left_at_the_deadline),
		cmocka_unit_test(a_dripping_server_is_left_at_the_deadline),
		cmocka_unit_test(a_server_stopped_before_the_connection_is_left_at_the_deadline),
		cmocka_unit_test(floods_are_cut_off),
		cmocka_unit_test(answers_have_a_greatest_length_and_number_of_elements),
		cmocka_unit_test(what_is_no_redis_is_said),
		cmocka_unit_test(a_server_that_closes_half_way_is_lost),
		cmocka_unit_test(a_kept_connection_that_was_closed_is_lost_and_made_anew),
		cmocka_unit_test(an_address_without_a_server_is_said),
		cmocka_unit_test(a_deadline_that_has_passed_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
