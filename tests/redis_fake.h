/*
 * redis_fake.h - a server for the tests of the Redis collector: it answers every
 * request in the same way, good or bad.  Behind cmocka.h.
 */
#ifndef TESTS_REDIS_FAKE_H
#define TESTS_REDIS_FAKE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "redis_harness.h"

enum manner {
	WHOLE, /* the answer in one go */
	MUTE,  /* nothing */
	DRIP,  /* a byte every 20 ms */
	FLOOD, /* the answer again and again, without end */
	CLOSE, /* the answer, then the end of the connection */
};

struct fake {
	const char *answer;
	size_t      len;
	const char *const
		   *script; /* instead: an answer to each write of a connection, NULL ends it */
	size_t      said;
	enum manner manner;
	int         listener, stop[2];
	char        uri[64];
	pthread_t   thread;
	atomic_int  connections;
	char        request[4096]; /* all that came, read by the test when the scrape is over */
	size_t      got;
};

/* False: the test is over, or the client is gone. */
static inline bool fake_wait(const struct fake *f, int fd, short events, int ms)
{
	struct pollfd p[] = { { .fd = f->stop[0], .events = POLLIN }, { fd, events, 0 } };

	poll(p, 2, ms);
	return p[0].revents == 0;
}

static inline bool fake_send(const struct fake *f, int fd, const char *bytes, size_t len)
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

static inline bool fake_answer(const struct fake *f, int fd)
{
	switch (f->manner) {
	case MUTE:
		return true;
	case WHOLE:
		return fake_send(f, fd, f->answer, f->len);
	case CLOSE:
		fake_send(f, fd, f->answer, f->len);
		return false;
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

static inline void fake_serve(struct fake *f, int fd)
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
		if (f->script != NULL && f->script[f->said] == NULL)
			return;
		if (f->script != NULL) {
			f->answer = f->script[f->said++];
			f->len = strlen(f->answer);
		}
		if (!fake_answer(f, fd))
			return;
	}
}

static inline void *fake_run(void *arg)
{
	struct fake *f = arg;

	while (fake_wait(f, f->listener, POLLIN, 10000)) {
		int fd = accept(f->listener, NULL, NULL);
		if (fd < 0)
			continue;
		f->connections++;
		f->said = 0;
		fake_serve(f, fd);
		close(fd);
	}
	return NULL;
}

static inline void fake_start(struct fake *f, enum manner manner, const char *answer, size_t len)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t          size = sizeof a;

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

static inline void fake_stop(struct fake *f)
{
	close(f->stop[1]);
	pthread_join(f->thread, NULL);
	close(f->stop[0]);
	close(f->listener);
}

/* ---- answers ---- */

#define BULK(n, text) "$" #n "\r\n" text "\r\n"
/* Lengths are those of the texts. */
#define INFO_7                  "redis_version:7.0.15\r\nused_memory:77\r\n# Keyspace\r\n"
#define INFO_6                  "redis_version:6.2.14\r\nused_memory:66\r\n# Keyspace\r\n"
#define INFO_NONE               "greeting:hello\r\n"
#define NO_LATENCY              "*0\r\n"
#define SLOWLOG                 ":3\r\n"
#define GOOD_7                  BULK(50, INFO_7) NO_LATENCY SLOWLOG
#define GOOD_6                  BULK(50, INFO_6) "-ERR Unknown subcommand\r\n" SLOWLOG
#define FAKE(f, manner, answer) fake_start(f, manner, answer, sizeof(answer) - 1)

enum { LONG = 10, SHORT = 300 }; /* seconds, milliseconds */

static inline enum outcome scrape(struct harness *h) { return harness_scrape(h, LONG * NS_PER_S); }

static inline enum outcome outcome_of(const struct harness *h, const char *group)
{
	for (unsigned i = 0; i < REDIS_GROUPS; i++)
		if (strcmp(redis_groups[i].name, group) == 0)
			return h->outcome[i];
	fail_msg("no group %s", group);
	return LOST;
}

static inline void assert_why(const char *why, const char *words)
{
	if (strstr(why, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, words);
}

static inline bool page_has(struct harness *h, const char *line)
{
	struct text page = harness_page(h);

	return memmem(page.ptr, page.len, line, strlen(line)) != NULL;
}

/* One scrape of a fake server ends LOST with these words, and soon. */
static inline void assert_lost(
    enum manner manner, const char *answer, size_t len, const char *words)
{
	struct fake    f;
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

#endif
