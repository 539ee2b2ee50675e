/*
 * Addresses and options of a Redis target: what is understood, and what is
 * refused before anything starts.
 */
#include "redis_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char *
or_none(const char *s)
{
	return s != NULL ? s : "-";
}

static void
addresses_are_understood(void **unused)
{
	static const struct {
		struct redis_conf conf;
		const char *url, *shown, *user, *password, *socket;
	} table[] = {
		{ { .uri = "redis://cache" }, "http://cache:6379/", "cache:6379", "-", "-", "-" },
		{ { .uri = "redis://cache:7000/3" }, "http://cache:7000/", "cache:7000", "-", "-",
		    "-" },
		{ { .uri = "rediss://cache" }, "https://cache:6379/", "cache:6379", "-", "-", "-" },
		{ { .uri = "redis://[::1]:7" }, "http://[::1]:7/", "[::1]:7", "-", "-", "-" },
		{ { .uri = "redis://u:p@h:1" }, "http://h:1/", "h:1", "u", "p", "-" },
		{ { .uri = "redis://:p@h" }, "http://h:6379/", "h:6379", "-", "p", "-" },
		{ { .uri = "redis://u:p%40%2F%3A%20%25@h" }, "http://h:6379/", "h:6379", "u",
		    "p@/: %", "-" },
		{ { .uri = "redis://u@h", .password = "p" }, "http://h:6379/", "h:6379", "u", "p",
		    "-" },
		{ { .uri = "redis://h", .username = "u", .password = "p%40" }, "http://h:6379/",
		    "h:6379", "u", "p%40", "-" },
		{ { .uri = "redis://h", .username = "", .password = "" }, "http://h:6379/",
		    "h:6379", "-", "-", "-" },
		{ { .uri = "unix:///run/r.sock", .password = "p" }, "http://localhost/",
		    "/run/r.sock", "-", "p", "/run/r.sock" },
		{ { .uri = "rediss://h", .tls.ca = "a", .tls.certificate = "b", .tls.key = "c" },
		    "https://h:6379/", "h:6379", "-", "-", "-" },
		{ { .uri = "rediss://10.0.0.1:7", .tls_server_name = "cache.example" },
		    "https://cache.example:7/", "10.0.0.1:7", "-", "-", "-" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct redis_address a;
		char why[WHY_MAX] = "";
		if (!redis_address_read(&a, &table[i].conf, why))
			fail_msg("%s: %s", table[i].conf.uri, why);
		assert_string_equal(a.url, table[i].url);
		assert_string_equal(a.shown, table[i].shown);
		assert_string_equal(or_none(a.user), table[i].user);
		assert_string_equal(or_none(a.password), table[i].password);
		assert_string_equal(or_none(a.socket), table[i].socket);
		redis_address_free(&a);
		assert_true(redis_check(&table[i].conf, why));
	}
}

static void
what_cannot_be_meant_is_refused_without_the_secret(void **unused)
{
	static const struct {
		struct redis_conf conf;
		const char *words;
	} table[] = {
		{ { .uri = "cache:6379" }, "must begin with redis://" },
		{ { .uri = "http://cache" }, "must begin with redis://" },
		{ { .uri = "REDIS" }, "must begin with redis://" },
		{ { .uri = "redis://" }, "uri" },
		{ { .uri = "redis://:hush@" }, "uri" },
		{ { .uri = "redis://u:hush@h:port" }, "uri cannot be read" },
		{ { .uri = "redis://u:hush@h:70000" }, "uri cannot be read" },
		{ { .uri = "redis://u:hu sh@h" }, "uri cannot be read" },
		{ { .uri = "unix://run/redis.sock" }, "absolute path" },
		{ { .uri = "unix:///"
			   "a234567890123456789012345678901234567890123456789012345678901234567890"
			   "12345678901234567890123456789012345678" },
		    "too long" },
		{ { .uri = "redis://u:hush@h", .password = "hush" },
		    "password stands in uri as well" },
		{ { .uri = "redis://u:hush@h", .username = "v" },
		    "username stands in uri as well" },
		{ { .uri = "redis://u@h" }, "a user name without a password" },
		{ { .uri = "redis://h", .tls.ca = "ca.pem" }, "for rediss:// addresses" },
		{ { .uri = "unix:///r", .tls.certificate = "c.pem" }, "for rediss:// addresses" },
		{ { .uri = "redis://h", .tls_server_name = "h" }, "for rediss:// addresses" },
		{ { .uri = "rediss://h", .tls_server_name = "a/b" }, "is no host name" },
		{ { .uri = "rediss://h", .tls.key = "k.pem" }, "tls_key without tls_certificate" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(table); i++) {
		char why[WHY_MAX] = "";
		if (redis_check(&table[i].conf, why))
			fail_msg("%s was taken", table[i].conf.uri);
		if (strstr(why, table[i].words) == NULL)
			fail_msg("%s: \"%s\" does not say \"%s\"", table[i].conf.uri, why,
			    table[i].words);
		assert_null(strstr(why, "hush"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_understood),
		cmocka_unit_test(what_cannot_be_meant_is_refused_without_the_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
