/*
 * How far db_query_duration_seconds may be off: statements with known
 * durations run against a model of pg_stat_statements (calls, mean and sum of
 * squares by Welford's method, minimum, maximum, as the server keeps them),
 * which is read every 5, 15 and 60 s.  After ten minutes of history, quantiles
 * over five minutes are taken from the estimated histogram, and from the exact
 * histogram of the same calls with the same buckets, both as Prometheus does.
 *
 * The bounds are those that the reference states (postgresql_tables.c).
 */
/* Before cmocka.h, whose fail() is a macro. */
#include "../collectors/postgresql_ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	STATEMENTS = 30,
	HISTORY_S = 600,
	WINDOW_S = 300,
	SEEDS = 8,
	QUANTILES = 3,
};

static const double quantiles[QUANTILES] = { 0.5, 0.95, 0.99 };
static const int intervals[] = { 5, 15, 60 };

static uint64_t seed;

static double
uniform(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return ((double)(seed >> 11) + 0.5) / 9007199254740992.0;
}

static double
normal(void)
{
	return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

/* How many events of a Poisson process with this mean. */
static int
poisson(double mean)
{
	int n = 0;

	for (double at = -log(uniform()); at < mean; at -= log(uniform()))
		n++;
	return n;
}

/* ---- a statement, and what the server keeps of it ---- */

struct statement {
	double rate;                        /* calls a second */
	double floor, median, sigma;        /* floor + log-normal, seconds */
	double second_share, second_median; /* a second mode */
	double calls, total, mean, squares, min, max;
};

static void
server_counts(struct statement *s, double seconds)
{
	double ms = seconds * 1000, before = s->mean;

	s->calls += 1;
	s->total += ms;
	s->mean += (ms - before) / s->calls;
	s->squares += (ms - before) * (ms - s->mean);
	if (s->calls == 1 || ms < s->min)
		s->min = ms;
	if (ms > s->max)
		s->max = ms;
}

/* As it comes out of pg_stat_statements, and is read. */
static struct reading
reading_of(const struct statement *s, int64_t queryid)
{
	double stddev = s->calls > 0 ? sqrt(s->squares / s->calls) / 1000 : 0;

	return (struct reading){ .queryid = queryid,
		.moments = { .calls = s->calls,
		    .total = s->total / 1000,
		    .min = s->min / 1000,
		    .max = s->max / 1000,
		    .squares = stddev * stddev * s->calls } };
}

/* ---- workloads ---- */

struct workload {
	const char *name;
	void (*shape)(struct statement *, int i);
	/* What this second does to a call: how much more there are, how much
	 * longer they take, how long they are held up. */
	void (*second)(double t, double *more, double *slower, double *held);
	/* Largest error of each quantile, as a factor of the exact one, at each
	 * interval. */
	double bound[COUNT(intervals)][QUANTILES];
};

static void
many_shape(struct statement *s, int i)
{
	*s = (struct statement){ .rate = 60.0 / (1 + i),
		.floor = 0.00005 * exp(3 * uniform()),
		.median = 0.0002 * exp(6.5 * uniform()),
		.sigma = 0.3 + 0.9 * uniform() };
}

static void
two_modes_shape(struct statement *s, int i)
{
	many_shape(s, i);
	s->second_share = 0.02 + 0.2 * uniform();
	s->second_median = s->median * (10 + 30 * uniform());
}

static void
one_bimodal_shape(struct statement *s, int i)
{
	*s = (struct statement){ .rate = i == 0 ? 50 : 0,
		.floor = 0.0002,
		.median = 0.001,
		.sigma = 0.3,
		.second_share = 0.08,
		.second_median = 0.08 };
}

static void
steady(double t, double *more, double *slower, double *held)
{
	(void)t;
	*more = *slower = 1;
	*held = 0;
}

/* Ten times the calls, three times as long, for 7 s of every 40. */
static void
bursts(double t, double *more, double *slower, double *held)
{
	bool burst = fmod(t, 40) < 7;

	*more = burst ? 10 : 1;
	*slower = burst ? 3 : 1;
	*held = 0;
}

/* A lock is held for 20 s in every window: who comes waits for its end. */
static void
stalls(double t, double *more, double *slower, double *held)
{
	double in = fmod(t, WINDOW_S) - 100;

	*more = *slower = 1;
	*held = in >= 0 && in < 20 ? 20 - in : 0;
}

/* ---- running them ---- */

static const struct metric *
metric(void)
{
	for (unsigned i = 0; i < collector.ngroups; i++)
		if (strcmp(collector.groups[i].metrics[0].name, "db_query_duration_seconds") == 0)
			return &collector.groups[i].metrics[0];
	abort();
}

static double
duration(const struct statement *s, double slower)
{
	double median = uniform() < s->second_share ? s->second_median : s->median;

	return slower * (s->floor + median * exp(s->sigma * normal()));
}

/* All calls that end in this second.  Every tenth statement is one that a lock
 * holds up. */
static void
run_second(const struct workload *w, struct statement *statements, int t, struct histogram *exact)
{
	double more, slower, held;

	w->second(t, &more, &slower, &held);
	for (int i = 0; i < STATEMENTS; i++) {
		struct statement *s = &statements[i];
		bool stopped = held > 0 && i % 10 == 0;
		/* It comes now, and ends, and is counted, when the lock is gone. */
		int n = poisson(s->rate * more);
		for (int k = 0; k < n; k++) {
			double seconds = duration(s, slower);
			if (stopped)
				s[STATEMENTS].calls += 1; /* waiting */
			else {
				server_counts(s, seconds);
				histogram_observe(exact, metric(), seconds, 1);
			}
		}
		/* The lock is gone: all who came in the last 20 s end now. */
		for (; held <= 0 && s[STATEMENTS].calls > 0; s[STATEMENTS].calls -= 1) {
			double seconds = duration(s, slower) + 20 * uniform();
			server_counts(s, seconds);
			histogram_observe(exact, metric(), seconds, 1);
		}
	}
}

static void
poll(struct ledger *ledger, const struct statement *statements)
{
	ledger_begin(ledger, false);
	for (int i = 0; i < STATEMENTS; i++) {
		struct reading r = reading_of(&statements[i], i + 1);
		if (statements[i].calls > 0)
			assert_true(ledger_take(ledger, &r));
	}
	for (int i = 0; i < STATEMENTS; i++)
		ledger_learn(ledger, i + 1, QUERY_SELECT);
	ledger_end(ledger, 0);
}

static struct histogram
since(const struct histogram *was, const struct histogram *now)
{
	struct histogram h = { .sum = now->sum - was->sum };

	for (unsigned i = 0; i <= metric()->nbuckets; i++)
		h.count[i] = now->count[i] - was->count[i];
	return h;
}

static double
calls_of(const struct histogram *h)
{
	double n = 0;

	for (unsigned i = 0; i <= metric()->nbuckets; i++)
		n += h->count[i];
	return n;
}

/* Prometheus' histogram_quantile. */
static double
quantile(const struct histogram *h, double q)
{
	double rank = q * calls_of(h), below = 0;

	for (unsigned i = 0; i < metric()->nbuckets; i++) {
		double low = i == 0 ? 0 : metric()->buckets[i - 1];
		if (below + h->count[i] >= rank)
			return low + (metric()->buckets[i] - low) * (rank - below) / h->count[i];
		below += h->count[i];
	}
	return metric()->buckets[metric()->nbuckets - 1];
}

/* One run of one workload; worst[q] is the largest factor between estimated and
 * exact, either way, signed by its direction. */
static void
run(const struct workload *w, int interval, double worst[QUANTILES])
{
	struct statement statements[2 * STATEMENTS] = { 0 };
	struct ledger *ledger = ledger_new(metric());
	struct histogram exact = { 0 }, exact_was = { 0 }, seen, seen_was = { 0 };

	for (int i = 0; i < STATEMENTS; i++)
		w->shape(&statements[i], i);
	poll(ledger, statements);
	for (int t = 1; t <= HISTORY_S + WINDOW_S; t++) {
		run_second(w, statements, t, &exact);
		if (t % interval == 0)
			poll(ledger, statements);
		if (t == HISTORY_S) {
			exact_was = exact;
			ledger_histogram(ledger, QUERY_SELECT, &seen_was);
		}
	}
	ledger_histogram(ledger, QUERY_SELECT, &seen);
	exact = since(&exact_was, &exact);
	seen = since(&seen_was, &seen);
	ledger_free(ledger);

	/* Never an estimate. */
	assert_true(calls_of(&seen) == calls_of(&exact));
	assert_true(fabs(seen.sum - exact.sum) < 1e-6 * exact.sum);
	for (int q = 0; q < QUANTILES; q++) {
		double factor = quantile(&seen, quantiles[q]) / quantile(&exact, quantiles[q]);
		if (fabs(log(factor)) > fabs(log(worst[q])))
			worst[q] = factor;
	}
}

/* clang-format off */
static const struct workload workloads[] = {
	{ "thirty statements, Poisson", many_shape, steady,
	  { { 1.25, 1.25, 1.25 }, { 1.25, 1.25, 1.25 }, { 1.25, 1.25, 1.25 } } },
	{ "bursts", many_shape, bursts,
	  { { 1.25, 1.25, 1.25 }, { 1.25, 1.25, 1.25 }, { 1.25, 1.25, 1.25 } } },
	{ "a stall of a tenth of the statements", many_shape, stalls,
	  { { 1.3, 1.3, 1.3 }, { 1.3, 1.3, 1.3 }, { 1.6, 8, 2.5 } } },
	{ "thirty statements of two modes each", two_modes_shape, steady,
	  { { 2.5, 1.3, 2.5 }, { 2.5, 1.3, 2.5 }, { 2.5, 1.3, 2.5 } } },
	{ "one statement of two modes", one_bimodal_shape, steady,
	  { { 1.6, 2, 4 }, { 1.6, 2, 4 }, { 1.6, 2, 4 } } },
};
/* clang-format on */

static void
check_workload(void **state)
{
	const struct workload *w = *state;
	bool within = true;

	for (size_t i = 0; i < COUNT(intervals); i++) {
		double worst[QUANTILES] = { 1, 1, 1 };
		for (uint64_t k = 0; k < SEEDS; k++) {
			seed = UINT64_C(88172645463325252) + k * 7919;
			run(w, intervals[i], worst);
		}
		printf("# %-40s every %2d s: worst of %d runs P50 %+5.1f%%  P95 %+5.1f%%  "
		       "P99 %+5.1f%%\n",
		    w->name, intervals[i], SEEDS, 100 * (worst[0] - 1), 100 * (worst[1] - 1),
		    100 * (worst[2] - 1));
		for (int q = 0; q < QUANTILES; q++)
			within = within && fabs(log(worst[q])) <= log(w->bound[i][q]);
	}
	assert_true(within);
}

int
main(void)
{
	struct CMUnitTest tests[COUNT(workloads)];

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < COUNT(workloads); i++)
		tests[i] = (struct CMUnitTest){ .name = workloads[i].name,
			.test_func = check_workload,
			.initial_state = (void *)(uintptr_t)&workloads[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
