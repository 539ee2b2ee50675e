/*
 * kafka_tool.c - produces and consumes for the live tests, as Java tools take a
 * second to start.
 *
 *	kafka_tool BROKERS produce TOPIC COUNT RATE [PARTITION [AGE]]
 *	kafka_tool BROKERS consume GROUP TOPIC COUNT RATE [COMMIT_MS]
 *	kafka_tool BROKERS records TOPIC PARTITION CODEC plain|commit|abort
 *
 * RATE is messages per second, 0: as fast as it goes; COUNT 0: until SIGTERM.
 * Messages have one of ten keys.  AGE: seconds that their time stamps lie back.
 * A consumer says "assigned" when it has its partitions; at its end it says how
 * many messages it committed, and how many of them at what age or less.
 *
 * records reads lines SIZE KEY [SENT PATH] and produces one record for each, with
 * the headers sent-at and path where it has them, key - for none; all of them in
 * one transaction or in none.  A size of -1 is a record without a value.
 */
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t ended;

static const double bounds[] = { 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800 };
enum { BOUNDS = sizeof bounds / sizeof bounds[0] };
static long at_most[BOUNDS + 1];

static void
on_signal(int sig)
{
	(void)sig;
	ended = 1;
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "kafka_tool: %s: %s\n", what, why);
	exit(1);
}

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char why[256];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK)
		die(name, why);
}

static rd_kafka_t *
handle(rd_kafka_type_t type, rd_kafka_conf_t *conf, const char *brokers)
{
	char why[256];

	set(conf, "bootstrap.servers", brokers);
	set(conf, "log_level", "2");
	rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
	if (rk == NULL)
		die("rd_kafka_new", why);
	return rk;
}

/* Sleeps until message i of that rate is due. */
static void
keep_pace(double begun, long i, double rate)
{
	double left = begun + (double)i / rate - now();

	if (rate > 0 && left > 0)
		usleep((useconds_t)(left * 1e6) + 1);
}

/* ---- produce ---- */

static long failed;

static void
delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	(void)rk;
	(void)opaque;
	failed += m->err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static int
produce(const char *brokers, const char *topic, long count, double rate, int partition, double age)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	double begun = now();
	long i = 0;

	set(conf, "linger.ms", rate > 0 ? "1" : "5");
	rd_kafka_conf_set_dr_msg_cb(conf, delivered);
	rd_kafka_t *rk = handle(RD_KAFKA_PRODUCER, conf, brokers);
	for (; !ended && (count == 0 || i < count); i++) {
		keep_pace(begun, i, rate);
		char value[64], key[2] = { (char)('0' + i % 10), '\0' };
		int len = snprintf(value, sizeof value, "message %ld", i);
		rd_kafka_resp_err_t err;
		while ((err = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic),
			    RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_KEY(key, 1),
			    RD_KAFKA_V_VALUE(value, (size_t)len),
			    RD_KAFKA_V_TIMESTAMP((int64_t)((now() - age) * 1000)),
			    RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END)) ==
		       RD_KAFKA_RESP_ERR__QUEUE_FULL)
			rd_kafka_poll(rk, 100);
		if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
			die(topic, rd_kafka_err2str(err));
		rd_kafka_poll(rk, 0);
	}
	rd_kafka_flush(rk, 20000);
	rd_kafka_destroy(rk);
	printf("produced %ld failed %ld\n", i - failed, failed);
	return failed > 0;
}

/* ---- records ---- */

static void
must(rd_kafka_error_t *error, const char *what)
{
	if (error != NULL)
		die(what, rd_kafka_error_string(error));
}

/* Half of it compresses well. */
static char *
noise(size_t size)
{
	char *bytes = malloc(size);

	for (size_t i = 0; bytes != NULL && i < size; i++)
		bytes[i] = i % 2 ? 'x' : (char)rand();
	return bytes;
}

static rd_kafka_headers_t *
headers_of(const char *sent, const char *path)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(2);

	if (sent[0] != '\0')
		rd_kafka_header_add(headers, "sent-at", -1, sent, -1);
	if (path[0] != '\0')
		rd_kafka_header_add(headers, "path", -1, path, -1);
	return headers;
}

static void
produce_line(rd_kafka_t *rk, const char *topic, int partition, const char *line, char *bytes)
{
	char key[100], sent[100] = "", path[100] = "";
	rd_kafka_resp_err_t err;
	long size;

	if (sscanf(line, "%ld %99s %99s %99s", &size, key, sent, path) < 2)
		die(line, "not SIZE KEY [SENT PATH]");
	char *at = strcmp(key, "-") != 0 ? key : NULL, *value = size < 0 ? NULL : bytes;
	long len = size < 0 ? 0 : size;
	for (;;) {
		rd_kafka_headers_t *headers = headers_of(sent, path);
		err = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic),
		    RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_KEY(at, strlen(key)),
		    RD_KAFKA_V_VALUE(value, (size_t)len), RD_KAFKA_V_HEADERS(headers),
		    RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
		if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
			break;
		rd_kafka_headers_destroy(headers);
		if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			die(topic, rd_kafka_err2str(err));
		rd_kafka_poll(rk, 100);
	}
	rd_kafka_poll(rk, 0);
}

static int
records(const char *brokers, const char *topic, int partition, const char *codec, const char *how)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	bool transaction = strcmp(how, "plain") != 0;
	char *line = NULL, *bytes = noise(32 << 20);
	size_t cap = 0;
	long n = 0;

	set(conf, "compression.codec", codec);
	set(conf, "message.max.bytes", "64000000");
	set(conf, "linger.ms", "20");
	if (transaction)
		set(conf, "transactional.id", topic);
	rd_kafka_conf_set_dr_msg_cb(conf, delivered);
	rd_kafka_t *rk = handle(RD_KAFKA_PRODUCER, conf, brokers);
	if (transaction) {
		must(rd_kafka_init_transactions(rk, 20000), "init");
		must(rd_kafka_begin_transaction(rk), "begin");
	}
	for (; getline(&line, &cap, stdin) > 0; n++)
		produce_line(rk, topic, partition, line, bytes);
	rd_kafka_flush(rk, 60000);
	if (transaction && strcmp(how, "commit") == 0)
		must(rd_kafka_commit_transaction(rk, 20000), "commit");
	else if (transaction)
		must(rd_kafka_abort_transaction(rk, 20000), "abort");
	rd_kafka_destroy(rk);
	free(line);
	free(bytes);
	printf("produced %ld failed %ld\n", n - failed, failed);
	return failed > 0;
}

/* ---- consume ---- */

static void
rebalanced(
    rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *list, void *opaque)
{
	(void)opaque;
	bool assigned = err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
	rd_kafka_assign(rk, assigned ? list : NULL);
	if (assigned) {
		printf("assigned %d\n", list->cnt);
		fflush(stdout);
	}
}

/* Time stamps of the messages since the last commit. */
static double *waiting;
static long nwaiting;

static void
commit(rd_kafka_t *rk)
{
	if (nwaiting == 0)
		return;
	rd_kafka_resp_err_t err = rd_kafka_commit(rk, NULL, 0);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
		fprintf(stderr, "kafka_tool: commit: %s\n", rd_kafka_err2str(err));
		return;
	}
	double done = now();
	for (long i = 0; i < nwaiting; i++) {
		int b = 0;
		while (b < BOUNDS && done - waiting[i] > bounds[b])
			b++;
		at_most[b]++;
	}
	nwaiting = 0;
}

static long
consume_all(rd_kafka_t *rk, long count, double rate, double commit_every)
{
	double begun = 0, committed = now();
	long n = 0;

	while (!ended && (count == 0 || n < count)) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 20);
		if (m != NULL && m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
			if (begun == 0)
				begun = now();
			waiting = realloc(waiting, (size_t)(nwaiting + 1) * sizeof *waiting);
			waiting[nwaiting++] = (double)rd_kafka_message_timestamp(m, NULL) / 1000;
			keep_pace(begun, ++n, rate);
		}
		if (m != NULL)
			rd_kafka_message_destroy(m);
		if (now() - committed >= commit_every) {
			commit(rk);
			committed = now();
		}
	}
	commit(rk);
	return n;
}

static int
consume(const char *brokers, const char *group, const char *topic, long count, double rate,
    double commit_every)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	long sum = 0;

	set(conf, "group.id", group);
	set(conf, "enable.auto.commit", "false");
	set(conf, "auto.offset.reset", "earliest");
	set(conf, "session.timeout.ms", "6000");
	set(conf, "fetch.wait.max.ms", "10");
	rd_kafka_conf_set_rebalance_cb(conf, rebalanced);
	rd_kafka_t *rk = handle(RD_KAFKA_CONSUMER, conf, brokers);
	rd_kafka_poll_set_consumer(rk);
	rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
	rd_kafka_subscribe(rk, topics);
	rd_kafka_topic_partition_list_destroy(topics);
	long n = consume_all(rk, count, rate, commit_every);
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
	printf("consumed %ld\n", n);
	for (int i = 0; i <= BOUNDS; i++) {
		sum += at_most[i];
		printf("age %g %ld\n", i < BOUNDS ? bounds[i] : 1e9, sum);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	if (argc >= 6 && argc <= 8 && strcmp(argv[2], "produce") == 0)
		return produce(argv[1], argv[3], atol(argv[4]), atof(argv[5]),
		    argc > 6 ? atoi(argv[6]) : RD_KAFKA_PARTITION_UA, argc > 7 ? atof(argv[7]) : 0);
	if (argc >= 7 && argc <= 8 && strcmp(argv[2], "consume") == 0)
		return consume(argv[1], argv[3], argv[4], atol(argv[5]), atof(argv[6]),
		    argc > 7 ? atof(argv[7]) / 1000 : 0.1);
	if (argc == 7 && strcmp(argv[2], "records") == 0)
		return records(argv[1], argv[3], atoi(argv[4]), argv[5], argv[6]);
	fprintf(stderr,
	    "usage: kafka_tool BROKERS produce TOPIC COUNT RATE [PARTITION [AGE]]\n"
	    "       kafka_tool BROKERS consume GROUP TOPIC COUNT RATE [COMMIT_MS]\n"
	    "       kafka_tool BROKERS records TOPIC PARTITION CODEC plain|commit|abort\n");
	return 2;
}
