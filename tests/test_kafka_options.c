/*
 * What the options of the Kafka collector accept, and in which words they
 * refuse: checked before anything is started.
 */
#include "kafka_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECRET "Sw0rdfish"

static char why[WHY_MAX];

static bool
check(const char *brokers, const char *name, const char *value)
{
	const char *const map[] = { name, value, NULL };
	struct kafka_conf conf = { .brokers = brokers,
		.kafka = map,
		.oversized_medium = 1,
		.oversized_large = 2,
		.oversized_huge = 3 };

	why[0] = '\0';
	return collector.check(&conf, why);
}

static void
brokers_are_hosts_and_ports(void **state)
{
	static const char *const good[] = { "a", "a:9092", "a:9092,b:9093", " a:1 , b ",
		"[::1]:9092", "[::1]", "10.0.0.1:9092", "sasl_ssl://a.example.com:9093" };
	static const char *const bad[] = { "", ",", "a,", ":9092", "a:", "a:0", "a:65536", "a:x",
		"a:9092:" };

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		if (!check(good[i], NULL, NULL))
			fail_msg("%s: %s", good[i], why);
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (check(bad[i], NULL, NULL))
			fail_msg("%s is taken", bad[i]);
		assert_non_null(strstr(why, "HOST:PORT"));
	}
}

/* A broker that refuses a password may say it again. */
static void
a_password_is_not_repeated(void **state)
{
	const char *const map[] = { "sasl.username", "me", "sasl.password", SECRET, NULL };
	struct kafka_conf conf = { .brokers = "a", .kafka = map };

	(void)state;
	kafka_client_say(why, "oh: ", "not me " SECRET "! " SECRET, &conf);
	assert_string_equal(why, "oh: not me ***! ***");
}

static void
sizes_must_rise(void **state)
{
	struct kafka_conf conf = {
		.brokers = "a", .oversized_medium = 5, .oversized_large = 5, .oversized_huge = 6
	};

	(void)state;
	assert_false(collector.check(&conf, why));
	assert_non_null(strstr(why, "oversized_large"));
	conf.oversized_large = 6;
	assert_false(collector.check(&conf, why));
	conf.oversized_huge = 7;
	assert_true(collector.check(&conf, why));
}

static void
properties_go_to_librdkafka(void **state)
{
	(void)state;
	assert_true(check("a", "security.protocol", "sasl_ssl"));
	assert_true(check("a", "sasl.password", SECRET));
	assert_true(check("a", "client.id", "somebody"));
}

static void
librdkafka_refuses_in_its_own_words(void **state)
{
	(void)state;
	assert_false(check("a", "sasl.pasword", SECRET));
	assert_string_equal(why, "kafka.sasl.pasword: No such configuration property: "
				 "\"sasl.pasword\"");
	assert_false(check("a", "security.protocol", SECRET));
	assert_non_null(strstr(why, "kafka.security.protocol: Invalid value"));
	assert_null(strstr(why, SECRET));
	assert_false(check("a", "fetch.wait.max.ms", "-" SECRET));
	assert_null(strstr(why, SECRET));
}

static void
what_the_collector_lives_by_cannot_be_set(void **state)
{
	static const char *const names[] = { "bootstrap.servers", "metadata.broker.list",
		"group.id", "enable.auto.commit", "socket.timeout.ms", "plugin.library.paths" };

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		if (check("a", names[i], "1500"))
			fail_msg("%s is taken", names[i]);
		assert_non_null(strstr(why, names[i]));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(brokers_are_hosts_and_ports),
		cmocka_unit_test(a_password_is_not_repeated),
		cmocka_unit_test(sizes_must_rise),
		cmocka_unit_test(properties_go_to_librdkafka),
		cmocka_unit_test(librdkafka_refuses_in_its_own_words),
		cmocka_unit_test(what_the_collector_lives_by_cannot_be_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
