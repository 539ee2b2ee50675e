/*
 * redis_latency.c - LATENCY HISTOGRAM, from Redis 7 on:
 *
 *	[ "get", [ "calls", 9, "histogram_usec", [ 1, 3, 4, 8, 132, 9 ] ], "set", ... ]
 *
 * pairs of an inclusive upper bound in microseconds and the calls up to it;
 * bounds that no call fell under are left out, so is a command never called.
 * Redis counts what took longer than a second at its last bound, 1073741, so
 * that one is no bound: what is not at or below 541065 goes into +Inf.
 */
#include <stdio.h>
#include <string.h>

#include "redis.h"

/* Puts the calls of one more bound where they belong.  A bound that is not one
 * of ours (another server's) goes to the next higher one, which is as true. */
static void
add_bound(struct histogram *h, const struct metric *m, long long bound, long long calls)
{
	unsigned i = 0;

	while (i < m->nbuckets && (double)bound > m->buckets[i] * 1e6 + 0.5)
		i++;
	h->count[i] += (double)calls;
}

/* The array behind "histogram_usec"; false: not what the server promises. */
static bool
read_bounds(const struct redis_replies *r, size_t *at, struct histogram *h, const struct metric *m,
    long long *counted)
{
	struct redis_value pairs = redis_take(r, at);

	if (pairs.type != REDIS_REPLY_ARRAY)
		return false;
	for (long long i = 0; i + 1 < pairs.integer; i += 2) {
		struct redis_value bound = redis_take(r, at), upto = redis_take(r, at);
		if (bound.type != REDIS_REPLY_INTEGER || upto.type != REDIS_REPLY_INTEGER ||
		    upto.integer < *counted)
			return false;
		add_bound(h, m, bound.integer, upto.integer - *counted);
		*counted = upto.integer;
	}
	return true;
}

/* What stands behind the name of a command. */
static bool
read_command(const struct redis_replies *r, size_t at, struct histogram *h, const struct metric *m)
{
	struct redis_value parts = redis_take(r, &at);
	long long calls = -1, counted = 0;
	bool bounds = false;

	if (parts.type != REDIS_REPLY_ARRAY)
		return false;
	for (long long i = 0; i + 1 < parts.integer; i += 2) {
		struct redis_value key = redis_take(r, &at);
		if (key.type == 0)
			return false;
		if (text_is(key.text, "calls")) {
			struct redis_value v = redis_take(r, &at);
			calls = v.type == REDIS_REPLY_INTEGER ? v.integer : -1;
		} else if (text_is(key.text, "histogram_usec")) {
			bounds = read_bounds(r, &at, h, m, &counted);
			if (!bounds)
				return false;
		} else {
			redis_skip(r, &at);
		}
	}
	/* The calls above the last bound, were it ever left out. */
	if (calls > counted)
		h->count[m->nbuckets] += (double)(calls - counted);
	return bounds && calls >= counted;
}

/* The position behind the command's name in the reply, or false. */
static bool
find_command(const struct redis_replies *r, size_t at, const char *name, size_t *found)
{
	struct redis_value commands = redis_take(r, &at);

	for (long long i = 0; i + 1 < commands.integer; i += 2) {
		struct redis_value key = redis_take(r, &at);
		if (key.type == 0)
			return false;
		*found = at;
		if (text_is(key.text, name))
			return true;
		redis_skip(r, &at);
	}
	return false;
}

/* DONE with the histogram filled, ABSENT when the server has not kept one. */
static enum outcome
read_histogram(struct scrape *sc, const struct redis_info *info, size_t reply,
    const struct metric *m, struct histogram *h)
{
	const struct redis *r = sc->state;
	char field[64];
	double calls = 0;
	size_t at;

	snprintf(field, sizeof field, "cmdstat_%s", m->source);
	struct text stats = redis_info_field(info, field);
	text_number(redis_info_part(stats, "calls"), &calls);
	if (!find_command(&r->replies, reply, m->source, &at))
		return calls > 0 ? ABSENT : DONE; /* never called: all zero */
	if (!read_command(&r->replies, at, h, m))
		return fail(FAILED, sc, "LATENCY HISTOGRAM: the answer for %s has an unknown form",
		    m->source);
	if (!text_number(redis_info_part(stats, "usec"), &h->sum))
		return fail(FAILED, sc, "INFO has no usec of %s, the sum of its histogram", field);
	h->sum /= 1e6;
	return DONE;
}

enum outcome
redis_emit_latency(struct scrape *sc, const struct group *g)
{
	const struct redis *r = sc->state;
	const struct redis_info *info;
	struct redis_value v;
	size_t position;
	bool some = false;
	enum outcome outcome = redis_info_answer(sc, &info);

	if (outcome != DONE)
		return outcome;
	if (r->major < REDIS_HISTOGRAM_MAJOR)
		return fail(ABSENT, sc,
		    "LATENCY HISTOGRAM needs Redis 7, this is %.*s: calls and seconds are there",
		    (int)(r->version.len < 32 ? r->version.len : 32), r->version.ptr);
	outcome = redis_answer(sc, REDIS_LATENCY, REDIS_REPLY_ARRAY, &position, &v);
	if (outcome != DONE)
		return outcome;
	for (unsigned i = 0; i < g->nmetrics; i++) {
		struct histogram h = { 0 };
		outcome = read_histogram(sc, info, position, &g->metrics[i], &h);
		if (outcome == FAILED)
			return outcome;
		if (outcome == ABSENT)
			continue;
		row(sc->sink, NULL);
		put_histogram(sc->sink, &g->metrics[i], &h);
		some = true;
	}
	if (!some)
		return fail(ABSENT, sc,
		    "the server keeps no latency histograms: "
		    "CONFIG SET latency-tracking yes");
	return DONE;
}
