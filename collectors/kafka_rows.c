/*
 * kafka_rows.c - the state as rows: nothing is asked, nothing is counted here.
 */
#include <math.h>
#include <stdio.h>

#include "kafka.h"

/* A metric by its place in the group's table. */
static void
put_at(struct sink *sink, const struct group *g, unsigned metric, double value)
{
	put(sink, &g->metrics[metric], value);
}

static enum outcome
cluster_rows(struct scrape *sc, const struct group *g)
{
	const struct kafka_state *s = &((const struct kafka *)sc->state)->state;

	row(sc->sink, NULL);
	put_at(sc->sink, g, 0, s->brokers);
	if (s->rate_known)
		put_at(sc->sink, g, 1, s->rate);
	put_at(sc->sink, g, 2, s->spikes);
	return DONE;
}

static enum outcome
topic_rows(struct scrape *sc, const struct group *g)
{
	const struct kafka_state *s = &((const struct kafka *)sc->state)->state;

	for (size_t i = 0; i < s->ntopics; i++) {
		const struct kafka_topic *t = s->topics[i];
		unsigned known = 0, unread = 0;
		for (int32_t p = 0; p < t->n; p++) {
			known += t->partitions[p].known;
			unread += !t->partitions[p].read;
		}
		row(sc->sink, (struct text[]){ text_of(t->name) });
		if (known > 0)
			put_at(sc->sink, g, 0, t->produced);
		put_at(sc->sink, g, 1, t->n);
		put_at(sc->sink, g, 2, t->under_replicated);
		put_at(sc->sink, g, 3, unread);
	}
	return DONE;
}

/* ---- per group and topic ---- */

typedef void consumption_row(struct scrape *, const struct group *, const struct kafka_group *,
    const struct kafka_consumption *);

static void
consumption(struct scrape *sc, const struct group *g, const struct kafka_group *kg,
    const struct kafka_consumption *c)
{
	struct kafka_waiting w;
	struct histogram age;

	kafka_account_waiting(c, clock_unix(), &w);
	row(sc->sink, (struct text[]){ text_of(kg->name), text_of(c->topic->name) });
	if (w.known) {
		put_at(sc->sink, g, 0, w.lag);
		put_at(sc->sink, g, 4, w.oldest);
	}
	if (c->rate >= 0)
		put_at(sc->sink, g, 1, c->rate);
	put_at(sc->sink, g, 2, c->consumed);
	age_round(&c->age, &g->metrics[3], &age);
	put_histogram(sc->sink, &g->metrics[3], &age);
	put_at(sc->sink, g, 5, c->rewinds);
	put_at(sc->sink, g, 6, c->lost);
}

static void
waiting(struct scrape *sc, const struct group *g, const struct kafka_group *kg,
    const struct kafka_consumption *c)
{
	struct kafka_waiting w;

	kafka_account_waiting(c, clock_unix(), &w);
	for (unsigned i = 0; kafka_older[i] > 0 && w.known; i++) {
		if (w.older[i] < 0)
			continue;
		row(sc->sink, (struct text[]){ text_of(kg->name), text_of(c->topic->name),
				  text_of(g->labels[2].values[i]) });
		put_at(sc->sink, g, 0, round(w.older[i]));
	}
}

static void
position_rows(struct scrape *sc, const struct group *g, const struct kafka_group *kg,
    const struct kafka_consumption *c)
{
	for (int32_t i = 0; i < c->n && i < c->topic->n; i++) {
		const struct kafka_partition *p = &c->topic->partitions[i];
		int64_t committed = c->positions[i].committed;
		char number[16];
		if (committed < 0)
			continue;
		snprintf(number, sizeof number, "%d", (int)i);
		row(sc->sink,
		    (struct text[]){ text_of(kg->name), text_of(c->topic->name), text_of(number) });
		put_at(sc->sink, g, 0, (double)committed);
		if (p->known)
			put_at(sc->sink, g, 1, fmax(0, (double)(p->end - committed)));
	}
}

static enum outcome
each_consumption(struct scrape *sc, const struct group *g, consumption_row *emit)
{
	const struct kafka *k = sc->state;
	const struct kafka_state *s = &k->state;
	size_t answered = 0;

	for (size_t i = 0; i < s->ngroups; i++) {
		const struct kafka_group *kg = s->groups[i];
		if (kg->answered != s->now)
			continue;
		answered++;
		for (size_t n = 0; n < kg->nconsumptions; n++)
			emit(sc, g, kg, &kg->consumptions[n]);
	}
	if (s->ngroups == 0 && k->listing_err == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE)
		return fail(ABSENT, sc,
		    "the brokers cannot list their groups: "
		    "name them in the option group_names");
	if (s->ngroups == 0 && k->listing_err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return fail(FAILED, sc, "not every broker listed its groups: %s",
		    rd_kafka_err2str(k->listing_err));
	if (s->ngroups > 0 && answered == 0)
		return fail(FAILED, sc, "no group's offsets came: %s",
		    k->client.group_err != RD_KAFKA_RESP_ERR_NO_ERROR
			? rd_kafka_err2str(k->client.group_err)
			: "no answer in time");
	return DONE;
}

/* ---- per group ---- */

static enum outcome
group_rows(struct scrape *sc, const struct group *g, bool states)
{
	const struct kafka *k = sc->state;
	const struct kafka_state *s = &k->state;

	if (k->listing_err == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE)
		return fail(ABSENT, sc, "the brokers cannot list their groups");
	if (k->listing_err != RD_KAFKA_RESP_ERR_NO_ERROR &&
	    k->listing_err != RD_KAFKA_RESP_ERR__PARTIAL)
		return fail(FAILED, sc, "not every broker listed its groups: %s",
		    rd_kafka_err2str(k->listing_err));
	for (size_t i = 0; i < s->ngroups; i++) {
		const struct kafka_group *kg = s->groups[i];
		if (kg->described != s->now)
			continue;
		if (!states) {
			row(sc->sink, (struct text[]){ text_of(kg->name) });
			put_at(sc->sink, g, 0, kg->members);
			continue;
		}
		for (unsigned n = 0; kafka_states[n] != NULL; n++) {
			row(sc->sink,
			    (struct text[]){ text_of(kg->name), text_of(kafka_states[n]) });
			put_at(sc->sink, g, 0, kg->state == n);
		}
	}
	return DONE;
}

static enum outcome
partition_rows(struct scrape *sc, const struct group *g)
{
	const struct kafka_state *s = &((const struct kafka *)sc->state)->state;

	for (size_t i = 0; i < s->ntopics; i++)
		for (int32_t n = 0; n < s->topics[i]->n; n++) {
			const struct kafka_partition *p = &s->topics[i]->partitions[n];
			char number[16];
			snprintf(number, sizeof number, "%d", (int)n);
			row(sc->sink,
			    (struct text[]){ text_of(s->topics[i]->name), text_of(number) });
			if (p->read)
				put_at(sc->sink, g, 0, (double)p->end);
			if (p->leader >= 0)
				put_at(sc->sink, g, 1, p->leader);
		}
	return DONE;
}

enum outcome
kafka_rows(struct scrape *sc, const struct group *g)
{
	switch ((enum kafka_group_number)(g - kafka_groups)) {
	case KAFKA_CLUSTER: return cluster_rows(sc, g);
	case KAFKA_TOPICS: return topic_rows(sc, g);
	case KAFKA_CONSUMPTION: return each_consumption(sc, g, consumption);
	case KAFKA_WAITING: return each_consumption(sc, g, waiting);
	case KAFKA_MEMBERS: return group_rows(sc, g, false);
	case KAFKA_STATES: return group_rows(sc, g, true);
	case KAFKA_PARTITIONS: return partition_rows(sc, g);
	case KAFKA_POSITIONS: return each_consumption(sc, g, position_rows);
	case KAFKA_SIZES:
	case KAFKA_OVERSIZES:
	case KAFKA_USERS:
	case KAFKA_DELIVERIES: return kafka_record_rows(sc, g);
	case KAFKA_GROUPS: break;
	}
	return fail(FAILED, sc, "no such group of metrics");
}
