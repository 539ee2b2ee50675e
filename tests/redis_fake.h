/*
 * redis_fake.h - a Redis server for the tests of that collector.  Behind cmocka.h.
 */
#ifndef TESTS_REDIS_FAKE_H
#define TESTS_REDIS_FAKE_H

#include "fake_server.h"
#include "redis_harness.h"

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

static inline void fake_start(struct fake *f, enum manner manner, const char *answer, size_t len)
{
	fake_listen(f, fake_serve, manner, answer, len);
	snprintf(f->url, sizeof f->url, "redis://%s", f->name);
}

/* ---- answers ---- */

#define BULK(n, text) "$" #n "\r\n" text "\r\n"
/* Lengths are those of the texts. */
#define INFO_7     "redis_version:7.0.15\r\nused_memory:77\r\n# Keyspace\r\n"
#define INFO_6     "redis_version:6.2.14\r\nused_memory:66\r\n# Keyspace\r\n"
#define INFO_NONE  "greeting:hello\r\n"
#define NO_LATENCY "*0\r\n"
#define SLOWLOG    ":3\r\n"
#define GOOD_7     BULK(50, INFO_7) NO_LATENCY SLOWLOG
#define GOOD_6     BULK(50, INFO_6) "-ERR Unknown subcommand\r\n" SLOWLOG

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
	harness_begin(&h, f.url);
	int64_t begin = clock_ns();
	assert_int_equal(scrape(&h), LOST);
	assert_true(clock_ns() - begin < 8 * NS_PER_S);
	assert_why(h.sc.why, words);
	harness_end(&h);
	fake_stop(&f);
}
#define LOST_BY(manner, answer, words) assert_lost(manner, answer, sizeof(answer) - 1, words)

#endif
