/*
 * kafka_records.c - which records are to be read, and what was read as rows.
 *
 * Of a sampled topic the scrape counts what the log ends say; a sample of the
 * messages since the last one is on its way until the next scrape.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kafka.h"

/* ---- which topics ---- */

static bool
judge_options(struct kafka_records *r, const struct kafka_conf *conf)
{
	r->judged = kafka_select_make(&r->sample, conf->sample_topics, NULL, NULL) &&
		    kafka_select_make(&r->tail, conf->tail_topics, NULL, NULL);
	r->on = r->sample.has_include || r->tail.has_include;
	r->seed = (unsigned)clock_ns();
	return r->judged;
}

static bool
matches(const struct kafka_select *s, const char *name)
{
	return s->has_include && kafka_selected(s, name);
}

static bool
judge_topic(struct kafka_records *r, struct kafka_topic *t)
{
	bool tailed = matches(&r->tail, t->name);

	t->judged = true;
	if (!tailed && !matches(&r->sample, t->name))
		return true;
	if (r->topics >= KAFKA_READ_TOPICS_MAX ||
	    r->partitions + (size_t)t->n > KAFKA_READ_PARTITIONS_MAX)
		return true;
	t->reading = calloc(1, sizeof *t->reading);
	if (t->reading == NULL)
		return false;
	t->reading->id = ++r->last_id;
	t->reading->tailed = tailed;
	return true;
}

void
kafka_reading_free(struct kafka_reading *reading)
{
	if (reading != NULL)
		free(reading->parts);
	free(reading);
}

/* ---- where their logs end ---- */

static bool
resize(struct kafka_reading *reading, int32_t n)
{
	if (n < reading->n) {
		for (int32_t i = 0; i < reading->n; i++)
			reading->sizes.owed +=
			    (double)(reading->parts[i].upto - reading->parts[i].from);
		reading->n = 0;
	}
	if (n == reading->n)
		return true;
	struct kafka_reading_part *parts = realloc(reading->parts, (size_t)n * sizeof *parts);
	if (parts == NULL)
		return false;
	reading->parts = parts;
	for (; reading->n < n; reading->n++)
		parts[reading->n] = (struct kafka_reading_part){ .known = false };
	return true;
}

static void
take_end(struct kafka_reading *reading, int32_t n, const struct kafka_partition *p)
{
	struct kafka_reading_part *part = &reading->parts[n];

	if (!p->read)
		return;
	if (part->known && p->began_again) {
		reading->sizes.owed += (double)(part->upto - part->from);
		part->known = false;
	}
	if (!part->known)
		part->from = p->end;
	part->upto = p->end;
	part->known = true;
}

static bool
take_ends(struct kafka_records *r, struct kafka_state *s)
{
	r->topics = r->partitions = r->tailed = 0;
	for (size_t i = 0; i < s->ntopics; i++) {
		struct kafka_topic *t = s->topics[i];
		if (!t->judged && !judge_topic(r, t))
			return false;
		if (t->reading == NULL)
			continue;
		if (!resize(t->reading, t->n))
			return false;
		for (int32_t n = 0; n < t->n; n++)
			take_end(t->reading, n, &t->partitions[n]);
		r->topics++;
		r->partitions += (size_t)t->n;
		r->tailed += t->reading->tailed;
	}
	return true;
}

/* ---- what was read ---- */

static void
take_sample(struct kafka_reading *reading, int32_t n, struct kafka_sample *s)
{
	struct kafka_reading_part *part = &reading->parts[n];

	s->done = false;
	part->seen = true;
	/* Of a log that is gone. */
	if (!part->known || s->to > part->upto || s->to < part->from)
		return;
	sizes_sampled(&reading->sizes, kafka_size_metric, (double)(s->to - part->from), &s->sizes);
	part->from = s->to;
}

static void
take_topic(struct kafka_reader *reader, struct kafka_topic *t)
{
	struct kafka_reading *reading = t->reading;
	struct kafka_read_topic *from = kafka_reader_topic(reader, t->name, reading->id);

	if (from == NULL)
		return;
	reading->tally = from->tally;
	reading->denied = from->denied;
	if (reading->tailed)
		return;
	sizes_fade(&reading->sizes, kafka_size_metric);
	for (int32_t n = 0; n < reading->n && n < from->n; n++)
		if (from->parts[n].sample.done && !from->parts[n].assigned)
			take_sample(reading, n, &from->parts[n].sample);
}

static void
give_sizes(struct kafka_reading *reading)
{
	double unread = 0;

	for (int32_t n = 0; n < reading->n; n++)
		unread += (double)(reading->parts[n].upto - reading->parts[n].from);
	sizes_give(&reading->sizes, kafka_size_metric, unread);
}

static void
take_all(struct kafka_records *r, struct kafka_state *s)
{
	struct kafka_reader *reader = &r->reader;

	if (!reader->started)
		return;
	r->seen = 0;
	r->denied = 0;
	pthread_mutex_lock(&reader->lock);
	for (size_t i = 0; i < s->ntopics; i++)
		if (s->topics[i]->reading != NULL)
			take_topic(reader, s->topics[i]);
	r->deliveries = reader->deliveries;
	r->high_rate_users = reader->high_rate_users;
	memcpy(r->why, reader->why, sizeof r->why);
	pthread_mutex_unlock(&reader->lock);
	for (size_t i = 0; i < s->ntopics; i++) {
		struct kafka_reading *reading = s->topics[i]->reading;
		if (reading != NULL && !reading->tailed)
			give_sizes(reading);
		if (reading == NULL || !reading->tailed)
			continue;
		r->seen += reading->tally.seen;
		r->denied += reading->denied;
	}
}

/* ---- what is to be read ---- */

/* Somewhere in what is new, or, before there was anything new, the last that is
 * there, so that the first messages find a shape. */
static void
plan_sample(struct kafka_records *r, const struct kafka_reading_part *part, int64_t log_start,
    struct kafka_plan_part *plan)
{
	int64_t from = part->from;

	if (!part->known || (part->from == part->upto && part->seen))
		return;
	if (part->from == part->upto) {
		from = part->upto - plan->records;
		if (from < log_start || from < 0)
			from = log_start > 0 ? log_start : 0;
	}
	plan->to = part->upto;
	double room = (double)(plan->to - from - plan->records);
	plan->start = from + (room > 0 ? (int64_t)(room * rand_r(&r->seed) / RAND_MAX) : 0);
}

static void
plan_topic(struct kafka_records *r, const struct kafka_topic *t, struct kafka_plan_topic *plan)
{
	const struct kafka_reading *reading = t->reading;
	unsigned records = sizes_sample(&reading->sizes, kafka_size_metric);

	for (int32_t n = 0; n < t->n; n++) {
		const struct kafka_partition *p = &t->partitions[n];
		plan->parts[n] = (struct kafka_plan_part){
			.end = p->known ? p->end : -1,
			.again = p->read && p->began_again,
		};
		plan->parts[n].records = records;
		if (!reading->tailed)
			plan_sample(r, &reading->parts[n], p->start, &plan->parts[n]);
	}
}

/* One allocation: topics, partitions, names.  NULL: out of memory. */
static struct kafka_plan *
make_plan(struct kafka_records *r, const struct kafka_state *s)
{
	size_t n = r->topics, parts = r->partitions, names = 0;

	for (size_t i = 0; i < s->ntopics; i++)
		if (s->topics[i]->reading != NULL)
			names += strlen(s->topics[i]->name) + 1;
	struct kafka_plan *plan = malloc(sizeof *plan + n * sizeof plan->topics[0] +
					 parts * sizeof(struct kafka_plan_part) + names);
	if (plan == NULL)
		return NULL;
	struct kafka_plan_part *part = (struct kafka_plan_part *)(void *)(plan->topics + n);
	char *name = (char *)(part + parts);
	plan->n = 0;
	for (size_t i = 0; i < s->ntopics; i++) {
		const struct kafka_topic *t = s->topics[i];
		if (t->reading == NULL)
			continue;
		size_t len = strlen(t->name) + 1;
		struct kafka_plan_topic *to = &plan->topics[plan->n++];
		*to = (struct kafka_plan_topic){ .id = t->reading->id,
			.name = memcpy(name, t->name, len),
			.parts = part,
			.n = t->n,
			.tailed = t->reading->tailed };
		plan_topic(r, t, to);
		part += t->n;
		name += len;
	}
	return plan;
}

bool
kafka_records_collect(struct kafka *k, const struct kafka_conf *conf)
{
	struct kafka_records *r = &k->records;

	if (!r->judged && !judge_options(r, conf))
		return false;
	if (!r->on)
		return true;
	if (!take_ends(r, &k->state))
		return false;
	take_all(r, &k->state);
	if (r->topics == 0 && !r->reader.started)
		return true;
	struct kafka_plan *plan = make_plan(r, &k->state);
	return plan != NULL && kafka_reader_plan(&r->reader, conf, plan);
}

/* ---- rows ---- */

/* Of a topic that may not be read nothing is known, which is not zero. */
static enum outcome
judge_rights(struct scrape *sc)
{
	const struct kafka_state *s = &((const struct kafka *)sc->state)->state;
	const char *name = NULL;
	unsigned n = 0;

	for (size_t i = 0; i < s->ntopics; i++)
		if (s->topics[i]->reading != NULL && s->topics[i]->reading->denied) {
			name = s->topics[i]->name;
			n++;
		}
	if (n == 0)
		return DONE;
	return fail(FAILED, sc,
	    "%u of %zu topics may not be read: run kafka-acls.sh --add --allow-principal User:NAME "
	    "--operation Read --topic %s",
	    n, ((const struct kafka *)sc->state)->records.topics, name);
}

static bool
has_rows(const struct kafka_topic *t)
{
	return t->reading != NULL && !t->reading->denied;
}

static enum outcome
size_rows(struct scrape *sc, const struct group *g)
{
	const struct kafka_state *s = &((const struct kafka *)sc->state)->state;

	for (size_t i = 0; i < s->ntopics; i++) {
		const struct kafka_topic *t = s->topics[i];
		struct histogram sizes;
		if (!has_rows(t))
			continue;
		row(sc->sink, (struct text[]){ text_of(t->name) });
		if (!t->reading->tailed)
			age_round(&t->reading->sizes.given, &g->metrics[0], &sizes);
		put_histogram(sc->sink, &g->metrics[0],
		    t->reading->tailed ? &t->reading->tally.sizes : &sizes);
		put(sc->sink, &g->metrics[1], t->reading->tally.seen);
	}
	return judge_rights(sc);
}

static enum outcome
oversize_rows(struct scrape *sc, const struct group *g)
{
	const struct kafka_state *s = &((const struct kafka *)sc->state)->state;

	for (size_t i = 0; i < s->ntopics; i++) {
		const struct kafka_topic *t = s->topics[i];
		for (unsigned n = 0; n < KAFKA_OVERSIZED; n++) {
			if (!has_rows(t) || !t->reading->tailed)
				break;
			row(sc->sink,
			    (struct text[]){ text_of(t->name), text_of(g->labels[1].values[n]) });
			put(sc->sink, &g->metrics[0], t->reading->tally.oversized[n]);
		}
	}
	return judge_rights(sc);
}

static enum outcome
delivery_rows(struct scrape *sc, const struct group *g)
{
	const struct kafka_records *r = &((const struct kafka *)sc->state)->records;
	const struct kafka_conf *conf = sc->conf;

	if (conf->header_sent_at == NULL)
		return ABSENT;
	if (r->denied == r->tailed)
		return judge_rights(sc);
	if (r->seen > 0 && r->deliveries.number == 0)
		return fail(ABSENT, sc,
		    "no record that was read has a time in the header of the option "
		    "header_sent_at");
	for (unsigned i = 0; i < KAFKA_PATHS; i++) {
		const struct histogram *h = &r->deliveries.latency[i];
		const char *path = i < KAFKA_PATHS - 1 ? g->labels[0].values[i] : "other";
		if (i == KAFKA_PATHS - 1 && sizes_number(h, &g->metrics[0]) == 0)
			break;
		row(sc->sink, (struct text[]){ text_of(path) });
		put_histogram(sc->sink, &g->metrics[0], h);
	}
	return DONE;
}

enum outcome
kafka_record_rows(struct scrape *sc, const struct group *g)
{
	const struct kafka_records *r = &((const struct kafka *)sc->state)->records;

	if (!r->on)
		return ABSENT;
	if (r->why[0] != '\0')
		return fail(FAILED, sc, "%s", r->why);
	if (r->topics == 0)
		return fail(ABSENT, sc,
		    "no topic that is watched matches tail_topics or "
		    "sample_topics");
	if (g == &kafka_groups[KAFKA_SIZES])
		return size_rows(sc, g);
	if (r->tailed == 0)
		return fail(ABSENT, sc,
		    "sampled records do not tell this: "
		    "name topics in the option tail_topics");
	if (g == &kafka_groups[KAFKA_OVERSIZES])
		return oversize_rows(sc, g);
	if (g == &kafka_groups[KAFKA_DELIVERIES])
		return delivery_rows(sc, g);
	if (r->denied == r->tailed)
		return judge_rights(sc);
	row(sc->sink, NULL);
	put(sc->sink, &g->metrics[0], r->high_rate_users);
	return DONE;
}
