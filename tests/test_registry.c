/*
 * test_registry.c - every rule on tables, each by the one fault that breaks it;
 * families shared by two collectors; the two exposition formats against files.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../exporter/expose.h"
#include "../exporter/registry.h"
#include "../exporter/self.h"

/* After ours: it defines fail as a macro. */
#include <cmocka.h>

static const double rising[] = { 1, 2 }, falling[] = { 2, 1 }, infinite[] = { 1, INFINITY };
static const char long_name[] =
    "a_name_that_is_longer_than_the_sixty_three_characters_that_are_allowed_total";

static enum outcome
no_collect(struct scrape *sc, const struct group *g)
{
	(void)sc;
	(void)g;
	return DONE;
}

/* clang-format off */
static const struct metric good_metric = { .name = "x_total", .type = COUNTER, .help = "An x." };
static const struct { struct metric m; const char *fault; } bad_metrics[] = {
	{ { .name = "x", .type = COUNTER, .help = "An x." }, "ends in _total" },
	{ { .name = "x_total", .type = GAUGE, .help = "An x." }, "ends in _total" },
	{ { .name = "x_info", .type = GAUGE, .help = "An x." }, "ends in _info" },
	{ { .name = "x", .type = INFO, .help = "An x." }, "ends in _info" },
	{ { .name = "x", .type = GAUGE, .unit = "seconds", .help = "An x." }, "its unit" },
	{ { .name = "xseconds", .type = GAUGE, .unit = "seconds", .help = "An x." }, "its unit" },
	{ { .name = "x_count", .type = GAUGE, .help = "An x." }, "reserved" },
	{ { .name = "x_bucket", .type = GAUGE, .help = "An x." }, "reserved" },
	{ { .name = "x", .type = GAUGE, .help = "An x" }, "one full sentence" },
	{ { .name = "x", .type = GAUGE, .help = "An\nx." }, "one full sentence" },
	{ { .name = "x", .type = GAUGE, .help = NULL }, "one full sentence" },
	{ { .name = "X", .type = GAUGE, .help = "An x." }, "a metric's name" },
	{ { .name = "1x", .type = GAUGE, .help = "An x." }, "a metric's name" },
	{ { .name = "x{", .type = GAUGE, .help = "An x." }, "a metric's name" },
	{ { .name = NULL, .type = GAUGE, .help = "An x." }, "a metric's name" },
	{ { .name = long_name, .type = COUNTER, .help = "An x." }, "a metric's name" },
	{ { .name = "x", .type = HISTOGRAM, .help = "An x." }, "bounds" },
	{ { .name = "x", .type = GAUGE, .help = "An x.", .buckets = rising, .nbuckets = 2 }, "only a histogram" },
	{ { .name = "x", .type = HISTOGRAM, .help = "An x.", .buckets = falling, .nbuckets = 2 }, "does not rise" },
	{ { .name = "x", .type = HISTOGRAM, .help = "An x.", .buckets = infinite, .nbuckets = 2 }, "not finite" },
	{ { .name = "x", .type = HISTOGRAM, .help = "An x.", .buckets = rising, .nbuckets = 33 }, "bounds" },
	{ { .name = "x", .type = GAUGE, .help = "An x.", .own_bounds = true }, "only a histogram" },
	{ { .name = "x", .type = HISTOGRAM, .help = "An x.", .own_bounds = true, .buckets = rising,
	    .nbuckets = 2 }, "none of its own" },
	{ { .name = "x", .type = (enum metric_type)9, .help = "An x." }, "unknown type" },
	{ { .name = "x", .type = GAUGE, .help = "An x.", .scale = NAN }, "scale" },
};

static const struct label open_label[] = { { "name", NULL } };
static const struct { struct label l[2]; unsigned n, max_rows; const char *fault; } bad_labels[] = {
	{ { { "name", NULL } }, 1, 0, "needs max_rows" },
	{ { { "le", NULL } }, 1, 5, "reserved" },
	{ { { "target", NULL } }, 1, 5, "reserved" },
	{ { { "__name__", NULL } }, 1, 5, "a label's name" },
	{ { { "a", NULL }, { "a", NULL } }, 2, 5, "stands twice" },
};
/* clang-format on */

/* The faults of one collector with that group. */
static void
expect_fault(const struct group *g, const char *words)
{
	struct collector c = { COLLECTOR_HEAD, .name = "c", .groups = g, .ngroups = 1,
		.collect = no_collect };
	const struct collector *list[] = { &c };
	struct buf faults = BUF(1 << 16);
	struct registry r;

	assert_int_equal(registry_build(&r, list, 1, &faults), words == NULL);
	buf_char(&faults, '\0');
	if (words != NULL && strstr(faults.ptr, words) == NULL)
		fail_msg("expected \"%s\", got \"%s\"", words, faults.ptr);
	buf_free(&faults);
	registry_free(&r);
}

static void
each_fault_of_a_metric_is_found(void **state)
{
	struct group g = { .name = "g", .about = "G.", .metrics = &good_metric, .nmetrics = 1 };
	(void)state;

	expect_fault(&g, NULL);
	for (size_t i = 0; i < COUNT(bad_metrics); i++) {
		g.metrics = &bad_metrics[i].m;
		expect_fault(&g, bad_metrics[i].fault);
	}
}

static void
each_fault_of_a_label_is_found(void **state)
{
	(void)state;

	for (size_t i = 0; i < COUNT(bad_labels); i++) {
		struct group g = { .name = "g",
			.about = "G.",
			.metrics = &good_metric,
			.nmetrics = 1,
			.labels = bad_labels[i].l,
			.nlabels = bad_labels[i].n,
			.max_rows = bad_labels[i].max_rows };
		expect_fault(&g, bad_labels[i].fault);
	}
}

static void
each_fault_of_a_group_is_found(void **state)
{
	static struct metric many[GROUP_METRICS_MAX + 1];
	struct group none = { .name = "g", .about = "G." };
	struct group unnamed = {
		.name = "G!", .about = "G.", .metrics = &good_metric, .nmetrics = 1
	};
	struct group silent = { .name = "g", .metrics = &good_metric, .nmetrics = 1 };
	struct group full = {
		.name = "g", .about = "G.", .metrics = many, .nmetrics = COUNT(many)
	};
	(void)state;

	expect_fault(&none, "1 to 64 metrics");
	expect_fault(&unnamed, "a group's name");
	expect_fault(&silent, "about is missing");
	expect_fault(&full, "1 to 64 metrics");
}

static void
each_fault_of_a_named_group_is_found(void **state)
{
	static const struct metric unit[] = {
		{ .name = "x_bytes", .type = GAUGE, .unit = "bytes", .help = "An x." }
	};
	static const struct metric two[] = { { .name = "x", .type = GAUGE, .help = "An x." },
		{ .name = "y", .type = GAUGE, .help = "A y." } };
	struct group g = { .name = "g",
		.about = "G.",
		.metrics = &good_metric,
		.nmetrics = 1,
		.labels = open_label,
		.nlabels = 1,
		.max_rows = 1,
		.named = true };
	(void)state;

	expect_fault(&g, NULL);
	g.metrics = unit;
	expect_fault(&g, "knows no units");
	g.metrics = two;
	g.nmetrics = 2;
	expect_fault(&g, "at most one gauge");
	g.nmetrics = 1;
	g.nlabels = 0;
	expect_fault(&g, "the one label");
}

static void
each_fault_of_an_option_is_found(void **state)
{
	static const struct option bad[][2] = {
		{ { .name = "every", .help = "E." }, { .name = "b", .help = "B." } },
		{ { .name = "a", .help = "A." }, { .name = "a", .help = "A." } },
		{ { .name = "A", .help = "A." }, { .name = "b", .help = "B." } },
		{ { .name = "a" }, { .name = "b", .help = "B." } },
		{ { .name = "a", .help = "A.", .offset = 8 }, { .name = "b", .help = "B." } },
	};
	struct group g = { .name = "g", .about = "G.", .metrics = &good_metric, .nmetrics = 1 };
	struct buf faults = BUF(1 << 16);
	struct registry r;
	(void)state;

	for (size_t i = 0; i < COUNT(bad); i++) {
		struct collector c = { .name = "c",
			.groups = &g,
			.ngroups = 1,
			.collect = no_collect,
			.options = bad[i],
			.noptions = 2,
			.conf_size = 8 };
		const struct collector *list[] = { &c };
		assert_false(registry_build(&r, list, 1, &faults));
		registry_free(&r);
	}
	buf_free(&faults);
}

static void
all_faults_are_listed_not_only_the_first(void **state)
{
	struct metric two[] = { bad_metrics[0].m, bad_metrics[8].m };
	struct group g = { .name = "g", .about = "G.", .metrics = two, .nmetrics = 2 };
	(void)state;

	expect_fault(&g, "ends in _total");
	expect_fault(&g, "one full sentence");
}

static void
equal_names_in_one_collector_are_refused(void **state)
{
	struct metric twice[] = { good_metric, good_metric };
	struct metric meet[] = { good_metric, { .name = "x", .type = GAUGE, .help = "An x." } };
	struct group g = { .name = "g", .about = "G.", .metrics = twice, .nmetrics = 2 };
	(void)state;

	expect_fault(&g, "the name is taken");
	g.metrics = meet; /* in OpenMetrics both are the family x */
	expect_fault(&g, "the name is taken");
}

static void
two_collectors_share_a_family_only_when_it_is_the_same(void **state)
{
	struct metric other = { .name = "x_total", .type = COUNTER, .help = "Another x." };
	struct group a = { .name = "g", .about = "G.", .metrics = &good_metric, .nmetrics = 1 };
	struct group b = { .name = "h", .about = "H.", .metrics = &good_metric, .nmetrics = 1 };
	struct collector c1 = { .name = "c1", .groups = &a, .ngroups = 1, .collect = no_collect };
	struct collector c2 = { .name = "c2", .groups = &b, .ngroups = 1, .collect = no_collect };
	const struct collector *list[] = { &c1, &c2, &c1 };
	struct buf faults = BUF(1 << 16);
	struct registry r;
	(void)state;

	assert_true(registry_build(&r, list, 3, &faults));
	assert_int_equal(r.ncollectors, 2);
	assert_int_equal(r.nfamilies, 1);
	assert_int_equal(r.families[0].nuses, 2);
	registry_free(&r);
	b.metrics = &other;
	assert_false(registry_build(&r, list, 3, &faults));
	registry_free(&r);
	b.metrics = &good_metric;
	b.labels = open_label;
	b.nlabels = 1;
	b.max_rows = 1;
	assert_false(registry_build(&r, list, 3, &faults));
	registry_free(&r);
	buf_free(&faults);
}

static void
the_exporters_own_tables_are_good(void **state)
{
	const struct collector *list[] = { &self_collector };
	struct buf faults = BUF(1 << 16);
	struct registry r;
	(void)state;

	assert_true(registry_build(&r, list, 1, &faults));
	registry_free(&r);
	buf_free(&faults);
}

/* ---- exposition ---- */

/* clang-format off */
static const double seconds[] = { 0.005, 1, 100000, 1000000 };
static const struct metric shown_metrics[] = {
	{ .name = "shop_visits_total", .type = COUNTER, .help = "Visits." },
	{ .name = "shop_open_ratio", .type = GAUGE, .unit = "ratio", .help = "Share of doors that are open." },
	{ .name = "shop_wait_seconds", .type = HISTOGRAM, .unit = "seconds", .buckets = seconds,
	    .nbuckets = COUNT(seconds), .help = "Time in the queue." },
	{ .name = "shop_info", .type = INFO, .help = "About the shop." },
	{ .name = "shop_never", .type = GAUGE, .help = "Never there, so it has no head either." },
};
static const struct label shown_labels[] = { { "door", NULL } };
static const struct group shown_group = { .name = "shop", .about = "S.", .metrics = shown_metrics,
	.nmetrics = COUNT(shown_metrics), .labels = shown_labels, .nlabels = 1, .max_rows = 10 };
static const struct collector shown = { COLLECTOR_HEAD, .name = "shop", .about = "S.",
	.groups = &shown_group, .ngroups = 1, .collect = no_collect };
/* clang-format on */

static struct rows *
shown_rows(const char *door, double visits)
{
	static const double count[] = { 1, 0, 5, 1, 2 };
	struct rows *r = rows_new(&shown_group);

	rows_begin(r, (struct text[]){ text_of(door) });
	rows_put(r, 0, visits);
	rows_put(r, 1, 1.0 / 3);
	rows_put_histogram(r, 2, 123.456, count);
	rows_put(r, 3, 1);
	return r;
}

static void
expect_file(const char *path, const struct buf *got)
{
	char want[8192];
	FILE *f = fopen(path, "re");

	if (f == NULL)
		fail_msg("cannot read %s (tests run from the top of the tree)", path);
	size_t n = fread(want, 1, sizeof want, f);
	fclose(f);
	if (n != got->len || memcmp(want, got->ptr, n) != 0)
		fail_msg("%s differs from:\n%.*s", path, (int)got->len, got->ptr);
}

static void
both_formats_are_as_in_the_files(void **state)
{
	const struct collector *list[] = { &shown };
	struct rows *a = shown_rows("north \"1\"", 1e15), *b = shown_rows("s\\th", 0.1);
	struct text pa = expose_prefix("first"), pb = expose_prefix("se\"cond");
	struct view views[] = { { pa, 0, &a }, { pb, 0, &b } };
	struct buf faults = BUF(4096), out = BUF(1 << 16);
	struct registry r;
	(void)state;

	assert_true(registry_build(&r, list, 1, &faults));
	expose(&out, &r, views, 2, false);
	expect_file("tests/golden/expose/shop.txt", &out);
	buf_reset(&out);
	expose(&out, &r, views, 2, true);
	expect_file("tests/golden/expose/shop.om", &out);
	registry_free(&r);
	rows_drop(a);
	rows_drop(b);
	free((void *)(uintptr_t)pa.ptr);
	free((void *)(uintptr_t)pb.ptr);
	buf_free(&out);
	buf_free(&faults);
}

/* clang-format off */
enum { PATTERN_TOTAL, PATTERN_LEVEL, PATTERN_TIME };
static const struct metric patterns[] = {
	[PATTERN_TOTAL] = { .name = "page_total", .type = COUNTER, .help = "From a page." },
	[PATTERN_LEVEL] = { .name = "page_level", .type = GAUGE, .help = "From a page." },
	[PATTERN_TIME] = { .name = "page_time", .type = HISTOGRAM, .own_bounds = true, .help = "From a page." },
};
static const struct group named_group = { .name = "named", .about = "N.", .metrics = patterns,
	.nmetrics = COUNT(patterns), .labels = shown_labels, .nlabels = 1, .max_rows = 20, .named = true };
static const struct collector naming = { COLLECTOR_HEAD, .name = "naming", .about = "N.",
	.groups = &named_group, .ngroups = 1, .collect = no_collect };
/* clang-format on */

static void
begin_named(struct rows *r, const char *name)
{
	rows_begin(r, (struct text[]){ text_of(name) });
}

/* Names that nothing may have in a page are in it, too. */
static struct rows *
named_rows(void)
{
	static const double bounds[] = { 0.1, 1 }, count[] = { 1, 2, 3 };
	static const char *const bad_gauges[] = { "", "9x", "a b", "x_count", "x_total",
		"shop_never", "shop_visits", "caf\xc3\xa9", "x\"y" };
	struct rows *r = rows_new(&named_group);

	for (size_t i = 0; i < COUNT(bad_gauges); i++) {
		begin_named(r, bad_gauges[i]);
		rows_put(r, PATTERN_LEVEL, 1);
	}
	begin_named(r, "no_counter");
	rows_put(r, PATTERN_TOTAL, 1);
	begin_named(r, "Zoo:level");
	rows_put(r, PATTERN_LEVEL, -2.5);
	begin_named(r, "calls_total");
	rows_put(r, PATTERN_TOTAL, 7);
	begin_named(r, "wait_seconds");
	rows_put_buckets(r, PATTERN_TIME, 2, bounds, 3.25, count);
	begin_named(r, "half_known");
	rows_put_buckets(r, PATTERN_TIME, 1, bounds, NAN, count);
	return r;
}

static void
rows_may_name_their_families(void **state)
{
	const struct collector *list[] = { &naming, &shown };
	struct rows *a = named_rows(), *b = rows_new(&named_group);
	struct text pa = expose_prefix("first"), pb = expose_prefix("second");
	struct view views[] = { { pa, 0, &a }, { pb, 0, &b } };
	struct buf faults = BUF(4096), out = BUF(1 << 16);
	struct registry r;
	(void)state;

	begin_named(b, "calls_total");
	rows_put(b, PATTERN_TOTAL, 9);
	begin_named(b, "wait_seconds"); /* another type than the first target's */
	rows_put(b, PATTERN_LEVEL, 1);
	begin_named(b, "calls"); /* in OpenMetrics the same family */
	rows_put(b, PATTERN_LEVEL, 1);
	assert_true(registry_build(&r, list, 2, &faults));
	expose(&out, &r, views, 2, false);
	expect_file("tests/golden/expose/named.txt", &out);
	buf_reset(&out);
	expose(&out, &r, views, 2, true);
	expect_file("tests/golden/expose/named.om", &out);
	registry_free(&r);
	rows_drop(a);
	rows_drop(b);
	free((void *)(uintptr_t)pa.ptr);
	free((void *)(uintptr_t)pb.ptr);
	buf_free(&out);
	buf_free(&faults);
}

static void
bounds_of_rows_stand_beside_those_of_a_table(void **state)
{
	static const double table[] = { 1 }, own[] = { 0.25, 2.5 }, count[] = { 4, 5, 6 };
	struct metric of_table = {
		.name = "x_time", .type = HISTOGRAM, .help = "X.", .buckets = table, .nbuckets = 1
	};
	struct metric of_rows = {
		.name = "x_time", .type = HISTOGRAM, .help = "X.", .own_bounds = true
	};
	struct group g1 = { .name = "g", .about = "G.", .metrics = &of_rows, .nmetrics = 1 };
	struct group g2 = { .name = "g", .about = "G.", .metrics = &of_table, .nmetrics = 1 };
	struct collector c1 = { .name = "c1", .groups = &g1, .ngroups = 1, .collect = no_collect };
	struct collector c2 = { .name = "c2", .groups = &g2, .ngroups = 1, .collect = no_collect };
	const struct collector *list[] = { &c1, &c2 };
	struct rows *a = rows_new(&g1), *b = rows_new(&g2);
	struct view views[] = { { TEXT("target=\"a\""), 0, &a }, { TEXT("target=\"b\""), 1, &b } };
	struct buf faults = BUF(4096), out = BUF(1 << 16);
	struct registry r;
	(void)state;

	rows_begin(a, NULL);
	rows_put_buckets(a, 0, 2, own, 8, count);
	rows_begin(b, NULL);
	rows_put_histogram(b, 0, 9, count);
	assert_true(registry_build(&r, list, 2, &faults));
	expose(&out, &r, views, 2, false);
	buf_char(&out, '\0');
	assert_string_equal(out.ptr, "# HELP x_time X.\n# TYPE x_time histogram\n"
				     "x_time_bucket{target=\"a\",le=\"0.25\"} 4\n"
				     "x_time_bucket{target=\"a\",le=\"2.5\"} 9\n"
				     "x_time_bucket{target=\"a\",le=\"+Inf\"} 15\n"
				     "x_time_sum{target=\"a\"} 8\nx_time_count{target=\"a\"} 15\n"
				     "x_time_bucket{target=\"b\",le=\"1.0\"} 4\n"
				     "x_time_bucket{target=\"b\",le=\"+Inf\"} 9\n"
				     "x_time_sum{target=\"b\"} 9\nx_time_count{target=\"b\"} 9\n");
	registry_free(&r);
	rows_drop(a);
	rows_drop(b);
	buf_free(&out);
	buf_free(&faults);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_of_a_metric_is_found),
		cmocka_unit_test(each_fault_of_a_label_is_found),
		cmocka_unit_test(each_fault_of_a_group_is_found),
		cmocka_unit_test(each_fault_of_a_named_group_is_found),
		cmocka_unit_test(each_fault_of_an_option_is_found),
		cmocka_unit_test(all_faults_are_listed_not_only_the_first),
		cmocka_unit_test(equal_names_in_one_collector_are_refused),
		cmocka_unit_test(two_collectors_share_a_family_only_when_it_is_the_same),
		cmocka_unit_test(the_exporters_own_tables_are_good),
		cmocka_unit_test(both_formats_are_as_in_the_files),
		cmocka_unit_test(rows_may_name_their_families),
		cmocka_unit_test(bounds_of_rows_stand_beside_those_of_a_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
