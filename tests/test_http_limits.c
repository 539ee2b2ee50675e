/*
 * How many, from where and for how long: slow, idle, stuck and greedy clients
 * must not keep anybody else out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <time.h>

#include "../exporter/http.h"
#include "http_client.h"

#define GET_HEALTHY "GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n"

/* Scrapes stay in the handler while the gate is shut. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool shut;
static unsigned inside;

static int
fake_scrape(const struct http_scrape *scrape, struct buf *body)
{
	pthread_mutex_lock(&lock);
	inside++;
	pthread_cond_broadcast(&changed);
	while (shut)
		pthread_cond_wait(&changed, &lock);
	inside--;
	pthread_mutex_unlock(&lock);
	buf_str(body, "up 1\n");
	if (scrape->targets[0] != NULL && !scrape->bare) {
		size_t len = 32 << 20;
		char *room = buf_room(body, len);
		memset(room, 'x', len);
		body->len += len;
	}
	return 200;
}

static void
gate(bool close_it)
{
	pthread_mutex_lock(&lock);
	shut = close_it;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void
wait_for_scrapes(unsigned n)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += CLIENT_SECONDS;
	pthread_mutex_lock(&lock);
	while (inside != n && pthread_cond_timedwait(&changed, &lock, &until) == 0)
		;
	bool there = inside == n;
	pthread_mutex_unlock(&lock);
	assert_true(there);
}

static void
fake_status(struct buf *body)
{
	buf_str(body, "<p>");
}

static bool
fake_ready(void)
{
	return true;
}

static void
fake_served(int code, double seconds)
{
	(void)code;
	(void)seconds;
}

static const char *const anywhere[] = { "127.0.0.1:0", "127.0.0.1:0", NULL };

static const struct http_site site = {
	.listen = anywhere,
	.telemetry_path = "/metrics",
	.scrape = fake_scrape,
	.status = fake_status,
	.ready = fake_ready,
	.served = fake_served,
};

static struct http *
start(const struct http_site *what)
{
	char why[256];
	struct http *http = http_start(what, why, sizeof why);

	assert_non_null(http);
	return http;
}

/* The status of one exchange on an open connection; 0: it is closed. */
static int
exchange(int fd, const char *request)
{
	struct reply r;

	if (!client_say(fd, request) || !client_read(fd, &r, false))
		r.code = 0;
	buf_free(&r.body);
	return r.code;
}

static bool
is_open(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

/* Asks on new connections until one is let in. */
static bool
let_in_soon(unsigned port, const char *from)
{
	struct deadline until = deadline_in(CLIENT_SECONDS * NS_PER_S);

	while (left_ms(until) > 0) {
		int fd = client_connect(port, from);
		int code = exchange(fd, GET_HEALTHY);
		close(fd);
		if (code == 200)
			return true;
		usleep(10000);
	}
	return false;
}

/* After a test that failed half way. */
static int
open_gate(void **state)
{
	(void)state;
	gate(false);
	return 0;
}

/* Each address lets in one after another, so those before have been. */
static void
assert_turned_away(unsigned port, const char *from)
{
	int fd = client_connect(port, from);

	assert_int_equal(exchange(fd, GET_HEALTHY), 0);
	close(fd);
}

static int
ask(unsigned port, const char *address)
{
	char request[256];
	int fd = client_connect(port, NULL);

	snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", address);
	client_say(fd, request);
	return fd;
}

/* ---- how many ---- */

static void
one_scrape_too_many_is_told_at_once(void **state)
{
	struct http *http = start(&site);
	unsigned port = http_port(http, 0);
	int fds[HTTP_SCRAPES_MAX];
	struct reply r;

	(void)state;
	gate(true);
	for (int i = 0; i < HTTP_SCRAPES_MAX; i++)
		fds[i] = ask(port, "/metrics");
	wait_for_scrapes(HTTP_SCRAPES_MAX);
	/* on the other address: they are counted together */
	r = client_get(http_port(http, 1), "GET", "/metrics", "");
	assert_int_equal(r.code, 503);
	assert_string_equal(reply_header(&r, "Retry-After"), "1");
	buf_free(&r.body);
	assert_true(let_in_soon(port, NULL));
	gate(false);
	for (int i = 0; i < HTTP_SCRAPES_MAX; i++) {
		assert_true(client_read(fds[i], &r, false));
		assert_int_equal(r.code, 200);
		assert_string_equal(r.body.ptr, "up 1\n");
		buf_free(&r.body);
		close(fds[i]);
	}
	for (int i = 0; i < 3 * HTTP_SCRAPES_MAX; i++) { /* none of the places was lost */
		r = client_get(port, "GET", "/metrics", "");
		assert_int_equal(r.code, 200);
		buf_free(&r.body);
	}
	http_stop(http);
}

/* As when many servers do not answer, from one Prometheus. */
static void
waiting_probes_leave_room(void **state)
{
	struct http *http = start(&site);
	unsigned port = http_port(http, 0);
	int fds[HTTP_PROBES_MAX];

	(void)state;
	gate(true);
	for (int i = 0; i < HTTP_PROBES_MAX; i++)
		fds[i] = ask(port, "/probe?target=mute");
	wait_for_scrapes(HTTP_PROBES_MAX);
	struct reply r = client_get(port, "GET", "/probe?target=mute", "");
	assert_int_equal(r.code, 503);
	buf_free(&r.body);
	int all = ask(port, "/metrics");
	wait_for_scrapes(HTTP_PROBES_MAX + 1);
	assert_true(let_in_soon(port, NULL));
	gate(false);
	for (int i = 0; i < HTTP_PROBES_MAX; i++)
		close(fds[i]);
	assert_true(client_read(all, &r, false));
	assert_int_equal(r.code, 200);
	buf_free(&r.body);
	close(all);
	http_stop(http);
}

static void
one_address_cannot_take_all_connections(void **state)
{
	struct http *http = start(&site);
	int fds[HTTP_CONNECTIONS_PER_ADDRESS];

	(void)state;
	for (int i = 0; i < HTTP_CONNECTIONS_PER_ADDRESS; i++) {
		fds[i] = client_connect(http_port(http, 0), "127.0.0.1");
		client_say(fds[i], "GET /metr");
	}
	for (size_t i = 0; i < 2; i++)
		assert_turned_away(http_port(http, i), "127.0.0.1");
	int other = client_connect(http_port(http, 0), "127.0.0.2");
	assert_int_equal(exchange(other, GET_HEALTHY), 200);
	close(other);
	/* a place that is given up can be had again */
	close(fds[0]);
	assert_true(let_in_soon(http_port(http, 0), "127.0.0.1"));
	for (int i = 1; i < HTTP_CONNECTIONS_PER_ADDRESS; i++)
		close(fds[i]);
	http_stop(http);
}

static void
longest_idle_gives_way(void **state)
{
	struct http *http = start(&site);
	unsigned port = http_port(http, 0);
	int fds[HTTP_CONNECTIONS_PER_ADDRESS];

	(void)state;
	for (int i = 0; i < HTTP_CONNECTIONS_PER_ADDRESS; i++) {
		fds[i] = client_connect(port, NULL);
		assert_int_equal(exchange(fds[i], GET_HEALTHY), 200);
		usleep(20000);
	}
	assert_int_equal(exchange(fds[0], GET_HEALTHY), 200); /* so 1 is the one */
	usleep(20000);
	int one_more = client_connect(port, NULL);
	assert_int_equal(exchange(one_more, GET_HEALTHY), 200);
	assert_true(client_at_end(fds[1]));
	for (int i = 0; i < HTTP_CONNECTIONS_PER_ADDRESS; i++) {
		if (i != 1)
			assert_int_equal(exchange(fds[i], GET_HEALTHY), 200);
		close(fds[i]);
	}
	close(one_more);
	http_stop(http);
}

static void
connections_have_a_maximum(void **state)
{
	struct http *http = start(&site);
	int fds[HTTP_CONNECTIONS_MAX];
	char from[32];

	(void)state;
	for (int i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
		snprintf(from, sizeof from, "127.0.0.%d", 2 + i / HTTP_CONNECTIONS_PER_ADDRESS);
		fds[i] = client_connect(http_port(http, 0), from);
		client_say(fds[i], "GET /metr");
	}
	for (size_t i = 0; i < 2; i++)
		assert_turned_away(http_port(http, i), "127.0.0.99");
	for (int i = 0; i < HTTP_CONNECTIONS_MAX; i++)
		assert_true(is_open(fds[i]));
	close(fds[7]);
	assert_true(let_in_soon(http_port(http, 1), "127.0.0.99"));
	for (int i = 0; i < HTTP_CONNECTIONS_MAX; i++)
		if (i != 7)
			close(fds[i]);
	http_stop(http);
}

/* ---- for how long ---- */

static double
seconds_since(int64_t begun)
{
	return clock_seconds(clock_ns() - begun);
}

/* One byte every 20 ms for at most CLIENT_SECONDS; how long it was listened to. */
static double
drip(int fd, char byte)
{
	int64_t begun = clock_ns();

	while (seconds_since(begun) < CLIENT_SECONDS && is_open(fd) && client_send(fd, &byte, 1))
		usleep(20000);
	return seconds_since(begun);
}

static void
dripping_request_is_cut(void **state)
{
	struct http_site hasty = site;

	(void)state;
	hasty.request_ns = 300 * NS_PER_MS;
	struct http *http = start(&hasty);
	int fd = client_connect(http_port(http, 0), NULL);
	client_say(fd, "GET /-/healthy HTTP/1.1\r\nHost: ");
	double seconds = drip(fd, 'a');
	assert_true(seconds > 0.2 && seconds < 10);
	close(fd);
	/* nor is one that says nothing at all */
	fd = client_connect(http_port(http, 0), NULL);
	int64_t begun = clock_ns();
	assert_true(client_at_end(fd));
	assert_true(seconds_since(begun) > 0.2 && seconds_since(begun) < 10);
	close(fd);
	http_stop(http);
}

static void
dripping_second_request_is_cut(void **state)
{
	struct http_site hasty = site;

	(void)state;
	hasty.idle_ns = 300 * NS_PER_MS;
	struct http *http = start(&hasty);
	int fd = client_connect(http_port(http, 0), NULL);
	assert_int_equal(exchange(fd, GET_HEALTHY), 200);
	double seconds = drip(fd, 'a');
	assert_true(seconds > 0.2 && seconds < 10);
	close(fd);
	http_stop(http);
}

static void
idle_connection_is_kept_for_its_time(void **state)
{
	struct http_site patient = site;

	(void)state;
	patient.request_ns = 100 * NS_PER_MS; /* must not count once a request was complete */
	patient.idle_ns = 2 * NS_PER_S;
	struct http *http = start(&patient);
	int fd = client_connect(http_port(http, 0), NULL);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(exchange(fd, GET_HEALTHY), 200);
		usleep(400000);
	}
	assert_true(is_open(fd));
	int64_t begun = clock_ns();
	assert_true(client_at_end(fd));
	assert_true(seconds_since(begun) > 0.5 && seconds_since(begun) < 15);
	close(fd);
	http_stop(http);
}

static void
long_scrape_is_not_cut(void **state)
{
	struct http_site hasty = site;
	struct reply r;

	(void)state;
	hasty.request_ns = hasty.send_ns = hasty.idle_ns = 200 * NS_PER_MS;
	struct http *http = start(&hasty);
	gate(true);
	int fd = client_connect(http_port(http, 0), NULL);
	client_say(fd, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
	wait_for_scrapes(1);
	usleep(600000);
	gate(false);
	assert_true(client_read(fd, &r, false));
	assert_int_equal(r.code, 200);
	buf_free(&r.body);
	close(fd);
	http_stop(http);
}

static void
client_that_does_not_read_is_cut(void **state)
{
	struct http_site hasty = site;
	char bytes[65536];
	size_t got = 0;
	ssize_t n;

	(void)state;
	hasty.send_ns = 300 * NS_PER_MS;
	struct http *http = start(&hasty);
	int fd = client_connect(http_port(http, 0), NULL);
	client_say(fd, "GET /metrics?target=large HTTP/1.1\r\nHost: a\r\n\r\n");
	/* a little now and then is not reading either */
	for (int i = 0; i < 40; i++) {
		usleep(50000);
		n = recv(fd, bytes, 100, 0);
		got += n > 0 ? (size_t)n : 0;
	}
	while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0)
		got += (size_t)n;
	assert_true(got < 32 << 20);
	close(fd);
	assert_true(let_in_soon(http_port(http, 0), NULL));
	http_stop(http);
}

/* ---- stop ---- */

static void *
stop(void *http)
{
	http_stop(http);
	return NULL;
}

static void
stop_lets_a_scrape_end(void **state)
{
	struct http *http = start(&site);
	unsigned port = http_port(http, 0);
	pthread_t thread;
	struct reply r;

	(void)state;
	gate(true);
	int idle = client_connect(port, NULL), fd = client_connect(port, NULL);
	assert_int_equal(exchange(idle, GET_HEALTHY), 200);
	client_say(fd, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
	wait_for_scrapes(1);
	assert_int_equal(pthread_create(&thread, NULL, stop, http), 0);
	assert_true(client_at_end(idle));
	/* nobody new is let in */
	int late = client_connect(port, NULL);
	assert_true(late < 0 || exchange(late, GET_HEALTHY) == 0);
	if (late >= 0)
		close(late);
	gate(false);
	assert_true(client_read(fd, &r, false));
	assert_int_equal(r.code, 200);
	assert_string_equal(reply_header(&r, "Connection"), "close");
	assert_true(client_at_end(fd));
	buf_free(&r.body);
	pthread_join(thread, NULL);
	assert_int_equal(client_connect(port, NULL), -1);
	close(idle);
	close(fd);
}

static void
start_and_stop_leave_nothing_open(void **state)
{
	struct http *http;
	int before = dup(0);

	(void)state;
	close(before);
	for (int i = 0; i < 20; i++) {
		http = start(&site);
		int fd = client_connect(http_port(http, 1), NULL);
		if (i % 2)
			client_say(fd, GET_HEALTHY);
		http_stop(http);
		close(fd);
	}
	int after = dup(0);
	close(after);
	assert_int_equal(before, after);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(one_scrape_too_many_is_told_at_once, open_gate),
		cmocka_unit_test_teardown(waiting_probes_leave_room, open_gate),
		cmocka_unit_test(one_address_cannot_take_all_connections),
		cmocka_unit_test(longest_idle_gives_way),
		cmocka_unit_test(connections_have_a_maximum),
		cmocka_unit_test(dripping_request_is_cut),
		cmocka_unit_test(dripping_second_request_is_cut),
		cmocka_unit_test(idle_connection_is_kept_for_its_time),
		cmocka_unit_test_teardown(long_scrape_is_not_cut, open_gate),
		cmocka_unit_test(client_that_does_not_read_is_cut),
		cmocka_unit_test_teardown(stop_lets_a_scrape_end, open_gate),
		cmocka_unit_test(start_and_stop_leave_nothing_open),
	};

	return cmocka_run_group_tests_name("http_limits", tests, NULL, NULL);
}
