/*
 * Options: what each type takes, what is stored, and what is said otherwise.
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

struct filled {
	struct stub_conf conf;
	char why[200];
	size_t fault;
	bool ok;
};

static struct filled
fill(const struct setting *settings, size_t n)
{
	struct filled f = { 0 };
	f.ok = options_fill(
	    stub_options, COUNT(stub_options), &f.conf, settings, n, f.why, sizeof f.why, &f.fault);
	return f;
}

static void
done(struct filled *f)
{
	options_free(stub_options, COUNT(stub_options), &f->conf);
}

#define FILL(...)                                                                                  \
	fill((const struct setting[]){ { "uri", "stub://h" }, __VA_ARGS__ },                       \
	    COUNT(((const struct setting[]){ { "uri", "stub://h" }, __VA_ARGS__ })))

static void
assert_list(const char *const *list, const char *expected)
{
	char joined[400] = "";
	for (; *list != NULL; list++) {
		size_t len = strlen(joined);
		snprintf(joined + len, sizeof joined - len, "[%s]", *list);
	}
	assert_string_equal(joined, expected);
}

static void
defaults_are_stored(void **state)
{
	(void)state;
	struct filled f = fill(&(struct setting){ "uri", "stub://h" }, 1);
	assert_true(f.ok);
	assert_string_equal(f.conf.uri, "stub://h");
	assert_string_equal(f.conf.user, "monitor");
	assert_null(f.conf.password);
	assert_string_equal(f.conf.topics, "^a|b$");
	assert_int_equal(f.conf.port, 99);
	assert_true(f.conf.ratio == 0.5);
	assert_int_equal(f.conf.timeout, 5 * NS_PER_S);
	assert_true(f.conf.tls);
	assert_list(f.conf.databases, "[one][two][three]");
	assert_list(f.conf.tags, "");
	assert_list(f.conf.kafka, "");
	done(&f);
}

static void
settings_are_stored(void **state)
{
	(void)state;
	struct filled f = FILL({ "port", "5432" }, { "ratio", "1" }, { "timeout", "250ms" },
	    { "tls", "Off" }, { "databases", "a,b" }, { "databases", "c" },
	    { "kafka.sasl_username", "u_1" }, { "tags", "" }, { "kafka.debug", "all" });
	assert_true(f.ok);
	assert_int_equal(f.conf.port, 5432);
	assert_true(f.conf.ratio == 1);
	assert_int_equal(f.conf.timeout, 250 * NS_PER_MS);
	assert_false(f.conf.tls);
	assert_list(f.conf.databases, "[a,b][c]");
	assert_list(f.conf.tags, "[]");
	assert_list(f.conf.kafka, "[sasl.username][u_1][debug][all]");
	done(&f);
}

static void
faults_say_what_was_expected(void **state)
{
	(void)state;
	static const struct {
		struct setting setting;
		const char *why;
	} cases[] = {
		{ { "port", "0" }, "port: must be a whole number from 1 to 65535, not \"0\"" },
		{ { "port", "5x" }, "port: must be a whole number from 1 to 65535, not \"5x\"" },
		{ { "port", "" }, "port: must be a whole number from 1 to 65535, not \"\"" },
		{ { "port", "99999999999999999999" },
		    "port: must be a whole number from 1 to 65535, not \"99999999999999999999\"" },
		{ { "ratio", "1.01" }, "ratio: must be a number from 0 to 1, not \"1.01\"" },
		{ { "ratio", "NaN" }, "ratio: must be a number from 0 to 1, not \"NaN\"" },
		{ { "timeout", "2m" }, "timeout: must be a duration (500ms, 5s, 10m, 1h) from "
				       "100ms to 1m, not \"2m\"" },
		{ { "timeout", "-1s" }, "timeout: must be a duration (500ms, 5s, 10m, 1h) from "
					"100ms to 1m, not \"-1s\"" },
		{ { "timeout", "1e300" }, "timeout: must be a duration (500ms, 5s, 10m, 1h) from "
					  "100ms to 1m, not \"1e300\"" },
		{ { "tls", "maybe" }, "tls: must be true or false, not \"maybe\"" },
		{ { "topics", "a(" },
		    "topics: must be a POSIX extended regular expression (Unmatched ( or \\(), not "
		    "\"a(\"" },
		{ { "kafka", "x" }, "kafka: no such option" },
		{ { "kafka.", "x" }, "kafka.: no such option" },
		{ { "port.x", "x" }, "port.x: no such option" },
		{ { "por", "x" }, "por: no such option" },
		{ { "uri", "again" }, "uri: given twice" },
		{ { "port", "stub://u:hunter2@h" },
		    "port: must be a whole number from 1 to 65535, not \"stub://u:***@h\"" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct filled f = FILL(cases[i].setting);
		assert_false(f.ok);
		assert_string_equal(f.why, cases[i].why);
		assert_int_equal(f.fault, 1);
		done(&f);
	}
}

static void
missing_option_is_named(void **state)
{
	(void)state;
	struct filled f = fill(NULL, 0);
	assert_false(f.ok);
	assert_string_equal(f.why, "uri: missing, it is required");
	assert_int_equal(f.fault, 0);
	done(&f);
	f = fill(&(struct setting){ "uri", "" }, 1);
	assert_false(f.ok);
	assert_string_equal(f.why, "uri: must not be empty, not \"\"");
	done(&f);
}

static void
number_alone_is_seconds(void **state)
{
	(void)state;
	struct filled f = FILL({ "timeout", "1.5" });
	assert_true(f.ok);
	assert_int_equal(f.conf.timeout, 1500 * NS_PER_MS);
	done(&f);
}

static void
range_may_have_one_end(void **state)
{
	(void)state;
	static const struct option at_least = { .name = "n", .type = OPT_INT, .min = 3 };
	char why[100];
	assert_true(option_check(&at_least, "9223372036854775807", why, sizeof why));
	assert_false(option_check(&at_least, "2", why, sizeof why));
	assert_string_equal(why, "must be a whole number of at least 3");
	static const struct option any = { .name = "n", .type = OPT_INT };
	assert_true(option_check(&any, "-9223372036854775808", why, sizeof why));
	assert_false(option_check(&any, "9223372036854775808", why, sizeof why));
}

static void
regex_that_is_too_long_is_refused(void **state)
{
	(void)state;
	char regex[1030], why[100];
	memset(regex, 'a', sizeof regex - 1);
	regex[sizeof regex - 1] = '\0';
	assert_false(option_check(
	    option_find(stub_options, COUNT(stub_options), "topics"), regex, why, sizeof why));
	regex[1024] = '\0';
	assert_true(option_check(
	    option_find(stub_options, COUNT(stub_options), "topics"), regex, why, sizeof why));
}

static void
secrets_are_not_said(void **state)
{
	(void)state;
	static const struct option map = { .name = "m", .type = OPT_MAP };
	static const struct option secret = { .name = "s", .type = OPT_SECRET };
	static const struct option address = { .name = "a", .type = OPT_ADDRESS };
	assert_true(option_secret(&map));
	assert_true(option_secret(&secret));
	assert_false(option_secret(&address));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_stored),
		cmocka_unit_test(settings_are_stored),
		cmocka_unit_test(faults_say_what_was_expected),
		cmocka_unit_test(missing_option_is_named),
		cmocka_unit_test(number_alone_is_seconds),
		cmocka_unit_test(range_may_have_one_end),
		cmocka_unit_test(regex_that_is_too_long_is_refused),
		cmocka_unit_test(secrets_are_not_said),
	};
	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
