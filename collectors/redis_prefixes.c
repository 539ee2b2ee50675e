/*
 * redis_prefixes.c - the server's counters, divided among the prefixes.
 *
 * keyspace_hits and keyspace_misses are exact, what windows saw is a sample:
 * of every advance each prefix gets the part that it had of the sample, in
 * whole numbers; what is lost or won by rounding is carried to the next time.
 * So the counts add up to the server's, and none of them ever falls: when the
 * server starts its own anew, ours go on.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "redis.h"

/* ---- dividing ---- */

/* Older windows fade by half at least, and go as far as newer ones fill up. */
static void
add_weights(struct redis_split *s, unsigned n, const uint64_t *seen, double memory)
{
	double old = 0, now = 0;

	for (unsigned i = 0; i <= n; i++) {
		old += s->weight[i];
		now += (double)seen[i];
	}
	double room = memory > now ? memory - now : 0;
	double fade = room < old / 2 ? room / old : 0.5;
	for (unsigned i = 0; i <= n; i++)
		s->weight[i] = s->weight[i] * (old > 0 ? fade : 0) + (double)seen[i];
}

/* Adds what each is due to its carry; with nothing seen it is other's. */
static void
add_dues(struct redis_split *s, unsigned n, uint64_t delta)
{
	double sum = 0;

	for (unsigned i = 0; i <= n; i++)
		sum += s->weight[i];
	for (unsigned i = 0; i <= n; i++) {
		double part = sum > 0 ? s->weight[i] / sum : i == n;
		s->carry[i] += (double)delta * part;
	}
}

/* Who is furthest behind its due, or (sign -1) ahead of it among those that
 * were given something. */
static unsigned
furthest(const struct redis_split *s, const uint64_t *given, unsigned n, double sign)
{
	unsigned found = REDIS_COUNTS;

	for (unsigned i = 0; i <= n; i++) {
		if (sign < 0 && given[i] == 0)
			continue;
		if (found == REDIS_COUNTS || sign * s->carry[i] > sign * s->carry[found])
			found = i;
	}
	return found;
}

void
redis_split_add(
    struct redis_split *s, unsigned n, const uint64_t *seen, double memory, uint64_t delta)
{
	uint64_t given[REDIS_COUNTS] = { 0 }, sum = 0;

	add_weights(s, n, seen, memory);
	add_dues(s, n, delta);
	for (unsigned i = 0; i <= n; i++) {
		if (s->carry[i] < 1)
			continue;
		/* No more than there is, whatever rounding says. */
		double whole = floor(s->carry[i]);
		given[i] = whole < (double)delta ? (uint64_t)whole : delta;
		s->carry[i] -= (double)given[i];
		sum += given[i];
	}
	for (; sum < delta; sum++) {
		unsigned i = furthest(s, given, n, 1);
		given[i]++;
		s->carry[i]--;
	}
	for (; sum > delta; sum--) {
		unsigned i = furthest(s, given, n, -1);
		given[i]--;
		s->carry[i]++;
	}
	for (unsigned i = 0; i <= n; i++)
		s->count[i] += given[i];
}

/* ---- the server's counters ---- */

/* How far they have gone since the last reading.  A server that was started
 * anew, or told to, counts from 0; one that was not and still is another one
 * has taken its place: what that one counted before is none of ours. */
static struct redis_counted
advance(const struct redis_counted *last, const struct redis_counted *now)
{
	enum { INEXACT_S = 2 }; /* both are cut to seconds */
	struct redis_counted a = *now;
	int64_t passed = (now->at - last->at) / NS_PER_S + INEXACT_S;

	if (strcmp(last->run_id, now->run_id) != 0) {
		if (now->uptime > passed)
			a.hits = a.misses = 0;
	} else if (now->hits >= last->hits && now->misses >= last->misses) {
		a.hits -= last->hits;
		a.misses -= last->misses;
	}
	return a;
}

unsigned
redis_prefixes_count(const struct redis_conf *conf)
{
	unsigned n = 0;

	while (conf->key_prefixes != NULL && conf->key_prefixes[n] != NULL)
		n++;
	return n;
}

void
redis_prefixes_count_on(struct redis_prefixes *p, const struct redis_conf *conf,
    const struct redis_counted *now, const struct redis_seen *seen, bool blind)
{
	unsigned n = redis_prefixes_count(conf);
	/* A quarter of what is wanted is enough to do without older windows. */
	double memory = (double)conf->prefix_reads / 4;

	if (!p->known) { /* what was before us is nobody's */
		p->hits.count[n] += now->hits;
		p->misses.count[n] += now->misses;
	} else {
		struct redis_counted a = advance(&p->last, now);
		if (blind) {
			memset(p->hits.weight, 0, sizeof p->hits.weight);
			memset(p->misses.weight, 0, sizeof p->misses.weight);
		}
		redis_split_add(&p->hits, n, seen->hits, memory, a.hits);
		redis_split_add(&p->misses, n, seen->misses, memory, a.misses);
	}
	p->known = true;
	p->last = *now;
}

/* False: INFO has none, or none that are counters. */
static bool
read_counted(const struct redis_info *info, struct redis_counted *now)
{
	const int64_t most = INT64_C(1) << 53; /* beyond it no double is exact */
	int64_t hits, misses;
	struct text id = redis_info_field(info, "run_id");

	*now = (struct redis_counted){ .at = clock_ns() };
	if (!text_integer(redis_info_field(info, "keyspace_hits"), &hits) ||
	    !text_integer(redis_info_field(info, "keyspace_misses"), &misses) || hits < 0 ||
	    misses < 0 || hits > most || misses > most)
		return false;
	now->hits = (uint64_t)hits;
	now->misses = (uint64_t)misses;
	text_integer(redis_info_field(info, "uptime_in_seconds"), &now->uptime);
	if (text_begins(id, " ") || memchr(id.ptr != NULL ? id.ptr : "", ' ', id.len) != NULL)
		id.len = 0; /* it is a word where it is kept */
	text_clean(now->run_id, sizeof now->run_id, id);
	return true;
}

/* ---- what outlives a process ----
 *
 *	run_id at hits misses
 *	hits misses prefix		one line each; other's prefix is empty
 */

void
redis_prefixes_save(const struct redis_prefixes *p, const struct redis_conf *conf, struct buf *b)
{
	unsigned n = redis_prefixes_count(conf);

	buf_printf(b, "%s %" PRId64 " %" PRIu64 " %" PRIu64 "\n", p->last.run_id, p->last.at,
	    p->last.hits, p->last.misses);
	for (unsigned i = 0; i <= n; i++)
		buf_printf(b, "%" PRIu64 " %" PRIu64 " %s\n", p->hits.count[i], p->misses.count[i],
		    i < n ? conf->key_prefixes[i] : "");
}

static bool
take_number(struct text *line, uint64_t *number)
{
	int64_t value;

	if (!text_integer(text_cut(line, ' '), &value) || value < 0)
		return false;
	*number = (uint64_t)value;
	return true;
}

/* The counts of a prefix that is not configured any more are other's. */
static void
load_line(struct redis_prefixes *p, const struct redis_conf *conf, struct text line)
{
	unsigned n = redis_prefixes_count(conf), i = 0;
	uint64_t hits, misses;

	if (!take_number(&line, &hits) || !take_number(&line, &misses))
		return;
	while (i < n && !text_is(line, conf->key_prefixes[i]))
		i++;
	p->hits.count[i] += hits;
	p->misses.count[i] += misses;
}

void
redis_prefixes_load(struct redis_prefixes *p, const struct redis_conf *conf, struct text t)
{
	struct redis_counted last = { 0 };
	struct text head = text_cut(&t, '\n');
	uint64_t at;

	text_clean(last.run_id, sizeof last.run_id, text_cut(&head, ' '));
	if (!take_number(&head, &at) || !take_number(&head, &last.hits) ||
	    !take_number(&head, &last.misses))
		return;
	last.at = (int64_t)at;
	p->last = last;
	p->known = true;
	while (t.len > 0)
		load_line(p, conf, text_cut(&t, '\n'));
}

/* ---- rows ---- */

static void
put_counts(struct scrape *sc, const struct group *g, const struct redis_prefixes *p)
{
	const struct redis_conf *conf = sc->conf;
	unsigned n = redis_prefixes_count(conf);

	for (unsigned i = 0; i <= n; i++) {
		struct text label = i < n ? text_of(conf->key_prefixes[i]) : TEXT("other");
		row(sc->sink, &label);
		put(sc->sink, &g->metrics[0], (double)p->hits.count[i]);
		put(sc->sink, &g->metrics[1], (double)p->misses.count[i]);
	}
}

enum outcome
redis_emit_cache(struct scrape *sc, const struct group *g)
{
	struct redis_prefixes *p = &((struct redis *)sc->state)->prefixes;
	const struct redis_conf *conf = sc->conf;
	struct redis_samples samples;
	struct redis_counted now;
	struct redis_seen seen;
	const struct redis_info *info;
	struct buf kept = BUF(KEPT_MAX);

	if (redis_prefixes_count(conf) == 0)
		return redis_emit_fields(sc, g);
	enum outcome outcome = redis_info_answer(sc, &info);
	if (outcome != DONE)
		return outcome;
	if (!read_counted(info, &now))
		return fail(FAILED, sc, "INFO has no keyspace_hits and keyspace_misses");
	if (!p->known)
		redis_prefixes_load(p, conf, sc->kept);
	if (!redis_sampler_scrape(&p->sampler, sc, &seen))
		return fail(FAILED, sc, "the thread of the sampler cannot be started");
	redis_sampler_read(&p->sampler, &samples);
	redis_prefixes_count_on(p, conf, &now, &seen, samples.blind);
	put_counts(sc, g, p);
	redis_prefixes_save(p, conf, &kept);
	if (buf_ok(&kept))
		keep(sc, (struct text){ kept.ptr, kept.len });
	buf_free(&kept);
	return DONE;
}

enum outcome
redis_emit_samples(struct scrape *sc, const struct group *g)
{
	struct redis_prefixes *p = &((struct redis *)sc->state)->prefixes;
	struct redis_samples samples;

	if (redis_prefixes_count(sc->conf) == 0)
		return ABSENT;
	redis_sampler_read(&p->sampler, &samples);
	if (samples.outcome != DONE)
		return fail(samples.outcome, sc, "%s", samples.why);
	if (samples.blind)
		return fail(ABSENT, sc,
		    "the server does not tell of key misses, all is counted as other: add E and m "
		    "to notify-keyspace-events (where it is empty: CONFIG SET "
		    "notify-keyspace-events Em; A does not include m)");
	row(sc->sink, NULL);
	put(sc->sink, &g->metrics[0], (double)samples.reads);
	put(sc->sink, &g->metrics[1], samples.seconds);
	return DONE;
}

/* ---- options ---- */

static bool
good_prefix(const struct redis_conf *conf, unsigned i, char why[static WHY_MAX])
{
	const char *prefix = conf->key_prefixes[i], *words = NULL;

	if (prefix[0] == '\0')
		words = "is empty";
	else if (strlen(prefix) > REDIS_PREFIX_BYTES_MAX)
		words = "is longer than 64 bytes";
	else if (strcmp(prefix, "other") == 0 || strcmp(prefix, "all") == 0)
		words = "is a name that stands for the others";
	else if (strpbrk(prefix, "\r\n") != NULL)
		words = "has a line end in it";
	else if (strchr(prefix, conf->key_separator[0]) != NULL)
		words = "has the separator in it: give what stands before the first";
	for (unsigned k = 0; words == NULL && k < i; k++)
		if (strcmp(prefix, conf->key_prefixes[k]) == 0)
			words = "stands there twice";
	if (words != NULL)
		snprintf(why, WHY_MAX, "key_prefixes: \"%.64s\" %s", prefix, words);
	return words == NULL;
}

bool
redis_prefixes_check(const struct redis_conf *conf, char why[static WHY_MAX])
{
	unsigned n = redis_prefixes_count(conf);
	const char *words = NULL;

	if (n == 0)
		return true;
	if (strlen(conf->key_separator) != 1)
		words = "key_separator is one character";
	else if (n > REDIS_PREFIXES_MAX)
		words = "key_prefixes: more than 60";
	else if (conf->prefix_username != NULL && conf->prefix_username[0] != '\0' &&
		 (conf->prefix_password == NULL || conf->prefix_password[0] == '\0'))
		words = "prefix_username without prefix_password";
	if (words != NULL)
		snprintf(why, WHY_MAX, "%s", words);
	for (unsigned i = 0; words == NULL && i < n; i++)
		if (!good_prefix(conf, i, why))
			return false;
	return words == NULL;
}
