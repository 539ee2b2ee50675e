/*
 * What is answered to whom: pages, formats, names, deadlines, and everything
 * a client may get wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <libdeflate.h>
#include <pthread.h>

#include "../exporter/http.h"
#include "http_client.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define BYTES(literal)                                                                             \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}

static unsigned port;
static bool is_ready;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int served_code, served_times;

/* The page: what the handler was told, or what the first target stands for. */
static int
fake_scrape(const struct http_scrape *scrape, struct buf *body)
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
	return 200;
}

static void
fake_status(struct buf *body)
{
	buf_str(body, "<!DOCTYPE html><title>here</title>");
}

static bool
fake_ready(void)
{
	return is_ready;
}

static void
fake_served(int code, double seconds)
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
	.status = fake_status,
	.ready = fake_ready,
	.served = fake_served,
};

static int
start(void **state)
{
	char why[256];
	struct http *http = http_start(&site, why, sizeof why);

	if (http == NULL)
		return -1;
	port = http_port(http, 0);
	*state = http;
	return 0;
}

static int
stop(void **state)
{
	http_stop(*state);
	return 0;
}

static void
assert_refused(struct reply *r, int code)
{
	assert_int_equal(r->code, code);
	assert_string_equal(reply_header(r, "Content-Type"), "text/plain; charset=utf-8");
	assert_string_equal(reply_header(r, "X-Content-Type-Options"), "nosniff");
	/* one sentence, one line */
	assert_true(r->body.len > 10 && strchr(r->body.ptr, '\n') == r->body.ptr + r->body.len - 1);
	buf_free(&r->body);
}

/* The server has survived what came before, and is done with it. */
static void
assert_alive(void)
{
	struct deadline until = deadline_in(CLIENT_SECONDS * NS_PER_S);
	struct reply r;

	do {
		r = client_get(port, "GET", "/-/healthy", "");
		buf_free(&r.body);
	} while (r.code == 0 && left_ms(until) > 0 && usleep(10000) == 0);
	assert_int_equal(r.code, 200);
}

/* ---- pages ---- */

static void
telemetry_is_served(void **state)
{
	struct reply r = client_get(port, "GET", "/metrics", "");

	(void)state;
	assert_int_equal(r.code, 200);
	assert_string_equal(
	    reply_header(&r, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
	assert_string_equal(reply_header(&r, "Vary"), "Accept, Accept-Encoding");
	assert_string_equal(reply_header(&r, "X-Content-Type-Options"), "nosniff");
	assert_string_equal(reply_header(&r, "Cache-Control"), "no-store");
	assert_string_equal(reply_header(&r, "Content-Encoding"), "");
	assert_string_equal(reply_header(&r, "Transfer-Encoding"), "");
	assert_true(strncmp(r.body.ptr, "openmetrics=0 left=9", 20) == 0);
	buf_free(&r.body);
	r = client_get(port, "GET", "/metrics?target=empty", "");
	assert_int_equal(r.code, 200);
	assert_string_equal(reply_header(&r, "Content-Length"), "0");
	buf_free(&r.body);
}

static void
status_page_may_run_nothing(void **state)
{
	struct reply r = client_get(port, "GET", "/", "");

	(void)state;
	assert_int_equal(r.code, 200);
	assert_string_equal(reply_header(&r, "Content-Type"), "text/html; charset=utf-8");
	assert_string_equal(r.body.ptr, "<!DOCTYPE html><title>here</title>");
	const char *policy = reply_header(&r, "Content-Security-Policy");
	assert_non_null(strstr(policy, "default-src 'none'"));
	assert_null(strstr(policy, "script"));
	buf_free(&r.body);
}

static void
ready_says_whether_it_is(void **state)
{
	(void)state;
	is_ready = false;
	struct reply r = client_get(port, "GET", "/-/ready", "");
	assert_string_equal(reply_header(&r, "Retry-After"), "1");
	assert_refused(&r, 503);
	is_ready = true;
	r = client_get(port, "GET", "/-/ready", "");
	assert_int_equal(r.code, 200);
	buf_free(&r.body);
	assert_alive();
}

static void
other_paths_are_not_found(void **state)
{
	static const char *const paths[] = { "/metric", "/metrics/", "/metricsx", "//", "/-/",
		"/-/reload", "/METRICS", "/favicon.ico", "/../metrics", "*", "http://here/metrics",
		"/-/healthy%20" };

	(void)state;
	for (size_t i = 0; i < COUNT(paths); i++) {
		struct reply r = client_get(port, "GET", paths[i], "");
		assert_refused(&r, 404);
	}
	struct reply r = client_get(port, "GET", "/%6detrics", "");
	assert_int_equal(r.code, 200);
	buf_free(&r.body);
}

static void
telemetry_at_the_root_wins(void **state)
{
	struct http_site root = site;
	char why[256];

	(void)state;
	root.telemetry_path = "/";
	struct http *http = http_start(&root, why, sizeof why);
	assert_non_null(http);
	struct reply r = client_get(http_port(http, 0), "GET", "/", "");
	assert_true(strncmp(r.body.ptr, "openmetrics=", 12) == 0);
	buf_free(&r.body);
	http_stop(http);
}

static void
scrape_faults_come_through(void **state)
{
	struct reply r = client_get(port, "GET", "/metrics?target=unknown", "");

	(void)state;
	assert_int_equal(r.code, 400);
	assert_string_equal(reply_header(&r, "Content-Type"), "text/plain; charset=utf-8");
	assert_string_equal(r.body.ptr, "there is no target \"unknown\"\n");
	buf_free(&r.body);
	r = client_get(port, "GET", "/metrics?target=endless", "");
	assert_refused(&r, 500);
}

static void
every_request_for_telemetry_is_counted(void **state)
{
	static const struct {
		const char *address, *more;
		int code;
	} requests[] = {
		{ "/metrics", "", 200 },
		{ "/metrics?target=unknown", "", 400 },
		{ "/metrics", "X-Prometheus-Scrape-Timeout-Seconds: soon\r\n", 400 },
		{ "/metrics?target=endless", "", 500 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(requests); i++) {
		int before = served_times;
		struct reply r = client_get(port, "GET", requests[i].address, requests[i].more);
		buf_free(&r.body);
		pthread_mutex_lock(&lock);
		assert_int_equal(served_times, before + 1);
		assert_int_equal(served_code, requests[i].code);
		pthread_mutex_unlock(&lock);
	}
	int before = served_times;
	assert_alive();
	assert_int_equal(served_times, before);
}

/* ---- what scrapers ask for ---- */

static void
names_arrive_decoded_and_in_order(void **state)
{
	struct reply r = client_get(port, "GET",
	    "/metrics?target=chat-db&collect[]=size&target=a%2Bb+c&x=y&collect%5B%5D=l%c3%a4nge&"
	    "target=&target&Target=no&collect=no&&=&target=%2541",
	    "");

	(void)state;
	assert_int_equal(r.code, 200);
	const char *names = strchr(r.body.ptr, ' ');
	names = strchr(names + 1, ' ');
	assert_string_equal(names,
	    " target=<chat-db> target=<a+b c> target=<> target=<> target=<%41>"
	    " group=<size> group=<l\xc3\xa4nge>");
	buf_free(&r.body);
}

static void
broken_escapes_are_refused(void **state)
{
	static const char *const addresses[] = { "/metrics?target=%zz", "/metrics?target=%",
		"/metrics?a=%4", "/metrics?%g0=1", "/metrics?target=%00", "/metrics?target=a%00b",
		"/metrics%", "/%00", "/metrics%00", "/metrics?target=%-1", "/metrics?target=% 1" };

	(void)state;
	for (size_t i = 0; i + 1 < COUNT(addresses); i++) {
		struct reply r = client_get(port, "GET", addresses[i], "");
		assert_refused(&r, 400);
	}
	/* and the next request on that connection is judged afresh */
	int fd = client_connect(port, NULL);
	struct reply r;
	client_say(fd, "GET /metrics?target=%zz HTTP/1.1\r\nHost: a\r\n\r\n"
		       "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_true(client_read(fd, &r, false));
	assert_refused(&r, 400);
	assert_true(client_read(fd, &r, false));
	assert_int_equal(r.code, 200);
	buf_free(&r.body);
	close(fd);
}

static void
names_have_a_maximum(void **state)
{
	(void)state;
	for (int n = HTTP_NAMES_MAX; n <= HTTP_NAMES_MAX + 1; n++) {
		struct buf address = BUF(100000);
		buf_str(&address, "/metrics?x=y");
		for (int i = 0; i < n; i++)
			buf_printf(&address, "&%s=n%04d", i % 2 ? "target" : "collect[]", i);
		buf_add(&address, "", 1);
		struct reply r = client_get(port, "GET", address.ptr, "");
		if (n <= HTTP_NAMES_MAX) {
			assert_int_equal(r.code, 200);
			assert_non_null(strstr(r.body.ptr, "<n0511>"));
			buf_free(&r.body);
		} else {
			assert_refused(&r, 400);
		}
		buf_free(&address);
	}
}

static void
deadline_is_a_little_before_the_scrapers(void **state)
{
	static const struct {
		const char *header;
		int ms; /* -1: refused */
	} examples[] = {
		{ "", 9500 },
		{ "X-Prometheus-Scrape-Timeout-Seconds: 10\r\n", 9500 },
		{ "X-Prometheus-Scrape-Timeout-Seconds: 15.000000\r\n", 14500 },
		{ "x-prometheus-scrape-timeout-seconds: 1\r\n", 500 },
		{ "X-Prometheus-Scrape-Timeout-Seconds: 0.8\r\n", 400 },
		{ "X-Prometheus-Scrape-Timeout-Seconds: 60\r\n", 59500 },
		{ "X-Prometheus-Scrape-Timeout-Seconds: 3600\r\n", 120000 },
		{ "X-Prometheus-Scrape-Timeout-Seconds: 1e300\r\n", 120000 },
		{ "X-Prometheus-Scrape-Timeout-Seconds: 30\r\n"
		  "X-Prometheus-Scrape-Timeout-Seconds: 5\r\n",
		    4500 },
		{ "X-Prometheus-Scrape-Timeout-Seconds: 0\r\n", -1 },
		{ "X-Prometheus-Scrape-Timeout-Seconds: -1\r\n", -1 },
		{ "X-Prometheus-Scrape-Timeout-Seconds: 10s\r\n", -1 },
		{ "X-Prometheus-Scrape-Timeout-Seconds: 0x10\r\n", -1 },
		{ "X-Prometheus-Scrape-Timeout-Seconds: NaN\r\n", -1 },
		{ "X-Prometheus-Scrape-Timeout-Seconds: Inf\r\n", -1 },
		{ "X-Prometheus-Scrape-Timeout-Seconds: 1e400\r\n", -1 },
		{ "X-Prometheus-Scrape-Timeout-Seconds:\r\n", -1 },
		{ "X-Prometheus-Scrape-Timeout-Seconds: 1 2\r\n", -1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		int left = 0;
		struct reply r = client_get(port, "GET", "/metrics", examples[i].header);
		if (examples[i].ms < 0) {
			assert_refused(&r, 400);
			continue;
		}
		assert_int_equal(r.code, 200);
		assert_int_equal(sscanf(r.body.ptr, "openmetrics=0 left=%d", &left), 1);
		assert_in_range(left, examples[i].ms * 4 / 5, examples[i].ms);
		buf_free(&r.body);
	}
}

static void
formats_follow_accept(void **state)
{
	/* Prometheus 2.42's header, as it sends it */
	struct reply r = client_get(port, "GET", "/metrics",
	    "Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
	    "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n"
	    "Accept-Encoding: gzip\r\n");

	(void)state;
	assert_string_equal(reply_header(&r, "Content-Type"),
	    "application/openmetrics-text; version=1.0.0; charset=utf-8");
	assert_true(strncmp(r.body.ptr, "openmetrics=1", 13) == 0);
	buf_free(&r.body);
	/* two headers count as one */
	r = client_get(port, "GET", "/metrics",
	    "Accept: text/plain;q=0.5\r\nAccept: application/openmetrics-text\r\n");
	assert_true(strncmp(r.body.ptr, "openmetrics=1", 13) == 0);
	buf_free(&r.body);
}

static void
gzip_holds_the_same_page(void **state)
{
	struct reply plain = client_get(port, "GET", "/metrics?target=big", "");
	struct reply packed =
	    client_get(port, "GET", "/metrics?target=big", "Accept-Encoding: gzip, deflate\r\n");
	size_t len;

	(void)state;
	assert_int_equal(packed.code, 200);
	assert_string_equal(reply_header(&packed, "Content-Encoding"), "gzip");
	assert_string_equal(reply_header(&packed, "Vary"), "Accept, Accept-Encoding");
	assert_true(packed.body.len < plain.body.len / 2);
	char *out = malloc(plain.body.len);
	assert_non_null(out);
	struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
	assert_int_equal(libdeflate_gzip_decompress(
			     d, packed.body.ptr, packed.body.len, out, plain.body.len, &len),
	    LIBDEFLATE_SUCCESS);
	libdeflate_free_decompressor(d);
	assert_int_equal(len, plain.body.len);
	assert_memory_equal(out, plain.body.ptr, len);
	free(out);
	buf_free(&plain.body);
	buf_free(&packed.body);
}

static void
little_and_unwanted_is_not_compressed(void **state)
{
	static const char *const unwanted[] = { "", "Accept-Encoding: deflate\r\n",
		"Accept-Encoding: gzip;q=0\r\n", "Accept-Encoding: identity, gzip;q=0.5\r\n" };

	(void)state;
	for (size_t i = 0; i < COUNT(unwanted); i++) {
		struct reply r = client_get(port, "GET", "/metrics?target=big", unwanted[i]);
		assert_int_equal(r.code, 200);
		assert_string_equal(reply_header(&r, "Content-Encoding"), "");
		buf_free(&r.body);
	}
	struct reply r = client_get(port, "GET", "/metrics", "Accept-Encoding: gzip\r\n");
	assert_string_equal(reply_header(&r, "Content-Encoding"), "");
	buf_free(&r.body);
}

static void
head_has_the_headers_of_get_and_no_body(void **state)
{
	static const char *const same[] = { "Content-Type", "Content-Length", "Content-Encoding",
		"Vary" };
	static const char *const addresses[] = { "/metrics?target=big", "/", "/-/healthy", "/no",
		"/metrics?target=unknown" };
	char expected[1024];

	(void)state;
	for (size_t i = 0; i < COUNT(addresses); i++) {
		struct reply get =
		    client_get(port, "GET", addresses[i], "Accept-Encoding: gzip\r\n");
		struct reply head =
		    client_get(port, "HEAD", addresses[i], "Accept-Encoding: gzip\r\n");
		assert_int_equal(get.code, head.code);
		for (size_t j = 0; j < COUNT(same); j++) {
			snprintf(expected, sizeof expected, "%s", reply_header(&get, same[j]));
			assert_string_equal(reply_header(&head, same[j]), expected);
		}
		buf_free(&get.body);
		buf_free(&head.body);
	}
	/* nothing follows the headers but the next reply */
	int fd = client_connect(port, NULL);
	struct reply r;
	client_say(fd, "HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n"
		       "GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_true(client_read(fd, &r, true));
	buf_free(&r.body);
	assert_true(client_read(fd, &r, false));
	assert_int_equal(r.code, 200);
	buf_free(&r.body);
	close(fd);
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
	assert_alive();
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
		cmocka_unit_test(telemetry_is_served),
		cmocka_unit_test(status_page_may_run_nothing),
		cmocka_unit_test(ready_says_whether_it_is),
		cmocka_unit_test(other_paths_are_not_found),
		cmocka_unit_test(telemetry_at_the_root_wins),
		cmocka_unit_test(scrape_faults_come_through),
		cmocka_unit_test(every_request_for_telemetry_is_counted),
		cmocka_unit_test(names_arrive_decoded_and_in_order),
		cmocka_unit_test(broken_escapes_are_refused),
		cmocka_unit_test(names_have_a_maximum),
		cmocka_unit_test(deadline_is_a_little_before_the_scrapers),
		cmocka_unit_test(formats_follow_accept),
		cmocka_unit_test(gzip_holds_the_same_page),
		cmocka_unit_test(little_and_unwanted_is_not_compressed),
		cmocka_unit_test(head_has_the_headers_of_get_and_no_body),
		cmocka_unit_test(other_methods_are_refused),
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

	return cmocka_run_group_tests_name("http", tests, start, stop);
}
