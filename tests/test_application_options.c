/*
 * Options that contradict each other, addresses that are none: one sentence,
 * before anything starts.
 */
#include "application_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define URL "http://127.0.0.1:8085/metrics"
#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* words NULL: nothing is wrong. */
static void
check(struct application_conf conf, const char *words)
{
	char why[WHY_MAX] = "";

	if (conf.urls == NULL)
		conf.urls = harness_none;
	if (conf.families == NULL)
		conf.families = harness_none;
	if (conf.rename == NULL)
		conf.rename = harness_none;
	if (collector.check(&conf, why) != (words == NULL))
		fail_msg("expected \"%s\", it said \"%s\"", words != NULL ? words : "(good)", why);
	if (words != NULL && strstr(why, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, words);
	if (strstr(why, "hunter2") != NULL)
		fail_msg("a secret in \"%s\"", why);
}
#define CHECK(words, ...) check((struct application_conf){ __VA_ARGS__ }, words)

static void
addresses(void **unused)
{
	(void)unused;
	CHECK(NULL, .url = URL);
	CHECK(NULL, .url = "https://[::1]:8085/x/metrics?a=b");
	CHECK(NULL, .urls = LIST(URL, "http://b/metrics"));
	CHECK("url is missing", .url = NULL);
	CHECK("url is missing", .url = " , ");
	CHECK("not both", .url = URL, .urls = LIST("http://b/"));
	CHECK("http:// or https://", .url = "127.0.0.1:8085");
	CHECK("http:// or https://", .url = "file:///etc/passwd");
	CHECK("http:// or https://", .url = URL ",ftp://b/");
	CHECK("cannot be read", .url = "http://a:99999/");
	CHECK("cannot be read", .url = "http://");
	CHECK("username and password", .url = "http://u:hunter2@a/metrics");
	CHECK("twice", .url = URL "," URL);
	CHECK("same host, port and path", .url = "http://a/m,http://a:80/m");
	CHECK("same host, port and path", .url = "http://a/m,http://a/n,http://a/m?x=1");
	CHECK(NULL, .url = "http://a/m,http://a/n,https://a/m");
}

static void
instances_have_names_of_their_own(void **unused)
{
	struct application_address a[APPLICATION_INSTANCES_MAX];
	struct application_conf conf = {
		.url = "http://a/x, http://a:80/y,https://a/x,http://b:81/m?k=v",
		.urls = harness_none
	};
	char why[WHY_MAX];

	(void)unused;
	assert_int_equal(application_addresses_read(a, &conf, why), 4);
	assert_string_equal(a[0].shown, "a:80/x");
	assert_string_equal(a[1].shown, "a:80/y");
	assert_string_equal(a[2].shown, "a:443");
	assert_string_equal(a[3].shown, "b:81");
	assert_false(a[0].tls);
	assert_true(a[2].tls);
	application_addresses_free(a);
}

static void
there_are_not_too_many_instances(void **unused)
{
	struct buf b = BUF(1 << 16);

	(void)unused;
	for (int i = 0; i <= APPLICATION_INSTANCES_MAX; i++)
		buf_printf(&b, "http://h%d/,", i);
	buf_char(&b, '\0');
	CHECK("more than 64 instances", .url = b.ptr);
	buf_free(&b);
}

static void
credentials(void **unused)
{
	(void)unused;
	CHECK(NULL, .url = URL, .username = "u", .password = "hunter2");
	CHECK(NULL, .url = URL, .bearer_token = "hunter2");
	CHECK("either", .url = URL, .username = "u", .password = "p", .bearer_token = "hunter2");
	CHECK("username without", .url = URL, .username = "u");
	CHECK("password without", .url = URL, .password = "hunter2");
	CHECK("colon", .url = URL, .username = "u:v", .password = "hunter2");
	CHECK("control", .url = URL, .bearer_token = "hunter2\r\nX-Evil: 1");
}

static void
tls(void **unused)
{
	(void)unused;
	CHECK(NULL, .url = "https://a/", .tls.ca = "/ca", .tls.certificate = "/c", .tls.key = "/k");
	CHECK("for https://", .url = URL, .tls.ca = "/ca");
	CHECK("tls_key without", .url = "https://a/", .tls.key = "/k");
}

static void
families_and_names(void **unused)
{
	const char *many[APPLICATION_ADDED_MAX + 2] = { NULL };
	char names[APPLICATION_ADDED_MAX + 1][16];

	(void)unused;
	CHECK(NULL, .url = URL, .families = LIST("http_requests_total", "Go:x"));
	CHECK("families: a-b is not the name", .url = URL, .families = LIST("a-b"));
	CHECK("not the name", .url = URL, .families = LIST(""));
	CHECK("other metrics of this exporter", .url = URL, .families = LIST("redis_x"));
	CHECK("other metrics", .url = URL, .families = LIST("process_cpu_seconds_total"));
	CHECK("name the family", .url = URL, .families = LIST("x_bucket"));
	CHECK("given out already", .url = URL, .families = LIST("ws_errors_total"));
	CHECK("given out already", .url = URL, .families = LIST("ws_active_connections_total"));
	CHECK("stands twice", .url = URL, .families = LIST("x_total", "x_total"));
	CHECK("stands twice", .url = URL, .families = LIST("x", "x_total"));
	CHECK("stands twice", .url = URL, .families = LIST("x_total", "x"));
	for (int i = 0; i <= APPLICATION_ADDED_MAX; i++) {
		snprintf(names[i], sizeof names[i], "f%d", i);
		many[i] = names[i];
	}
	CHECK("more than 32", .url = URL, .families = many);
	many[APPLICATION_ADDED_MAX] = NULL;
	CHECK(NULL, .url = URL, .families = many);

	CHECK(NULL, .url = URL, .rename = LIST("sent=messages_sent_total", "x = ws_errors_total"));
	CHECK("old=new", .url = URL, .rename = LIST("sent"));
	CHECK("old=new", .url = URL, .rename = LIST("=messages_sent_total"));
	CHECK("no family", .url = URL, .rename = LIST("sent=nothing_like_that"));
	CHECK("keeps the page's name", .url = URL, .families = LIST("x"), .rename = LIST("y=x"));
	CHECK("has a meaning", .url = URL, .rename = LIST("ws_errors_total=messages_sent_total"));
	CHECK("has a meaning", .url = URL,
	    .rename = LIST("message_delivery_failures=messages_sent_total"));
	CHECK("stands twice", .url = URL,
	    .rename = LIST("x=ws_errors_total", "x=messages_sent_total"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(instances_have_names_of_their_own),
		cmocka_unit_test(there_are_not_too_many_instances),
		cmocka_unit_test(credentials),
		cmocka_unit_test(tls),
		cmocka_unit_test(families_and_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
