/*
 * The bookkeeping over polls of pg_stat_statements, and the estimate where it
 * has to be exact.
 */
/* Before cmocka.h, whose fail() is a macro. */
#include "../collectors/postgresql_ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

static const double bounds[] = { 0.001, 0.01, 0.1, 1 };
static const struct metric metric = { .name = "x", .buckets = bounds, .nbuckets = COUNT(bounds) };

/* Calls and total seconds, all of the same duration. */
static struct reading
even(int64_t queryid, double calls, double seconds)
{
	return (struct reading){ .userid = 10,
		.dbid = 5,
		.queryid = queryid,
		.moments = {
		    .calls = calls, .total = calls * seconds, .min = seconds, .max = seconds } };
}

static void
take(struct ledger *l, struct reading r)
{
	assert_true(ledger_take(l, &r));
}

static void
poll_one(struct ledger *l, struct reading r)
{
	ledger_begin(l, false);
	take(l, r);
	ledger_end(l, -1);
}

static double
counted(const struct ledger *l, enum query_type type)
{
	struct histogram h;
	double n = 0;

	ledger_histogram(l, type, &h);
	for (size_t i = 0; i <= COUNT(bounds); i++)
		n += h.count[i];
	return n;
}

static double
summed(const struct ledger *l, enum query_type type)
{
	struct histogram h;

	ledger_histogram(l, type, &h);
	return h.sum;
}

/* One statement, polled once, of known type. */
static struct ledger *
known(struct reading first)
{
	struct ledger *l = ledger_new(&metric);

	assert_non_null(l);
	poll_one(l, first);
	ledger_learn(l, first.queryid, QUERY_SELECT);
	return l;
}

static void
first_poll_counts_nothing(void **state)
{
	(void)state;
	struct ledger *l = known(even(1, 1000, 0.02));

	assert_true(counted(l, QUERY_SELECT) == 0);
	poll_one(l, even(1, 1007, 0.02));
	assert_true(counted(l, QUERY_SELECT) == 7);
	assert_true(fabs(summed(l, QUERY_SELECT) - 7 * 0.02) < 1e-12);
	ledger_free(l);
}

static void
new_entry_counts_from_zero(void **state)
{
	(void)state;
	struct ledger *l = known(even(1, 10, 0.02));

	ledger_begin(l, false);
	take(l, even(1, 10, 0.02));
	take(l, even(2, 4, 0.5));
	ledger_end(l, -1);
	ledger_learn(l, 2, QUERY_UPDATE);
	ledger_begin(l, false);
	take(l, even(1, 10, 0.02));
	take(l, even(2, 5, 0.5));
	ledger_end(l, -1);
	assert_true(counted(l, QUERY_UPDATE) == 5);
	assert_true(counted(l, QUERY_SELECT) == 0);
	ledger_free(l);
}

static void
type_not_learnt_waits_and_then_goes_under_other(void **state)
{
	(void)state;
	struct ledger *l = ledger_new(&metric);
	double calls = 10;

	poll_one(l, even(1, calls, 0.02));
	assert_int_equal(ledger_unknown(l), 0); /* not called: nobody needs its type */
	poll_one(l, even(1, ++calls, 0.02));
	assert_int_equal(ledger_unknown(l), 1);
	assert_true(counted(l, QUERY_OTHER) == 0);
	for (int i = 0; i < 8; i++)
		poll_one(l, even(1, ++calls, 0.02));
	assert_true(counted(l, QUERY_OTHER) == calls - 10);
	/* Learnt late, it is counted under its name from then on. */
	ledger_learn(l, 1, QUERY_DELETE);
	poll_one(l, even(1, calls + 2, 0.02));
	assert_true(counted(l, QUERY_DELETE) == 2);
	assert_true(counted(l, QUERY_OTHER) == calls - 10);
	ledger_free(l);
}

static void
type_is_shared_by_users_and_databases(void **state)
{
	(void)state;
	struct ledger *l = known(even(1, 10, 0.02));
	struct reading other = even(1, 3, 0.02);

	other.userid = 11;
	ledger_begin(l, false);
	take(l, even(1, 10, 0.02));
	take(l, other);
	ledger_end(l, -1);
	assert_true(counted(l, QUERY_SELECT) == 3);
	assert_int_equal(ledger_entries(l), 2);
	ledger_free(l);
}

static void
own_statements_are_not_counted(void **state)
{
	(void)state;
	struct ledger *l = ledger_new(&metric);

	poll_one(l, even(1, 10, 0.02));
	ledger_learn(l, 1, QUERY_OURS);
	poll_one(l, even(1, 20, 0.02));
	for (enum query_type t = 0; t < QUERY_TYPES; t++)
		assert_true(counted(l, t) == 0);
	ledger_free(l);
}

static void
reset_of_an_entry_counts_what_came_after(void **state)
{
	(void)state;
	struct ledger *l = known(even(1, 100, 0.02));

	poll_one(l, even(1, 110, 0.02));
	poll_one(l, even(1, 4, 0.02));
	assert_true(counted(l, QUERY_SELECT) == 14);
	/* Ten were to be expected, four were seen. */
	assert_true(ledger_lost(l) == 6);
	ledger_free(l);
}

static void
reset_is_seen_though_calls_did_not_fall(void **state)
{
	(void)state;
	struct ledger *l = known(even(1, 3, 0.02));

	poll_one(l, even(1, 3, 0.05)); /* as many calls, of another duration */
	assert_true(counted(l, QUERY_SELECT) == 3);
	poll_one(l, even(1, 9, 0.06)); /* more calls, but the minimum has risen */
	assert_true(counted(l, QUERY_SELECT) == 12);
	assert_true(fabs(summed(l, QUERY_SELECT) - (3 * 0.05 + 9 * 0.06)) < 1e-12);

	struct reading r = even(1, 20, 0.06);
	r.since = 7;
	poll_one(l, r); /* the server says so itself */
	assert_true(counted(l, QUERY_SELECT) == 32);
	ledger_free(l);
}

static void
eviction_and_return(void **state)
{
	(void)state;
	struct ledger *l = known(even(1, 100, 0.02));

	poll_one(l, even(1, 103, 0.02));
	ledger_begin(l, false);
	take(l, even(2, 1, 0.02));
	ledger_end(l, 1);
	assert_true(ledger_lost(l) == 3); /* by expectation */
	assert_int_equal(ledger_entries(l), 1);
	poll_one(l, even(1, 2, 0.02));
	ledger_learn(l, 1, QUERY_SELECT);
	poll_one(l, even(1, 2, 0.02));
	assert_true(counted(l, QUERY_SELECT) == 5);
	ledger_free(l);
}

static void
entries_never_seen_are_lost(void **state)
{
	(void)state;
	struct ledger *l = known(even(1, 100, 0.02));

	ledger_begin(l, false);
	take(l, even(1, 100, 0.02));
	ledger_end(l, 20);
	assert_true(ledger_lost(l) == 20);
	ledger_free(l);
}

static void
pending_calls_of_a_gone_entry_are_lost(void **state)
{
	(void)state;
	struct ledger *l = known(even(1, 100, 0.02));

	ledger_begin(l, false);
	take(l, even(1, 100, 0.02));
	take(l, even(2, 6, 0.02));
	ledger_end(l, -1);
	poll_one(l, even(1, 100, 0.02));
	assert_true(ledger_lost(l) == 6);
	ledger_free(l);
}

static void
another_server_is_only_remembered(void **state)
{
	(void)state;
	struct ledger *l = known(even(1, 100, 0.02));

	ledger_begin(l, true);
	take(l, even(1, 900000, 0.02));
	ledger_end(l, 50);
	assert_true(counted(l, QUERY_SELECT) == 0);
	assert_true(ledger_lost(l) == 0);
	ledger_learn(l, 1, QUERY_SELECT);
	poll_one(l, even(1, 900001, 0.02));
	assert_true(counted(l, QUERY_SELECT) == 1);
	ledger_free(l);
}

static void
an_entry_twice_in_one_answer_counts_once(void **state)
{
	(void)state;
	struct ledger *l = known(even(1, 100, 0.02));

	ledger_begin(l, false);
	take(l, even(1, 101, 0.02));
	take(l, even(1, 150, 0.02));
	ledger_end(l, -1);
	assert_true(counted(l, QUERY_SELECT) == 1);
	ledger_free(l);
}

/* Many entries come, go and come again: every call is counted or lost. */
static void
many_entries_come_and_go(void **state)
{
	(void)state;
	struct ledger *l = ledger_new(&metric);
	double calls = 0;

	ledger_begin(l, false);
	ledger_end(l, -1);
	for (int64_t round = 0; round < 20; round++) {
		ledger_begin(l, false);
		for (int64_t i = 0; i < 3000; i++)
			if ((i + round) % 3 != 0) {
				take(l, even(i * INT64_C(0x100000001), 1, 0.02));
				calls += 1;
			}
		for (int64_t i = 0; i < 3000; i++)
			ledger_learn(l, i * INT64_C(0x100000001), QUERY_INSERT);
		ledger_end(l, -1);
	}
	assert_int_equal(ledger_entries(l), 2000);
	assert_true(counted(l, QUERY_INSERT) + ledger_lost(l) <= calls);
	assert_true(counted(l, QUERY_INSERT) > 0);
	ledger_free(l);
}

/* ---- the estimate ---- */

static void
histogram_of(struct histogram *h, const struct moments *was, const struct moments *now)
{
	struct spread s = { 0 };

	estimate_add(&s, &metric, was, now);
	estimate_histogram(&s, &metric, h);
}

static void
single_call_is_exact(void **state)
{
	(void)state;
	struct moments was = {
		.calls = 1000, .total = 20, .squares = 0.5, .min = 0.0001, .max = 0.9
	};
	struct moments now = {
		.calls = 1001, .total = 20.5, .squares = 0.73, .min = 0.0001, .max = 0.9
	};
	struct histogram h;

	histogram_of(&h, &was, &now);
	assert_true(h.count[3] == 1 && h.count[0] + h.count[1] + h.count[2] + h.count[4] == 0);
	assert_true(h.sum == 0.5);
}

static void
two_calls_are_exact(void **state)
{
	(void)state;
	/* 0.0005 and 0.5, the entry's only ones; then both once more. */
	double apart = (0.5 - 0.0005) * (0.5 - 0.0005) / 2;
	struct moments none = { 0 };
	struct moments two = {
		.calls = 2, .total = 0.5005, .squares = apart, .min = 0.0005, .max = 0.5
	};
	struct moments four = {
		.calls = 4, .total = 1.001, .squares = 2 * apart, .min = 0.0005, .max = 0.5
	};
	struct histogram h;

	histogram_of(&h, &none, &two);
	assert_true(h.count[0] == 1 && h.count[3] == 1);
	histogram_of(&h, &two, &four);
	assert_true(h.count[0] == 1 && h.count[3] == 1);
}

static void
new_maximum_is_exact(void **state)
{
	(void)state;
	/* Nine calls of 5 ms and one of 7 s, after many of 5 ms. */
	struct moments was = {
		.calls = 1000, .total = 5, .squares = 0, .min = 0.005, .max = 0.005
	};
	double mean = (9 * 0.005 + 7) / 10;
	double within = 9 * pow(0.005 - mean, 2) + pow(7 - mean, 2);
	double between = pow(mean - 0.005, 2) * 1000 * 10 / 1010;
	struct moments now = { .calls = 1010,
		.total = 5 + 9 * 0.005 + 7,
		.squares = within + between,
		.min = 0.005,
		.max = 7 };
	struct histogram h;

	histogram_of(&h, &was, &now);
	assert_true(h.count[1] == 9 && h.count[4] == 1);
}

static void
nothing_lies_outside_the_records(void **state)
{
	(void)state;
	struct moments was = {
		.calls = 100, .total = 3, .squares = 0.05, .min = 0.011, .max = 0.09
	};
	struct moments now = {
		.calls = 200, .total = 6, .squares = 0.1, .min = 0.011, .max = 0.09
	};
	struct histogram h;

	histogram_of(&h, &was, &now);
	assert_true(h.count[2] == 100);
}

/* Whatever a server may say, counts are whole, not negative and complete. */
static void
nonsense_stays_a_histogram(void **state)
{
	(void)state;
	static const double odd[] = { 0, 1e-9, 0.5, 3, 1e9, 1e300 };
	enum { N = sizeof odd / sizeof *odd };

	for (unsigned i = 0; i < N * N * N * N; i++) {
		struct moments was = { 0 };
		struct moments now = { .calls = 1 + i % 7,
			.total = odd[i % N],
			.squares = odd[i / N % N],
			.min = odd[i / N / N % N],
			.max = odd[i / N / N / N % N] };
		struct histogram h;
		double n = 0;
		histogram_of(&h, &was, &now);
		for (size_t k = 0; k <= COUNT(bounds); k++) {
			assert_true(h.count[k] >= 0 && h.count[k] == floor(h.count[k]));
			n += h.count[k];
		}
		assert_true(n == now.calls);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_poll_counts_nothing),
		cmocka_unit_test(new_entry_counts_from_zero),
		cmocka_unit_test(type_not_learnt_waits_and_then_goes_under_other),
		cmocka_unit_test(type_is_shared_by_users_and_databases),
		cmocka_unit_test(own_statements_are_not_counted),
		cmocka_unit_test(reset_of_an_entry_counts_what_came_after),
		cmocka_unit_test(reset_is_seen_though_calls_did_not_fall),
		cmocka_unit_test(eviction_and_return),
		cmocka_unit_test(entries_never_seen_are_lost),
		cmocka_unit_test(pending_calls_of_a_gone_entry_are_lost),
		cmocka_unit_test(another_server_is_only_remembered),
		cmocka_unit_test(an_entry_twice_in_one_answer_counts_once),
		cmocka_unit_test(many_entries_come_and_go),
		cmocka_unit_test(single_call_is_exact),
		cmocka_unit_test(two_calls_are_exact),
		cmocka_unit_test(new_maximum_is_exact),
		cmocka_unit_test(nothing_lies_outside_the_records),
		cmocka_unit_test(nonsense_stays_a_histogram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
