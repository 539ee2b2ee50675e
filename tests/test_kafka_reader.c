/*
 * The thread that reads records against librdkafka's own mock cluster: leaders
 * that move, brokers that go and come back, answers that are errors, and an end
 * at any moment.
 */
#include "kafka_harness.h"

#include <librdkafka/rdkafka_mock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

enum { BROKERS = 3, PARTITIONS = 6, FETCH = 1 };

static struct harness h;
static rd_kafka_t *producer;
static rd_kafka_mock_cluster_t *mock;

static int
setup(void **state)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char words[256];

	(void)state;
	harness_begin(&h);
	rd_kafka_conf_set(conf, "test.mock.num.brokers", "3", words, sizeof words);
	rd_kafka_conf_set(conf, "log_level", "0", words, sizeof words);
	producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, words, sizeof words);
	assert_non_null(producer);
	mock = rd_kafka_handle_mock_cluster(producer);
	for (unsigned i = 0; i < 2; i++) {
		const char *name = i == 0 ? "t" : "s";
		assert_int_equal(rd_kafka_mock_topic_create(mock, name, PARTITIONS, 1), 0);
		for (int32_t p = 0; p < PARTITIONS; p++)
			rd_kafka_mock_partition_set_leader(mock, name, p, p % BROKERS + 1);
	}
	h.conf.brokers = rd_kafka_mock_cluster_bootstraps(mock);
	h.conf.questions = 0;
	h.conf.tail_topics = "^t$";
	h.conf.sample_topics = "^s$";
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	harness_end(&h);
	rd_kafka_destroy(producer);
	return 0;
}

static void
produce(const char *topic, int count)
{
	static const char value[300];

	for (int32_t p = 0; p < PARTITIONS; p++)
		for (int i = 0; i < count; i++)
			assert_int_equal(
			    rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic),
				RD_KAFKA_V_PARTITION(p), RD_KAFKA_V_KEY("k", 1),
				RD_KAFKA_V_VALUE((void *)(uintptr_t)value, sizeof value),
				RD_KAFKA_V_END),
			    0);
	assert_int_equal(rd_kafka_flush(producer, 20000), 0);
}

static double
of(const char *name, const char *topic)
{
	char series[200];

	snprintf(series, sizeof series, "%s{target=\"events\",topic=\"%s\"}", name, topic);
	return harness_value(&h, series);
}

static void
until(const char *name, const char *topic, double value)
{
	for (int i = 0; i < 150; i++) {
		if (harness_scrape(&h, 5 * NS_PER_S) == DONE && of(name, topic) == value)
			return;
		usleep(100000);
	}
	fail_msg("%s of %s is %g, not %g", name, topic, of(name, topic), value);
}

static void
tail_sees_every_record(void **state)
{
	(void)state;
	produce("t", 5);
	until("queue_records_seen_total", "t", 0);
	for (int i = 1; i <= 3; i++) {
		produce("t", 20);
		until("queue_records_seen_total", "t", 20 * PARTITIONS * i);
	}
	assert_true(of("message_size_bytes_count", "t") == 60 * PARTITIONS);
	assert_true(of("message_size_bytes_sum", "t") == 60 * PARTITIONS * 300);
	assert_true(of("queue_messages_produced_total", "t") == 60 * PARTITIONS);
	assert_int_equal(h.outcome[KAFKA_OVERSIZES], DONE);
	assert_int_equal(h.outcome[KAFKA_DELIVERIES], ABSENT);
}

static void
sample_counts_what_was_produced(void **state)
{
	(void)state;
	produce("s", 5);
	until("queue_records_seen_total", "s", 5 * PARTITIONS);
	for (int i = 1; i <= 3; i++) {
		produce("s", 400);
		until("message_size_bytes_count", "s", 400 * PARTITIONS * i);
		assert_true(of("queue_messages_produced_total", "s") == 400 * PARTITIONS * i);
		until("queue_records_seen_total", "s",
		    5 * PARTITIONS + KAFKA_SAMPLE_RECORDS * PARTITIONS * i);
	}
}

static void
a_leader_that_moves_loses_nothing(void **state)
{
	(void)state;
	until("queue_records_seen_total", "t", 0);
	for (int i = 1; i <= 2; i++) {
		for (int32_t p = 0; p < PARTITIONS; p++)
			rd_kafka_mock_partition_set_leader(mock, "t", p, (p + i) % BROKERS + 1);
		produce("t", 10);
		until("queue_records_seen_total", "t", 10 * PARTITIONS * i);
	}
}

static void
a_broker_that_comes_back_is_read_on(void **state)
{
	(void)state;
	until("queue_records_seen_total", "t", 0);
	produce("t", 10);
	until("queue_records_seen_total", "t", 10 * PARTITIONS);
	rd_kafka_mock_broker_set_down(mock, 2);
	for (int i = 0; i < 3; i++)
		harness_scrape(&h, NS_PER_S);
	rd_kafka_mock_broker_set_up(mock, 2);
	produce("t", 10);
	until("queue_records_seen_total", "t", 20 * PARTITIONS);
}

static void
answers_that_are_errors_do_no_harm(void **state)
{
	static const rd_kafka_resp_err_t errors[] = {
		RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
		RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
		RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
		RD_KAFKA_RESP_ERR_UNKNOWN,
	};

	(void)state;
	until("queue_records_seen_total", "t", 0);
	for (unsigned i = 0; i < COUNT(errors); i++) {
		rd_kafka_mock_push_request_errors(mock, FETCH, 2, errors[i], errors[i]);
		produce("t", 10);
		until("queue_records_seen_total", "t", 10 * PARTITIONS * (i + 1));
	}
}

static void
what_may_not_be_read_is_not_zero(void **state)
{
	rd_kafka_resp_err_t errors[1000];

	(void)state;
	until("queue_records_seen_total", "t", 0);
	for (unsigned i = 0; i < COUNT(errors); i++)
		errors[i] = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
	rd_kafka_mock_push_request_errors_array(mock, FETCH, COUNT(errors), errors);
	produce("t", 10);
	for (int i = 0; i < 150 && h.outcome[KAFKA_SIZES] == DONE; i++) {
		harness_scrape(&h, 5 * NS_PER_S);
		usleep(100000);
	}
	assert_int_equal(h.outcome[KAFKA_SIZES], FAILED);
	assert_non_null(strstr(h.why[KAFKA_SIZES], "--operation Read --topic t"));
	assert_int_equal(h.outcome[KAFKA_OVERSIZES], FAILED);
	assert_int_equal(h.outcome[KAFKA_USERS], FAILED);
	assert_int_equal(h.outcome[KAFKA_DELIVERIES], ABSENT);
	assert_true(of("queue_records_seen_total", "t") == -1);
	assert_true(of("message_size_bytes_count", "t") == -1);
	assert_true(of("queue_records_seen_total", "s") == 0);
	rd_kafka_mock_clear_request_errors(mock, FETCH);
	until("queue_records_seen_total", "t", 10 * PARTITIONS);
	assert_int_equal(h.outcome[KAFKA_SIZES], DONE);
}

/* With records under way, or before anything has come. */
static void
it_ends_at_any_moment(void **state)
{
	(void)state;
	for (int i = 0; i < 6; i++) {
		produce("t", 200);
		assert_int_equal(harness_scrape(&h, 5 * NS_PER_S), DONE);
		usleep((useconds_t)i * 30000);
		int64_t begun = clock_ns();
		kafka_reader_stop(&h.state.records.reader);
		assert_true(clock_ns() - begun < 5 * NS_PER_S);
	}
}

static void
a_scrape_does_not_wait_for_it(void **state)
{
	(void)state;
	until("queue_records_seen_total", "t", 0);
	produce("t", 2000);
	for (int i = 0; i < 10; i++) {
		int64_t begun = clock_ns();
		assert_int_equal(harness_scrape(&h, 5 * NS_PER_S), DONE);
		assert_true(clock_ns() - begun < NS_PER_S);
	}
}

static void
off_there_is_no_thread(void **state)
{
	(void)state;
	h.conf.tail_topics = h.conf.sample_topics = NULL;
	assert_int_equal(harness_scrape(&h, 5 * NS_PER_S), DONE);
	assert_false(h.state.records.reader.started);
	assert_int_equal(h.outcome[KAFKA_SIZES], ABSENT);
	assert_string_equal(h.why[KAFKA_SIZES], "");
	assert_null(strstr(h.page.ptr, "message_size_bytes"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tail_sees_every_record),
		TEST(sample_counts_what_was_produced),
		TEST(a_leader_that_moves_loses_nothing),
		TEST(a_broker_that_comes_back_is_read_on),
		TEST(answers_that_are_errors_do_no_harm),
		TEST(what_may_not_be_read_is_not_zero),
		TEST(it_ends_at_any_moment),
		TEST(a_scrape_does_not_wait_for_it),
		TEST(off_there_is_no_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
