/*
 * What samples say of sizes, and what the counters of keys say of users, where
 * the truth is known.  Prints the errors, and fails above the bounds that the
 * reference states.
 */
#include "kafka_harness.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static unsigned seed;

static double
chance(void)
{
	return (rand_r(&seed) + 1.0) / (2.0 + RAND_MAX);
}

static double
normal(void)
{
	return sqrt(-2 * log(chance())) * cos(2 * 3.14159265358979 * chance());
}

/* ---- sizes ---- */

typedef double size_of_message(double now);

static double
lognormal(double now)
{
	(void)now;
	return exp(6 + 1.5 * normal());
}

static double
pareto(double now)
{
	(void)now;
	return fmin(150 * pow(chance(), -1 / 0.9), 1e8);
}

/* Text, and now and then a picture. */
static double
two_kinds(double now)
{
	(void)now;
	return chance() < 0.97 ? exp(5 + normal()) : exp(13.5 + 0.8 * normal());
}

/* For a minute in five another service sends its large ones. */
static double
in_turns(double now)
{
	return fmod(now, 300) < 60 ? exp(11 + normal()) : exp(5 + normal());
}

struct stream {
	const char *name;
	size_of_message *size;
	double rate;  /* messages a second and partition, on average */
	double skew;  /* of the partitions: the next one has so much less */
	double limit; /* of the error of the cumulative distribution */
};

enum { PARTITIONS = 6, SCRAPES = 240, MESSAGES_MAX = 400000 };
static double *log_of[PARTITIONS];

/* A sample as the reader takes it: from a random place on. */
static struct histogram
sample(unsigned partition, long from, long to, unsigned records)
{
	struct histogram h = { 0 };
	long room = to - from - records;
	long start = from + (room > 0 ? (long)((double)room * chance()) : 0);
	double bytes = 0;

	for (long i = start; i < to && i < start + records; i++) {
		histogram_observe(&h, kafka_size_metric, log_of[partition][i], 1);
		bytes += log_of[partition][i];
		if (bytes >= KAFKA_SAMPLE_BYTES_MAX)
			break;
	}
	return h;
}

static double
worst(const struct histogram *a, const struct histogram *b)
{
	double na = 0, nb = 0, most = 0, all = sizes_number(a, kafka_size_metric);

	for (unsigned i = 0; i <= kafka_size_metric->nbuckets; i++) {
		na += a->count[i];
		nb += b->count[i];
		most = fmax(most, fabs(na - nb) / all);
	}
	return most;
}

/* The error at the end, and how far the sum is off. */
static double
run(const struct stream *st, double every, double *sum_error)
{
	struct sizes s = { 0 };
	struct histogram truth = { 0 }, out;
	long end[PARTITIONS] = { 0 }, from[PARTITIONS] = { 0 }, planned[PARTITIONS] = { 0 };

	unsigned records = KAFKA_SAMPLE_RECORDS;

	for (unsigned k = 0; k < SCRAPES; k++) {
		double unread = 0;
		sizes_fade(&s, kafka_size_metric);
		for (unsigned p = 0; p < PARTITIONS; p++) {
			/* What was planned at the last scrape has come. */
			if (planned[p] > from[p]) {
				struct histogram h = sample(p, from[p], planned[p], records);
				sizes_sampled(
				    &s, kafka_size_metric, (double)(planned[p] - from[p]), &h);
				from[p] = planned[p];
			}
			double mean = st->rate * pow(st->skew, p) * every;
			long more = (long)(mean * 2 * chance() + 0.5);
			for (long i = 0; i < more && end[p] < MESSAGES_MAX; i++) {
				double size =
				    floor(st->size(k * every + every * (double)i / (double)more));
				log_of[p][end[p]++] = size;
				histogram_observe(&truth, kafka_size_metric, size, 1);
			}
			planned[p] = end[p];
			unread += (double)(end[p] - from[p]);
		}
		sizes_give(&s, kafka_size_metric, unread);
		records = sizes_sample(&s, kafka_size_metric);
		age_round(&s.given, kafka_size_metric, &out);
		if (k > 0)
			assert_true(sizes_number(&out, kafka_size_metric) ==
				    sizes_number(&truth, kafka_size_metric));
	}
	*sum_error = out.sum / truth.sum - 1;
	return worst(&truth, &out);
}

static void
sizes_are_near_the_truth(void **state)
{
	static const struct stream streams[] = {
		{ "log-normal, 20/s", lognormal, 20, 1, 0.01 },
		{ "log-normal, 1000/s, skewed", lognormal, 100, 0.5, 0.01 },
		{ "pareto 0.9, 100/s", pareto, 17, 1, 0.01 },
		{ "text and pictures, 100/s", two_kinds, 17, 1, 0.01 },
		{ "one kind at a time, 100/s", in_turns, 17, 1, 0.01 },
		{ "few, 1/s", pareto, 0.2, 1, 0.01 },
	};
	static const double every[] = { 5, 15, 60 };
	bool good = true;

	(void)state;
	for (unsigned p = 0; p < PARTITIONS; p++)
		log_of[p] = malloc(MESSAGES_MAX * sizeof *log_of[p]);
	for (unsigned i = 0; i < COUNT(streams); i++)
		for (unsigned e = 0; e < COUNT(every); e++) {
			double sum, error;
			seed = 42 + i;
			error = run(&streams[i], every[e], &sum);
			print_message("# sizes, %s, every %g s: cumulative distribution off by "
				      "%.4f, sum by %+.0f %%\n",
			    streams[i].name, every[e], error, 100 * sum);
			good = error <= streams[i].limit && good;
		}
	for (unsigned p = 0; p < PARTITIONS; p++)
		free(log_of[p]);
	assert_true(good);
}

/* ---- users ---- */

enum { USERS = 200000 };
static double share[USERS]; /* cumulative */

static unsigned
draw(void)
{
	double x = chance();
	unsigned low = 0, high = USERS - 1;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		if (share[middle] < x)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
zipf(double exponent)
{
	double sum = 0;

	for (unsigned i = 0; i < USERS; i++)
		share[i] = sum += pow(i + 1, -exponent);
	for (unsigned i = 0; i < USERS; i++)
		share[i] /= sum;
}

struct verdict {
	unsigned loud, found, wrong; /* found and not loud */
	uint32_t counters;
};

/* Windows in a row, of which the first teaches how many counters it takes.  Of
 * the messages only so many are seen, in stretches. */
static struct verdict
count_users(unsigned messages, uint64_t limit, double seen)
{
	static unsigned truth[USERS];
	static bool found[USERS];
	struct verdict v = { 0 };
	struct users u = { 0 };

	for (unsigned window = 0; window < 4; window++) {
		assert_true(users_begin(&u, limit));
		memset(truth, 0, sizeof truth);
		memset(found, 0, sizeof found);
		for (unsigned i = 0; i < messages; i++) {
			unsigned user = draw();
			truth[user]++;
			if (fmod(i, 1000) < 1000 * seen &&
			    users_add(
				&u, (struct text){ (const char *)&user, sizeof user }, 0, limit))
				found[user] = true;
		}
		for (unsigned i = 0; i < USERS && window > 0; i++) {
			v.loud += truth[i] > limit;
			v.found += found[i] && truth[i] > limit;
			v.wrong += found[i] && truth[i] <= limit;
		}
	}
	v.counters = u.cap;
	users_free(&u);
	return v;
}

static void
users_are_found_and_none_wrongly(void **state)
{
	static const struct {
		double exponent;
		unsigned messages;
		uint64_t limit;
		double seen;
	} cases[] = {
		{ 1.0, 60000, 60, 1 },
		{ 1.0, 600000, 600, 1 },
		{ 1.2, 600000, 600, 1 },
		{ 0.8, 600000, 600, 1 },
		{ 1.0, 600000, 60, 1 },
		{ 1.0, 600000, 600, 0.9 },
		{ 1.0, 600000, 600, 0.5 },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		seed = 7 + i;
		zipf(cases[i].exponent);
		struct verdict v = count_users(cases[i].messages, cases[i].limit, cases[i].seen);
		print_message("# users, Zipf %.1f, %u messages a window, limit %u, %.0f %% seen: "
			      "%u above it, %u found, %u missed, %u wrongly, %u counters\n",
		    cases[i].exponent, cases[i].messages, (unsigned)cases[i].limit,
		    100 * cases[i].seen, v.loud, v.found, v.loud - v.found, v.wrong, v.counters);
		assert_true(v.loud > 0);
		assert_int_equal(v.wrong, 0);
		/* What was not seen is not counted: only whole streams are held to it. */
		if (cases[i].seen == 1)
			assert_true(v.loud - v.found <= 0.02 * v.loud);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_near_the_truth),
		cmocka_unit_test(users_are_found_and_none_wrongly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
