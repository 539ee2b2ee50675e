/*
 * What is answered to whom: pages, formats, names and deadlines.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <libdeflate.h>

#include "http_site.h"

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
		"/-/healthy%20", "/probe/", "/probes", "/sd/", "/SD" };

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
		{ "/probe?target=a", "", 200 },
		{ "/probe", "", 400 },
		{ "/probe?target=unknown", "", 400 },
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

/* ---- one target, and which there are ---- */

static void
a_probe_is_of_one_target(void **state)
{
	static const char *const refused[] = { "/probe", "/probe?target=a&target=b",
		"/probe?target=a&target=a", "/probe?collect[]=size", "/probe?Target=a" };

	(void)state;
	for (size_t i = 0; i < COUNT(refused); i++) {
		struct reply r = client_get(port, "GET", refused[i], "");
		assert_string_equal(
		    r.body.ptr, "A probe is of exactly one target: /probe?target=NAME.\n");
		assert_refused(&r, 400);
	}
	struct reply r = client_get(port, "GET", "/probe?target=a&collect[]=size",
	    "X-Prometheus-Scrape-Timeout-Seconds: 5\r\n");
	assert_int_equal(r.code, 200);
	assert_true(strncmp(r.body.ptr, "openmetrics=0 left=4", 20) == 0);
	assert_non_null(strstr(r.body.ptr, " target=<a> group=<size> bare"));
	buf_free(&r.body);
	r = client_get(port, "GET", "/metrics?target=a", "");
	assert_null(strstr(r.body.ptr, "bare"));
	buf_free(&r.body);
}

static void
a_probe_is_negotiated_like_telemetry(void **state)
{
	struct reply r = client_get(port, "GET", "/probe?target=big",
	    "Accept: application/openmetrics-text\r\nAccept-Encoding: gzip\r\n");

	(void)state;
	assert_int_equal(r.code, 200);
	assert_string_equal(reply_header(&r, "Content-Type"),
	    "application/openmetrics-text; version=1.0.0; charset=utf-8");
	assert_string_equal(reply_header(&r, "Content-Encoding"), "gzip");
	assert_string_equal(reply_header(&r, "Vary"), "Accept, Accept-Encoding");
	buf_free(&r.body);
	r = client_get(
	    port, "GET", "/probe?target=a", "X-Prometheus-Scrape-Timeout-Seconds: x\r\n");
	assert_refused(&r, 400);
	r = client_get(port, "GET", "/probe?target=endless", "");
	assert_refused(&r, 500);
}

static void
discovery_is_json_about_the_host_that_was_asked(void **state)
{
	struct reply r = client_get(port, "GET", "/sd?target=a&x=y", "");

	(void)state;
	assert_int_equal(r.code, 200);
	assert_string_equal(reply_header(&r, "Content-Type"), "application/json");
	assert_string_equal(reply_header(&r, "Content-Encoding"), "");
	assert_string_equal(r.body.ptr, "[\"here\"]\n");
	buf_free(&r.body);
	r = client_get(port, "GET", "/sd", "Host: there\r\n"); /* a second one */
	assert_string_equal(r.body.ptr, "[\"\"]\n");
	buf_free(&r.body);
	r = client_get(port, "POST", "/sd", "");
	assert_refused(&r, 405);
	int fd = client_connect(port, NULL);
	client_say(fd, "GET /sd HTTP/1.0\r\n\r\n");
	assert_true(client_read(fd, &r, false));
	assert_refused(&r, 400);
	close(fd);
}

static void
a_long_discovery_is_compressed_for_those_who_like_it(void **state)
{
	int fd = client_connect(port, NULL);
	struct reply r;

	(void)state;
	client_say(fd, "GET /sd HTTP/1.1\r\nHost: big\r\nAccept-Encoding: gzip\r\n\r\n"
		       "GET /sd HTTP/1.1\r\nHost: big\r\n\r\n");
	assert_true(client_read(fd, &r, false));
	assert_string_equal(reply_header(&r, "Content-Encoding"), "gzip");
	assert_true(r.body.len < 1000);
	buf_free(&r.body);
	assert_true(client_read(fd, &r, false));
	assert_string_equal(reply_header(&r, "Content-Encoding"), "");
	assert_int_equal(r.body.len, 24000);
	buf_free(&r.body);
	close(fd);
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
		"/metrics?target=unknown", "/probe?target=big", "/probe", "/sd" };
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
		cmocka_unit_test(a_probe_is_of_one_target),
		cmocka_unit_test(a_probe_is_negotiated_like_telemetry),
		cmocka_unit_test(discovery_is_json_about_the_host_that_was_asked),
		cmocka_unit_test(a_long_discovery_is_compressed_for_those_who_like_it),
		cmocka_unit_test(names_arrive_decoded_and_in_order),
		cmocka_unit_test(broken_escapes_are_refused),
		cmocka_unit_test(names_have_a_maximum),
		cmocka_unit_test(deadline_is_a_little_before_the_scrapers),
		cmocka_unit_test(formats_follow_accept),
		cmocka_unit_test(gzip_holds_the_same_page),
		cmocka_unit_test(little_and_unwanted_is_not_compressed),
		cmocka_unit_test(head_has_the_headers_of_get_and_no_body),
	};

	return cmocka_run_group_tests_name("http", tests, start, stop);
}
