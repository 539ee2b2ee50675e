/*
 * kafka_assign.c - which partitions the reader's handle reads, and from where.
 *
 * Partitions come and go one by one; the others are not disturbed.  Calls that
 * change what is read are never made under the lock.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kafka.h"
#include "kafka_reader.h"

/* ---- librdkafka ---- */

struct change {
	rd_kafka_topic_partition_list_t *end, *begin;
};

static struct change
change_begin(void)
{
	return (struct change){ rd_kafka_topic_partition_list_new(8),
		rd_kafka_topic_partition_list_new(8) };
}

static void
add(rd_kafka_topic_partition_list_t *list, const char *topic, int32_t partition, int64_t offset)
{
	rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
}

/* Either can only fail where our books and librdkafka's differ: then nothing is
 * assigned on both sides, and the next plan begins anew. */
static void
change_make(struct kafka_reader *r, struct change *c)
{
	rd_kafka_error_t *error = NULL;

	if (c->end->cnt > 0)
		error = rd_kafka_incremental_unassign(r->rk, c->end);
	if (error == NULL && c->begin->cnt > 0)
		error = rd_kafka_incremental_assign(r->rk, c->begin);
	if (error != NULL) {
		rd_kafka_error_destroy(error);
		rd_kafka_assign(r->rk, NULL);
		pthread_mutex_lock(&r->lock);
		kafka_assign_nothing(r);
		pthread_mutex_unlock(&r->lock);
	}
	rd_kafka_topic_partition_list_destroy(c->end);
	rd_kafka_topic_partition_list_destroy(c->begin);
}

/* ---- topics ---- */

static void
topic_free(struct kafka_read_topic *t)
{
	if (t != NULL) {
		free(t->parts);
		free(t->name);
	}
	free(t);
}

static struct kafka_read_topic *
topic_new(const struct kafka_plan_topic *p)
{
	struct kafka_read_topic *t = calloc(1, sizeof *t);

	if (t == NULL || (t->name = strdup(p->name)) == NULL) {
		free(t);
		return NULL;
	}
	t->id = p->id;
	t->tailed = p->tailed;
	return t;
}

static bool
topic_resize(struct kafka_read_topic *t, int32_t n)
{
	struct kafka_read_part *parts = realloc(t->parts, (size_t)n * sizeof *parts);

	if (parts == NULL)
		return false;
	t->parts = parts;
	for (; t->n < n; t->n++)
		parts[t->n] = (struct kafka_read_part){ .end_then = -1 };
	return true;
}

static void
forget_sample(struct kafka_reader *r, unsigned i)
{
	r->samples[i].topic->parts[r->samples[i].part].sample.active = false;
	r->samples[i] = r->samples[--r->nsamples];
}

static void
end_part(struct kafka_reader *r, struct kafka_read_topic *t, int32_t n, struct change *c)
{
	for (unsigned i = r->nsamples; i-- > 0;)
		if (r->samples[i].topic == t && r->samples[i].part == n)
			forget_sample(r, i);
	if (t->parts[n].assigned)
		add(c->end, t->name, n, RD_KAFKA_OFFSET_INVALID);
	t->parts[n].assigned = false;
}

static void
end_topic(struct kafka_reader *r, struct kafka_read_topic *t, struct change *c)
{
	for (int32_t n = 0; n < t->n; n++)
		end_part(r, t, n, c);
	topic_free(t);
}

/* The topics as the plan has them: those that are in both stay. */
static void
take_topics(struct kafka_reader *r, struct change *c)
{
	const struct kafka_plan *plan = r->current;
	struct kafka_read_topic **topics = calloc(plan->n + 1, sizeof *topics);
	size_t n = 0, old = 0;

	if (topics == NULL)
		return;
	for (size_t i = 0; i < plan->n; i++) {
		const struct kafka_plan_topic *p = &plan->topics[i];
		struct kafka_read_topic *t = NULL;
		while (old < r->ntopics && strcmp(r->topics[old]->name, p->name) < 0)
			end_topic(r, r->topics[old++], c);
		if (old < r->ntopics && strcmp(r->topics[old]->name, p->name) == 0) {
			t = r->topics[old++];
			if (t->id != p->id || t->n > p->n) {
				end_topic(r, t, c);
				t = NULL;
			}
		}
		if (t == NULL)
			t = topic_new(p);
		if (t != NULL)
			topics[n++] = t;
		if (t != NULL && t->n < p->n)
			topic_resize(t, p->n);
	}
	while (old < r->ntopics)
		end_topic(r, r->topics[old++], c);
	free(r->topics);
	r->topics = topics;
	r->ntopics = n;
}

static void
begin_tails(struct kafka_reader *r, const struct kafka_plan_topic *p, struct change *c)
{
	struct kafka_read_topic *t = kafka_reader_topic(r, p->name, p->id);

	for (int32_t n = 0; t != NULL && n < t->n && n < p->n; n++) {
		struct kafka_read_part *part = &t->parts[n];
		if (p->parts[n].again)
			end_part(r, t, n, c);
		if (part->assigned || !t->tailed || p->parts[n].end < 0)
			continue;
		part->assigned = true;
		part->next = p->parts[n].end;
		part->end_then = -1;
		add(c->begin, t->name, n, part->next);
	}
}

void
kafka_assign_plan(struct kafka_reader *r)
{
	struct change c = change_begin();

	pthread_mutex_lock(&r->lock);
	take_topics(r, &c);
	for (size_t i = 0; i < r->current->n; i++)
		begin_tails(r, &r->current->topics[i], &c);
	pthread_mutex_unlock(&r->lock);
	r->cursor = 0;
	change_make(r, &c);
}

/* ---- samples ---- */

static void
begin_sample(
    struct kafka_reader *r, struct kafka_read_topic *t, int32_t n, const struct kafka_plan_part *p)
{
	struct kafka_read_part *part = &t->parts[n];

	part->assigned = true;
	part->next = p->start;
	part->sample = (struct kafka_sample){ .to = p->to,
		.wanted = p->records,
		.until = clock_ns() + KAFKA_SAMPLE_S * NS_PER_S,
		.active = true };
	r->samples[r->nsamples].topic = t;
	r->samples[r->nsamples++].part = n;
	kafka_reader_charge(r, (double)r->fetch_bytes);
}

/* The samples of one topic of the plan; false: not all. */
static bool
begin_samples(struct kafka_reader *r, struct kafka_plan_topic *p, struct change *c)
{
	struct kafka_read_topic *t = kafka_reader_topic(r, p->name, p->id);

	for (int32_t n = 0; t != NULL && !p->tailed && n < t->n && n < p->n; n++) {
		struct kafka_plan_part *wanted = &p->parts[n];
		if (wanted->start >= wanted->to || t->parts[n].assigned || t->parts[n].sample.done)
			continue;
		if (r->nsamples == KAFKA_SAMPLES || pace_wait(&r->pace, clock_ns()) > 0)
			return false;
		begin_sample(r, t, n, wanted);
		add(c->begin, t->name, n, wanted->start);
		wanted->to = wanted->start;
	}
	return true;
}

void
kafka_assign_samples(struct kafka_reader *r)
{
	if (r->current == NULL || r->cursor >= r->current->n)
		return;
	struct change c = change_begin();
	pthread_mutex_lock(&r->lock);
	while (r->cursor < r->current->n && begin_samples(r, &r->current->topics[r->cursor], &c))
		r->cursor++;
	pthread_mutex_unlock(&r->lock);
	change_make(r, &c);
}

void
kafka_assign_sampled(struct kafka_reader *r)
{
	int64_t now = clock_ns();

	if (r->nsamples == 0)
		return;
	struct change c = change_begin();
	pthread_mutex_lock(&r->lock);
	for (unsigned i = r->nsamples; i-- > 0;) {
		struct kafka_read_topic *t = r->samples[i].topic;
		int32_t n = r->samples[i].part;
		const struct kafka_sample *s = &t->parts[n].sample;
		if (!s->done && now < s->until)
			continue;
		kafka_reader_charge(r, fmax(0, s->bytes - (double)r->fetch_bytes));
		end_part(r, t, n, &c);
	}
	pthread_mutex_unlock(&r->lock);
	change_make(r, &c);
}

/* ---- tails ---- */

/* The log end as the last answer of the broker had it. */
static int64_t
end_of(const struct kafka_reader *r, const struct kafka_read_topic *t, int32_t n)
{
	int64_t low, high;

	if (rd_kafka_get_watermark_offsets(r->rk, t->name, n, &low, &high) !=
	    RD_KAFKA_RESP_ERR_NO_ERROR)
		return -1;
	return high;
}

void
kafka_assign_skip(struct kafka_reader *r)
{
	struct change c = change_begin();

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->ntopics; i++)
		for (int32_t n = 0; n < r->topics[i]->n; n++) {
			struct kafka_read_topic *t = r->topics[i];
			struct kafka_read_part *part = &t->parts[n];
			if (!t->tailed || !part->assigned)
				continue;
			int64_t end = end_of(r, t, n);
			if (part->end_then > part->next && end > part->next) {
				add(c.end, t->name, n, RD_KAFKA_OFFSET_INVALID);
				add(c.begin, t->name, n, end);
				part->next = end;
				kafka_reader_charge(r, (double)r->fetch_bytes);
			}
			part->end_then = end;
		}
	pthread_mutex_unlock(&r->lock);
	change_make(r, &c);
}

/* ---- the end ---- */

void
kafka_assign_nothing(struct kafka_reader *r)
{
	while (r->nsamples > 0)
		forget_sample(r, 0);
	for (size_t i = 0; i < r->ntopics; i++)
		for (int32_t n = 0; n < r->topics[i]->n; n++)
			r->topics[i]->parts[n].assigned = false;
}

void
kafka_assign_free(struct kafka_reader *r)
{
	for (size_t i = 0; i < r->ntopics; i++)
		topic_free(r->topics[i]);
	free(r->topics);
	r->topics = NULL;
	r->ntopics = 0;
}
