/*
 * What clients get wrong, by accident or on purpose: it costs only them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http_site.h"

#define BYTES(literal)                                                                             \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}

/* ---- what clients get wrong ---- */

static void
other_methods_are_refused(void **state)
{
	static const char *const methods[] = { "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH",
		"CONNECT", "BREW", "get", "GETT" };

	(void)state;
	for (size_t i = 0; i < COUNT(methods); i++) {
		struct reply r = client_get(port, methods[i], "/metrics", "");
		assert_string_equal(reply_header(&r, "Allow"), "GET, HEAD");
		assert_refused(&r, 405);
	}
}

/* Whoever gets a page gets a whole one, of one line. */
static void
hosts_do_no_harm(void **state)
{
	static const struct text hosts[] = { BYTES(""), BYTES(" "), BYTES("\"],\"x\":[\""),
		BYTES("a\\"), BYTES("a\tb"), BYTES("a\0b"), BYTES("\xff"), BYTES("a\rb"),
		BYTES("a\r\n b"), BYTES("a\r\nHost: b"), BYTES("a\r\nHost:"), BYTES("%s%n") };

	(void)state;
	for (size_t i = 0; i < COUNT(hosts); i++) {
		int fd = client_connect(port, NULL);
		struct reply r;
		client_say(fd, "GET /sd HTTP/1.1\r\nHost: ");
		client_send(fd, hosts[i].ptr, hosts[i].len);
		client_say(fd, "\r\n\r\n");
		shutdown(fd, SHUT_WR);
		assert_true(client_read(fd, &r, false));
		assert_true(
		    r.code == 400 || (r.code == 200 && strncmp(r.body.ptr, "[\"", 2) == 0 &&
					 strchr(r.body.ptr, '\n') == r.body.ptr + r.body.len - 1));
		buf_free(&r.body);
		close(fd);
		assert_alive();
	}
}

static void
bodies_are_refused_and_end_the_connection(void **state)
{
	static const struct {
		const char *more;
		int code;
	} examples[] = {
		{ "Content-Length: 5\r\n\r\nhello", 413 },
		{ "Content-Length: 5\r\n\r\n", 413 },
		{ "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", 413 },
		{ "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413 },
		{ "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 413 },
		{ "transfer-encoding: x, chunked\r\n\r\n", 413 },
		{ "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
		{ "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", 400 },
		{ "Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello", 400 },
		{ "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", 400 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		int fd = client_connect(port, NULL);
		struct reply r;
		client_say(fd, "GET /metrics HTTP/1.1\r\nHost: a\r\n");
		client_say(fd, examples[i].more);
		assert_true(client_read(fd, &r, false));
		assert_refused(&r, examples[i].code);
		assert_true(client_at_end(fd));
		close(fd);
	}
	struct reply r = client_get(port, "GET", "/metrics", "Content-Length: 0\r\n");
	assert_int_equal(r.code, 200);
	buf_free(&r.body);
}

/* Sends the bytes and takes any refusal, also none at all, but no page. */
static void
assert_no_page(const char *bytes, size_t len)
{
	int fd = client_connect(port, NULL);
	struct reply r;

	client_send(fd, bytes, len);
	shutdown(fd, SHUT_WR);
	if (client_read(fd, &r, false))
		assert_in_range(r.code, 400, 505);
	buf_free(&r.body);
	close(fd);
	assert_alive();
}

static void
nonsense_gets_no_page(void **state)
{
	static const struct text nonsense[] = {
		BYTES(""),
		BYTES("\r\n\r\n\r\n\r\n"),
		BYTES("\n\n\n"),
		BYTES("GET"),
		BYTES("GET \r\n\r\n"),
		BYTES("GET /metrics\r\n\r\n"),
		BYTES("GET /metrics HTTP/1.1\r\n\r\n"), /* no Host */
		BYTES("GET /metrics HTTP/1.1\r\nHost: a\r\n"),
		BYTES("GET /metrics HTTP/2.0\r\nHost: a\r\n\r\n"),
		BYTES("GET /metrics HTTP/11\r\nHost: a\r\n\r\n"),
		BYTES("GET /metrics ICAP/1.1\r\nHost: a\r\n\r\n"),
		BYTES("GET /met rics HTTP/1.1\r\nHost: a\r\n\r\n"),
		BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
		BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
		BYTES("\0\0\0\0\r\n\r\n"),
		BYTES("GET /\0metrics HTTP/1.1\0\r\nHost: a\r\n\r\n"),
		BYTES("\xff\xfe /metrics HTTP/1.1\r\nHost: a\r\n\r\n"),
		BYTES("*1\r\n$4\r\nPING\r\n"),
#define LENGTH(text) BYTES("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: " text "\r\n\r\n")
		LENGTH("-1"),
		LENGTH("5 5"),
		LENGTH("1e3"),
		LENGTH("0x5"),
		LENGTH("five"),
		LENGTH(""),
		LENGTH("99999999999999999999999"),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(nonsense); i++)
		assert_no_page(nonsense[i].ptr, nonsense[i].len);
}

static void
nul_bytes_do_no_harm(void **state)
{
	static const struct text requests[] = {
		BYTES("GET /metrics\0 HTTP/1.1\r\nHost: a\r\n\r\n"),
		BYTES("GET /metrics?target=\0&target=b HTTP/1.1\r\nHost: a\r\n\r\n"),
		BYTES("GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: \0text/plain\r\n\r\n"),
		BYTES("GET /metrics HTTP/1.1\r\nHost: a\r\n\0\0\0: b\r\n\r\n"),
		BYTES("GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: \0005\r\n\r\nhello"),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(requests); i++) {
		int fd = client_connect(port, NULL);
		struct reply r;
		client_send(fd, requests[i].ptr, requests[i].len);
		shutdown(fd, SHUT_WR);
		client_read(fd, &r, false);
		buf_free(&r.body);
		close(fd);
		assert_alive();
	}
}

static void
size_is_limited(void **state)
{
	static const char *const begins[] = { "GET /metrics HTTP/1.1\r\nHost: a\r\nX: ",
		"GET /metrics?x=", "GET /", "G", "GET /metrics HTTP/1.1\r\nHost: a\r\nCookie: " };
	size_t len = 1 << 20;
	char *bytes = malloc(len);

	(void)state;
	assert_non_null(bytes);
	for (size_t i = 0; i < COUNT(begins); i++) {
		memset(bytes, 'a', len);
		memcpy(bytes, begins[i], strlen(begins[i]));
		assert_no_page(bytes, len);
	}
	/* very many short headers and parameters */
	struct buf many = BUF(4 << 20);
	buf_str(&many, "GET /metrics HTTP/1.1\r\nHost: a\r\n");
	for (int i = 0; i < 100000; i++)
		buf_str(&many, "a:b\r\n");
	assert_no_page(many.ptr, many.len);
	buf_reset(&many);
	buf_str(&many, "GET /metrics?");
	for (int i = 0; i < 10000; i++)
		buf_str(&many, "&a");
	buf_str(&many, " HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_no_page(many.ptr, many.len);
	buf_free(&many);
	free(bytes);
}

static void
mangled_requests_do_no_harm(void **state)
{
	static const char good[] =
	    "GET /metrics?target=a%20b&collect[]=c HTTP/1.1\r\nHost: here\r\n"
	    "Accept: text/plain;q=0.5, */*\r\nAccept-Encoding: gzip;q=1\r\n"
	    "X-Prometheus-Scrape-Timeout-Seconds: 10\r\nContent-Length: 0\r\n\r\n";
	uint64_t seed = 42;
	char bytes[sizeof good];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		memcpy(bytes, good, sizeof good);
		for (int n = 0; n < 1 + i % 5; n++) {
			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
			bytes[(seed >> 33) % (sizeof good - 1)] = (char)(seed >> 25);
		}
		int fd = client_connect(port, NULL);
		struct reply r;
		assert_true(fd >= 0);
		client_send(fd, bytes, sizeof good - 1);
		shutdown(fd, SHUT_WR);
		client_read(fd, &r, false);
		buf_free(&r.body);
		close(fd);
	}
	assert_alive();
}

/* ---- connections ---- */

static void
pipelined_requests_are_answered_in_order(void **state)
{
	int fd = client_connect(port, NULL);
	struct reply r;
	char expected[32];

	(void)state;
	for (int i = 0; i < 5; i++) {
		char request[128];
		snprintf(request, sizeof request,
		    "GET /metrics?target=n%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
		client_say(fd, request);
	}
	for (int i = 0; i < 5; i++) {
		assert_true(client_read(fd, &r, false));
		snprintf(expected, sizeof expected, "target=<n%d>", i);
		assert_non_null(strstr(r.body.ptr, expected));
		buf_free(&r.body);
	}
	close(fd);
}

static void
half_closed_clients_get_their_answer(void **state)
{
	int fd = client_connect(port, NULL);
	struct reply r;

	(void)state;
	client_say(fd, "GET /metrics?target=big HTTP/1.1\r\nHost: a\r\n\r\n");
	shutdown(fd, SHUT_WR);
	assert_true(client_read(fd, &r, false));
	assert_int_equal(r.code, 200);
	assert_true(client_at_end(fd));
	buf_free(&r.body);
	close(fd);
}

static void
clients_that_leave_do_no_harm(void **state)
{
	struct linger reset = { .l_onoff = 1 };

	(void)state;
	for (int i = 0; i < 50; i++) {
		int fd = client_connect(port, NULL);
		assert_true(fd >= 0);
		if (i % 2)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
		client_say(fd, "GET /metrics?target=big HTTP/1.1\r\nHost: a\r\n\r\n");
		close(fd);
	}
	/* their scrapes end, too, and leave room */
	struct deadline until = deadline_in(CLIENT_SECONDS * NS_PER_S);
	struct reply r;
	do {
		r = client_get(port, "GET", "/metrics", "");
		buf_free(&r.body);
	} while (r.code != 200 && left_ms(until) > 0 && usleep(10000) == 0);
	assert_int_equal(r.code, 200);
}

static void
byte_by_byte_is_a_request_too(void **state)
{
	int fd = client_connect(port, NULL);
	struct reply r;

	(void)state;
	for (const char *c = "\r\nGET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"; *c != '\0'; c++)
		client_send(fd, c, 1);
	assert_true(client_read(fd, &r, false));
	assert_int_equal(r.code, 200);
	buf_free(&r.body);
	close(fd);
}

static void
old_clients_are_served_and_the_connection_ends(void **state)
{
	int fd = client_connect(port, NULL);
	struct reply r;

	(void)state;
	client_say(fd, "GET /metrics HTTP/1.0\r\n\r\n");
	assert_true(client_read(fd, &r, false));
	assert_int_equal(r.code, 200);
	assert_true(client_at_end(fd));
	buf_free(&r.body);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_methods_are_refused),
		cmocka_unit_test(hosts_do_no_harm),
		cmocka_unit_test(bodies_are_refused_and_end_the_connection),
		cmocka_unit_test(nonsense_gets_no_page),
		cmocka_unit_test(nul_bytes_do_no_harm),
		cmocka_unit_test(size_is_limited),
		cmocka_unit_test(mangled_requests_do_no_harm),
		cmocka_unit_test(pipelined_requests_are_answered_in_order),
		cmocka_unit_test(half_closed_clients_get_their_answer),
		cmocka_unit_test(clients_that_leave_do_no_harm),
		cmocka_unit_test(byte_by_byte_is_a_request_too),
		cmocka_unit_test(old_clients_are_served_and_the_connection_ends),
	};

	return cmocka_run_group_tests_name("http_hostile", tests, start, stop);
}
