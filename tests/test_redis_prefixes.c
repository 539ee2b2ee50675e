/*
 * Hits and misses divided among prefixes: the sums are the server's own, no
 * count falls, whatever the windows saw and whatever the server does.
 */
#include "redis_harness.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char *const three[] = { "user", "conversation", "message", NULL };
static const struct redis_conf conf = { .uri = "redis://h",
	.key_prefixes = three,
	.key_separator = ":",
	.prefix_reads = 2000,
	.prefix_share = 0.25,
	.prefix_bytes = 1 << 20 };
enum { OTHER = 3 };

static uint64_t
sum(const struct redis_split *s, unsigned n)
{
	uint64_t all = 0;

	for (unsigned i = 0; i <= n; i++)
		all += s->count[i];
	return all;
}

/* ---- dividing ---- */

static void
an_advance_is_divided_as_the_sample_was(void **unused)
{
	struct redis_split s = { 0 };

	(void)unused;
	redis_split_add(&s, 3, (const uint64_t[REDIS_COUNTS]){ 50, 30, 20, 0 }, 500, 1000);
	assert_int_equal(s.count[0], 500);
	assert_int_equal(s.count[1], 300);
	assert_int_equal(s.count[2], 200);
	assert_int_equal(s.count[3], 0);
}

static void
what_rounding_takes_is_carried(void **unused)
{
	struct redis_split s = { 0 };

	(void)unused;
	for (int i = 1; i <= 3000; i++) {
		redis_split_add(&s, 2, (const uint64_t[REDIS_COUNTS]){ 1, 1, 1 }, 0, 1);
		assert_int_equal(sum(&s, 2), i);
		for (unsigned k = 0; k < 3; k++)
			assert_true(fabs((double)s.count[k] - i / 3.0) < 1.001);
	}
}

static void
with_nothing_seen_it_is_nobodys_and_older_windows_fade(void **unused)
{
	static const uint64_t none[REDIS_COUNTS], first[REDIS_COUNTS] = { 100 },
						  second[REDIS_COUNTS] = { 0, 400 };
	struct redis_split s = { 0 };

	(void)unused;
	redis_split_add(&s, 3, none, 500, 10);
	assert_int_equal(s.count[OTHER], 10);
	redis_split_add(&s, 3, first, 500, 10);
	redis_split_add(&s, 3, none, 500, 10); /* nobody looked: as before */
	assert_int_equal(s.count[0], 20);
	redis_split_add(&s, 3, second, 500, 425); /* 25 of the old 100 are left */
	assert_int_equal(s.count[0], 45);
	assert_int_equal(s.count[1], 400);
	redis_split_add(&s, 3, (const uint64_t[REDIS_COUNTS]){ 0, 0, 500 }, 500, 100);
	assert_int_equal(s.count[2], 100); /* enough was seen: nothing old counts */
}

static uint64_t
some(unsigned *seed, unsigned most)
{
	unsigned kind = (unsigned)rand_r(seed) % 8;

	if (kind == 0)
		return 0;
	if (kind == 1)
		return (uint64_t)rand_r(seed) << 22; /* up to 2^53 */
	return (uint64_t)rand_r(seed) % (kind == 2 ? 3 : most);
}

static void
random_series_add_up_and_never_fall(void **unused)
{
	unsigned seed = 1;

	(void)unused;
	for (int series = 0; series < 400; series++) {
		struct redis_split s = { 0 };
		unsigned n = (unsigned)rand_r(&seed) % (REDIS_PREFIXES_MAX + 1);
		uint64_t all = 0, most = 0;
		for (int step = 0; step < 100; step++) {
			struct redis_split before = s;
			uint64_t seen[REDIS_COUNTS] = { 0 }, delta = some(&seed, 100000);
			for (unsigned i = 0; i <= n; i++)
				seen[i] = rand_r(&seed) % 3 == 0 ? 0 : some(&seed, 2000);
			redis_split_add(&s, n, seen, 500, delta);
			all += delta;
			most = delta > most ? delta : most;
			assert_int_equal(sum(&s, n), all);
			for (unsigned i = 0; i <= n; i++) {
				assert_true(s.count[i] >= before.count[i]);
				/* Each stays near its due; doubles of 2^53 have no halves. */
				assert_true(fabs(s.carry[i]) < 2 * (n + 1) + (double)most * 1e-12);
			}
		}
	}
}

/* ---- the server's counters ---- */

static struct redis_counted
counted(const char *id, uint64_t hits, uint64_t misses, int64_t uptime, int64_t at)
{
	struct redis_counted c = {
		.hits = hits, .misses = misses, .uptime = uptime, .at = at * NS_PER_S
	};

	snprintf(c.run_id, sizeof c.run_id, "%s", id);
	return c;
}

static void
go_on(struct redis_prefixes *p, struct redis_counted now, bool blind)
{
	static const struct redis_seen seen = { { 60, 30, 10 }, { 10, 30, 60 } };

	redis_prefixes_count_on(p, &conf, &now, &seen, blind);
}

static void
assert_sums(const struct redis_prefixes *p, uint64_t hits, uint64_t misses)
{
	assert_int_equal(sum(&p->hits, 3), hits);
	assert_int_equal(sum(&p->misses, 3), misses);
}

static void
what_was_before_the_first_look_is_nobodys(void **unused)
{
	struct redis_prefixes p = { 0 };

	(void)unused;
	go_on(&p, counted("a", 1000, 500, 9999, 100), false);
	assert_sums(&p, 1000, 500);
	assert_int_equal(p.hits.count[OTHER], 1000);
	go_on(&p, counted("a", 1100, 600, 10004, 105), false);
	assert_sums(&p, 1100, 600);
	assert_int_equal(p.hits.count[0], 60);
	assert_int_equal(p.misses.count[2], 60);
	assert_int_equal(p.misses.count[OTHER], 500);
}

static void
a_reset_and_a_restart_count_from_zero_and_another_server_not_at_all(void **unused)
{
	struct redis_prefixes p = { 0 };

	(void)unused;
	go_on(&p, counted("a", 1000, 500, 9999, 100), false);
	go_on(&p, counted("a", 30, 700, 10004, 105), false); /* CONFIG RESETSTAT */
	assert_sums(&p, 1030, 1200);
	go_on(&p, counted("a", 30, 700, 10009, 110), false);
	assert_sums(&p, 1030, 1200);
	go_on(&p, counted("b", 2000, 800, 4, 115), false); /* began since */
	assert_sums(&p, 3030, 2000);
	go_on(&p, counted("c", 900000, 900000, 5000, 120), false); /* has taken over */
	assert_sums(&p, 3030, 2000);
	go_on(&p, counted("c", 900001, 900002, 5005, 125), false);
	assert_sums(&p, 3031, 2002);
}

static void
without_word_of_misses_all_is_others(void **unused)
{
	static const struct redis_seen none;
	struct redis_prefixes p = { 0 };
	struct redis_counted now = counted("a", 200, 200, 20, 110);

	(void)unused;
	go_on(&p, counted("a", 0, 0, 10, 100), false);
	go_on(&p, counted("a", 100, 100, 15, 105), false);
	assert_int_equal(p.hits.count[0], 60);
	redis_prefixes_count_on(&p, &conf, &now, &none, true);
	assert_int_equal(p.hits.count[0], 60);
	assert_int_equal(p.hits.count[OTHER], 100);
	assert_sums(&p, 200, 200);
}

/* ---- what outlives a process ---- */

static void
another_process_goes_on_where_the_last_one_was(void **unused)
{
	static const char *const fewer[] = { "message", "new", NULL };
	struct redis_conf changed = conf;
	struct redis_prefixes p = { 0 }, q = { 0 }, r = { 0 };
	struct buf b = BUF(KEPT_MAX);

	(void)unused;
	go_on(&p, counted("a", 1000, 500, 9999, 100), false);
	go_on(&p, counted("a", 1100, 600, 10004, 105), false);
	redis_prefixes_save(&p, &conf, &b);
	redis_prefixes_load(&q, &conf, (struct text){ b.ptr, b.len });
	assert_true(q.known);
	for (unsigned i = 0; i <= 3; i++) {
		assert_int_equal(q.hits.count[i], p.hits.count[i]);
		assert_int_equal(q.misses.count[i], p.misses.count[i]);
	}
	go_on(&q, counted("a", 1150, 650, 10009, 110), false); /* the gap is counted */
	assert_sums(&q, 1150, 650);

	changed.key_prefixes = fewer;
	redis_prefixes_load(&r, &changed, (struct text){ b.ptr, b.len });
	assert_int_equal(r.hits.count[0], p.hits.count[2]);
	assert_int_equal(r.hits.count[1], 0);
	assert_int_equal(sum(&r.hits, 2), 1100); /* what is gone is other's */
	assert_int_equal(sum(&r.misses, 2), 600);
	buf_free(&b);
}

static void
kept_bytes_of_the_greatest_size_fit_and_broken_ones_are_passed_over(void **unused)
{
	static const char *const broken[] = { "", "\n", "a\n", "a 1 2\n", "a 1 -2 3\n", "a b c d\n",
		"a 1 2 99999999999999999999\n" };
	static char names[REDIS_PREFIXES_MAX][REDIS_PREFIX_BYTES_MAX + 1];
	static const char *list[REDIS_PREFIXES_MAX + 1];
	struct redis_conf many = conf;
	struct redis_prefixes p = { .known = true };
	struct buf b = BUF(KEPT_MAX);

	(void)unused;
	for (size_t i = 0; i < COUNT(broken); i++) {
		struct redis_prefixes q = { 0 };
		redis_prefixes_load(&q, &conf, text_of(broken[i]));
		assert_false(q.known);
		assert_sums(&q, 0, 0);
	}
	for (unsigned i = 0; i < REDIS_PREFIXES_MAX; i++) {
		memset(names[i], 'x', REDIS_PREFIX_BYTES_MAX);
		names[i][0] = (char)('!' + i);
		list[i] = names[i];
		p.hits.count[i] = p.misses.count[i] = INT64_MAX;
	}
	many.key_prefixes = list;
	redis_prefixes_save(&p, &many, &b);
	assert_true(buf_ok(&b));
	struct redis_prefixes q = { 0 };
	redis_prefixes_load(&q, &many, (struct text){ b.ptr, b.len });
	assert_memory_equal(q.hits.count, p.hits.count, sizeof p.hits.count);
	buf_free(&b);
}

/* ---- options ---- */

static void
prefixes_that_cannot_be_meant_are_refused(void **unused)
{
	static const struct {
		const char *const prefixes[3];
		const char *separator, *user, *password, *words;
	} table[] = {
		{ { "user", "message" }, ":", NULL, NULL, NULL },
		{ { "user:x", "message" }, "/", "sampler", "hush", NULL },
		{ { NULL }, "", "sampler", NULL, NULL },
		{ { "" }, ":", NULL, NULL, "is empty" },
		{ { "user", "user" }, ":", NULL, NULL, "stands there twice" },
		{ { "other" }, ":", NULL, NULL, "stands for the others" },
		{ { "all" }, ":", NULL, NULL, "stands for the others" },
		{ { "user:" }, ":", NULL, NULL, "has the separator in it" },
		{ { "us\ner" }, ":", NULL, NULL, "has a line end" },
		{ { "a2345678901234567890123456789012345678901234567890123456789012345" }, ":",
		    NULL, NULL, "longer than 64" },
		{ { "user" }, "::", NULL, NULL, "key_separator is one character" },
		{ { "user" }, "", NULL, NULL, "key_separator is one character" },
		{ { "user" }, ":", "sampler", NULL, "prefix_username without" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct redis_conf c = conf;
		char why[WHY_MAX] = "";
		c.key_prefixes = table[i].prefixes;
		c.key_separator = table[i].separator;
		c.prefix_username = table[i].user;
		c.prefix_password = table[i].password;
		assert_int_equal(redis_check(&c, why), table[i].words == NULL);
		if (table[i].words != NULL && strstr(why, table[i].words) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", why, table[i].words);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_advance_is_divided_as_the_sample_was),
		cmocka_unit_test(what_rounding_takes_is_carried),
		cmocka_unit_test(with_nothing_seen_it_is_nobodys_and_older_windows_fade),
		cmocka_unit_test(random_series_add_up_and_never_fall),
		cmocka_unit_test(what_was_before_the_first_look_is_nobodys),
		cmocka_unit_test(
		    a_reset_and_a_restart_count_from_zero_and_another_server_not_at_all),
		cmocka_unit_test(without_word_of_misses_all_is_others),
		cmocka_unit_test(another_process_goes_on_where_the_last_one_was),
		cmocka_unit_test(
		    kept_bytes_of_the_greatest_size_fit_and_broken_ones_are_passed_over),
		cmocka_unit_test(prefixes_that_cannot_be_meant_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
