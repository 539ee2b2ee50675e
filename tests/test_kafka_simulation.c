/*
 * Time in queue as the collector estimates it, against the truth of simulated
 * producers and consumers.  The count must be exact; the errors of the
 * cumulative distribution and of the quantiles are printed and bounded.
 */
/* Before cmocka.h, whose fail() is a macro. */
#include "../collectors/kafka_age.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGES = 400000, PHASES = 4 };

static const double bounds[] = { 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800 };
static const struct metric metric = { .name = "x", .buckets = bounds, .nbuckets = COUNT(bounds) };

/* ---- what happens ---- */

/* Message i is produced, and then consumed, at these times; commits come every
 * so many seconds and say how many were consumed. */
static double produced[MESSAGES], consumed[MESSAGES];
static int nmessages;

static double
uniform(void)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return ((double)(x >> 11) + 0.5) / 9007199254740992.0;
}

static double
exponential(double mean)
{
	return -mean * log(uniform());
}

/* A consumer that takes so long from having a message to being done with it,
 * does at most so many a second, and does nothing while stalled. */
static void
consume(double seconds, double per_second, double every, double stall)
{
	double free_at = 0;

	for (int i = 0; i < nmessages; i++) {
		double t = fmax(produced[i] + exponential(seconds), free_at);
		if (stall > 0 && fmod(t, every) < stall)
			t += stall - fmod(t, every);
		consumed[i] = t;
		free_at = t + 1 / per_second;
	}
}

static void
poisson(double per_second, double duration)
{
	nmessages = 0;
	for (double t = exponential(1 / per_second); t < duration; t += exponential(1 / per_second))
		produced[nmessages++] = t;
}

static void
steady(void)
{
	poisson(100, 3000);
	consume(0.3, 400, 0, 0);
}

static void
bursts(void)
{
	nmessages = 0;
	for (double t = 7; t < 3000; t += 61)
		for (int i = 0; i < 2000; i++)
			produced[nmessages++] = t + i * 0.0005;
	consume(0.05, 100, 0, 0);
}

static void
stalled(void)
{
	poisson(50, 3000);
	consume(0.1, 500, 400, 120);
}

static void
overload(void)
{
	nmessages = 0;
	for (double t = 0; t < 3000; t += exponential(fmod(t, 1000) < 300 ? 1 / 150.0 : 1 / 30.0))
		produced[nmessages++] = t;
	consume(0.1, 100, 0, 0);
}

static void
rare(void)
{
	poisson(0.05, 30000);
	consume(0.7, 100, 0, 0);
}

/* ---- what is seen of it ---- */

static int
count_before(const double *times, double t)
{
	int low = 0, high = nmessages;

	while (low < high) {
		int middle = (low + high) / 2;
		if (times[middle] <= t)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct view {
	struct curve curve;
	struct histogram raw;
	double committed, at;
};

static void
collect(struct view *v, double now, double commit_every, unsigned questions)
{
	struct questions q = { .max = questions };
	double committed = count_before(consumed, floor(now / commit_every) * commit_every);
	double ended = now + 0.004;
	bool first = v->curve.n == 0;

	if (first)
		ask_first(&q, ended);
	else
		ask_progress(&q, &v->curve, (struct span){ v->committed, committed }, NULL, ended);
	curve_add(&v->curve, ended, count_before(produced, ended));
	for (unsigned i = 0; i < q.n; i++)
		curve_add(&v->curve, q.t[i], count_before(produced, q.t[i]));
	if (!first && committed > v->committed)
		age_observe(&v->curve, (struct span){ v->committed, committed },
		    (struct span){ v->at, now }, &v->raw, &metric);
	v->committed = committed;
	v->at = now;
	curve_forget(&v->curve, committed);
}

/* ---- how well ---- */

/* As histogram_quantile() of Prometheus does it. */
static double
quantile(const struct histogram *h, double q)
{
	double total = 0, below = 0;

	for (unsigned i = 0; i <= metric.nbuckets; i++)
		total += h->count[i];
	for (unsigned i = 0; i < metric.nbuckets; i++) {
		double low = i > 0 ? bounds[i - 1] : 0;
		if (h->count[i] > 0 && below + h->count[i] >= q * total)
			return low + (bounds[i] - low) * (q * total - below) / h->count[i];
		below += h->count[i];
	}
	return bounds[metric.nbuckets - 1];
}

struct errors {
	double cdf, q[3];
};

static const double quantiles[] = { 0.50, 0.95, 0.99 };

/* Errors of quantiles as a factor, no less than 0.1 s counting as time. */
static void
compare(const struct histogram *truth, const struct histogram *guess, struct errors *worst)
{
	double a = 0, b = 0, total = 0;

	for (unsigned i = 0; i <= metric.nbuckets; i++)
		total += truth->count[i];
	for (unsigned i = 0; i < metric.nbuckets; i++) {
		a += truth->count[i];
		b += guess->count[i];
		worst->cdf = fmax(worst->cdf, fabs(a - b) / total);
	}
	for (unsigned i = 0; i < COUNT(quantiles); i++) {
		double x = fmax(quantile(truth, quantiles[i]), 0.1);
		double y = fmax(quantile(guess, quantiles[i]), 0.1);
		worst->q[i] = fmax(worst->q[i], fmax(x / y, y / x));
	}
}

static struct errors
simulate(double every, double commit_every, unsigned questions)
{
	struct errors worst = { .cdf = 0 };
	double last = produced[nmessages - 1];

	for (int phase = 0; phase < PHASES; phase++) {
		struct view v = { .at = 0 };
		struct histogram truth = { .sum = 0 }, guess;
		double first = 120 + every * phase / PHASES, counted = 0;
		int from = 0, to;

		for (double t = first; t < last; t += every * (1 + 0.01 * (uniform() - 0.5))) {
			collect(&v, t, commit_every, questions);
			if (t == first)
				from = (int)v.committed;
		}
		to = (int)v.committed;
		for (int i = from; i < to; i++)
			histogram_observe(&truth, &metric,
			    ceil(consumed[i] / commit_every) * commit_every - produced[i], 1);
		age_round(&v.raw, &metric, &guess);
		for (unsigned i = 0; i <= metric.nbuckets; i++) {
			assert_true(guess.count[i] >= 0 && guess.count[i] == floor(guess.count[i]));
			counted += guess.count[i];
		}
		assert_true(counted == to - from);
		compare(&truth, &guess, &worst);
	}
	return worst;
}

/* The bounds: of the cumulative distribution, and the factors of P50 P95 P99. */
struct workload {
	const char *name;
	void (*happen)(void);
	double commit_every;
	struct limit {
		double cdf, q[3];
	} at[3]; /* 5, 15, 60 seconds */
};

static const double intervals[] = { 5, 15, 60 };

static void
errors_stay_below_the_stated_bounds(void **state)
{
	const struct workload *w = *state;

	w->happen();
	for (unsigned i = 0; i < COUNT(intervals); i++) {
		for (unsigned questions = 0; questions <= 4; questions += 4) {
			struct errors e = simulate(intervals[i], w->commit_every, questions);
			const struct limit *l = &w->at[i];
			printf("# %-28s every %2.0f s, %u questions: distribution %.3f, "
			       "P50 x%.2f P95 x%.2f P99 x%.2f\n",
			    w->name, intervals[i], questions, e.cdf, e.q[0], e.q[1], e.q[2]);
			if (questions == 0)
				continue;
			assert_true(e.cdf <= l->cdf);
			for (unsigned k = 0; k < COUNT(quantiles); k++)
				assert_true(e.q[k] <= l->q[k]);
		}
	}
}

/* A commit interval, a burst that begins and ends between two collections, a
 * message in 20 s: nobody outside can see when these were consumed. */
/* clang-format off */
static struct workload workloads[] = {
	{ "Poisson", steady, 0.1, {
		{ 0.06, { 1.1, 1.1, 1.1 } }, { 0.06, { 1.1, 1.1, 1.1 } },
		{ 0.15, { 1.3, 1.1, 1.1 } } } },
	{ "Poisson, commit every 5 s", steady, 5, {
		{ 0.40, { 1.8, 2.1, 2.1 } }, { 0.80, { 2.2, 2.1, 2.1 } },
		{ 0.75, { 2.2, 1.2, 1.1 } } } },
	{ "bursts", bursts, 0.1, {
		{ 0.05, { 1.1, 1.1, 1.1 } }, { 0.12, { 1.1, 1.1, 1.1 } },
		{ 0.35, { 1.9, 1.1, 1.3 } } } },
	{ "stalled for 120 s", stalled, 0.1, {
		{ 0.08, { 1.1, 1.1, 1.1 } }, { 0.15, { 1.1, 1.1, 1.1 } },
		{ 0.20, { 2.5, 1.2, 1.1 } } } },
	{ "overload", overload, 0.1, {
		{ 0.05, { 1.1, 1.1, 1.1 } }, { 0.08, { 1.1, 1.1, 1.1 } },
		{ 0.12, { 1.1, 1.1, 1.1 } } } },
	{ "a message in 20 s", rare, 0.1, {
		{ 0.35, { 1.6, 1.2, 1.5 } }, { 0.45, { 2.1, 2.5, 5.0 } },
		{ 0.50, { 6.0, 6.0, 6.5 } } } },
};
/* clang-format on */

int
main(void)
{
	struct CMUnitTest tests[COUNT(workloads)];

	for (unsigned i = 0; i < COUNT(workloads); i++)
		tests[i] = (struct CMUnitTest){ workloads[i].name,
			errors_stay_below_the_stated_bounds, NULL, NULL, &workloads[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
