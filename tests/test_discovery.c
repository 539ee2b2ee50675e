/*
 * test_discovery.c - the page at /sd: whole, and for whom there is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "../exporter/discovery.h"

/* After ours: it defines fail as a macro. */
#include <cmocka.h>

#define LONG "abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"

static const struct collector redis = { .name = "redis" }, kafka = { .name = "kafka" };
static struct target cache = { .name = "cache", .collector = &redis };
static struct target events = { .name = "a.B_c:d-9", .collector = &kafka };

/* The page, or the sentence; the caller frees. */
static int
page(size_t ntargets, const char *host, struct buf *body)
{
	struct target *targets[] = { &cache, &events };
	struct fleet f = { .targets = targets, .ntargets = ntargets };

	*body = BUF(1 << 16);
	int code = discovery_page(&f, host, body);
	buf_char(body, '\0');
	assert_true(buf_ok(body));
	return code;
}

static void
every_target_is_an_entry(void **state)
{
	struct buf body;

	(void)state;
	assert_int_equal(page(2, "exporter-1:10071", &body), 200);
	assert_string_equal(body.ptr,
	    "[\n"
	    "{\"targets\":[\"exporter-1:10071\"],\"labels\":{\"__metrics_path__\":\"/probe\","
	    "\"__param_target\":\"cache\",\"target\":\"cache\","
	    "\"__meta_datatier_collector\":\"redis\"}},\n"
	    "{\"targets\":[\"exporter-1:10071\"],\"labels\":{\"__metrics_path__\":\"/probe\","
	    "\"__param_target\":\"a.B_c:d-9\",\"target\":\"a.B_c:d-9\","
	    "\"__meta_datatier_collector\":\"kafka\"}}\n"
	    "]\n");
	buf_free(&body);
	assert_int_equal(page(0, "exporter-1:10071", &body), 200);
	assert_string_equal(body.ptr, "[\n]\n");
	buf_free(&body);
}

static void
hosts_that_can_be_asked_are_taken_as_they_are(void **state)
{
	static const char *const hosts[] = { "localhost:10071", "localhost", "10.0.0.7:80",
		"a.b-c_d.example:65535", "[::1]:10071", "[2001:DB8::7]", "[::ffff:10.0.0.7]:1",
		LONG LONG LONG ":10071" };

	(void)state;
	for (size_t i = 0; i < COUNT(hosts); i++) {
		char expected[512];
		struct buf body;
		snprintf(expected, sizeof expected, "{\"targets\":[\"%s\"],", hosts[i]);
		if (page(1, hosts[i], &body) != 200 || strstr(body.ptr, expected) == NULL)
			fail_msg("Host: %s", hosts[i]);
		buf_free(&body);
	}
}

static void
other_hosts_are_refused_and_not_repeated(void **state)
{
	static const char *const hosts[] = { NULL, "", " ", ":", ":10071", "here:", "here:0",
		"here:65536", "here:100710", "here:-1", "here:+1", "here:1 ", "here:1e1",
		"here:10071:10071", "here:http", "::1", "::1:10071", "[]", "[]:10071", "[::1",
		"[::1]10071", "[::1]]:1", "[::1%eth0]:1", "[here]:1", "[[::1]]:1", "here]:1",
		"he re:1", "user@here:1", "here/path", "here?x", "here#x", "http://here",
		"here,there", "here\":1", "here\\:1", "\"},{\"targets\":[\"evil:1\"]", "here\t:1",
		"h\xc3\xb6re:1", "\xff\xfe:1", "here%00:1", "{{x}}:1", "$host:1",
		LONG LONG LONG LONG ":1" };

	(void)state;
	for (size_t i = 0; i < COUNT(hosts); i++) {
		struct buf body;
		if (page(2, hosts[i], &body) != 400)
			fail_msg("Host: %s", hosts[i]);
		assert_string_equal(
		    body.ptr, "The Host header must be HOST:PORT, the address of the exporter.");
		buf_free(&body);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_target_is_an_entry),
		cmocka_unit_test(hosts_that_can_be_asked_are_taken_as_they_are),
		cmocka_unit_test(other_hosts_are_refused_and_not_repeated),
	};

	return cmocka_run_group_tests_name("discovery", tests, NULL, NULL);
}
