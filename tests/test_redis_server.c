/*
 * The Redis collector against servers that are good, mute, dripping, flooding,
 * of the wrong type, closing half way, or no Redis at all.
 */
#include "redis_harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- a server that answers every request in the same way ---- */

enum manner {
	WHOLE, /* the answer in one go */
	MUTE, /* nothing */
	DRIP, /* a byte every 20 ms */
	FLOOD, /* the answer again and again, without end */
	CLOSE, /* the answer, then the end of the connection */
};

struct fake {
	const char *answer;
	size_t len;
	enum manner manner;
	int listener, stop[2];
	char uri[64];
	pthread_t thread;
	atomic_int connections;
	char request[4096]; /* all that came, read by the test when the scrape is over */
	size_t got;
};

/* False: the test is over, or the client is gone. */
static bool
fake_wait(const struct fake *f, int fd, short events, int ms)
{
	struct pollfd p[] = { { .fd = f->stop[0], .events = POLLIN }, { fd, events, 0 } };

	poll(p, 2, ms);
	return p[0].revents == 0;
}

static bool
fake_send(const struct fake *f, int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			return false;
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (!fake_wait(f, fd, POLLOUT, 10000)) {
			return false;
		}
	}
	return true;
}

static bool
fake_answer(const struct fake *f, int fd)
{
	switch (f->manner) {
	case MUTE: return true;
	case WHOLE: return fake_send(f, fd, f->answer, f->len);
	case CLOSE: fake_send(f, fd, f->answer, f->len); return false;
	case FLOOD:
		while (fake_send(f, fd, f->answer, f->len))
			;
		return false;
	case DRIP:
		for (size_t i = 0; i < f->len; i++)
			if (!fake_send(f, fd, f->answer + i, 1) || !fake_wait(f, f->stop[0], 0, 20))
				return false;
		return true;
	}
	return false;
}

static void
fake_serve(struct fake *f, int fd)
{
	char bytes[4096];

	while (fake_wait(f, fd, POLLIN, 10000)) {
		ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return;
		if (n < 0)
			continue;
		size_t room = sizeof f->request - f->got;
		size_t kept = (size_t)n < room ? (size_t)n : room;
		memcpy(f->request + f->got, bytes, kept);
		f->got += kept;
		if (!fake_answer(f, fd))
			return;
	}
}

static void *
fake_run(void *arg)
{
	struct fake *f = arg;

	while (fake_wait(f, f->listener, POLLIN, 10000)) {
		int fd = accept(f->listener, NULL, NULL);
		if (fd < 0)
			continue;
		f->connections++;
		fake_serve(f, fd);
		close(fd);
	}
	return NULL;
}

static void
fake_start(struct fake *f, enum manner manner, const char *answer, size_t len)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t size = sizeof a;

	*f = (struct fake){ .answer = answer, .len = len, .manner = manner };
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&a, size), 0);
	assert_int_equal(listen(f->listener, 8), 0);
	assert_int_equal(getsockname(f->listener, (struct sockaddr *)&a, &size), 0);
	snprintf(f->uri, sizeof f->uri, "redis://127.0.0.1:%d", ntohs(a.sin_port));
	assert_int_equal(pipe(f->stop), 0);
	assert_int_equal(pthread_create(&f->thread, NULL, fake_run, f), 0);
}

static void
fake_stop(struct fake *f)
{
	close(f->stop[1]);
	pthread_join(f->thread, NULL);
	close(f->stop[0]);
	close(f->listener);
}

/* ---- answers ---- */

#define BULK(n, text) "$" #n "\r\n" text "\r\n"
/* Lengths are those of the texts. */
#define INFO_7 "redis_version:7.0.15\r\nused_memory:77\r\n# Keyspace\r\n"
#define INFO_6 "redis_version:6.2.14\r\nused_memory:66\r\n# Keyspace\r\n"
#define INFO_NONE "greeting:hello\r\n"
#define NO_LATENCY "*0\r\n"
#define SLOWLOG ":3\r\n"
#define GOOD_7 BULK(50, INFO_7) NO_LATENCY SLOWLOG
#define GOOD_6 BULK(50, INFO_6) "-ERR Unknown subcommand\r\n" SLOWLOG
#define FAKE(f, manner, answer) fake_start(f, manner, answer, sizeof(answer) - 1)

enum { LONG = 10, SHORT = 300 }; /* seconds, milliseconds */

static enum outcome
scrape(struct harness *h)
{
	return harness_scrape(h, LONG * NS_PER_S);
}

static enum outcome
outcome_of(const struct harness *h, const char *group)
{
	for (unsigned i = 0; i < REDIS_GROUPS; i++)
		if (strcmp(redis_groups[i].name, group) == 0)
			return h->outcome[i];
	fail_msg("no group %s", group);
	return LOST;
}

static void
assert_why(const char *why, const char *words)
{
	if (strstr(why, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, words);
}

static bool
page_has(struct harness *h, const char *line)
{
	struct text page = harness_page(h);

	return memmem(page.ptr, page.len, line, strlen(line)) != NULL;
}

/* One scrape of a fake server ends LOST with these words, and soon. */
static void
assert_lost(enum manner manner, const char *answer, size_t len, const char *words)
{
	struct fake f;
	struct harness h;

	fake_start(&f, manner, answer, len);
	harness_begin(&h, f.uri);
	int64_t begin = clock_ns();
	assert_int_equal(scrape(&h), LOST);
	assert_true(clock_ns() - begin < 8 * NS_PER_S);
	assert_why(h.sc.why, words);
	harness_end(&h);
	fake_stop(&f);
}
#define LOST_BY(manner, answer, words) assert_lost(manner, answer, sizeof(answer) - 1, words)

/* ---- good ones ---- */

static void
a_good_server_is_asked_over_one_connection(void **unused)
{
	struct fake f;
	struct harness h;

	(void)unused;
	FAKE(&f, WHOLE, GOOD_7);
	harness_begin(&h, f.uri);
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
	harness_begin(&h, f.uri);
	assert_int_equal(scrape(&h), DONE);
	assert_int_equal(f.got, sizeof first - 1);
	assert_memory_equal(f.request, first, sizeof first - 1);
	assert_int_equal(scrape(&h), DONE);
	assert_memory_equal(f.request + sizeof first - 1, later, sizeof later - 1);
	harness_end(&h);
	fake_stop(&f);
}

static void
an_old_server_is_not_asked_for_histograms_again(void **unused)
{
	struct fake f;
	struct harness h;

	(void)unused;
	FAKE(&f, WHOLE, GOOD_6);
	harness_begin(&h, f.uri);
	assert_int_equal(scrape(&h), DONE);
	assert_int_equal(outcome_of(&h, "latency"), ABSENT);
	assert_true(page_has(&h, "LATENCY HISTOGRAM needs Redis 7, this is 6.2.14"));
	f.answer = BULK(50, INFO_6) SLOWLOG;
	f.len = strlen(f.answer);
	f.got = 0;
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
	harness_begin(&h, f.uri);
	assert_int_equal(scrape(&h), DONE);
	f.answer = "-ERR syntax error\r\n" NO_LATENCY SLOWLOG;
	f.len = strlen(f.answer);
	assert_int_equal(scrape(&h), DONE);
	assert_int_equal(outcome_of(&h, "server"), FAILED);
	f.answer = GOOD_7;
	f.len = strlen(f.answer);
	f.got = 0;
	assert_int_equal(scrape(&h), DONE);
	assert_non_null(memmem(f.request, f.got, "\r\nall\r\n", 7));
	assert_int_equal(outcome_of(&h, "server"), DONE);
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
	harness_begin(&h, f.uri);
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
	harness_begin(&h, f.uri);
	h.conf.username = "ann";
	h.conf.password = "p@w";
	assert_int_equal(scrape(&h), DONE);
	assert_memory_equal(f.request, auth, sizeof auth - 1);
	f.answer = GOOD_7;
	f.len = strlen(f.answer);
	f.got = 0;
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
	harness_begin(&h, f.uri);
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
	harness_begin(&h, f.uri);
	assert_int_equal(scrape(&h), DONE);
	assert_int_equal(outcome_of(&h, "server"), DONE);
	assert_int_equal(outcome_of(&h, "latency"), FAILED);
	assert_true(page_has(&h, "(grant +latency|histogram)"));
	assert_true(
	    page_has(&h, "slowlog failed: SLOWLOG LEN: MASTERDOWN Link with MASTER is down."));
	assert_true(page_has(&h, "\nredis_memory_used_bytes 77\n"));
	f.answer = "-LOADING Redis is loading the dataset in memory\r\n" NO_LATENCY SLOWLOG;
	f.len = strlen(f.answer);
	assert_int_equal(scrape(&h), DONE);
	assert_true(
	    page_has(&h, "server failed: INFO: LOADING Redis is loading the dataset in memory"));
	assert_true(page_has(&h, "redis_slowlog_length 3\n"));
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
		harness_begin(&h, f.uri);
		assert_int_equal(scrape(&h), DONE);
		for (unsigned g = 0; g < REDIS_GROUPS; g++)
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
		buf_printf(&all, "%s%s%s", BULK(50, INFO_7), answers[i], SLOWLOG);
		harness_begin(&h, "redis://127.0.0.1");
		assert_true(harness_answer(
		    &h, (1 << REDIS_QUESTIONS) - 1, (struct text){ all.ptr, all.len }));
		assert_int_equal(outcome_of(&h, "latency"), FAILED);
		assert_false(page_has(&h, "redis_get_latency_seconds_count"));
		assert_true(page_has(&h, "\nredis_slowlog_length 3\n"));
		buf_free(&all);
		harness_end(&h);
	}
}

/* ---- bad ones ---- */

static void
assert_deadline(enum manner manner)
{
	struct fake f;
	struct harness h;

	FAKE(&f, manner, GOOD_7);
	harness_begin(&h, f.uri);
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
	LOST_BY(WHOLE,
	    "*100000\r\n*2147483647\r\n*2147483647\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
	    "no Redis server answers");
	assert_true(clock_ns() - begin < 2 * NS_PER_S);
	LOST_BY(FLOOD, GOOD_7, "more answers came than questions");
	LOST_BY(WHOLE, GOOD_7 ":4\r\n", "more answers came than questions");
}

/* begin, and then what is repeated up to size. */
static void
assert_too_long(const char *begin, const char *repeated, size_t size)
{
	struct buf answer = BUF(64 << 20);

	buf_str(&answer, begin);
	while (answer.len < size)
		buf_str(&answer, repeated);
	assert_lost(WHOLE, answer.ptr, answer.len, "longer than");
	buf_free(&answer);
}

static void
answers_have_a_greatest_length_and_number_of_elements(void **unused)
{
	(void)unused;
	assert_too_long(
	    "$900000000\r\n", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 18 << 20);
	assert_too_long("*2000000000\r\n", ":1\r\n", 400000);
	assert_too_long("*2000000000\r\n", "*0\r\n", 400000);
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
	harness_begin(&h, f.uri);
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
	harness_begin(&h, f.uri);
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
		cmocka_unit_test(a_good_server_is_asked_over_one_connection),
		cmocka_unit_test(one_write_asks_everything_and_later_only_the_sections_needed),
		cmocka_unit_test(an_old_server_is_not_asked_for_histograms_again),
		cmocka_unit_test(a_server_that_refuses_sections_is_asked_for_all),
		cmocka_unit_test(only_what_is_wanted_is_asked),
		cmocka_unit_test(auth_goes_out_with_the_first_questions),
		cmocka_unit_test(nothing_is_believed_behind_an_auth_that_failed),
		cmocka_unit_test(refusals_of_the_whole_connection_are_one_sentence),
		cmocka_unit_test(a_refused_command_costs_only_its_metrics),
		cmocka_unit_test(answers_of_the_wrong_type_fail_their_groups_only),
		cmocka_unit_test(histograms_of_an_unknown_form_are_refused),
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
