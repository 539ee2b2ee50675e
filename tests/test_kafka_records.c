/*
 * What records are counted as, without a Kafka: keys that come often, sizes of
 * which only samples are known, bytes a second, times in headers.
 */
#include "kafka_harness.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* ---- keys ---- */

static bool
add(struct users *u, unsigned key, uint64_t limit)
{
	return users_add(u, (struct text){ (const char *)&key, sizeof key }, 1, limit);
}

/* From the paper that describes it. */
static void
the_hash_is_siphash(void **state)
{
	const uint64_t secret[] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
	char bytes[15];

	(void)state;
	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)i;
	assert_true(users_hash(secret, (struct text){ bytes, sizeof bytes }) == 0xa129ca6149be45e5);
	assert_true(users_hash(secret, (struct text){ NULL, 0 }) == 0x726fdb47dd0e0e31);
}

static void
a_key_is_told_of_once_and_when_it_goes_above(void **state)
{
	struct users u = { 0 };

	(void)state;
	assert_true(users_begin(&u, 10));
	for (unsigned i = 1; i <= 30; i++) {
		assert_int_equal(add(&u, 7, 10), i == 11);
		assert_false(add(&u, i + 100, 10));
	}
	users_free(&u);
}

static void
spaces_are_apart(void **state)
{
	struct users u = { 0 };

	(void)state;
	assert_true(users_begin(&u, 10));
	for (unsigned i = 0; i < 16; i++)
		assert_false(users_add(&u, TEXT("key"), i % 2, 10));
	assert_int_equal(u.n, 2);
	users_free(&u);
}

/* Every counter's count less its error is at most the truth, the count at
 * least, and the heap begins with the least: whatever comes. */
static void
counts_bracket_the_truth(void **state)
{
	enum { KEYS = 5000, MESSAGES = 200000 };
	static unsigned truth[KEYS];
	struct users u = { 0 };
	unsigned seed = 1;

	(void)state;
	assert_true(users_begin(&u, 1000000));
	for (unsigned i = 0; i < MESSAGES; i++) {
		double x = rand_r(&seed) / (1.0 + RAND_MAX);
		unsigned key = (unsigned)(KEYS * x * x * x);
		truth[key]++;
		add(&u, key, 1000000);
	}
	assert_int_equal(u.n, USERS_MIN);
	for (unsigned key = 0; key < KEYS; key++) {
		const uint64_t secret[] = { u.secret[0], u.secret[1] ^ 1 };
		uint64_t hash = users_hash(secret, (struct text){ (const char *)&key, sizeof key });
		for (uint32_t i = 0; i < u.n; i++)
			if (u.user[i].hash == hash) {
				assert_true(u.user[i].count >= truth[key]);
				assert_true(u.user[i].count - u.user[i].error <= truth[key]);
			}
	}
	for (uint32_t i = 1; i < u.n; i++) {
		assert_true(u.user[u.heap[(i - 1) / 2]].count <= u.user[u.heap[i]].count);
		assert_int_equal(u.user[u.heap[i]].place, i);
	}
	users_free(&u);
}

/* A counter that went from key to key counts far above the limit; nobody is
 * above it. */
static void
keys_that_have_no_room_are_not_told_of(void **state)
{
	struct users u = { 0 };

	(void)state;
	assert_true(users_begin(&u, 10));
	for (unsigned i = 0; i < 50 * USERS_MIN; i++)
		assert_false(add(&u, i, 10));
	assert_true(u.user[u.heap[0]].count == 50);
	users_free(&u);
}

static void
a_window_forgets_and_gets_the_counters_it_needs(void **state)
{
	struct users u = { 0 };
	uint64_t secret;

	(void)state;
	assert_true(users_begin(&u, 10));
	secret = u.secret[0];
	for (unsigned i = 0; i < 20000; i++)
		add(&u, i, 10);
	assert_true(users_begin(&u, 10));
	assert_int_equal(u.cap, 4096); /* 2 * 20000 / 10, and a power of two */
	assert_int_equal(u.n, 0);
	assert_true(u.secret[0] != secret);
	for (unsigned i = 0; i < 10; i++)
		assert_false(add(&u, 5, 10));
	assert_true(add(&u, 5, 10));
	u.messages = UINT64_MAX / 4;
	assert_true(users_begin(&u, 1));
	assert_int_equal(u.cap, USERS_MAX);
	users_free(&u);
}

/* ---- sizes ---- */

static struct histogram
records(double small, double large)
{
	struct histogram h = { 0 };

	histogram_observe(&h, kafka_size_metric, 50, small);
	histogram_observe(&h, kafka_size_metric, 2e6, large);
	return h;
}

static double
given(const struct sizes *s)
{
	return sizes_number(&s->given, kafka_size_metric);
}

static void
nothing_is_given_before_a_sample(void **state)
{
	struct sizes s = { 0 };
	struct histogram h = records(1, 1);

	(void)state;
	sizes_give(&s, kafka_size_metric, 100);
	assert_true(given(&s) == 0);
	sizes_sampled(&s, kafka_size_metric, 100, &(struct histogram){ 0 });
	sizes_give(&s, kafka_size_metric, 50);
	assert_true(given(&s) == 0);
	sizes_sampled(&s, kafka_size_metric, 0, &h);
	sizes_give(&s, kafka_size_metric, 50);
	assert_true(given(&s) == 150);
	assert_true(s.given.count[0] == 75);
	assert_true(fabs(s.given.sum - 75 * (50 + 2e6)) < 1);
}

/* Counted like the last sample at first; when theirs comes, what follows makes
 * up for it, and nothing falls. */
static void
a_late_sample_sets_it_right(void **state)
{
	struct sizes s = { 0 };
	struct histogram small = records(10, 0), large = records(0, 10);

	(void)state;
	sizes_sampled(&s, kafka_size_metric, 0, &small);
	sizes_give(&s, kafka_size_metric, 1000);
	assert_true(s.given.count[0] == 1000);
	sizes_sampled(&s, kafka_size_metric, 1000, &large);
	sizes_fade(&s, kafka_size_metric);
	sizes_give(&s, kafka_size_metric, 500);
	assert_true(fabs(given(&s) - 1500) < 1e-6);
	assert_true(fabs(s.given.count[0] - 1000) < 1e-6);
	sizes_sampled(&s, kafka_size_metric, 500, &small);
	sizes_fade(&s, kafka_size_metric);
	sizes_sampled(&s, kafka_size_metric, 1500, &small);
	sizes_give(&s, kafka_size_metric, 0);
	assert_true(fabs(given(&s) - 3000) < 1e-6);
	assert_true(fabs(s.given.count[0] - 2000) < 1e-6);
}

static void
counts_are_exact_and_never_fall(void **state)
{
	struct sizes s = { 0 };
	struct histogram before = { 0 }, out;
	unsigned seed = 5;
	double produced = 0, unread = 0;

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		double more = rand_r(&seed) % 1000;
		if (i % 3 > 0) {
			struct histogram h = records(rand_r(&seed) % 40, rand_r(&seed) % 9 + 1);
			sizes_fade(&s, kafka_size_metric);
			sizes_sampled(&s, kafka_size_metric, unread, &h);
			unread = 0;
		}
		produced += more;
		unread += more;
		sizes_give(&s, kafka_size_metric, unread);
		age_round(&s.given, kafka_size_metric, &out);
		double all = 0, all_before = 0;
		for (unsigned b = 0; b <= kafka_size_metric->nbuckets; b++) {
			all += out.count[b];
			all_before += before.count[b];
			assert_true(all >= all_before);
		}
		assert_true(out.sum >= before.sum);
		if (i > 0)
			assert_true(all == produced);
		before = out;
	}
}

/* ---- bytes a second ---- */

static void
the_pace_holds_on_average(void **state)
{
	struct pace p;
	int64_t now = 5 * NS_PER_S;
	double taken = 0;

	(void)state;
	pace_begin(&p, 1000, now);
	for (int64_t end = now + 100 * NS_PER_S; now < end;) {
		int64_t wait = pace_wait(&p, now);
		now += wait;
		if (wait == 0) {
			pace_take(&p, 700);
			taken += 700;
		}
	}
	assert_true(taken > 99000 && taken < 102500);
	/* Nothing is saved up beyond a second. */
	assert_true(pace_wait(&p, now + 1000 * NS_PER_S) == 0);
	pace_take(&p, 3000);
	int64_t wait = pace_wait(&p, now + 1000 * NS_PER_S);
	assert_true(wait > 1990 * NS_PER_MS && wait < 2010 * NS_PER_MS);
}

/* What was thrown away is paid for, what was compressed is not paid back. */
static void
what_the_network_brought_is_charged(void **state)
{
	struct kafka_reader r = { 0 };

	(void)state;
	pace_begin(&r.pace, 1000, 1);
	kafka_reader_charge(&r, 300);
	kafka_reader_received(&r, 500);
	assert_true(r.pace.spare == 500);
	kafka_reader_charge(&r, 300);
	kafka_reader_received(&r, 600);
	assert_true(r.pace.spare == 200);
	kafka_reader_received(&r, 650);
	assert_true(r.pace.spare == 150);
}

/* ---- headers ---- */

static void
times_are_read_in_any_unit(void **state)
{
	const struct {
		struct text value;
		double seconds;
	} good[] = {
		{ TEXT("1700000000"), 1700000000 },
		{ TEXT("1700000000.25"), 1700000000.25 },
		{ TEXT("1700000000250"), 1700000000.25 },
		{ TEXT("1700000000250000"), 1700000000.25 },
		{ TEXT("1700000000250000000"), 1700000000.25 },
		{ TEXT("\0\0\x01\x8b\xcf\xe5\x68\xfa"), 1700000000.25 },
		{ TEXT("17000000"), 17000000 },
	};
	const struct text bad[] = { TEXT(""), TEXT("yesterday"), TEXT("-5"), TEXT("0"), TEXT("NaN"),
		TEXT("inf"), TEXT("12345678x"), TEXT("\0\0\0\0\0\0\0\0"),
		TEXT("\xff\xff\xff\xff\xff\xff\xff\xff") };
	double t;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_true(kafka_record_time(good[i].value, &t));
		assert_true(fabs(t - good[i].seconds) < 1e-3);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(kafka_record_time(bad[i], &t));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hash_is_siphash),
		cmocka_unit_test(a_key_is_told_of_once_and_when_it_goes_above),
		cmocka_unit_test(spaces_are_apart),
		cmocka_unit_test(counts_bracket_the_truth),
		cmocka_unit_test(keys_that_have_no_room_are_not_told_of),
		cmocka_unit_test(a_window_forgets_and_gets_the_counters_it_needs),
		cmocka_unit_test(nothing_is_given_before_a_sample),
		cmocka_unit_test(a_late_sample_sets_it_right),
		cmocka_unit_test(counts_are_exact_and_never_fall),
		cmocka_unit_test(the_pace_holds_on_average),
		cmocka_unit_test(what_the_network_brought_is_charged),
		cmocka_unit_test(times_are_read_in_any_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
