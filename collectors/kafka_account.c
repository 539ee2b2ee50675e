/*
 * kafka_account.c - what was produced, consumed and lost since the last
 * collection, and what waits.
 *
 * An advance is only counted between two offsets that this collector saw of one
 * and the same log.  What is seen for the first time, set back, or created again
 * is a new beginning: nothing is counted, nothing observed.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kafka.h"

const double kafka_older[] = { 5, 10, 30, 60, 300, 1800, 0 };

/* Of a topic whose partitions have just become fewer, the rest is void. */
static int32_t
positions(const struct kafka_consumption *c)
{
	return c->n < c->topic->n ? c->n : c->topic->n;
}

/* ---- before the log ends are asked for ---- */

/* The partition as it is watched in this collection; NULL: out of memory. */
static struct kafka_watch *
watched(const struct kafka_state *s, struct kafka_partition *p, unsigned questions)
{
	if (p->watch == NULL)
		p->watch = calloc(1, sizeof *p->watch);
	struct kafka_watch *w = p->watch;
	if (w == NULL || w->seen == s->now)
		return w;
	w->seen = s->now;
	w->lags = false;
	w->needed = INT64_MAX;
	w->questions.n = 0;
	w->questions.max = w->curve.n == 0 && questions > 0 ? QUESTIONS_FIRST : questions;
	return w;
}

static void
plan(struct kafka_watch *w, const struct kafka_partition *p, const struct kafka_position *pos,
    double now)
{
	if (!p->known || pos->committed < p->end)
		w->lags = true;
	if (w->curve.n == 0)
		ask_first(&w->questions, now);
	else if (pos->anchored)
		ask_progress(&w->questions, &w->curve,
		    (struct span){ (double)pos->before, (double)pos->committed }, kafka_older, now);
}

static bool
watch(struct kafka_state *s, const struct kafka_group *g, struct kafka_consumption *c,
    unsigned questions, double now)
{
	for (int32_t i = 0; i < positions(c); i++) {
		const struct kafka_position *pos = &c->positions[i];
		if (pos->committed < 0)
			continue;
		struct kafka_watch *w = watched(s, &c->topic->partitions[i], questions);
		if (w == NULL)
			return false;
		if (pos->committed < w->needed)
			w->needed = pos->committed;
		if (g->answered == s->now)
			plan(w, &c->topic->partitions[i], pos, now);
	}
	return true;
}

bool
kafka_account_watch(struct kafka_state *s, unsigned questions, double now)
{
	for (size_t i = 0; i < s->ngroups; i++)
		for (size_t k = 0; k < s->groups[i]->nconsumptions; k++)
			if (!watch(s, s->groups[i], &s->groups[i]->consumptions[k], questions, now))
				return false;
	for (size_t i = 0; i < s->ntopics; i++)
		for (int32_t n = 0; n < s->topics[i]->n; n++) {
			struct kafka_partition *p = &s->topics[i]->partitions[n];
			if (p->watch != NULL && p->watch->seen != s->now) {
				free(p->watch);
				p->watch = NULL;
			}
		}
	return true;
}

/* ---- after all answers ---- */

static double
most(int64_t a, int64_t b)
{
	return (double)(a > b ? a : b);
}

/* Messages below the log's start can no longer be read. */
static void
count_lost(struct kafka_consumption *c, struct kafka_position *pos, const struct kafka_partition *p)
{
	if (p->start <= pos->committed || p->start <= pos->lost_to)
		return;
	c->lost += (double)p->start - most(pos->committed, pos->lost_to);
	pos->lost_to = p->start;
}

static void
anchor(struct kafka_position *pos, const struct kafka_partition *p)
{
	pos->anchored = true;
	pos->before = pos->committed;
	pos->lost_to = p->start;
}

static void
account_position(
    const struct kafka_group *g, struct kafka_consumption *c, int32_t i, const struct metric *age)
{
	struct kafka_position *pos = &c->positions[i];
	const struct kafka_partition *p = &c->topic->partitions[i];
	/* Left over from a topic of that name that is gone. */
	bool beyond = p->read && pos->committed > p->end;

	if (pos->committed < 0) {
		pos->anchored = false;
		return;
	}
	if (!pos->anchored || p->began_again || beyond) {
		anchor(pos, p);
		return;
	}
	if (pos->committed < pos->before) {
		c->rewinds++;
		anchor(pos, p);
		return;
	}
	double from = most(pos->before, pos->lost_to), to = (double)pos->committed;
	if (to > from) {
		c->consumed += to - from;
		if (p->watch != NULL && p->watch->curve.n > 0 && g->at > g->before_at)
			age_observe(&p->watch->curve, (struct span){ from, to },
			    (struct span){ g->before_at, g->at }, &c->age, age);
	}
	count_lost(c, pos, p);
}

static void
take_rate(struct kafka_consumption *c, double at)
{
	double window = at - c->rate_at;

	if (c->rate_at > 0 && window >= 0 && window < KAFKA_RATE_WINDOW_MS / 1000.0)
		return;
	if (c->rate_at > 0 && window > 0)
		c->rate = (c->consumed - c->rate_consumed) / window;
	c->rate_at = at;
	c->rate_consumed = c->consumed;
}

static void
account_group(struct kafka_group *g, const struct metric *age)
{
	for (size_t k = 0; k < g->nconsumptions; k++) {
		struct kafka_consumption *c = &g->consumptions[k];
		for (int32_t i = 0; i < positions(c); i++)
			account_position(g, c, i, age);
		take_rate(c, g->at);
	}
}

/* Each partition over its own time: one that could not be read for a while has
 * not produced it all at once. */
static double
partition_rate(struct kafka_partition *p)
{
	double rate = 0;

	if (!p->read)
		return 0;
	if (p->rate_at > 0 && p->at > p->rate_at && p->end > p->rate_end)
		rate = (double)(p->end - p->rate_end) / (p->at - p->rate_at);
	p->rate_at = p->at;
	p->rate_end = p->end;
	return rate;
}

static void
account_rate(struct kafka_state *s, double limit)
{
	double rate = 0, now = 0;

	for (size_t i = 0; i < s->ntopics; i++)
		for (int32_t p = 0; p < s->topics[i]->n; p++)
			if (s->topics[i]->partitions[p].read)
				now = fmax(now, s->topics[i]->partitions[p].at);
	double window = now - s->rate_at;
	if (now <= 0 || (s->rate_at > 0 && window >= 0 && window < KAFKA_RATE_WINDOW_MS / 1000.0))
		return;
	for (size_t i = 0; i < s->ntopics; i++)
		for (int32_t p = 0; p < s->topics[i]->n; p++)
			rate += partition_rate(&s->topics[i]->partitions[p]);
	s->rate_known = s->rate_at > 0;
	s->rate = rate;
	s->rate_at = now;
	bool above = rate > limit;
	if (above && !s->above)
		s->spikes++;
	s->above = above;
}

void
kafka_account(struct kafka_state *s, const struct metric *age, double rate_limit)
{
	for (size_t i = 0; i < s->ngroups; i++)
		if (s->groups[i]->answered == s->now)
			account_group(s->groups[i], age);
	account_rate(s, rate_limit);
	for (size_t i = 0; i < s->ntopics; i++)
		for (int32_t n = 0; n < s->topics[i]->n; n++) {
			struct kafka_partition *p = &s->topics[i]->partitions[n];
			if (p->watch != NULL)
				curve_forget(&p->watch->curve, (double)p->watch->needed);
		}
}

/* ---- what waits ---- */

static void
add_older(struct kafka_waiting *w, const struct kafka_partition *p, double first, double now)
{
	for (unsigned i = 0; kafka_older[i] > 0; i++) {
		double then = now - kafka_older[i];
		const struct curve *c = p->watch != NULL ? &p->watch->curve : NULL;
		if (c == NULL || c->n == 0 || (then < c->at[0].t && c->at[0].offset > first))
			w->older[i] = -INFINITY;
		else
			w->older[i] += fmax(0, curve_offset(c, then) - first);
	}
}

void
kafka_account_waiting(const struct kafka_consumption *c, double now, struct kafka_waiting *w)
{
	*w = (struct kafka_waiting){ .known = false };
	for (int32_t i = 0; i < positions(c); i++) {
		const struct kafka_position *pos = &c->positions[i];
		const struct kafka_partition *p = &c->topic->partitions[i];
		if (pos->committed < 0 || !p->known)
			continue;
		w->known = true;
		if (pos->committed >= p->end)
			continue;
		w->lag += (double)(p->end - pos->committed);
		double first = most(pos->committed, p->start);
		add_older(w, p, first, now);
		if (first < (double)p->end && p->watch != NULL && p->watch->curve.n > 0)
			w->oldest =
			    fmax(w->oldest, now - curve_time(&p->watch->curve, first + 0.5));
	}
}
