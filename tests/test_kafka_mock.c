/*
 * The whole collector against librdkafka's own mock cluster, which can be told
 * to answer wrongly: leaders that moved, brokers that are gone, coordinators
 * that are not.  What it does not know (lists of groups, offsets at times) is
 * tested on a real Kafka.
 */
#include "kafka_harness.h"

#include <librdkafka/rdkafka_mock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

enum { BROKERS = 3, PARTITIONS = 6, LIST_OFFSETS = 2, OFFSET_FETCH = 9 };

static struct harness h;
static rd_kafka_t *producer;
static rd_kafka_mock_cluster_t *mock;

static const char *const group_names[] = { "g", "h", NULL };

/* ---- the cluster ---- */

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
	assert_int_equal(rd_kafka_mock_topic_create(mock, "t", PARTITIONS, 1), 0);
	for (int32_t p = 0; p < PARTITIONS; p++)
		rd_kafka_mock_partition_set_leader(mock, "t", p, p % BROKERS + 1);
	h.conf.brokers = rd_kafka_mock_cluster_bootstraps(mock);
	h.conf.group_names = group_names;
	h.conf.questions = 0;
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
produce(int32_t partition, int count)
{
	while (count-- > 0)
		assert_int_equal(
		    rd_kafka_producev(producer, RD_KAFKA_V_TOPIC("t"),
			RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_VALUE("x", 1), RD_KAFKA_V_END),
		    0);
	assert_int_equal(rd_kafka_flush(producer, 10000), 0);
}

static void
commit(const char *group, int64_t offset)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS);
	char words[256];

	rd_kafka_conf_set(conf, "bootstrap.servers", h.conf.brokers, words, sizeof words);
	rd_kafka_conf_set(conf, "group.id", group, words, sizeof words);
	rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, words, sizeof words);
	assert_non_null(consumer);
	for (int32_t p = 0; p < PARTITIONS; p++)
		rd_kafka_topic_partition_list_add(list, "t", p)->offset = offset;
	assert_int_equal(rd_kafka_commit(consumer, list, 0), 0);
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_destroy(consumer);
}

static void
scrape(void)
{
	if (harness_scrape(&h, 5 * NS_PER_S) != DONE)
		fail_msg("lost: %s", h.sc.why);
}

static double
lag(const char *group)
{
	char series[200];

	snprintf(series, sizeof series,
	    "queue_processing_lag_messages{target=\"events\",group=\"%s\",topic=\"t\"}", group);
	return harness_value(&h, series);
}

static double
unread(void)
{
	return harness_value(&h, "queue_unread_partitions{target=\"events\",topic=\"t\"}");
}

/* 10 messages a partition, group g at 4 and group h at 1: two scrapes, as the
 * mock has to be asked partition by partition. */
static void
begin(void)
{
	for (int32_t p = 0; p < PARTITIONS; p++)
		produce(p, 10);
	commit("g", 4);
	commit("h", 1);
	scrape();
	scrape();
	assert_true(lag("g") == 36);
	assert_true(lag("h") == 54);
	assert_true(unread() == 0);
}

/* ---- tests ---- */

static void
named_groups_are_measured(void **state)
{
	(void)state;
	begin();
	assert_true(harness_value(&h, "queue_brokers{target=\"events\"}") == BROKERS);
	assert_int_equal(h.outcome[KAFKA_MEMBERS], ABSENT);
	commit("g", 9);
	scrape();
	assert_true(lag("g") == 6);
	assert_true(harness_value(&h, "message_age_in_queue_seconds_count"
				      "{target=\"events\",group=\"g\",topic=\"t\"}") == 30);
}

static void
without_names_it_says_what_to_do(void **state)
{
	(void)state;
	h.conf.group_names = NULL;
	scrape();
	assert_int_equal(h.outcome[KAFKA_CONSUMPTION], ABSENT);
	assert_non_null(strstr(h.why[KAFKA_CONSUMPTION], "group_names"));
	assert_int_equal(h.outcome[KAFKA_TOPICS], DONE);
}

static void
a_leader_that_moves_is_followed(void **state)
{
	(void)state;
	begin();
	rd_kafka_mock_partition_set_leader(mock, "t", 0, 2);
	produce(0, 5);
	scrape();
	assert_true(unread() == 0);
	assert_true(lag("g") == 41);
}

/* A call is all or nothing; halved, the answers come. */
static void
an_error_of_one_answer_costs_nothing_but_time(void **state)
{
	(void)state;
	begin();
	rd_kafka_mock_push_request_errors(
	    mock, LIST_OFFSETS, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
	scrape();
	assert_true(unread() == 0);
	assert_true(lag("g") == 36);
}

static void
a_broker_that_is_gone_costs_its_own_partitions(void **state)
{
	(void)state;
	begin();
	rd_kafka_mock_broker_set_down(mock, 3);
	for (int i = 0; i < 3; i++) {
		int64_t begun = clock_ns();
		scrape();
		assert_true(clock_ns() - begun < 5 * NS_PER_S);
		assert_true(unread() == 2);
		produce(0, 1);
	}
	rd_kafka_mock_broker_set_up(mock, 3);
	for (int i = 0; i < 20 && (unread() != 0 || lag("h") < 0); i++)
		scrape();
	assert_true(lag("g") == 39);
	assert_true(lag("h") == 57);
}

/* Without a group.id of its own librdkafka dies of this. */
static void
a_coordinator_that_moves_is_followed(void **state)
{
	static const rd_kafka_resp_err_t errors[] = {
		RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
		RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
		RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
		RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
	};

	(void)state;
	begin();
	for (unsigned i = 0; i < COUNT(errors); i++) {
		rd_kafka_mock_push_request_errors(mock, OFFSET_FETCH, 2, errors[i], errors[i]);
		rd_kafka_mock_coordinator_set(mock, "group", "g", 1 + (int32_t)i % BROKERS);
		scrape();
		for (int n = 0; n < 5 && lag("g") < 0; n++)
			scrape();
		assert_true(lag("g") == 36);
	}
}

/* Operations must outlive a broker that does not answer them in time: closing
 * the handle under them, or their time limit, has ended processes. */
static void
answers_that_come_late_do_no_harm(void **state)
{
	(void)state;
	begin();
	for (int i = 0; i < 3; i++) {
		for (int32_t b = 1; b <= BROKERS; b++)
			rd_kafka_mock_broker_set_rtt(mock, b, 400);
		for (int n = 0; n < 4; n++)
			harness_scrape(&h, 150 * NS_PER_MS);
		for (int32_t b = 1; b <= BROKERS; b++)
			rd_kafka_mock_broker_set_rtt(mock, b, 0);
		for (int n = 0; n < 20 && lag("g") != 36; n++)
			harness_scrape(&h, 2 * NS_PER_S);
		assert_true(lag("g") == 36);
	}
}

/* What was asked for before, and answered since, tells of the past. */
static void
an_answer_of_an_earlier_collection_is_not_taken(void **state)
{
	(void)state;
	rd_kafka_mock_coordinator_set(mock, "group", "g", 1);
	begin();
	rd_kafka_mock_broker_set_rtt(mock, 1, 1000);
	assert_int_equal(harness_scrape(&h, 1200 * NS_PER_MS), DONE);
	assert_true(lag("g") == -1);
	rd_kafka_mock_broker_set_rtt(mock, 1, 0);
	commit("g", 9);
	usleep(1000000);
	scrape();
	assert_true(lag("g") == 6);
}

static void
nobody_there_is_said_at_once(void **state)
{
	int64_t begun = clock_ns();

	(void)state;
	h.conf.brokers = "127.0.0.1:1";
	assert_int_equal(harness_scrape(&h, 5 * NS_PER_S), LOST);
	assert_non_null(strstr(h.sc.why, "refused"));
	assert_true(clock_ns() - begun < 3 * NS_PER_S);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(named_groups_are_measured),
		TEST(without_names_it_says_what_to_do),
		TEST(a_leader_that_moves_is_followed),
		TEST(an_error_of_one_answer_costs_nothing_but_time),
		TEST(a_broker_that_is_gone_costs_its_own_partitions),
		TEST(a_coordinator_that_moves_is_followed),
		TEST(answers_that_come_late_do_no_harm),
		TEST(an_answer_of_an_earlier_collection_is_not_taken),
		TEST(nobody_there_is_said_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
