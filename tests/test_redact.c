/*
 * Redaction: addresses as people write them, and what is left to be shown.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Before cmocka, which has a macro named fail. */
#include "../config/options.h"
#include "stub_collector.h"

#include <cmocka.h>

static void
assert_redacted(const char *address, const char *expected)
{
	struct buf out = BUF(4096);
	options_redact(&out, address);
	buf_char(&out, '\0');
	assert_true(buf_ok(&out));
	assert_string_equal(out.ptr, expected);
	buf_free(&out);
}

static void
addresses_without_secrets_stay(void **state)
{
	(void)state;
	static const char *const addresses[] = { "",
		"postgresql://monitor@db:5432/chat?sslmode=require", "redis://cache:6379/0",
		"unix:///run/redis.sock", "host=/run/postgresql user=monitor", "k1:9092,k2:9092",
		"postgresql:///chat?host=/run/postgresql",
		"postgresql://a@h1:5432,h2:5433/db?target_session_attrs=any",
		"host=h passfile='/etc/x y'", "==", "://", "x://:@", "redis://[::1]:6379" };
	for (size_t i = 0; i < COUNT(addresses); i++)
		assert_redacted(addresses[i], addresses[i]);
}

static void
password_in_uri_is_hidden(void **state)
{
	(void)state;
	assert_redacted("postgresql://u:pw@h/db", "postgresql://u:***@h/db");
	assert_redacted("redis://:pw@h", "redis://:***@h");
	assert_redacted("redis://u:p:w@h:1/0", "redis://u:***@h:1/0");
	assert_redacted("postgresql://u:p@s/s?w#d@h/db", "postgresql://u:***@h/db");
	assert_redacted("postgresql://u:a@h1,h2:1/db?x=u@y", "postgresql://u:***@y");
	assert_redacted("u:pw@host:1", "u:***@host:1");
	assert_redacted("redis://a:1@h,redis://b:2@g", "redis://a:***@g");
}

static void
password_in_query_is_hidden(void **state)
{
	(void)state;
	assert_redacted("postgresql://h/db?password=pw&x=1", "postgresql://h/db?password=***&x=1");
	assert_redacted("postgresql://u:a@h/db?sslpassword=b c&x=1",
	    "postgresql://u:***@h/db?sslpassword=***&x=1");
	assert_redacted("postgresql://h/db?PassWord=a&sslpassword=b",
	    "postgresql://h/db?PassWord=***&sslpassword=***");
	assert_redacted("postgresql://h/db?pass%77ord=a", "postgresql://h/db?pass%77ord=***");
	assert_redacted("http://h/?access_token=abc&client-secret=d",
	    "http://h/?access_token=***&client-secret=***");
}

static void
password_among_keywords_is_hidden(void **state)
{
	(void)state;
	assert_redacted("host=h password=pw user=u", "host=h password=*** user=u");
	assert_redacted("host=h password = pw", "host=h password = ***");
	assert_redacted("password='a b' host=h", "password=*** host=h");
	assert_redacted("password='a \\' b' host=h", "password=*** host=h");
	assert_redacted("password='never closed host=h", "password=***");
	assert_redacted("password=two words host=h", "password=*** host=h");
	assert_redacted("password='it's x' host=h", "password=*** host=h");
	assert_redacted("password=a&b host=h", "password=*** host=h");
	assert_redacted("sslpassword=x\tpassword=y", "sslpassword=***\tpassword=***");
	assert_redacted("password=a@b:c host=h", "password=*** host=h");
	assert_redacted("password=", "password=");
}

static void
secrets_in_words_of_others_are_hidden(void **state)
{
	(void)state;
	const struct setting settings[] = { { "uri", "stub://u:inuri@h?password=inquery" },
		{ "password", "open\"sesame" }, { "kafka.sasl_password", "kpw" },
		{ "user", "stub://m:instring@h" }, { "nonsense", "x" } };
	struct buf out = BUF(4096);
	options_scrub(&out, "monitor: inuri inquery open\"sesame kpw x h instring", stub_options,
	    COUNT(stub_options), settings, COUNT(settings));
	buf_char(&out, '\0');
	assert_string_equal(out.ptr, "monitor: *** *** *** *** x h ***");
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_without_secrets_stay),
		cmocka_unit_test(password_in_uri_is_hidden),
		cmocka_unit_test(password_in_query_is_hidden),
		cmocka_unit_test(password_among_keywords_is_hidden),
		cmocka_unit_test(secrets_in_words_of_others_are_hidden),
	};
	return cmocka_run_group_tests_name("redact", tests, NULL, NULL);
}
