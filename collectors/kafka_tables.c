/*
 * kafka_tables.c - what the Kafka collector measures and takes as options.
 */
#include "kafka.h"

static const double age_bounds[] = { 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800 };

static const double size_bounds[] = { 100, 1e3, 1e4, 1e5, 1e6, 5e6, 1e7, 5e7 };
static const double delivery_bounds[] = { 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300 };

static const char *const size_values[] = { "medium", "large", "huge", NULL };
static const char *const path_values[] = { DELIVERY_PATHS, NULL };
static const char *const older_values[] = { "5", "10", "30", "60", "300", "1800", NULL };

/* clang-format off */
static const struct label topic_labels[] = { { .name = "topic" } };
static const struct label consumption_labels[] = { { .name = "group" }, { .name = "topic" } };
static const struct label waiting_labels[] = {
	{ .name = "group" }, { .name = "topic" }, { .name = "seconds", .values = older_values },
};
static const struct label member_labels[] = { { .name = "group" } };
static const struct label state_labels[] = {
	{ .name = "group" }, { .name = "state", .values = kafka_states },
};
static const struct label partition_labels[] = { { .name = "topic" }, { .name = "partition" } };
static const struct label position_labels[] = {
	{ .name = "group" }, { .name = "topic" }, { .name = "partition" },
};

static const struct label oversize_labels[] = {
	{ .name = "topic" }, { .name = "size_category", .values = size_values },
};
static const struct label delivery_labels[] = {
	{ .name = DELIVERY_PATH_LABEL, .values = path_values },
};

static const struct metric cluster_metrics[] = {
	{ .name = "queue_brokers", .type = GAUGE,
	  .help = "Brokers that the cluster counts as its own." },
	{ .name = "global_message_rate_per_second", .type = GAUGE,
	  .help = "Messages produced per second over all watched topics since the last collection, "
		  "by the advance of the log ends." },
	{ .name = "message_rate_spike_total", .type = COUNTER, .accumulated = true,
	  .help = "Times that global_message_rate_per_second rose above the option rate_limit." },
};

static const struct metric topic_metrics[] = {
	{ .name = "queue_messages_produced_total", .type = COUNTER, .accumulated = true,
	  .help = "Messages produced since the topic was first seen, by the advance of its log ends; "
		  "markers of transactions count, too." },
	{ .name = "queue_partitions", .type = GAUGE, .help = "Partitions of the topic." },
	{ .name = "queue_under_replicated_partitions", .type = GAUGE,
	  .help = "Partitions of the topic with fewer replicas in sync than they should have." },
	{ .name = "queue_unread_partitions", .type = GAUGE,
	  .help = "Partitions of the topic whose leader did not tell its log end in this collection; "
		  "lags are taken from the last one known." },
};

static const struct metric consumption_metrics[] = {
	{ .name = "queue_processing_lag_messages", .type = GAUGE,
	  .help = "Messages between the committed offsets of the group and the log ends of the topic." },
	{ .name = "queue_consumer_rate_per_second", .type = GAUGE,
	  .help = "Messages per second that the group committed since the last collection." },
	{ .name = "queue_messages_consumed_total", .type = COUNTER, .accumulated = true,
	  .help = "Messages that the group committed since it was first seen; offsets that are set "
		  "forward by hand count as consumed." },
	{ .name = "message_age_in_queue_seconds", .type = HISTOGRAM, .unit = "seconds",
	  .buckets = age_bounds, .nbuckets = COUNT(age_bounds), .accumulated = true,
	  .help = "Time from being produced to being committed by the group: the count is exact, the "
		  "buckets and the sum are estimated from how offsets moved between collections, no "
		  "finer than these and than the commits." },
	{ .name = "queue_oldest_message_age_seconds", .type = GAUGE, .unit = "seconds",
	  .help = "Age of the oldest message that the group has not committed, estimated and at least "
		  "as high where it is older than what was observed; 0 when none waits." },
	{ .name = "queue_offset_rewinds_total", .type = COUNTER, .accumulated = true,
	  .help = "Times that a committed offset of the group went back in a partition." },
	{ .name = "queue_messages_lost_total", .type = COUNTER, .accumulated = true,
	  .help = "Messages that retention deleted before the group had committed them." },
};

static const struct metric waiting_metrics[] = {
	{ .name = "queue_messages_waiting_older", .type = GAUGE,
	  .help = "Messages that the group has not committed and that are older than so many seconds: "
		  "exact to 5 % where the brokers were asked, else interpolated." },
};

static const struct metric member_metrics[] = {
	{ .name = "queue_consumer_group_members", .type = GAUGE,
	  .help = "Consumers that are members of the group; not told for groups of the consumer "
		  "protocol of Kafka 4." },
};

static const struct metric state_metrics[] = {
	{ .name = "queue_consumer_group_state", .type = GAUGE,
	  .help = "Whether the group is in this state, 1 or 0; not told for groups of the consumer "
		  "protocol of Kafka 4." },
};

static const struct metric partition_metrics[] = {
	{ .name = "queue_partition_end_offset", .type = GAUGE,
	  .help = "Offset of the next message of the partition." },
	{ .name = "queue_partition_leader", .type = GAUGE,
	  .help = "Number of the broker that leads the partition." },
};

static const struct metric position_metrics[] = {
	{ .name = "queue_partition_committed_offset", .type = GAUGE,
	  .help = "Offset that the group has committed in the partition." },
	{ .name = "queue_partition_lag_messages", .type = GAUGE,
	  .help = "Messages between the committed offset of the group and the log end of the "
		  "partition." },
};

static const struct metric size_metrics[] = {
	{ .name = "message_size_bytes", .type = HISTOGRAM, .unit = "bytes", .buckets = size_bounds,
	  .nbuckets = COUNT(size_bounds), .accumulated = true,
	  .help = "Size of the values of messages, before compression: in a topic of tail_topics every "
		  "record that was read, exactly; in one of sample_topics the count is that of the "
		  "messages produced, the buckets are estimated from a sample of each partition and "
		  "scrape, within .01 of the cumulative distribution, and the sum is uncertain where "
		  "few large messages carry it." },
	{ .name = "queue_records_seen_total", .type = COUNTER, .accumulated = true,
	  .help = "Records of the topic that were read; what is missing to "
		  "queue_messages_produced_total was not seen." },
};

static const struct metric oversize_metrics[] = {
	{ .name = "oversized_message_total", .type = COUNTER, .accumulated = true,
	  .help = "Records read whose value is larger than the option of that name, oversized_medium "
		  "and so on, and not larger than the next one." },
};

static const struct metric user_metrics[] = {
	{ .name = "high_rate_users_total", .type = COUNTER, .accumulated = true,
	  .help = "Times that a record key went above key_limit messages within a key_window, by what "
		  "was read: never one too many, and exact while the keys fit the counters, 1024 or "
		  "twice as many as keys can be above the limit." },
};

static const struct metric delivery_metrics[] = {
	{ .name = TOTAL_DELIVERY_NAME, .type = HISTOGRAM, .unit = "seconds",
	  .buckets = delivery_bounds, .nbuckets = COUNT(delivery_bounds), .accumulated = true,
	  .help = TOTAL_DELIVERY_HELP },
};

#define SHAPE(what) \
	.metrics = what##_metrics, .nmetrics = COUNT(what##_metrics)
#define LABELS(what) .labels = what##_labels, .nlabels = COUNT(what##_labels)

const struct group kafka_groups[KAFKA_GROUPS] = {
	[KAFKA_CLUSTER] = { .name = "cluster", SHAPE(cluster),
	  .about = "Metadata and log ends of all watched topics." },
	[KAFKA_TOPICS] = { .name = "topics", SHAPE(topic), LABELS(topic), .max_rows = 10000,
	  .about = "Metadata, and log ends by one request per leader." },
	[KAFKA_CONSUMPTION] = { .name = "consumption", SHAPE(consumption), LABELS(consumption),
	  .max_rows = 4000, .about = "Committed offsets against log ends, and how both moved." },
	[KAFKA_WAITING] = { .name = "waiting", SHAPE(waiting), LABELS(waiting), .max_rows = 24000,
	  .about = "Offsets at time stamps, for groups that have messages waiting." },
	[KAFKA_MEMBERS] = { .name = "members", SHAPE(member), LABELS(member), .max_rows = 5000,
	  .about = "The list of groups, and their descriptions." },
	[KAFKA_STATES] = { .name = "states", SHAPE(state), LABELS(state), .max_rows = 30000,
	  .about = "The list of groups, and their descriptions." },
	[KAFKA_PARTITIONS] = { .name = "partitions", SHAPE(partition), LABELS(partition),
	  .max_rows = 50000, .off = true, .about = "Log ends by partition." },
	[KAFKA_POSITIONS] = { .name = "positions", SHAPE(position), LABELS(position),
	  .max_rows = 50000, .off = true, .about = "Committed offsets by partition." },
	[KAFKA_SIZES] = { .name = "sizes", SHAPE(size), .labels = topic_labels,
	  .nlabels = COUNT(topic_labels), .max_rows = KAFKA_READ_TOPICS_MAX,
	  .about = "Records that are read: every one in tail_topics, some in sample_topics." },
	[KAFKA_OVERSIZES] = { .name = "oversizes", SHAPE(oversize), LABELS(oversize),
	  .max_rows = KAFKA_READ_TOPICS_MAX * KAFKA_OVERSIZED,
	  .about = "Records of tail_topics; a sample cannot count what is rare." },
	[KAFKA_USERS] = { .name = "users", SHAPE(user),
	  .about = "Record keys of tail_topics; hashes of them are kept for one window." },
	[KAFKA_DELIVERIES] = { .name = "deliveries", SHAPE(delivery), LABELS(delivery),
	  .about = "The header header_sent_at of records of tail_topics, against the record's own "
		   "time stamp." },
};

const struct metric *const kafka_age_metric = &consumption_metrics[3];
const struct metric *const kafka_size_metric = &size_metrics[0];
const struct metric *const kafka_delivery_metric = &delivery_metrics[0];

#define AT(field) .offset = offsetof(struct kafka_conf, field)

const struct option kafka_options[KAFKA_OPTIONS] = {
	{ .name = "brokers", .type = OPT_ADDRESS, AT(brokers), .required = true,
	  .help = "Brokers to begin with, HOST:PORT,HOST:PORT." },
	{ .name = "groups", .type = OPT_REGEX, AT(groups),
	  .help = "Watch the consumer groups whose name matches; all by default." },
	{ .name = "exclude_groups", .type = OPT_REGEX, AT(exclude_groups),
	  .help = "But not those whose name matches this." },
	{ .name = "group_names", .type = OPT_LIST, AT(group_names),
	  .help = "Watch these groups and no others; also where the brokers cannot list groups." },
	{ .name = "topics", .type = OPT_REGEX, AT(topics),
	  .help = "Watch the topics whose name matches; all by default." },
	{ .name = "exclude_topics", .type = OPT_REGEX, AT(exclude_topics), .def = "^__",
	  .help = "But not those whose name matches this; Kafka's own by default." },
	{ .name = "topic_names", .type = OPT_LIST, AT(topic_names),
	  .help = "Watch these topics and no others." },
	{ .name = "rate_limit", .type = OPT_NUMBER, AT(rate_limit), .def = "10000", .min = 0,
	  .max = 1e12,
	  .help = "Messages per second over all watched topics above which a spike is counted." },
	{ .name = "time_questions", .type = OPT_INT, AT(questions), .def = "4", .min = 0,
	  .max = QUESTIONS_MAX,
	  .help = "Time stamps asked for per partition and collection to date messages; 0 for brokers "
		  "that cannot look up offsets by time." },
	{ .name = "sample_topics", .type = OPT_REGEX, AT(sample_topics),
	  .help = "Read some records of the watched topics whose name matches, for the sizes of "
		  "messages; none by default." },
	{ .name = "tail_topics", .type = OPT_REGEX, AT(tail_topics),
	  .help = "Read every record of the watched topics whose name matches, for exact sizes, "
		  "oversized messages and keys; none by default." },
	{ .name = "read_bytes_per_second", .type = OPT_INT, AT(read_bytes), .def = "4194304",
	  .min = 65536, .max = 1e10,
	  .help = "Records are read at no more than so many bytes per second on average; what is more "
		  "is left out, and missing in queue_records_seen_total." },
	{ .name = "oversized_medium", .type = OPT_INT, AT(oversized_medium), .def = "262144",
	  .min = 1, .max = 1e10, .help = "A message of more bytes is a medium oversized one." },
	{ .name = "oversized_large", .type = OPT_INT, AT(oversized_large), .def = "1048576",
	  .min = 1, .max = 1e10, .help = "A message of more bytes is a large one." },
	{ .name = "oversized_huge", .type = OPT_INT, AT(oversized_huge), .def = "5242880",
	  .min = 1, .max = 1e10, .help = "A message of more bytes is a huge one." },
	{ .name = "key_limit", .type = OPT_INT, AT(key_limit), .def = "600", .min = 1, .max = 1e12,
	  .help = "Messages of one key in a key_window above which it is a user with a high rate." },
	{ .name = "key_window", .type = OPT_DURATION, AT(key_window), .def = "1m", .min = 1,
	  .max = 3600, .help = "Keys are counted anew after so long." },
	{ .name = "header_sent_at", .type = OPT_STRING, AT(header_sent_at),
	  .help = "Header of records of tail_topics that says when what was delivered had been sent, "
		  "in s, ms, us or ns since 1970; the record's own time stamp is when it was delivered." },
	{ .name = "header_delivery_path", .type = OPT_STRING, AT(header_delivery_path),
	  .help = "Header of such a record that says direct, queue_consumed or broadcast." },
	{ .name = "kafka", .type = OPT_MAP, AT(kafka),
	  .help = "Properties of librdkafka, as kafka.security_protocol or kafka.sasl_username." },
};
/* clang-format on */
