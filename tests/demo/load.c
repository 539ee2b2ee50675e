/*
 * load.c - a small messaging backend that is not always well, so that every
 * metric of the demo moves: it stores messages in PostgreSQL through PgBouncer,
 * keeps conversations in Redis, hands deliveries on through Kafka; and now and
 * then it locks, deadlocks, spills to disk and stops consuming.
 *
 *	load work PGBOUNCER-URI POSTGRESQL-URI REDIS-PORT KAFKA-BROKERS
 *	load calm PGBOUNCER-URI POSTGRESQL-URI REDIS-PORT KAFKA-BROKERS
 *				the same without what is not well
 *	load kafka		a mock Kafka; prints its brokers, runs until killed
 */
#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	SENDERS = 6, /* more than the pool has connections */
	CONVERSATIONS = 200,
	KEYS = 6000, /* more than the cache has memory for */
	VALUE_MAX = 2000,
	PAUSE_MS = 60, /* between two messages of a sender */
	BROADCAST_EVERY_MS = 15000,
	BROADCAST = 45000, /* messages at once: more than 10000 a second */
	LOUD = 1000,       /* messages of one user at once: more than 600 a minute */
	PICTURE = 400000,  /* bytes: an oversized message */
	STALL_EVERY_S = 25,
	STALL_S = 8,
	TROUBLE_EVERY_MS = 1500,
	MOCK_BROKERS = 3,
	MOCK_PARTITIONS = 4,
};

static const char *const topics[] = { "messages", "receipts" };

static struct {
	const char *pool, *postgres, *brokers;
	int redis_port;
	rd_kafka_t *producer;
} backend;

static atomic_bool stop;
static bool calm;

static void
on_signal(int sig)
{
	(void)sig;
	atomic_store(&stop, true);
}

static void
pause_ms(int ms)
{
	for (int left = ms; left > 0 && !atomic_load(&stop); left -= 50) {
		int step = left < 50 ? left : 50;
		nanosleep(&(struct timespec){ .tv_nsec = step * 1000000L }, NULL);
	}
}

/* Small numbers come more often, as with real conversations and keys. */
static unsigned
skewed(unsigned *seed, unsigned below)
{
	double x = rand_r(seed) / ((double)RAND_MAX + 1);

	return (unsigned)(x * x * below);
}

/* ---- PostgreSQL ---- */

/* A good connection, or NULL when the program is to end. */
static PGconn *
reach(PGconn *c, const char *uri)
{
	while (!atomic_load(&stop)) {
		if (c != NULL && PQstatus(c) == CONNECTION_OK)
			return c;
		PQfinish(c);
		c = PQconnectdb(uri);
		if (PQstatus(c) != CONNECTION_OK)
			pause_ms(500);
	}
	PQfinish(c);
	return NULL;
}

/* An error is part of the show (deadlocks, lock timeouts), so it is not told. */
static void
query(PGconn *c, const char *sql)
{
	PQclear(PQexec(c, sql));
}

static void
store_message(PGconn *c, unsigned *seed)
{
	unsigned conversation = skewed(seed, CONVERSATIONS);
	char sql[512];

	snprintf(sql, sizeof sql,
	    "INSERT INTO messages (conversation, body)"
	    " VALUES (%u, repeat('m', %u))",
	    conversation, 20 + skewed(seed, 400));
	query(c, sql);
	snprintf(sql, sizeof sql,
	    "UPDATE conversations SET messages = messages + 1"
	    " WHERE id = %u",
	    conversation);
	query(c, sql);
	snprintf(sql, sizeof sql,
	    "SELECT id, body FROM messages WHERE conversation = %u"
	    " ORDER BY id DESC LIMIT 20",
	    conversation);
	query(c, sql);
	if (rand_r(seed) % 10 == 0) {
		snprintf(sql, sizeof sql,
		    "DELETE FROM messages WHERE id IN"
		    " (SELECT id FROM messages WHERE conversation = %u ORDER BY id LIMIT 5)",
		    conversation);
		query(c, sql);
	}
	if (rand_r(seed) % 40 == 0)
		query(c, "SELECT pg_sleep(random() / 10)");
}

/* ---- Redis ---- */

static redisContext *
reach_cache(redisContext *r)
{
	if (r != NULL && r->err == 0)
		return r;
	if (r != NULL)
		redisFree(r);
	return redisConnect("127.0.0.1", backend.redis_port);
}

static void
use_cache(redisContext *r, unsigned *seed)
{
	static char value[VALUE_MAX]; /* zeros will do */

	for (int i = 0; i < 10 && r != NULL && r->err == 0; i++) {
		unsigned key = skewed(seed, KEYS);
		redisReply *reply = redisCommand(r, "GET conversation:%u", key);
		bool miss = reply != NULL && reply->type == REDIS_REPLY_NIL;
		freeReplyObject(reply);
		if (miss)
			freeReplyObject(redisCommand(r, "SET conversation:%u %b EX 600", key, value,
			    (size_t)(100 + skewed(seed, VALUE_MAX - 100))));
	}
}

/* ---- Kafka ---- */

static rd_kafka_t *
kafka_new(rd_kafka_type_t type, const char *const *settings)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[256] = "";

	rd_kafka_conf_set(conf, "bootstrap.servers", backend.brokers, why, sizeof why);
	rd_kafka_conf_set(conf, "log_level", "2", why, sizeof why);
	for (; *settings != NULL; settings += 2)
		rd_kafka_conf_set(conf, settings[0], settings[1], why, sizeof why);
	rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
	if (rk == NULL) {
		fprintf(stderr, "load: kafka: %s\n", why);
		exit(1);
	}
	return rk;
}

static void
produce(const char *topic, unsigned user, size_t size)
{
	static char body[PICTURE];
	rd_kafka_vu_t message[] = {
		{ .vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic },
		{ .vtype = RD_KAFKA_VTYPE_KEY, .u.mem = { &user, sizeof user } },
		{ .vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = { body, size } },
		{ .vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY },
	};

	rd_kafka_error_destroy(rd_kafka_produceva(backend.producer, message, 4));
	rd_kafka_poll(backend.producer, 0);
}

/* One message to everybody: the rate jumps.  Then one user who cannot stop, and
 * who sends a picture. */
static void *
broadcast(void *unused)
{
	(void)unused;
	for (unsigned turn = 0; !atomic_load(&stop); turn++) {
		pause_ms(BROADCAST_EVERY_MS / 2);
		for (unsigned i = 0; i < BROADCAST && !atomic_load(&stop); i++)
			produce("receipts", i, 20);
		for (unsigned i = 0; i < LOUD && !atomic_load(&stop); i++)
			produce("messages", CONVERSATIONS + turn, 20);
		produce("messages", CONVERSATIONS + turn, PICTURE);
		pause_ms(BROADCAST_EVERY_MS / 2);
	}
	return NULL;
}

/* The group chat-delivery: reads at once, but stands still now and then. */
static void *
deliver(void *unused)
{
	static const char *const settings[] = { "group.id", "chat-delivery", "auto.offset.reset",
		"earliest", "auto.commit.interval.ms", "1000", NULL };
	rd_kafka_t *rk = kafka_new(RD_KAFKA_CONSUMER, settings);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(2);

	(void)unused;
	for (size_t i = 0; i < sizeof topics / sizeof *topics; i++)
		rd_kafka_topic_partition_list_add(list, topics[i], RD_KAFKA_PARTITION_UA);
	rd_kafka_poll_set_consumer(rk);
	rd_kafka_subscribe(rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	while (!atomic_load(&stop)) {
		if (!calm && time(NULL) % STALL_EVERY_S < STALL_S)
			pause_ms(200);
		else {
			rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 200);
			if (m != NULL)
				rd_kafka_message_destroy(m);
		}
	}
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
	return NULL;
}

/* ---- the backend ---- */

static void *
sender(void *number)
{
	unsigned seed = (unsigned)(size_t)number + 1;
	PGconn *c = NULL;
	redisContext *r = NULL;

	while ((c = reach(c, backend.pool)) != NULL) {
		unsigned user = skewed(&seed, CONVERSATIONS);
		store_message(c, &seed);
		r = reach_cache(r);
		use_cache(r, &seed);
		produce("messages", user, 50 + skewed(&seed, VALUE_MAX - 50));
		produce("receipts", user, 50);
		pause_ms(PAUSE_MS);
	}
	if (r != NULL)
		redisFree(r);
	return NULL;
}

/* Two transactions that wait for each other: one is ended by the server. */
static void
deadlock(PGconn *a, PGconn *b)
{
	query(a, "BEGIN; UPDATE conversations SET messages = messages WHERE id = 150");
	query(b, "BEGIN; UPDATE conversations SET messages = messages WHERE id = 151");
	PQsendQuery(a, "UPDATE conversations SET messages = messages WHERE id = 151");
	query(b, "UPDATE conversations SET messages = messages WHERE id = 150");
	query(b, "ROLLBACK");
	PGresult *result;
	while ((result = PQgetResult(a)) != NULL)
		PQclear(result);
	query(a, "ROLLBACK");
}

/* Senders queue up behind it, at the row and then at the pool. */
static void
hold_lock(PGconn *a)
{
	query(a, "BEGIN; SELECT * FROM conversations WHERE id < 20 FOR UPDATE");
	pause_ms(1200);
	query(a, "COMMIT");
}

static void
spill(PGconn *a)
{
	query(a, "SET work_mem = '64kB'; SELECT count(*) FROM"
		 " (SELECT i FROM generate_series(1, 50000) i ORDER BY md5(i::text)) s");
}

static void *
trouble(void *unused)
{
	PGconn *a = NULL, *b = NULL;

	(void)unused;
	for (unsigned turn = 0; (a = reach(a, backend.postgres)) != NULL; turn++) {
		if ((b = reach(b, backend.postgres)) == NULL)
			break;
		switch (turn % 3) {
		case 0: hold_lock(a); break;
		case 1: spill(a); break;
		case 2: deadlock(a, b); break;
		}
		pause_ms(TROUBLE_EVERY_MS);
	}
	PQfinish(a);
	PQfinish(b);
	return NULL;
}

static int
work(char **words)
{
	static const char *const settings[] = { "linger.ms", "5", NULL };
	static void *(*const others[])(void *) = { deliver, trouble, broadcast };
	enum { THREADS = SENDERS + sizeof others / sizeof *others };
	pthread_t thread[THREADS];
	size_t n = 0, wanted = calm ? SENDERS + 1 : THREADS;

	backend.pool = words[0];
	backend.postgres = words[1];
	backend.redis_port = (int)strtol(words[2], NULL, 10);
	backend.brokers = words[3];
	backend.producer = kafka_new(RD_KAFKA_PRODUCER, settings);
	for (size_t i = 0; i < wanted; i++)
		n += pthread_create(&thread[n], NULL, i < SENDERS ? sender : others[i - SENDERS],
			 (void *)i) == 0;
	if (n != wanted)
		atomic_store(&stop, true);
	for (size_t i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	rd_kafka_flush(backend.producer, 1000);
	rd_kafka_destroy(backend.producer);
	return n == wanted ? 0 : 1;
}

/* ---- where no Java is ---- */

static int
mock_kafka(void)
{
	backend.brokers = "127.0.0.1:1"; /* the handle itself connects nowhere */
	rd_kafka_t *rk = kafka_new(RD_KAFKA_PRODUCER, (const char *const[]){ NULL });
	rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(rk, MOCK_BROKERS);

	if (cluster == NULL)
		return 1;
	for (size_t i = 0; i < sizeof topics / sizeof *topics; i++)
		rd_kafka_mock_topic_create(cluster, topics[i], MOCK_PARTITIONS, 1);
	printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
	fflush(stdout);
	while (!atomic_load(&stop))
		pause();
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(rk);
	return 0;
}

int
main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	calm = argc > 1 && strcmp(argv[1], "calm") == 0;
	if (argc == 6 && (calm || strcmp(argv[1], "work") == 0))
		return work(argv + 2);
	if (argc == 2 && strcmp(argv[1], "kafka") == 0)
		return mock_kafka();
	fprintf(stderr,
	    "usage: load work|calm POOL-URI POSTGRESQL-URI REDIS-PORT BROKERS | load kafka\n");
	return 2;
}
