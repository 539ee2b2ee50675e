/*
 * postgresql_estimate.c - the calls of a statement in an interval, spread over
 * buckets.
 *
 * Known of the n calls are sum and variance, and the least and the greatest
 * time ever recorded.  Where that determines the calls they are taken as they
 * are: one call, two calls, a new minimum or maximum.  The others are taken
 * for log-normal, shifted by the minimum and cut at the maximum: times of one
 * statement have a floor and a tail.
 */
#include "postgresql_estimate.h"

#include <math.h>

/* Below this share of advance in the sum of squares, the variance of the
 * interval is lost in the rounding of the whole. */
#define ADVANCE_MIN 1e-11

/* The calls of an interval that are not accounted for yet. */
struct rest {
	double n, sum, squares;
	double floor, ceiling; /* all lie between */
	bool varied;           /* squares can be believed */
};

static void
spread_point(struct spread *s, const struct metric *m, double value)
{
	for (unsigned i = 0; i < m->nbuckets; i++)
		if (value <= m->buckets[i])
			s->at_most[i] += 1;
}

/* Takes one call of a known duration out of the rest. */
static void
rest_take(struct rest *r, double value)
{
	double mean = r->sum / r->n;

	r->n -= 1;
	r->sum = fmax(r->sum - value, 0);
	if (r->n > 0)
		r->squares = fmax(r->squares - (value - mean) * (value - r->sum / r->n), 0);
}

static struct rest
rest_between(const struct moments *was, const struct moments *now)
{
	double n = now->calls - was->calls;
	struct rest r = { .n = n,
		.sum = now->total - was->total,
		.floor = now->min,
		.ceiling = now->max > 0 ? now->max : INFINITY,
		.varied = true };

	if (was->calls <= 0) {
		r.squares = now->squares;
		return r;
	}
	double mean_now = now->total / now->calls, mean_was = was->total / was->calls;
	double all = now->squares + mean_now * now->total;
	double advance = all - (was->squares + mean_was * was->total);
	double apart = r.sum / n - mean_was;
	r.squares =
	    fmax(now->squares - was->squares - apart * apart * was->calls * n / now->calls, 0);
	r.varied = advance > ADVANCE_MIN * all;
	return r;
}

/* Minimum and maximum can be reset by themselves: then what they are now was
 * recorded in this interval, as with a new entry. */
static bool
records_begin(const struct moments *was, const struct moments *now)
{
	return was->calls <= 0 || now->max < was->max || now->min > was->min;
}

static void
spread_records(struct spread *s, const struct metric *m, struct rest *r, const struct moments *was,
    const struct moments *now)
{
	bool begin = records_begin(was, now);

	if (now->max <= 0)
		return;
	if (r->n >= 2 && (begin || now->max > was->max)) {
		spread_point(s, m, now->max);
		rest_take(r, now->max);
	}
	if (r->n >= 2 && (begin || now->min < was->min)) {
		spread_point(s, m, now->min);
		rest_take(r, now->min);
	}
}

/* Share of a log-normal with this mean and variance, both less the shift, that
 * lies up to x. */
static double
lognormal_share(double mean, double variance, double x)
{
	double s2 = log1p(variance / (mean * mean));

	return 0.5 * erfc(-(log(x / mean) + s2 / 2) / sqrt(2 * s2));
}

static void
spread_curve(struct spread *s, const struct metric *m, const struct rest *r)
{
	double mean = r->sum / r->n;
	double floor = r->floor < mean ? r->floor : 0;
	double ceiling = r->ceiling > mean ? r->ceiling : INFINITY;
	double above = mean - floor;
	/* Nothing known of it: as wide as an exponential. */
	double variance = r->varied ? r->squares / r->n : above * above;
	bool point = above <= 0 || variance <= 1e-12 * above * above;
	double whole = 1;

	if (!point && isfinite(ceiling))
		whole = lognormal_share(above, variance, ceiling - floor);
	for (unsigned i = 0; i < m->nbuckets; i++) {
		double bound = m->buckets[i], share = 0;
		if (bound >= ceiling || (point && bound >= mean))
			share = 1;
		else if (!point && bound > floor && whole > 0)
			share = fmin(lognormal_share(above, variance, bound - floor) / whole, 1);
		s->at_most[i] += r->n * share;
	}
}

void
estimate_add(
    struct spread *s, const struct metric *m, const struct moments *was, const struct moments *now)
{
	struct rest r = rest_between(was, now);

	if (!(r.n >= 1))
		return;
	s->calls += r.n;
	s->sum += r.sum;
	spread_records(s, m, &r, was, now);
	if (r.n < 2) {
		spread_point(s, m, r.sum);
	} else if (r.n < 3 && r.varied) {
		double mean = r.sum / 2, apart = sqrt(r.squares / 2);
		spread_point(s, m, mean - apart);
		spread_point(s, m, mean + apart);
	} else {
		spread_curve(s, m, &r);
	}
}

void
estimate_histogram(const struct spread *s, const struct metric *m, struct histogram *h)
{
	double below = 0;

	*h = (struct histogram){ .sum = s->sum };
	for (unsigned i = 0; i < m->nbuckets; i++) {
		/* Sums of fractions may miss a whole call by their last digits. */
		double whole = fmin(floor(s->at_most[i] + 0.5), s->calls);
		h->count[i] = fmax(whole - below, 0);
		below += h->count[i];
	}
	h->count[m->nbuckets] = s->calls - below;
}
