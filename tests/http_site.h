/*
 * http_site.h - a server with handlers that do as the first target says, for
 * tests of what goes over the wire.
 */
#ifndef TESTS_HTTP_SITE_H
#define TESTS_HTTP_SITE_H

#include <pthread.h>

#include "../exporter/http.h"
#include "http_client.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static unsigned port;
static bool     is_ready;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int             served_code, served_times;

/* The page: what the handler was told, or what the first target stands for. */
static inline int fake_scrape(const struct http_scrape *scrape, struct buf *body)
{
	const char *first = scrape->targets[0] != NULL ? scrape->targets[0] : "";

	if (strcmp(first, "unknown") == 0) {
		buf_str(body, "there is no target \"unknown\"");
		return 400;
	}
	if (strcmp(first, "endless") == 0) {
		buf_str(body, "x");
		buf_room(body, body->max);
		return 200;
	}
	if (strcmp(first, "big") == 0) {
		for (int i = 0; i < 20000; i++)
			buf_printf(body, "redis_keys{db=\"%d\"} %d\n", i, i * 7919 % 10007);
		return 200;
	}
	if (strcmp(first, "empty") == 0)
		return 200;
	buf_printf(body, "openmetrics=%d left=%d", scrape->openmetrics, left_ms(scrape->until));
	for (size_t i = 0; scrape->targets[i] != NULL; i++)
		buf_printf(body, " target=<%s>", scrape->targets[i]);
	for (size_t i = 0; scrape->groups[i] != NULL; i++)
		buf_printf(body, " group=<%s>", scrape->groups[i]);
	if (scrape->bare)
		buf_str(body, " bare");
	return 200;
}

/* The page: the host that the handler was told, over and over for "big". */
static inline int fake_discovery(const char *host, struct buf *body)
{
	if (host == NULL) {
		buf_str(body, "there is no Host header");
		return 400;
	}
	for (int i = 0; i < (strcmp(host, "big") == 0 ? 3000 : 1); i++)
		buf_printf(body, "[\"%s\"]\n", host);
	return 200;
}

static inline void fake_status(struct buf *body)
{
	buf_str(body, "<!DOCTYPE html><title>here</title>");
}

static inline bool fake_ready(void) { return is_ready; }

static inline void fake_served(int code, double seconds)
{
	pthread_mutex_lock(&lock);
	served_code = seconds >= 0 ? code : -1;
	served_times++;
	pthread_mutex_unlock(&lock);
}

static const char *const anywhere[] = { "127.0.0.1:0", NULL };

static const struct http_site site = {
	.listen = anywhere,
	.telemetry_path = "/metrics",
	.scrape = fake_scrape,
	.discovery = fake_discovery,
	.status = fake_status,
	.ready = fake_ready,
	.served = fake_served,
};

static inline int start(void **state)
{
	char         why[256];
	struct http *http = http_start(&site, why, sizeof why);

	if (http == NULL)
		return -1;
	port = http_port(http, 0);
	*state = http;
	return 0;
}

static inline int stop(void **state)
{
	http_stop(*state);
	return 0;
}

static inline void assert_refused(struct reply *r, int code)
{
	assert_int_equal(r->code, code);
	assert_string_equal(reply_header(r, "Content-Type"), "text/plain; charset=utf-8");
	assert_string_equal(reply_header(r, "X-Content-Type-Options"), "nosniff");
	/* one sentence, one line */
	assert_true(r->body.len > 10 && strchr(r->body.ptr, '\n') == r->body.ptr + r->body.len - 1);
	buf_free(&r->body);
}

/* The server has survived what came before, and is done with it. */
static inline void assert_alive(void)
{
	struct deadline until = deadline_in(CLIENT_SECONDS * NS_PER_S);
	struct reply    r;

	do {
		r = client_get(port, "GET", "/-/healthy", "");
		buf_free(&r.body);
	} while (r.code == 0 && left_ms(until) > 0 && usleep(10000) == 0);
	assert_int_equal(r.code, 200);
}

#endif
