/*
 * kafka_age.c - see kafka_age.h.
 *
 *	offset |            .-----x   log end, as observed (x) and as asked (o)
 *	    C1 |. . . . .o-'  /
 *	       |        /    / commits, straight between two collections
 *	    C0 |. . . x'    '
 *	       +------------------- time
 *	              |<--->| time in queue of a message: across, at its offset
 */
#include "kafka_age.h"

#include <math.h>
#include <string.h>

#define SAME_TIME 0.001 /* seconds: two points closer than that are one */

static double
clamp(double x, double low, double high)
{
	return x < low ? low : x > high ? high : x;
}

/* ---- the curve ---- */

/* How far off times would be without point i, relative to its age. */
static double
worth(const struct curve *c, unsigned i)
{
	const struct point *a = &c->at[i - 1], *p = &c->at[i], *b = &c->at[i + 1];
	double rise = b->offset - a->offset;

	if (rise <= 0)
		return 0;
	double straight = a->t + (b->t - a->t) * (p->offset - a->offset) / rise;
	return fabs(p->t - straight) / (c->at[c->n - 1].t - p->t + 1);
}

/* The first and the last point stay: they say how far the curve goes. */
static void
thin(struct curve *c)
{
	unsigned least = 1;

	for (unsigned i = 2; i + 1 < c->n; i++)
		if (worth(c, i) < worth(c, least))
			least = i;
	memmove(&c->at[least], &c->at[least + 1], (c->n - least - 1) * sizeof c->at[0]);
	c->n--;
}

void
curve_add(struct curve *c, double t, double offset)
{
	if (c->n == CURVE_POINTS)
		thin(c);
	unsigned i = c->n;
	while (i > 0 && c->at[i - 1].t > t)
		i--;
	if (i > 0)
		offset = fmax(offset, c->at[i - 1].offset);
	if (i < c->n)
		offset = fmin(offset, c->at[i].offset);
	if (i > 0 && t - c->at[i - 1].t < SAME_TIME) {
		c->at[i - 1].offset = offset;
		return;
	}
	memmove(&c->at[i + 1], &c->at[i], (c->n - i) * sizeof c->at[0]);
	c->at[i] = (struct point){ t, offset };
	c->n++;
}

/* The number of points with an offset not above that one. */
static unsigned
points_to(const struct curve *c, double offset)
{
	unsigned n = 0;

	while (n < c->n && c->at[n].offset <= offset)
		n++;
	return n;
}

void
curve_forget(struct curve *c, double offset)
{
	unsigned n = points_to(c, offset);

	if (n < 2)
		return;
	memmove(&c->at[0], &c->at[n - 1], (c->n - n + 1) * sizeof c->at[0]);
	c->n -= n - 1;
}

/* The time on the straight from point i to the next. */
static double
time_on(const struct curve *c, unsigned i, double offset)
{
	const struct point *a = &c->at[i], *b = &c->at[i + 1];

	return a->t + (b->t - a->t) * (offset - a->offset) / (b->offset - a->offset);
}

double
curve_time(const struct curve *c, double offset)
{
	unsigned n = points_to(c, offset);

	if (n == 0 || n == c->n)
		return c->at[n == 0 ? 0 : n - 1].t;
	return time_on(c, n - 1, offset);
}

double
curve_offset(const struct curve *c, double t)
{
	unsigned n = 0;

	while (n < c->n && c->at[n].t <= t)
		n++;
	if (n == 0 || n == c->n)
		return c->at[n == 0 ? 0 : n - 1].offset;
	const struct point *a = &c->at[n - 1], *b = &c->at[n];
	return a->offset + (b->offset - a->offset) * (t - a->t) / (b->t - a->t);
}

struct span
curve_produced(const struct curve *c, double message)
{
	unsigned low = points_to(c, message), high = low;

	while (high < c->n && c->at[high].offset < message + 1)
		high++;
	return (struct span){ low > 0 ? c->at[low - 1].t : -INFINITY,
		high < c->n ? c->at[high].t : INFINITY };
}

struct span
curve_reached(const struct curve *c, double t)
{
	unsigned n = 0;

	while (n < c->n && c->at[n].t <= t)
		n++;
	return (struct span){ n > 0 ? c->at[n - 1].offset : -INFINITY,
		n < c->n ? c->at[n].offset : INFINITY };
}

/* ---- observations ---- */

/* The share of values at or below bound when they go evenly from low to high. */
static double
share(double bound, double low, double high)
{
	if (high - low < 1e-9)
		return low <= bound;
	return clamp((bound - low) / (high - low), 0, 1);
}

/* The mean of what is above zero, below counting as zero: clocks differ, and
 * nothing was consumed before it was produced. */
static double
mean_above_zero(double low, double high)
{
	if (low >= 0)
		return (low + high) / 2;
	return high <= 0 ? 0 : high * high / (2 * (high - low));
}

static void
observe_evenly(struct histogram *h, const struct metric *m, double low, double high, double times)
{
	double before = 0;

	for (unsigned i = 0; i < m->nbuckets; i++) {
		double upto = share(m->buckets[i], low, high);
		h->count[i] += (upto - before) * times;
		before = upto;
	}
	h->count[m->nbuckets] += (1 - before) * times;
	h->sum += mean_above_zero(low, high) * times;
}

/* Ages along a stretch of offsets, straight in between. */
struct ages {
	double begin, end;
};

static void
observe(struct histogram *h, const struct metric *m, struct ages a, double times)
{
	observe_evenly(h, m, fmin(a.begin, a.end), fmax(a.begin, a.end), times);
}

/* The lesser of both ages, message by message. */
static void
observe_lesser(
    struct histogram *h, const struct metric *m, struct ages a, struct ages b, double times)
{
	double ahead = a.begin - b.begin, ahead_end = a.end - b.end;

	if (ahead * ahead_end >= 0) {
		observe(h, m, ahead + ahead_end < 0 ? a : b, times);
		return;
	}
	double part = ahead / (ahead - ahead_end);
	double cross = a.begin + (a.end - a.begin) * part;
	observe(h, m, (struct ages){ fmin(a.begin, b.begin), cross }, times * part);
	observe(h, m, (struct ages){ cross, fmin(a.end, b.end) }, times * (1 - part));
}

/*
 * When between two collections a message was consumed, nobody outside knows.
 * Two consumers explain both commits: one that works at a steady pace, and one
 * that follows the producers, later by as much as was seen at both ends, and in
 * between by what lies in between.  The second is only one where there was work
 * waiting at both ends: else what looks like an age is how long ago the last
 * message came.
 */
void
age_observe(const struct curve *c, struct span offsets, struct span times, struct histogram *h,
    const struct metric *m)
{
	double pace = (times.to - times.from) / (offsets.to - offsets.from);
	double first = curve_time(c, offsets.from), last = curve_time(c, offsets.to);
	double late = times.from - first, later = times.to - last - late;
	bool follows = last > first && curve_offset(c, times.from) >= offsets.from + 1 &&
		       curve_offset(c, times.to) >= offsets.to + 1;

	for (double x = offsets.from, end; x < offsets.to; x = end) {
		unsigned n = points_to(c, x);
		bool inside = n > 0 && n < c->n;

		end = n < c->n ? fmin(offsets.to, c->at[n].offset) : offsets.to;
		double made = inside ? time_on(c, n - 1, x) : curve_time(c, x);
		double made_end = inside ? time_on(c, n - 1, end) : made;
		struct ages steady = { times.from + (x - offsets.from) * pace - made,
			times.from + (end - offsets.from) * pace - made_end };
		struct ages behind = steady;
		if (follows)
			behind = (struct ages){ late + later * (made - first) / (last - first),
				late + later * (made_end - first) / (last - first) };
		observe_lesser(h, m, steady, behind, end - x);
	}
}

void
age_round(const struct histogram *h, const struct metric *m, struct histogram *out)
{
	double sum = 0, before = 0;

	out->sum = h->sum;
	for (unsigned i = 0; i <= m->nbuckets; i++) {
		sum += h->count[i];
		out->count[i] = round(sum) - before;
		before = round(sum);
	}
}
