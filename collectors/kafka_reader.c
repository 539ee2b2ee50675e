/*
 * kafka_reader.c - the thread that reads records: see kafka_reader.h.
 */
#include "kafka_reader.h"

#include <stdlib.h>
#include <string.h>

#include "kafka.h"

enum { STACK = 256 * 1024, BATCH = 500, BATCH_MS = 100 };

/* ---- the handle ---- */

static void
close_handle(struct kafka_reader *r)
{
	if (r->rk == NULL)
		return;
	rd_kafka_queue_destroy(r->queue);
	rd_kafka_destroy_flags(r->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	r->rk = NULL;
	r->received = r->charged = 0;
	pthread_mutex_lock(&r->lock);
	kafka_assign_nothing(r);
	pthread_mutex_unlock(&r->lock);
}

static bool
open_handle(struct kafka_reader *r)
{
	char why[WHY_MAX] = "";

	if (r->rk == NULL) {
		r->rk = kafka_client_reader(r, why);
		if (r->rk != NULL)
			r->queue = rd_kafka_queue_get_consumer(r->rk);
		pthread_mutex_lock(&r->lock);
		memcpy(r->why, why, sizeof r->why);
		pthread_mutex_unlock(&r->lock);
	}
	return r->rk != NULL;
}

/* ---- waiting ---- */

static void
wait_until(struct kafka_reader *r, int64_t at)
{
	struct timespec ts = { at / NS_PER_S, at % NS_PER_S };

	pthread_cond_timedwait(&r->wake, &r->lock, &ts);
}

/* Waits for a plan, or for leave to read on; false: the end.  *idle: nobody has
 * scraped for long. */
static bool
wait_for_work(struct kafka_reader *r, bool *planned, bool *idle)
{
	pthread_mutex_lock(&r->lock);
	*planned = *idle = false;
	while (!r->stop && !*planned && !*idle) {
		int64_t now = clock_ns(), wait = pace_wait(&r->pace, now);
		if (r->plan != NULL) {
			free(r->current);
			r->current = r->plan;
			r->plan = NULL;
			*planned = true;
		} else if (r->rk == NULL) {
			pthread_cond_wait(&r->wake, &r->lock);
		} else if (now - r->planned_at > KAFKA_IDLE_S * NS_PER_S) {
			*idle = true;
		} else if (wait > 0) {
			wait_until(r, now + wait);
		} else {
			break;
		}
	}
	bool go = !r->stop;
	pthread_mutex_unlock(&r->lock);
	return go;
}

/* ---- what it costs ---- */

void
kafka_reader_charge(struct kafka_reader *r, double bytes)
{
	pace_take(&r->pace, bytes);
	r->charged += bytes;
}

/* Records that were fetched and thrown away show here only; what was compressed
 * is paid for as it is without. */
void
kafka_reader_received(struct kafka_reader *r, double bytes)
{
	double more = bytes - r->received - r->charged;

	if (more > 0)
		pace_take(&r->pace, more);
	r->received = bytes;
	r->charged = 0;
}

/* ---- reading ---- */

static void
read_some(struct kafka_reader *r)
{
	rd_kafka_message_t *messages[BATCH];
	ssize_t n = rd_kafka_consume_batch_queue(r->queue, BATCH_MS, messages, BATCH);

	if (n <= 0)
		return;
	pthread_mutex_lock(&r->lock);
	for (ssize_t i = 0; i < n; i++)
		kafka_record(r, messages[i]);
	pthread_mutex_unlock(&r->lock);
	for (ssize_t i = 0; i < n; i++)
		rd_kafka_message_destroy(messages[i]);
}

/* Errors come as messages, too, and what librdkafka has to say besides would
 * only gather. */
static void
listen_to(struct kafka_reader *r)
{
	while (rd_kafka_poll(r->rk, 0) > 0)
		;
}

static void
look_around(struct kafka_reader *r)
{
	int64_t now = clock_ns();

	if (now >= r->window_end) {
		users_begin(&r->users, (uint64_t)r->conf->key_limit);
		r->window_end = now + r->conf->key_window;
	}
	if (now - r->looked_at >= KAFKA_BEHIND_S * NS_PER_S) {
		r->looked_at = now;
		kafka_assign_skip(r);
	}
}

static void *
run(void *arg)
{
	struct kafka_reader *r = arg;
	bool planned, idle;

	while (wait_for_work(r, &planned, &idle)) {
		if (idle) {
			close_handle(r);
			continue;
		}
		if (!open_handle(r))
			continue;
		if (planned)
			kafka_assign_plan(r);
		listen_to(r);
		look_around(r);
		kafka_assign_samples(r);
		read_some(r);
		kafka_assign_sampled(r);
	}
	close_handle(r);
	return NULL;
}

/* ---- from outside ---- */

static bool
start(struct kafka_reader *r, const struct kafka_conf *conf)
{
	pthread_condattr_t monotonic;
	pthread_attr_t attr;
	int64_t now = clock_ns();

	r->conf = conf;
	r->stop = false;
	r->fetch_bytes = kafka_client_fetch_bytes(conf);
	pace_begin(&r->pace, (double)conf->read_bytes, now);
	r->window_end = now + conf->key_window;
	r->looked_at = now;
	if (!users_begin(&r->users, (uint64_t)conf->key_limit))
		return false;
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&r->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	r->started = pthread_create(&r->thread, &attr, run, r) == 0;
	pthread_attr_destroy(&attr);
	return r->started;
}

bool
kafka_reader_plan(struct kafka_reader *r, const struct kafka_conf *conf, struct kafka_plan *plan)
{
	if (!r->started && !start(r, conf)) {
		free(plan);
		return false;
	}
	pthread_mutex_lock(&r->lock);
	free(r->plan);
	r->plan = plan;
	r->planned_at = clock_ns();
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	return true;
}

struct kafka_read_topic *
kafka_reader_topic(struct kafka_reader *r, const char *name, uint64_t id)
{
	size_t low = 0, high = r->ntopics;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(r->topics[middle]->name, name);
		if (order == 0)
			return id == 0 || r->topics[middle]->id == id ? r->topics[middle] : NULL;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

void
kafka_reader_stop(struct kafka_reader *r)
{
	if (!r->started)
		return;
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	kafka_assign_free(r);
	free(r->plan);
	free(r->current);
	users_free(&r->users);
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->wake);
	*r = (struct kafka_reader){ .started = false };
}
