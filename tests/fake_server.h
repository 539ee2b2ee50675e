/*
 * fake_server.h - a server for the tests of a collector: it answers every request
 * in the same way, good or bad.  What a request is, the collector's own header
 * says.  Behind cmocka.h.
 */
#ifndef TESTS_FAKE_SERVER_H
#define TESTS_FAKE_SERVER_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../exporter/text.h"

enum manner {
	WHOLE, /* the answer in one go, on a connection that stays */
	MUTE,  /* nothing */
	DRIP,  /* a byte every 20 ms */
	FLOOD, /* the answer, then a text again and again, without end */
	CLOSE, /* the answer, then the end of the connection */
};

struct fake {
	const char *answer;
	size_t      len;
	const char *flood; /* NULL: the answer */
	const char *const
		   *script; /* instead: an answer to each write of a connection, NULL ends it */
	size_t      said;
	enum manner manner;
	void (*serve)(struct fake *, int fd); /* one connection */
	int        listener, stop[2];
	char       name[32], url[64]; /* host:port, and with what makes it an address */
	pthread_t  thread;
	atomic_int connections, requests;
	char       request[8192]; /* what came, read by the test when the scrape is over */
	size_t     got;
};

/* False: the test is over. */
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
	struct text flood = { f->answer, f->len };

	if (f->flood != NULL)
		flood = text_of(f->flood);
	switch (f->manner) {
	case MUTE:
		return true;
	case WHOLE:
		return fake_send(f, fd, f->answer, f->len);
	case CLOSE:
		fake_send(f, fd, f->answer, f->len);
		return false;
	case FLOOD:
		fake_send(f, fd, f->answer, f->len);
		while (fake_send(f, fd, flood.ptr, flood.len))
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

static inline void *fake_run(void *arg)
{
	struct fake *f = arg;

	while (fake_wait(f, f->listener, POLLIN, 10000)) {
		int fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		f->connections++;
		f->said = 0;
		f->serve(f, fd);
		close(fd);
	}
	return NULL;
}

static inline void fake_listen(struct fake *f, void (*serve)(struct fake *, int),
    enum manner manner, const char *answer, size_t len)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t          size = sizeof a;

	*f = (struct fake){ .answer = answer, .len = len, .manner = manner, .serve = serve };
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&a, size), 0);
	assert_int_equal(listen(f->listener, 8), 0);
	assert_int_equal(getsockname(f->listener, (struct sockaddr *)&a, &size), 0);
	snprintf(f->name, sizeof f->name, "127.0.0.1:%d", ntohs(a.sin_port));
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

#define FAKE(f, manner, answer) fake_start(f, manner, answer, sizeof(answer) - 1)

static inline void assert_why(const char *why, const char *words)
{
	if (strstr(why, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, words);
}

#endif
