/*
 * application_fake.h - an HTTP server for the tests of the application collector.
 * Behind cmocka.h.
 */
#ifndef TESTS_APPLICATION_FAKE_H
#define TESTS_APPLICATION_FAKE_H

#include "application_harness.h"
#include "fake_server.h"

/* A whole request in f->request; false: the client is gone or the test over. */
static inline bool fake_request(struct fake *f, int fd)
{
	size_t got = 0;

	while (fake_wait(f, fd, POLLIN, 10000)) {
		ssize_t n = recv(fd, f->request + got, sizeof f->request - 1 - got, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return false;
		got += n > 0 ? (size_t)n : 0;
		f->request[got] = '\0';
		if (strstr(f->request, "\r\n\r\n") != NULL)
			return true;
	}
	return false;
}

static inline void fake_serve(struct fake *f, int fd)
{
	do {
		if (!fake_request(f, fd))
			return;
		f->requests++;
	} while (fake_answer(f, fd));
}

static inline void fake_start(struct fake *f, enum manner manner, const char *answer, size_t len)
{
	fake_listen(f, fake_serve, manner, answer, len);
	f->flood = "flood{a=\"b\"} 1\n";
	snprintf(f->url, sizeof f->url, "http://%s/metrics", f->name);
}

enum { LONG = 10, SHORT = 500 }; /* seconds, milliseconds */

#endif
