/*
 * The curve of a partition's log end, the observations taken from it, and what
 * is asked to make it better.
 */
/* Before cmocka.h, whose fail() is a macro. */
#include "../collectors/kafka_age.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

static const double bounds[] = { 1, 5, 10 };
static const struct metric metric = { .name = "x", .buckets = bounds, .nbuckets = COUNT(bounds) };

static struct curve
curve_of(const struct point *points, unsigned n)
{
	struct curve c = { .n = 0 };

	for (unsigned i = 0; i < n; i++)
		curve_add(&c, points[i].t, points[i].offset);
	return c;
}

#define CURVE(...)                                                                                 \
	curve_of(                                                                                  \
	    (const struct point[]){ __VA_ARGS__ }, COUNT(((const struct point[]){ __VA_ARGS__ })))

static void
assert_near(double a, double b)
{
	if (fabs(a - b) > 1e-6)
		print_error("# %.9g is not %.9g\n", a, b);
	assert_true(fabs(a - b) <= 1e-6);
}

static void
points_stand_in_order_of_time(void **state)
{
	struct curve c = CURVE({ 10, 100 }, { 30, 300 }, { 20, 250 });

	(void)state;
	assert_int_equal(c.n, 3);
	assert_near(curve_offset(&c, 15), 175);
	assert_near(curve_offset(&c, 25), 275);
	assert_near(curve_time(&c, 275), 25);
	assert_near(curve_offset(&c, 5), 100);
	assert_near(curve_offset(&c, 35), 300);
}

static void
a_wrong_time_stamp_is_held_between_its_neighbours(void **state)
{
	struct curve c = CURVE({ 10, 100 }, { 30, 300 }, { 15, 5 }, { 25, 9999 });

	(void)state;
	for (unsigned i = 1; i < c.n; i++) {
		assert_true(c.at[i].t > c.at[i - 1].t);
		assert_true(c.at[i].offset >= c.at[i - 1].offset);
	}
	assert_near(curve_offset(&c, 15), 100);
	assert_near(curve_offset(&c, 25), 300);
}

static void
a_full_curve_keeps_its_ends_and_its_corners(void **state)
{
	struct curve c = { .n = 0 };

	(void)state;
	/* Straight to 1000 s, nothing for 100 s, straight again. */
	for (int t = 0; t <= 2000; t += 10)
		curve_add(&c, t, t <= 1000 ? t : t <= 1100 ? 1000 : t - 100);
	assert_int_equal(c.n, CURVE_POINTS);
	assert_near(c.at[0].t, 0);
	assert_near(c.at[c.n - 1].t, 2000);
	assert_near(curve_time(&c, 500), 500);
	assert_true(fabs(curve_time(&c, 999) - 999) < 20);
	assert_true(fabs(curve_time(&c, 1001) - 1101) < 20);
}

static void
nothing_is_forgotten_that_waits(void **state)
{
	struct curve c = CURVE({ 10, 100 }, { 20, 200 }, { 30, 300 }, { 40, 300 }, { 50, 400 });

	(void)state;
	curve_forget(&c, 250);
	assert_int_equal(c.n, 4);
	assert_near(c.at[0].t, 20);
	assert_near(curve_time(&c, 250), 25);
	/* When all is read, only when that was so is still of use. */
	curve_forget(&c, 300);
	assert_near(c.at[0].t, 40);
	curve_forget(&c, 999);
	assert_int_equal(c.n, 1);
	assert_near(c.at[0].t, 50);
	curve_forget(&c, 999);
	assert_int_equal(c.n, 1);
}

static void
a_message_is_produced_between_two_points(void **state)
{
	struct curve c = CURVE({ 10, 100 }, { 20, 100 }, { 30, 101 }, { 40, 101 });
	struct span s = curve_produced(&c, 100);

	(void)state;
	assert_near(s.from, 20);
	assert_near(s.to, 30);
	assert_near(curve_time(&c, 100.5), 25);
	s = curve_produced(&c, 50);
	assert_true(s.from == -INFINITY);
	assert_near(s.to, 10);
	s = curve_produced(&c, 101);
	assert_near(s.from, 40);
	assert_true(s.to == INFINITY);
	s = curve_reached(&c, 25);
	assert_near(s.from, 100);
	assert_near(s.to, 101);
}

static void
ages_are_shared_out_exactly(void **state)
{
	struct curve c = CURVE({ 0, 0 }, { 100, 100 });
	struct histogram h = { .sum = 0 };

	(void)state;
	/* Consumed at a steady pace from 100 to 110: ages fall from 100 to 10. */
	age_observe(&c, (struct span){ 0, 100 }, (struct span){ 100, 110 }, &h, &metric);
	assert_near(h.count[0] + h.count[1] + h.count[2], 0);
	assert_near(h.count[3], 100);
	assert_near(h.sum, 55 * 100);
	h = (struct histogram){ .sum = 0 };
	/* From 92 to 102: ages from 12 to 2, as 10 messages came in 10 s. */
	age_observe(&c, (struct span){ 80, 90 }, (struct span){ 92, 92 + 1e-9 }, &h, &metric);
	assert_near(h.count[1], 3);
	assert_near(h.count[2], 5);
	assert_near(h.count[3], 2);
	assert_near(h.sum, 7 * 10);
}

static void
nothing_is_consumed_before_it_is_produced(void **state)
{
	struct curve c = CURVE({ 0, 0 }, { 100, 0 }, { 110, 100 });
	struct histogram h = { .sum = 0 };

	(void)state;
	age_observe(&c, (struct span){ 0, 100 }, (struct span){ 0, 50 }, &h, &metric);
	assert_near(h.count[0], 100);
	assert_near(h.sum, 0);
}

static void
rounding_keeps_the_number_of_all(void **state)
{
	struct histogram raw = { .count = { 0.4, 0.4, 0.4, 1.8 } }, out;

	(void)state;
	age_round(&raw, &metric, &out);
	assert_near(out.count[0], 0);
	assert_near(out.count[1], 1);
	assert_near(out.count[2], 0);
	assert_near(out.count[3], 2);
}

static bool
asks(const struct questions *q, double t)
{
	for (unsigned i = 0; i < q->n; i++)
		if (fabs(q->t[i] - t) < 0.01)
			return true;
	return false;
}

static void
who_has_read_all_is_not_asked_about(void **state)
{
	static const double older[] = { 5, 60, 0 };
	struct curve c = CURVE({ 900, 100 }, { 1000, 100 });
	struct questions q = { .max = 4 };

	(void)state;
	ask_progress(&q, &c, (struct span){ 100, 100 }, older, 1000);
	assert_int_equal(q.n, 0);
}

static void
the_oldest_is_found_by_halving(void **state)
{
	struct curve c = CURVE({ 1000, 50 });
	double truth = 1000 - 7200;
	unsigned steps = 0;

	(void)state;
	/* Message 10 was produced two hours ago, the others since. */
	for (; steps < 30; steps++) {
		struct questions q = { .max = 1 };
		ask_progress(&q, &c, (struct span){ 10, 10 }, NULL, 1000);
		if (q.n == 0)
			break;
		curve_add(&c, q.t[0], q.t[0] < truth ? 10 : 11);
	}
	assert_true(steps < 15);
	assert_true(fabs(curve_time(&c, 10.5) - truth) < 0.05 * 7200);
}

static void
bounds_are_asked_for_where_they_divide_what_waits(void **state)
{
	static const double older[] = { 5, 60, 300, 0 };
	struct curve c = CURVE({ 500, 0 }, { 900, 0 }, { 990, 400 }, { 1000, 410 });
	struct questions q = { .max = 8 };

	(void)state;
	ask_progress(&q, &c, (struct span){ 0, 0 }, older, 1000);
	assert_true(asks(&q, 1000 - 60));
	assert_false(asks(&q, 1000 - 5));   /* 5 of 410 are nothing to ask for */
	assert_false(asks(&q, 1000 - 300)); /* none was there yet */
}

static void
what_was_just_consumed_is_dated_more_finely(void **state)
{
	struct curve c = CURVE({ 900, 0 }, { 940, 100 });
	struct questions q = { .max = 3 };

	(void)state;
	/* 100 messages came between 940 and 1000, and are consumed already. */
	ask_progress(&q, &c, (struct span){ 100, 200 }, NULL, 1000);
	assert_int_equal(q.n, 3);
	for (unsigned i = 0; i < q.n; i++)
		assert_true(q.t[i] > 940 && q.t[i] < 1000);
}

static void
there_are_never_more_questions_than_allowed(void **state)
{
	static const double older[] = { 5, 10, 30, 60, 300, 0 };
	struct curve c = CURVE({ 0, 0 }, { 1000, 1000 });
	struct questions q = { .max = 2 };

	(void)state;
	ask_first(&q, 1000);
	ask_progress(&q, &c, (struct span){ 10, 900 }, older, 1000);
	assert_int_equal(q.n, 2);
	q = (struct questions){ .max = 0 };
	ask_progress(&q, &c, (struct span){ 10, 900 }, older, 1000);
	assert_int_equal(q.n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(points_stand_in_order_of_time),
		cmocka_unit_test(a_wrong_time_stamp_is_held_between_its_neighbours),
		cmocka_unit_test(a_full_curve_keeps_its_ends_and_its_corners),
		cmocka_unit_test(nothing_is_forgotten_that_waits),
		cmocka_unit_test(a_message_is_produced_between_two_points),
		cmocka_unit_test(ages_are_shared_out_exactly),
		cmocka_unit_test(nothing_is_consumed_before_it_is_produced),
		cmocka_unit_test(rounding_keeps_the_number_of_all),
		cmocka_unit_test(who_has_read_all_is_not_asked_about),
		cmocka_unit_test(the_oldest_is_found_by_halving),
		cmocka_unit_test(bounds_are_asked_for_where_they_divide_what_waits),
		cmocka_unit_test(what_was_just_consumed_is_dated_more_finely),
		cmocka_unit_test(there_are_never_more_questions_than_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
