/*
 * What the collector makes of metadata, lists of groups and offsets that come,
 * change and vanish; no librdkafka handle in it.
 */
#include "kafka_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct harness h;
static struct kafka_state *s;

/* ---- a cluster to tell of ---- */

enum { PARTITIONS = 4 };
static struct rd_kafka_metadata_topic topics[3];
static struct rd_kafka_metadata_partition partitions[3][PARTITIONS];
static double now;

static int
setup(void **state)
{
	(void)state;
	harness_begin(&h);
	s = &h.state.state;
	kafka_select_make(&h.state.topics, NULL, "^__", NULL);
	kafka_select_make(&h.state.groups, NULL, NULL, NULL);
	now = clock_unix() - 1000;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	harness_end(&h);
	return 0;
}

static struct rd_kafka_metadata_topic *
topic(unsigned i, const char *name, int n)
{
	topics[i] = (struct rd_kafka_metadata_topic){
		.topic = (char *)(uintptr_t)name, .partition_cnt = n, .partitions = partitions[i]
	};
	for (int p = 0; p < n; p++)
		partitions[i][p] = (struct rd_kafka_metadata_partition){
			.id = p, .leader = 1, .replica_cnt = 3, .isr_cnt = 3
		};
	return &topics[i];
}

static void
metadata(int ntopics)
{
	struct rd_kafka_metadata md = { .topic_cnt = ntopics, .topics = topics, .broker_cnt = 3 };

	s->now++;
	now += 10;
	assert_true(kafka_state_metadata(s, &h.state.topics, &md));
}

static void
groups(const char *a, const char *a_state, const char *b, const char *b_state)
{
	struct rd_kafka_group_info infos[] = {
		{ .group = (char *)(uintptr_t)a,
		    .state = (char *)(uintptr_t)a_state,
		    .member_cnt = 2,
		    .protocol_type = (char *)(uintptr_t) "consumer" },
		{ .group = (char *)(uintptr_t)b,
		    .state = (char *)(uintptr_t)b_state,
		    .protocol_type = (char *)(uintptr_t) "" },
	};
	struct rd_kafka_group_list list = { .groups = infos, .group_cnt = b != NULL ? 2 : 1 };

	assert_true(kafka_state_groups(s, &h.state.groups, &list, true));
}

/* The offsets of group i in partitions 0 on of that topic; negative: none. */
static void
committed(unsigned i, const char *name, int n, const int64_t *offsets)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);

	for (int p = 0; p < n; p++)
		rd_kafka_topic_partition_list_add(list, name, p)->offset = offsets[p];
	s->groups[i]->asked_at = now;
	assert_true(kafka_state_committed(s, s->groups[i], list, now));
	rd_kafka_topic_partition_list_destroy(list);
}

#define COMMITTED(i, name, ...)                                                                    \
	committed(                                                                                 \
	    i, name, COUNT(((const int64_t[]){ __VA_ARGS__ })), (const int64_t[]){ __VA_ARGS__ })

static void
watch(void)
{
	assert_true(kafka_account_watch(s, 4, now));
}

static void
ended(unsigned i, int partition, int64_t offset)
{
	kafka_state_end(s->topics[i], &s->topics[i]->partitions[partition], offset, now);
}

static void
account(void)
{
	kafka_account(s, kafka_age_metric, 100);
	harness_collect(&h);
}

static void
assert_series(const char *name, const char *labels, double value)
{
	char series[300];

	snprintf(series, sizeof series, "%s{target=\"events\"%s}", name, labels);
	double got = harness_value(&h, series);
	if (got != value)
		print_error("# %s is %.17g, not %.17g\n%s", series, got, value, h.page.ptr);
	assert_true(got == value);
}

#define GROUP ",group=\"g\",topic=\"t\""

/* Group g in topic t of one partition: this offset, and this end. */
static void
collection(int64_t offset, int64_t end)
{
	metadata(1);
	groups("g", "Stable", NULL, NULL);
	COMMITTED(0, "t", offset);
	watch();
	ended(0, 0, end);
	account();
}

/* ---- tests ---- */

static void
first_sight_counts_nothing(void **state)
{
	(void)state;
	topic(0, "t", 1);
	collection(40, 100);
	assert_series("queue_processing_lag_messages", GROUP, 60);
	assert_series("queue_messages_consumed_total", GROUP, 0);
	assert_series("message_age_in_queue_seconds_count", GROUP, 0);
	assert_series("queue_consumer_rate_per_second", GROUP, -1);
	assert_series("queue_messages_produced_total", ",topic=\"t\"", 0);
	assert_series("global_message_rate_per_second", "", -1);
	collection(70, 120);
	assert_series("queue_processing_lag_messages", GROUP, 50);
	assert_series("queue_messages_consumed_total", GROUP, 30);
	assert_series("message_age_in_queue_seconds_count", GROUP, 30);
	assert_series("queue_messages_produced_total", ",topic=\"t\"", 20);
	assert_series("global_message_rate_per_second", "", 2);
	assert_series("queue_consumer_rate_per_second", GROUP, 3);
}

static void
an_offset_set_back_is_a_new_beginning(void **state)
{
	(void)state;
	topic(0, "t", 1);
	collection(40, 100);
	collection(50, 100);
	collection(10, 100);
	assert_series("queue_offset_rewinds_total", GROUP, 1);
	assert_series("queue_messages_consumed_total", GROUP, 10);
	assert_series("queue_processing_lag_messages", GROUP, 90);
	collection(30, 100);
	assert_series("queue_messages_consumed_total", GROUP, 30);
	assert_series("queue_offset_rewinds_total", GROUP, 1);
}

static void
a_topic_created_again_is_a_new_beginning(void **state)
{
	(void)state;
	topic(0, "t", 1);
	collection(40, 100);
	collection(3, 5);
	assert_series("queue_offset_rewinds_total", GROUP, 0);
	assert_series("queue_messages_consumed_total", GROUP, 0);
	assert_series("queue_messages_produced_total", ",topic=\"t\"", 0);
	assert_series("queue_processing_lag_messages", GROUP, 2);
	collection(5, 9);
	assert_series("queue_messages_consumed_total", GROUP, 2);
	assert_series("queue_messages_produced_total", ",topic=\"t\"", 4);
}

static void
a_committed_offset_beyond_the_end_is_no_negative_lag(void **state)
{
	(void)state;
	topic(0, "t", 1);
	collection(40, 100);
	collection(500, 100);
	assert_series("queue_processing_lag_messages", GROUP, 0);
	assert_series("queue_messages_consumed_total", GROUP, 0);
	collection(60, 100);
	assert_series("queue_messages_consumed_total", GROUP, 0);
	collection(70, 100);
	assert_series("queue_messages_consumed_total", GROUP, 10);
}

static void
what_retention_took_is_lost_once(void **state)
{
	(void)state;
	topic(0, "t", 1);
	collection(40, 100);
	s->topics[0]->partitions[0].start = 60;
	collection(40, 100);
	assert_series("queue_messages_lost_total", GROUP, 20);
	collection(40, 100);
	assert_series("queue_messages_lost_total", GROUP, 20);
	s->topics[0]->partitions[0].start = 65;
	collection(40, 100);
	assert_series("queue_messages_lost_total", GROUP, 25);
	collection(80, 100);
	assert_series("queue_messages_lost_total", GROUP, 25);
	assert_series("queue_messages_consumed_total", GROUP, 15);
}

static void
topics_and_groups_vanish_at_once(void **state)
{
	(void)state;
	topic(0, "t", 1);
	topic(1, "u", 1);
	metadata(2);
	groups("g", "Empty", "h", "Stable");
	COMMITTED(0, "t", 1);
	COMMITTED(1, "u", 2);
	watch();
	ended(0, 0, 10);
	ended(1, 0, 10);
	account();
	assert_series("queue_processing_lag_messages", ",group=\"h\",topic=\"u\"", 8);
	collection(2, 10);
	assert_series("queue_processing_lag_messages", ",group=\"h\",topic=\"u\"", -1);
	assert_series("queue_partitions", ",topic=\"u\"", -1);
	assert_series("queue_consumer_group_members", ",group=\"h\"", -1);
	assert_series("queue_processing_lag_messages", GROUP, 8);
	/* Its offsets have expired. */
	collection(-1, 10);
	assert_series("queue_processing_lag_messages", GROUP, -1);
	assert_series("queue_consumer_group_members", ",group=\"g\"", 2);
}

static void
a_hung_leader_does_not_make_lag_fall(void **state)
{
	(void)state;
	topic(0, "t", 2);
	for (int i = 0; i < 3; i++) {
		metadata(1);
		groups("g", "Stable", NULL, NULL);
		COMMITTED(0, "t", 10, 20);
		watch();
		ended(0, 0, 100);
		if (i != 1)
			ended(0, 1, i == 0 ? 200 : 500);
		account();
		assert_series("queue_unread_partitions", ",topic=\"t\"", i == 1);
		assert_series("queue_processing_lag_messages", GROUP, i < 2 ? 270 : 570);
	}
	/* Over its own time: 300 messages in 20 seconds. */
	assert_series("global_message_rate_per_second", "", 15);
}

static void
a_group_without_an_answer_has_no_rows(void **state)
{
	(void)state;
	topic(0, "t", 1);
	collection(10, 100);
	metadata(1);
	groups("g", "Stable", NULL, NULL);
	watch();
	ended(0, 0, 200);
	account();
	assert_series("queue_processing_lag_messages", GROUP, -1);
	assert_int_equal(h.outcome[KAFKA_CONSUMPTION], FAILED);
	assert_int_equal(h.outcome[KAFKA_TOPICS], DONE);
	collection(60, 200);
	assert_series("queue_messages_consumed_total", GROUP, 50);
}

static void
a_list_that_is_not_complete_takes_no_group_away(void **state)
{
	struct rd_kafka_group_list none = { .group_cnt = 0 };

	(void)state;
	topic(0, "t", 1);
	collection(10, 100);
	metadata(1);
	assert_true(kafka_state_groups(s, &h.state.groups, &none, false));
	assert_int_equal(s->ngroups, 1);
	assert_true(kafka_state_groups(s, &h.state.groups, &none, true));
	assert_int_equal(s->ngroups, 0);
}

static void
a_group_that_two_brokers_list_is_one(void **state)
{
	(void)state;
	topic(0, "t", 1);
	metadata(1);
	groups("g", "Stable", "g", "Dead");
	assert_int_equal(s->ngroups, 1);
	COMMITTED(0, "t", 1);
	account();
	assert_series("queue_consumer_group_state", ",group=\"g\",state=\"stable\"", 1);
	assert_series("queue_consumer_group_members", ",group=\"g\"", 2);
}

/* As a group of Kafka 4's consumer protocol appears to the old question. */
static void
a_listed_group_is_not_dead(void **state)
{
	(void)state;
	topic(0, "t", 1);
	metadata(1);
	groups("g", "Dead", NULL, NULL);
	COMMITTED(0, "t", 1);
	watch();
	ended(0, 0, 9);
	account();
	assert_series("queue_processing_lag_messages", GROUP, 8);
	assert_series("queue_consumer_group_members", ",group=\"g\"", -1);
}

static void
partitions_may_become_more_and_fewer(void **state)
{
	(void)state;
	topic(0, "t", 1);
	collection(10, 100);
	topic(0, "t", 3);
	metadata(1);
	groups("g", "Stable", NULL, NULL);
	COMMITTED(0, "t", 20, -1, 5);
	watch();
	for (int p = 0; p < 3; p++)
		ended(0, p, 100);
	account();
	assert_series("queue_processing_lag_messages", GROUP, 175);
	assert_series("queue_messages_consumed_total", GROUP, 10);
	topic(0, "t", 1);
	metadata(1);
	groups("g", "Stable", NULL, NULL); /* without an answer for it */
	watch();
	ended(0, 0, 7);
	account();
	collection(3, 7);
	assert_series("queue_processing_lag_messages", GROUP, 4);
	assert_series("queue_messages_consumed_total", GROUP, 10);
}

static void
strange_metadata_and_offsets_do_no_harm(void **state)
{
	(void)state;
	topic(0, "t", 2);
	partitions[0][0].id = -5;
	partitions[0][1].id = INT32_MAX;
	topic(1, "u", 0);
	topic(2, "v", 1)->err = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
	metadata(3);
	assert_int_equal(s->ntopics, 1);
	groups("g", "Sideways", NULL, NULL);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(4);
	rd_kafka_topic_partition_list_add(list, "t", -1)->offset = 4;
	rd_kafka_topic_partition_list_add(list, "t", 99)->offset = 4;
	rd_kafka_topic_partition_list_add(list, "t", 1)->offset = INT64_MAX;
	rd_kafka_topic_partition_list_add(list, "nowhere", 0)->offset = 4;
	assert_true(kafka_state_committed(s, s->groups[0], list, now));
	rd_kafka_topic_partition_list_destroy(list);
	watch();
	ended(0, 1, INT64_MAX - 1);
	account();
	assert_series("queue_processing_lag_messages", GROUP, 0);
	assert_series("queue_consumer_group_state", ",group=\"g\",state=\"other\"", 1);
}

static void
an_error_that_passes_does_not_take_a_topic_away(void **state)
{
	(void)state;
	topic(0, "t", 1);
	collection(10, 100);
	topics[0].err = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
	topics[0].partition_cnt = 0;
	metadata(1);
	assert_int_equal(s->ntopics, 1);
	assert_int_equal(s->topics[0]->partitions[0].leader, -1);
	topics[0].err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	metadata(1);
	assert_int_equal(s->ntopics, 0);
}

static void
a_spike_is_counted_when_it_begins(void **state)
{
	static const struct {
		int64_t end;
		double spikes;
	} steps[] = {
		{ 0, 0 },
		{ 900, 0 },
		{ 2000, 1 },
		{ 9000, 1 },
		{ 9010, 1 },
		{ 90000, 2 },
	};

	(void)state;
	topic(0, "t", 1);
	for (unsigned i = 0; i < COUNT(steps); i++) {
		collection(0, steps[i].end);
		assert_series("message_rate_spike_total", "", steps[i].spikes);
	}
}

static void
only_what_is_selected_is_watched(void **state)
{
	struct kafka_select some, named;

	(void)state;
	assert_true(kafka_select_make(&some, "^chat-", "-test$", NULL));
	assert_true(kafka_selected(&some, "chat-a"));
	assert_false(kafka_selected(&some, "chat-test"));
	assert_false(kafka_selected(&some, "other"));
	assert_true(kafka_select_make(&named, "^chat-", NULL, (const char *const[]){ "x", NULL }));
	assert_true(kafka_selected(&named, "x"));
	assert_false(kafka_selected(&named, "chat-a"));
	regfree(&some.include);
	regfree(&some.exclude);
	regfree(&named.include);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(first_sight_counts_nothing),
		TEST(an_offset_set_back_is_a_new_beginning),
		TEST(a_topic_created_again_is_a_new_beginning),
		TEST(a_committed_offset_beyond_the_end_is_no_negative_lag),
		TEST(what_retention_took_is_lost_once),
		TEST(topics_and_groups_vanish_at_once),
		TEST(a_hung_leader_does_not_make_lag_fall),
		TEST(a_group_without_an_answer_has_no_rows),
		TEST(a_list_that_is_not_complete_takes_no_group_away),
		TEST(a_group_that_two_brokers_list_is_one),
		TEST(a_listed_group_is_not_dead),
		TEST(partitions_may_become_more_and_fewer),
		TEST(strange_metadata_and_offsets_do_no_harm),
		TEST(an_error_that_passes_does_not_take_a_topic_away),
		TEST(a_spike_is_counted_when_it_begins),
		cmocka_unit_test(only_what_is_selected_is_watched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
