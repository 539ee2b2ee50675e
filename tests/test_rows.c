/*
 * test_rows.c - rows.c and sink.c: equal series cannot leave, limits hold, and
 * what a worker sends is not believed.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../exporter/sink.h"

/* After ours: it defines fail as a macro. */
#include <cmocka.h>

/* clang-format off */
static const double bounds[] = { 1, 10 };
enum { CALLS, LEVEL, TIME, ABOUT, OWN };
static const struct metric metrics[] = {
	[CALLS] = { .name = "t_calls_total", .type = COUNTER, .accumulated = true, .help = "C." },
	[LEVEL] = { .name = "t_level", .type = GAUGE, .scale = 0.001, .source = "level_ms", .help = "L." },
	[TIME] = { .name = "t_time_seconds", .type = HISTOGRAM, .accumulated = true, .unit = "seconds",
	    .buckets = bounds, .nbuckets = COUNT(bounds), .help = "T." },
	[ABOUT] = { .name = "t_info", .type = INFO, .help = "I." },
	[OWN] = { .name = "t_own", .type = HISTOGRAM, .own_bounds = true, .accumulated = true, .help = "O." },
};
static const char *const colours[] = { "red", "green", NULL };
static const struct label labels[] = { { "name", NULL }, { "colour", colours } };
static const struct group group = { .name = "t", .about = "T.", .metrics = metrics,
	.nmetrics = COUNT(metrics), .labels = labels, .nlabels = COUNT(labels), .max_rows = 3 };
/* clang-format on */

static void
begin(struct rows *r, const char *name, const char *colour)
{
	rows_begin(r, (struct text[]){ text_of(name), text_of(colour) });
}

static const char *
text_of_row(const struct rows *r, uint32_t row)
{
	static char out[2048];

	snprintf(out, sizeof out, "%.*s", (int)r->row[row].len, r->text + r->row[row].text);
	return out;
}

static void
labels_are_escaped_once_and_closed_sets_hold(void **state)
{
	struct rows *r = rows_new(&group);
	(void)state;

	begin(r, "a\"b\\c\nd", "blue");
	assert_string_equal(text_of_row(r, 0), "name=\"a\\\"b\\\\c?d\",colour=\"other\"");
	begin(r, "\xff", "red");
	assert_string_equal(text_of_row(r, 1), "name=\"\xef\xbf\xbd\",colour=\"red\"");
	begin(r, NULL, "red");
	assert_string_equal(text_of_row(r, 2), "colour=\"red\"");
	rows_drop(r);
}

static void
long_values_are_cut(void **state)
{
	char name[1000];
	struct rows *r = rows_new(&group);
	(void)state;

	memset(name, '"', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	begin(r, name, "red");
	assert_int_equal(
	    r->row[0].len, strlen("name=\"\",colour=\"red\"") + 2 * (size_t)LABEL_VALUE_MAX);
	rows_drop(r);
}

static void
equal_labels_are_one_row_and_a_second_put_is_refused(void **state)
{
	struct rows *r = rows_new(&group);
	(void)state;

	begin(r, "a", "red");
	rows_put(r, CALLS, 1);
	begin(r, "b", "red");
	rows_put(r, CALLS, 2);
	begin(r, "a", "red");
	rows_put(r, LEVEL, 3);
	rows_put(r, CALLS, 4);
	assert_int_equal(r->nrows, 2);
	assert_int_equal(r->nsamples, 3);
	assert_int_equal(r->refused[REFUSED_DUPLICATE], 1);
	rows_drop(r);
}

static void
a_row_too_many_is_refused_with_its_samples(void **state)
{
	struct rows *r = rows_new(&group);
	char name[16];
	(void)state;

	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof name, "%d", i);
		begin(r, name, "red");
		rows_put(r, LEVEL, i);
	}
	assert_int_equal(r->nrows, 3);
	assert_int_equal(r->nsamples, 3);
	assert_int_equal(r->refused[REFUSED_ROWS], 7);
	rows_reset(r);
	assert_int_equal(r->refused[REFUSED_ROWS], 0);
	begin(r, "9", "red"); /* the old rows are forgotten */
	assert_int_equal(r->nrows, 1);
	rows_drop(r);
}

static void
values_that_a_type_cannot_have_are_refused(void **state)
{
	static const double nan_count[] = { 1, NAN, 1 }, good[] = { 1, 2, 3 },
			    minus[] = { 1, -1, 0 };
	struct rows *r = rows_new(&group);
	(void)state;

	begin(r, "a", "red");
	rows_put(r, CALLS, -1);
	rows_put(r, CALLS, NAN);
	rows_put(r, CALLS, INFINITY);
	rows_put(r, LEVEL, NAN);
	rows_put(r, TIME, 1);
	rows_put_histogram(r, LEVEL, 1, good);
	rows_put_histogram(r, TIME, 1, nan_count);
	rows_put_histogram(r, TIME, 1, minus);
	rows_put_histogram(r, TIME, INFINITY, good);
	assert_int_equal(r->refused[REFUSED_VALUE], 9);
	assert_int_equal(r->nsamples, 0);
	rows_put(r, ABOUT, 7);
	assert_true(r->samples[0].value == 1); /* an info is 1 */
	rows_drop(r);
}

static void
a_put_without_a_row_is_dropped(void **state)
{
	struct rows *r = rows_new(&group);
	(void)state;

	rows_put(r, LEVEL, 1);
	assert_int_equal(r->nsamples, 0);
	rows_drop(r);
}

static double
value(const struct rows *r, unsigned metric, uint32_t row)
{
	for (uint32_t i = r->head[metric]; i != NO_SAMPLE; i = r->samples[i].next)
		if (r->samples[i].row == row)
			return r->samples[i].value;
	return -1;
}

static void
accumulated_values_go_on_from_a_base(void **state)
{
	static const double old_count[] = { 1, 2, 3 }, new_count[] = { 10, 0, 0 };
	static const double own[] = { 0.5, 7 }, other[] = { 1, 7 };
	struct rows *base = rows_new(&group), *published = rows_new(&group), *r = rows_new(&group);
	(void)state;

	begin(published, "a", "red");
	rows_put(published, CALLS, 100);
	rows_put(published, LEVEL, 7);
	rows_put_histogram(published, TIME, 50, old_count);
	rows_put_buckets(published, OWN, 2, own, 50, old_count);
	begin(published, "new", "green");
	rows_put_buckets(published, OWN, 2, other, 50, old_count);
	begin(published, "gone", "red");
	rows_put(published, CALLS, 9);
	rows_inherit(base, published);

	begin(r, "new", "green");
	rows_put(r, CALLS, 5);
	rows_put_buckets(r, OWN, 2, own, 4, new_count);
	begin(r, "a", "red");
	rows_put(r, CALLS, 1);
	rows_put(r, LEVEL, 3);
	rows_put_histogram(r, TIME, 4, new_count);
	rows_put_buckets(r, OWN, 2, own, 4, new_count);
	rows_add(r, base);
	assert_true(value(r, CALLS, 0) == 5);
	assert_true(value(r, CALLS, 1) == 101);
	assert_true(value(r, LEVEL, 1) == 3); /* not accumulated */
	const double *bins = r->bins + (uint32_t)value(r, TIME, 1);
	assert_true(bins[0] == 54 && bins[1] == 11 && bins[2] == 2 && bins[3] == 3);
	assert_true(value(base, LEVEL, 0) == -1);
	struct bins b = rows_bins(r, &metrics[OWN], &r->samples[r->head[OWN]]);
	assert_true(b.count[0] == 10 && *b.sum == 4); /* other bounds: another histogram */
	b = rows_bins(r, &metrics[OWN], &r->samples[r->tail[OWN]]);
	assert_true(b.count[0] == 11 && b.count[2] == 3 && *b.sum == 54);

	/* a second death: what was not published since is still known */
	struct rows *next = rows_new(&group);
	rows_inherit(next, r);
	rows_inherit(next, base);
	assert_true(value(next, CALLS, 1) == 101);
	assert_int_equal(next->nrows, 3);
	assert_true(value(next, CALLS, 2) == 9);
	rows_drop(next);
	rows_drop(base);
	rows_drop(published);
	rows_drop(r);
}

static void
records_are_replayed_with_scale(void **state)
{
	struct sink sink = { BUF(SINK_MAX), &group };
	struct rows *r = rows_new(&group);
	struct histogram h = { 0 };
	(void)state;

	histogram_observe(&h, &metrics[TIME], 1, 2);  /* inclusive bound */
	histogram_observe(&h, &metrics[TIME], 99, 1); /* above the last */
	row(&sink, (struct text[]){ TEXT("a"), TEXT("green") });
	put(&sink, &metrics[LEVEL], 1500);
	put_text(&sink, &metrics[CALLS], TEXT("17"));
	put_text(&sink, &metrics[ABOUT], TEXT("junk"));
	put_histogram(&sink, &metrics[TIME], &h);
	assert_true(sink_replay((struct text){ sink.records.ptr, sink.records.len }, r));
	assert_true(value(r, LEVEL, 0) == 1.5);
	assert_true(value(r, CALLS, 0) == 17);
	assert_true(value(r, ABOUT, 0) == -1);
	const double *bins = r->bins + (uint32_t)value(r, TIME, 0);
	assert_true(bins[0] == 101 && bins[1] == 2 && bins[2] == 0 && bins[3] == 1);

	/* cut anywhere, it is either refused or a shorter good one: never a crash */
	size_t whole = 0;
	for (size_t len = 0; len <= sink.records.len; len++) {
		rows_reset(r);
		char *copy = malloc(len + 1); /* exact, so that ASan sees a step too far */
		memcpy(copy, sink.records.ptr, len);
		whole += sink_replay((struct text){ copy, len }, r);
		free(copy);
	}
	assert_int_equal(whole, 5); /* after 0, 1, 2, 3 and all 4 records */
	assert_true(metric_by_source(&group, TEXT("level_ms")) == &metrics[LEVEL]);
	assert_null(metric_by_source(&group, TEXT("level")));
	buf_free(&sink.records);
	rows_drop(r);
}

static void
a_row_may_bring_bounds_of_its_own(void **state)
{
	static const double own[] = { 0.5, 7 }, count[] = { 1, 2, 3 }, alone[] = { 9 };
	struct sink sink = { BUF(SINK_MAX), &group };
	struct rows *r = rows_new(&group);
	(void)state;

	row(&sink, (struct text[]){ TEXT("a"), TEXT("green") });
	put_buckets(&sink, &metrics[OWN], 2, own, 4.5, count);
	row(&sink, (struct text[]){ TEXT("b"), TEXT("green") });
	put_buckets(&sink, &metrics[OWN], 0, NULL, NAN, alone);
	assert_true(sink_replay((struct text){ sink.records.ptr, sink.records.len }, r));
	assert_int_equal(r->nsamples, 2);
	struct bins b = rows_bins(r, &metrics[OWN], &r->samples[0]);
	assert_true(b.n == 2 && *b.sum == 4.5);
	assert_memory_equal(b.bounds, own, sizeof own);
	assert_memory_equal(b.count, count, sizeof count);
	b = rows_bins(r, &metrics[OWN], &r->samples[1]);
	assert_true(b.n == 0 && isnan(*b.sum) && b.count[0] == 9);

	for (size_t len = 0; len <= sink.records.len; len++) {
		rows_reset(r);
		char *copy = malloc(len + 1);
		memcpy(copy, sink.records.ptr, len);
		sink_replay((struct text){ copy, len }, r);
		free(copy);
	}
	buf_free(&sink.records);
	rows_drop(r);
}

static void
bounds_of_a_row_are_not_believed(void **state)
{
	static const double falls[] = { 7, 7 }, count[] = { 1, 2, 3 }, minus[] = { 1, -2, 3 },
			    good[] = { 1, 2 }, infinite[] = { 1, INFINITY };
	char many[9 + 8 * 2 * OWN_BOUNDS_MAX] = { 'B', OWN };
	uint32_t n = OWN_BOUNDS_MAX + 1;
	struct rows *r = rows_new(&group);
	(void)state;

	begin(r, "a", "red");
	rows_put_buckets(r, OWN, 2, falls, 1, count);
	rows_put_buckets(r, OWN, 2, infinite, 1, count);
	rows_put_buckets(r, OWN, 2, good, 1, minus);
	rows_put_buckets(r, OWN, 2, good, INFINITY, count);
	rows_put_buckets(r, TIME, 2, good, 1, count); /* has bounds of its own */
	rows_put_histogram(r, OWN, 1, count);
	rows_put_buckets(r, LEVEL, 2, good, 1, count);
	assert_int_equal(r->refused[REFUSED_VALUE], 7);
	assert_int_equal(r->nsamples, 0);
	memcpy(many + 5, &n, sizeof n);
	assert_false(sink_replay((struct text){ many, sizeof many }, r));
	rows_drop(r);
}

static void
a_scale_does_not_add_digits(void **state)
{
	static const struct metric pair[] = {
		{ .name = "m", .type = GAUGE, .scale = 1e-6, .help = "M." },
		{ .name = "k", .type = GAUGE, .scale = 1024, .help = "K." },
	};
	static const struct group g = {
		.name = "g", .about = "G.", .metrics = pair, .nmetrics = 2
	};
	struct sink sink = { BUF(SINK_MAX), &g };
	struct rows *r = rows_new(&g);
	(void)state;

	row(&sink, NULL);
	put(&sink, &pair[0], 5);
	put(&sink, &pair[1], 3);
	assert_true(sink_replay((struct text){ sink.records.ptr, sink.records.len }, r));
	assert_true(value(r, 0, 0) == 0.000005);
	assert_true(value(r, 1, 0) == 3072);
	buf_free(&sink.records);
	rows_drop(r);
}

static void
a_metric_out_of_range_is_not_replayed(void **state)
{
	struct rows *r = rows_new(&group);
	char record[13] = { 'P' };
	uint32_t metric = COUNT(metrics);
	(void)state;

	memcpy(record + 1, &metric, sizeof metric);
	assert_false(sink_replay((struct text){ record, sizeof record }, r));
	assert_false(sink_replay(TEXT("?"), r));
	rows_drop(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(labels_are_escaped_once_and_closed_sets_hold),
		cmocka_unit_test(long_values_are_cut),
		cmocka_unit_test(equal_labels_are_one_row_and_a_second_put_is_refused),
		cmocka_unit_test(a_row_too_many_is_refused_with_its_samples),
		cmocka_unit_test(values_that_a_type_cannot_have_are_refused),
		cmocka_unit_test(a_put_without_a_row_is_dropped),
		cmocka_unit_test(accumulated_values_go_on_from_a_base),
		cmocka_unit_test(records_are_replayed_with_scale),
		cmocka_unit_test(a_row_may_bring_bounds_of_its_own),
		cmocka_unit_test(bounds_of_a_row_are_not_believed),
		cmocka_unit_test(a_scale_does_not_add_digits),
		cmocka_unit_test(a_metric_out_of_range_is_not_replayed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
