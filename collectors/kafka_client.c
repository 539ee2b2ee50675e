/*
 * kafka_client.c - one librdkafka handle per target, in the only way that it
 * has survived outages of every kind:
 *
 *  - a consumer with a group.id that never subscribes: without one, the answer
 *    that a coordinator has moved ends the process;
 *  - an operation's own time limit must never run out (same end), so it is an
 *    hour, and a handle with a stuck operation is replaced long before;
 *  - never rd_kafka_query_watermark_offsets(): it ignores its time limit.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka.h"

enum { OPERATION_MS = 3600000 };

/* What the collector depends on. */
static const struct {
	const char *name, *value;
} ours[] = {
	{ "group.id", "datatier_exporter" },
	{ "enable.auto.commit", "false" },
	{ "enable.auto.offset.store", "false" },
	{ "allow.auto.create.topics", "false" },
	{ "socket.timeout.ms", "1500" },
	{ "socket.nagle.disable", "true" },
	{ "reconnect.backoff.ms", "50" },
	{ "reconnect.backoff.max.ms", "1000" },
	{ "topic.metadata.refresh.interval.ms", "-1" },
};

/* What the handle that reads records is made for besides: few bytes under way,
 * a record as soon as it is there, and never back to a log's start. */
static const struct {
	const char *name, *value;
} readers[] = {
	{ "topic.metadata.refresh.interval.ms", "30000" },
	{ "socket.timeout.ms", "10000" },
	{ "auto.offset.reset", "latest" },
	{ "enable.partition.eof", "true" },
	{ "check.crcs", "false" },
	{ "isolation.level", "read_uncommitted" },
	{ "fetch.wait.max.ms", "500" },
	{ "fetch.min.bytes", "1" },
	{ "queued.min.messages", "1000" },
	{ "statistics.interval.ms", "2000" },
};

static bool
is_one(const char *name, const char *const *names)
{
	while (*names != NULL && strcmp(*names, name) != 0)
		names++;
	return *names != NULL;
}

/* Null, or why the property cannot be set. */
static const char *
refusal(const char *name)
{
	static const char *const brokers[] = { "bootstrap.servers", "metadata.broker.list", NULL };
	static const char *const code[] = { "plugin.library.paths", NULL };

	if (is_one(name, brokers))
		return "is what the option brokers is for";
	if (is_one(name, code))
		return "would load foreign code into the exporter";
	for (size_t i = 0; i < COUNT(ours); i++)
		if (strcmp(ours[i].name, name) == 0)
			return "cannot be set, the exporter needs it as it is";
	return NULL;
}

/* librdkafka repeats the value in its words: it may be a secret. */
static void
without_value(char *words, const char *value)
{
	size_t len = strlen(value);

	for (char *at = words; len > 0 && (at = strstr(at, value)) != NULL;) {
		size_t star = len < 3 ? len : 3;
		memset(at, '*', star);
		memmove(at + star, at + len, strlen(at + len) + 1);
		at += star;
	}
}

void
kafka_client_say(
    char out[static WHY_MAX], const char *begin, const char *said, const struct kafka_conf *conf)
{
	char words[512];

	snprintf(words, sizeof words, "%s", said);
	for (const char *const *kv = conf->kafka; kv != NULL && kv[0] != NULL; kv += 2)
		if (strstr(kv[0], "password") != NULL || strstr(kv[0], "secret") != NULL)
			without_value(words, kv[1]);
	snprintf(out, WHY_MAX, "%s%.180s", begin, words);
}

static bool
set(rd_kafka_conf_t *rc, const char *name, const char *value, char why[static WHY_MAX])
{
	char words[512];

	if (rd_kafka_conf_set(rc, name, value, words, sizeof words) == RD_KAFKA_CONF_OK)
		return true;
	without_value(words, value);
	snprintf(why, WHY_MAX, "kafka.%s: %.180s", name, words);
	return false;
}

static bool
set_all(rd_kafka_conf_t *rc, const struct kafka_conf *conf, char why[static WHY_MAX])
{
	if (!set(rc, "client.id", "datatier_exporter", why))
		return false;
	for (const char *const *kv = conf->kafka; kv != NULL && kv[0] != NULL; kv += 2) {
		const char *no = refusal(kv[0]);
		if (no != NULL) {
			snprintf(why, WHY_MAX, "kafka.%s %s", kv[0], no);
			return false;
		}
		if (!set(rc, kv[0], kv[1], why))
			return false;
	}
	for (size_t i = 0; i < COUNT(ours); i++)
		if (!set(rc, ours[i].name, ours[i].value, why))
			return false;
	return set(rc, "bootstrap.servers", conf->brokers, why);
}

/* Called by librdkafka's own threads: all that matters comes as an error, too. */
static void
no_log(const rd_kafka_t *rk, int level, const char *facility, const char *words)
{
	(void)rk;
	(void)level;
	(void)facility;
	(void)words;
}

/* Called from kafka_client_listen(), in the target's thread. */
static void
error_happened(rd_kafka_t *rk, int err, const char *words, void *opaque)
{
	struct kafka_client *c = opaque;

	(void)rk;
	if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		c->down = true;
	else
		kafka_client_say(c->words, "", words, c->conf);
	/* These do not heal by waiting. */
	if (err == RD_KAFKA_RESP_ERR__AUTHENTICATION || err == RD_KAFKA_RESP_ERR__SSL)
		c->down = true;
}

rd_kafka_conf_t *
kafka_client_conf(const struct kafka_conf *conf, char why[static WHY_MAX])
{
	rd_kafka_conf_t *rc = rd_kafka_conf_new();

	if (set_all(rc, conf, why))
		return rc;
	rd_kafka_conf_destroy(rc);
	return NULL;
}

/* "host", "host:9092", "[::1]:9092", "sasl_ssl://host:9092". */
static bool
is_broker(struct text b)
{
	size_t colon = b.len;
	int64_t port;

	if (b.len == 0 || b.len > 255)
		return false;
	while (colon > 0 && strchr(":]/", b.ptr[colon - 1]) == NULL)
		colon--;
	if (colon == 0 || b.ptr[colon - 1] != ':')
		return colon < b.len || (colon > 0 && b.ptr[colon - 1] == ']');
	return colon > 1 && text_integer((struct text){ b.ptr + colon, b.len - colon }, &port) &&
	       port >= 1 && port <= 65535;
}

static bool
check_brokers(const char *brokers, char why[static WHY_MAX])
{
	struct text rest = text_of(brokers);

	while (rest.ptr != NULL) {
		struct text one = text_trim(text_cut(&rest, ','));
		if (is_broker(one))
			continue;
		snprintf(why, WHY_MAX, "brokers: \"%.*s\" is not HOST or HOST:PORT",
		    (int)(one.len < 100 ? one.len : 100), one.ptr);
		return false;
	}
	return true;
}

bool
kafka_check(const void *options, char why[static WHY_MAX])
{
	const struct kafka_conf *conf = options;

	if (!check_brokers(conf->brokers, why))
		return false;
	if (conf->oversized_medium >= conf->oversized_large ||
	    conf->oversized_large >= conf->oversized_huge) {
		snprintf(why, WHY_MAX,
		    "oversized_medium, oversized_large and oversized_huge do not rise");
		return false;
	}
	rd_kafka_conf_t *rc = kafka_client_conf(conf, why);
	if (rc == NULL)
		return false;
	rd_kafka_conf_destroy(rc);
	return true;
}

/* What was fetched and is not looked at yet must not take long to be read. */
static long long
clamp(long long bytes, long long most)
{
	return bytes < KAFKA_FETCH_LEAST ? KAFKA_FETCH_LEAST : bytes > most ? most : bytes;
}

long long
kafka_client_fetch_bytes(const struct kafka_conf *conf)
{
	return clamp(conf->read_bytes / 8, KAFKA_FETCH_BYTES);
}

/* Called from rd_kafka_poll(), in the reader's thread. */
static int
statistics_came(rd_kafka_t *rk, char *json, size_t len, void *opaque)
{
	static const char key[] = "\"rx_bytes\":";
	const char *at = memmem(json, len, key, sizeof key - 1);

	(void)rk;
	if (at != NULL)
		kafka_reader_received(opaque, strtod(at + sizeof key - 1, NULL));
	return 0;
}

static bool
set_reader(rd_kafka_conf_t *rc, const struct kafka_conf *conf, char why[static WHY_MAX])
{
	const struct {
		const char *name;
		long long value;
	} limits[] = {
		{ "fetch.message.max.bytes", kafka_client_fetch_bytes(conf) },
		/* Not below the other, or that one is what holds. */
		{ "message.max.bytes", kafka_client_fetch_bytes(conf) },
		{ "fetch.max.bytes", clamp(conf->read_bytes / 4, KAFKA_RESPONSE_BYTES) },
		{ "queued.max.messages.kbytes",
		    clamp(conf->read_bytes / 2, (long long)KAFKA_QUEUE_KBYTES << 10) >> 10 },
	};
	char number[24];

	for (size_t i = 0; i < COUNT(readers); i++)
		if (!set(rc, readers[i].name, readers[i].value, why))
			return false;
	for (size_t i = 0; i < COUNT(limits); i++) {
		snprintf(number, sizeof number, "%lld", limits[i].value);
		if (!set(rc, limits[i].name, number, why))
			return false;
	}
	rd_kafka_conf_set_log_cb(rc, no_log);
	return true;
}

/* The handle that rc makes; rc is gone in any case.  No secret in why. */
static rd_kafka_t *
make(rd_kafka_conf_t *rc, const struct kafka_conf *conf, char why[static WHY_MAX])
{
	char words[512];
	rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, rc, words, sizeof words);

	if (rk != NULL)
		return rk;
	rd_kafka_conf_destroy(rc);
	kafka_client_say(why, "librdkafka does not start with these settings: ", words, conf);
	return NULL;
}

rd_kafka_t *
kafka_client_reader(struct kafka_reader *r, char why[static WHY_MAX])
{
	rd_kafka_conf_t *rc = kafka_client_conf(r->conf, why);

	if (rc == NULL)
		return NULL;
	rd_kafka_conf_set_opaque(rc, r);
	rd_kafka_conf_set_stats_cb(rc, statistics_came);
	if (set_reader(rc, r->conf, why))
		return make(rc, r->conf, why);
	rd_kafka_conf_destroy(rc);
	return NULL;
}

bool
kafka_client_open(struct kafka_client *c, const struct kafka_conf *conf, char why[static WHY_MAX])
{
	char words[512];
	rd_kafka_conf_t *rc = kafka_client_conf(conf, why);

	if (rc == NULL)
		return false;
	c->conf = conf;
	c->down = false;
	c->words[0] = '\0';
	c->opened_at = clock_ns();
	rd_kafka_conf_set_opaque(rc, c);
	rd_kafka_conf_set_log_cb(rc, no_log);
	rd_kafka_conf_set_error_cb(rc, error_happened);
	c->rk = make(rc, conf, why);
	if (c->rk == NULL)
		return false;
	c->replies = rd_kafka_queue_new(c->rk);
	c->options = rd_kafka_AdminOptions_new(c->rk, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
	rd_kafka_AdminOptions_set_request_timeout(c->options, OPERATION_MS, words, sizeof words);
	return true;
}

void
kafka_client_close(struct kafka_client *c)
{
	if (c->rk == NULL)
		return;
	rd_kafka_AdminOptions_destroy(c->options);
	rd_kafka_queue_destroy(c->replies);
	rd_kafka_destroy_flags(c->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	c->rk = NULL;
}

void
kafka_client_listen(struct kafka_client *c)
{
	while (rd_kafka_poll(c->rk, 0) > 0)
		;
}
