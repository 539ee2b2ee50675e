/*
 * The application collector against HTTP servers, good and hostile ones.
 */
#include "application_harness.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "application_fake.h"

#define OK(length)                                                                                 \
	"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " length "\r\n\r\n"
#define PAGE "ws_active_connections{a=\"1\"} 3\nws_active_connections 4\n"
#define GOOD OK("55") PAGE
#define CHUNKED                                                                                    \
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"                                    \
	"1\r\nw\r\n36\r\ns_active_connections{a=\"1\"} 3\nws_active_connections 4\n\r\n0\r\n\r\n"

static bool
has(struct harness *h, const char *line)
{
	return harness_has(h, line);
}

static void
a_page_is_read_on_a_kept_connection(void **unused)
{
	struct harness h;
	struct fake f;

	(void)unused;
	FAKE(&f, WHOLE, GOOD);
	harness_begin(&h, f.url);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(harness_scrape(&h, LONG * NS_PER_S), DONE);
		assert_true(has(&h, "ws_active_connections 7"));
	}
	harness_end(&h);
	fake_stop(&f);
	assert_int_equal(f.connections, 1);
	assert_int_equal(f.requests, 3);
	assert_non_null(strstr(f.request, "GET /metrics HTTP/1.1\r\n"));
	assert_non_null(strstr(f.request, "Accept: application/openmetrics-text;version=1.0.0,"
					  "text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n"));
	assert_null(strstr(f.request, "Authorization"));
	assert_null(strstr(f.request, "Accept-Encoding"));
}

static void
a_connection_that_was_closed_is_made_again(void **unused)
{
	struct harness h;
	struct fake f;

	(void)unused;
	FAKE(&f, CLOSE, GOOD);
	harness_begin(&h, f.url);
	for (int i = 0; i < 3; i++)
		assert_int_equal(harness_scrape(&h, LONG * NS_PER_S), DONE);
	harness_end(&h);
	fake_stop(&f);
	assert_true(f.connections >= 3);
}

static void
credentials_are_sent(void **unused)
{
	struct harness h;
	struct fake f;

	(void)unused;
	FAKE(&f, WHOLE, GOOD);
	harness_begin(&h, f.url);
	h.conf.bearer_token = "t0ken";
	h.conf.compression = true;
	assert_int_equal(harness_scrape(&h, LONG * NS_PER_S), DONE);
	assert_non_null(strstr(f.request, "\r\nAuthorization: Bearer t0ken\r\n"));
	assert_non_null(strstr(f.request, "\r\nAccept-Encoding: gzip\r\n"));
	harness_end(&h);
	harness_begin(&h, f.url);
	h.conf.username = "monitor";
	h.conf.password = "pa:ss";
	assert_int_equal(harness_scrape(&h, LONG * NS_PER_S), DONE);
	assert_non_null(strstr(f.request, "\r\nAuthorization: Basic bW9uaXRvcjpwYTpzcw==\r\n"));
	harness_end(&h);
	fake_stop(&f);
}

static void
chunks_and_the_content_type_are_understood(void **unused)
{
	static const char om[] =
	    "HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text; version=1.0.0; "
	    "charset=utf-8\r\nContent-Length: 30\r\n\r\nws_active_connections 7\n# EOF\n";
	static const char cut[] = "HTTP/1.1 200 OK\r\nContent-Type: "
				  "application/openmetrics-text\r\nContent-Length: 24\r\n\r\n"
				  "ws_active_connections 7\n";
	struct harness h;
	struct fake f;

	(void)unused;
	FAKE(&f, WHOLE, CHUNKED);
	harness_begin(&h, f.url);
	assert_int_equal(harness_scrape(&h, LONG * NS_PER_S), DONE);
	assert_true(has(&h, "ws_active_connections 7"));
	f.answer = om;
	f.len = sizeof om - 1;
	assert_int_equal(harness_scrape(&h, LONG * NS_PER_S), DONE);
	assert_true(has(&h, "ws_active_connections 7"));
	f.answer = cut;
	f.len = sizeof cut - 1;
	assert_int_equal(harness_scrape(&h, LONG * NS_PER_S), LOST);
	assert_why(h.sc.why, "does not end in # EOF");
	harness_end(&h);
	fake_stop(&f);
}

/* One scrape ends LOST with these words, and soon. */
static void
lost(enum manner manner, const char *answer, size_t len, int64_t ns, const char *words)
{
	struct harness h;
	struct fake f;

	fake_start(&f, manner, answer, len);
	harness_begin(&h, f.url);
	h.conf.compression = true;
	int64_t begin = clock_ns();
	assert_int_equal(harness_scrape(&h, ns), LOST);
	assert_true(clock_ns() - begin < 8 * NS_PER_S);
	assert_why(h.sc.why, f.name);
	assert_why(h.sc.why, words);
	/* What is known of the instance was said before. */
	assert_int_equal(h.outcome[0], FAILED);
	assert_non_null(h.rows[0]);
	harness_end(&h);
	fake_stop(&f);
}
#define LOST_BY(manner, answer, words)                                                             \
	lost(manner, answer, sizeof(answer) - 1, LONG * NS_PER_S, words)
#define LATE_BY(manner, answer, words)                                                             \
	lost(manner, answer, sizeof(answer) - 1, SHORT * NS_PER_MS, words)
#define EMPTY "Content-Length: 0\r\n\r\n"

static void
other_answers_than_200_say_what_to_do(void **unused)
{
	(void)unused;
	LOST_BY(WHOLE, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n" EMPTY,
	    "answers 302: redirects are not followed");
	LOST_BY(WHOLE, "HTTP/1.1 401 Unauthorized\r\n" EMPTY, "answers 401: the page wants bearer");
	LOST_BY(WHOLE, "HTTP/1.1 403 Forbidden\r\n" EMPTY, "answers 403: these credentials");
	LOST_BY(WHOLE,
	    "HTTP/1.1 404 Not Found\r\nContent-Length: 22\r\n\r\n404 page\x1b not found\nx",
	    "answers 404: there is no page of that path; it says: 404 page? not found");
	LOST_BY(WHOLE, "HTTP/1.1 500 Oops\r\nContent-Length: 55\r\n\r\n" PAGE, "answers 500");
	LOST_BY(WHOLE, "HTTP/1.1 204 No Content\r\n\r\n", "answers 204");
}

static void
broken_servers_end_in_a_sentence(void **unused)
{
	(void)unused;
	LOST_BY(WHOLE, OK("0"), "the page is empty");
	LOST_BY(WHOLE, OK("22") "<!DOCTYPE html><html>\n", "no metrics page, it begins: <!DOCTYPE");
	LOST_BY(CLOSE, OK("100") PAGE, "closed the connection in the middle of the page");
	LOST_BY(CLOSE, "", "without an answer");
	LOST_BY(WHOLE, "+PONG\r\n\r\n", "the page cannot be read");
	LOST_BY(WHOLE,
	    "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 55\r\n\r\n" PAGE,
	    "not compressed as it says");
}

static void
slow_servers_end_at_the_deadline(void **unused)
{
	(void)unused;
	LATE_BY(MUTE, "", "no whole page before the deadline");
	LATE_BY(DRIP, GOOD, "no whole page before the deadline");
}

static void
a_flood_ends_at_max_bytes(void **unused)
{
	(void)unused;
	LOST_BY(FLOOD, "HTTP/1.1 200 OK\r\n\r\n", "the page is longer than max_bytes, 1048576");
	LOST_BY(FLOOD, "HTTP/1.1 200 OK\r\n\r\n<html>\n<p>\n<p>\n", "longer than max_bytes");
	LOST_BY(FLOOD, "HTTP/1.1 503 Busy\r\n\r\nBusy\n", "answers 503; it says: Busy");
}

/* libcurl keeps every header, and those behind a page in chunks are some, too. */
static void
headers_have_an_end(void **unused)
{
	struct buf answer = BUF(1 << 20);

	(void)unused;
	buf_str(&answer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			 "4\r\na 1\n\r\n0\r\n");
	while (answer.len < 2 * APPLICATION_HEAD_MAX)
		buf_str(&answer, "Behind: the page\r\n");
	lost(WHOLE, answer.ptr, answer.len, LONG * NS_PER_S,
	    "the answer has more than 256 kB of headers");
	buf_free(&answer);
}

static void
what_tells_a_secret_is_not_shown(void **unused)
{
	static const struct {
		const char *said, *shown;
	} lines[] = {
		{ "bad token eyJhbGciOi.S3cret-T0ken!\n", NULL },
		{ "no user monitor, S3cret-T0ken!\n", NULL },
		{ "cannot take Basic bW9uaXRvcjpTM2NyZXQtVDBrZW4h\n", NULL },
		{ "Cannot GET /metrics?key=abcdef0123\n", NULL },
		{ "go away, monitor\n", "go away, monitor" },
	};

	(void)unused;
	for (size_t i = 0; i < 2 * COUNT(lines); i++) {
		const char *said = lines[i / 2].said, *shown = lines[i / 2].shown;
		struct harness h;
		struct fake f;
		char answer[300], url[100];
		snprintf(answer, sizeof answer, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s",
		    i % 2 == 0 ? "401 Unauthorized" : "200 OK", strlen(said), said);
		fake_start(&f, WHOLE, answer, strlen(answer));
		snprintf(url, sizeof url, "%s?key=abcdef0123", f.url);
		harness_begin(&h, url);
		h.conf.username = i < 2 ? NULL : "monitor";
		h.conf.password = i < 2 ? NULL : "S3cret-T0ken!";
		h.conf.bearer_token = i < 2 ? "eyJhbGciOi.S3cret-T0ken!" : NULL;
		assert_int_equal(harness_scrape(&h, LONG * NS_PER_S), LOST);
		assert_why(h.sc.why, shown != NULL ? shown : "(not shown: a secret is part of it)");
		assert_null(strstr(h.sc.why, shown != NULL ? "not shown" : "T0ken"));
		assert_null(strstr(h.sc.why, "abcdef"));
		assert_null(strstr(h.sc.why, "bW9uaXRv"));
		harness_end(&h);
		fake_stop(&f);
	}
}

static void
nobody_there(void **unused)
{
	struct harness h;

	(void)unused;
	harness_begin(&h, "http://127.0.0.1:1/metrics");
	assert_int_equal(harness_scrape(&h, LONG * NS_PER_S), LOST);
	assert_string_equal(h.sc.why, "127.0.0.1:1: no connection: Connection refused");
	assert_true(harness_scrape(&h, LONG * NS_PER_S) == LOST);
	harness_end(&h);
	harness_begin(&h, "http://no-such-host.invalid/metrics");
	assert_int_equal(harness_scrape(&h, LONG * NS_PER_S), LOST);
	assert_why(h.sc.why, "the host name cannot be resolved");
	harness_end(&h);
}

/* A mute instance costs the others nothing but the wait. */
static void
instances_are_fetched_at_once(void **unused)
{
	struct fake good, mute, slow;
	struct harness h;
	char urls[300];

	(void)unused;
	FAKE(&good, WHOLE, GOOD);
	FAKE(&mute, MUTE, "");
	FAKE(&slow, DRIP, GOOD); /* 2.4 s */
	snprintf(urls, sizeof urls, "%s,%s,%s", mute.url, slow.url, good.url);
	harness_begin(&h, urls);
	assert_int_equal(harness_scrape(&h, 6 * NS_PER_S), DONE);
	assert_true(has(&h, "ws_active_connections 14"));
	char line[200];
	snprintf(
	    line, sizeof line, "datatier_application_instance_up{instance=\"%s\"} 0", mute.name);
	assert_true(has(&h, line));
	snprintf(
	    line, sizeof line, "datatier_application_instance_up{instance=\"%s\"} 1", slow.name);
	assert_true(has(&h, line));
	assert_int_equal(h.outcome[0], FAILED);
	assert_why(h.why[0], "1 of 3 instances are down");
	harness_end(&h);
	fake_stop(&good);
	fake_stop(&mute);
	fake_stop(&slow);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_is_read_on_a_kept_connection),
		cmocka_unit_test(a_connection_that_was_closed_is_made_again),
		cmocka_unit_test(credentials_are_sent),
		cmocka_unit_test(chunks_and_the_content_type_are_understood),
		cmocka_unit_test(other_answers_than_200_say_what_to_do),
		cmocka_unit_test(broken_servers_end_in_a_sentence),
		cmocka_unit_test(slow_servers_end_at_the_deadline),
		cmocka_unit_test(a_flood_ends_at_max_bytes),
		cmocka_unit_test(headers_have_an_end),
		cmocka_unit_test(what_tells_a_secret_is_not_shown),
		cmocka_unit_test(nobody_there),
		cmocka_unit_test(instances_are_fetched_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
