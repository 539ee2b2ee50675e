/*
 * redis_harness.h - the Redis collector as the core calls it, for its tests:
 * one target, the real sink, rows and exposition, no processes.
 */
#ifndef TESTS_REDIS_HARNESS_H
#define TESTS_REDIS_HARNESS_H

#include <stdlib.h>
#include <string.h>

#include "../collectors/redis.h"
#include "../exporter/expose.h"
#include "../exporter/registry.h"
#include "../exporter/sink.h"

struct harness {
	struct redis_conf conf;
	struct redis      state;
	struct sink       sink;
	struct scrape     sc;
	struct registry   registry;
	struct rows      *rows[REDIS_GROUPS];
	enum outcome      outcome[REDIS_GROUPS];
	char              why[REDIS_GROUPS][WHY_MAX];
	struct buf        page;
};

/* In place: the scrape points into it. */
static inline void harness_begin(struct harness *h, const char *uri)
{
	static const struct collector *const collectors[] = { &collector };
	struct buf                           faults = BUF(1 << 16);

	*h = (struct harness){ .conf.uri = uri, .page = BUF(64 << 20) };
	h->sink.records = BUF(SINK_MAX);
	h->sc = (struct scrape){
		.target = "cache",
		.conf = &h->conf,
		.state = &h->state,
		.sink = &h->sink,
		.groups = (UINT64_C(1) << REDIS_GROUPS) - 1,
	};
	if (!registry_build(&h->registry, collectors, 1, &faults))
		abort();
	buf_free(&faults);
}

/* Every wanted group through the sink into its rows.  LOST ends it, as it does
 * in the core. */
static inline enum outcome harness_collect(struct harness *h)
{
	for (unsigned i = 0; i < REDIS_GROUPS; i++) {
		rows_drop(h->rows[i]);
		h->rows[i] = NULL;
		h->sc.why[0] = '\0';
		if (!wants(&h->sc, &collector, &redis_groups[i]))
			continue;
		buf_reset(&h->sink.records);
		h->sink.group = &redis_groups[i];
		h->outcome[i] = collector.collect(&h->sc, &redis_groups[i]);
		memcpy(h->why[i], h->sc.why, WHY_MAX);
		if (h->outcome[i] == LOST)
			return LOST;
		h->rows[i] = rows_new(&redis_groups[i]);
		struct text records = { h->sink.records.ptr, h->sink.records.len };
		if (h->rows[i] == NULL || !sink_replay(records, h->rows[i]))
			abort();
	}
	return DONE;
}

/* One scrape, on the kept connection if there is one.  LOST leaves the words in
 * sc.why, and no connection. */
static inline enum outcome harness_scrape(struct harness *h, int64_t ns)
{
	enum outcome outcome = DONE;

	h->sc.until = deadline_in(ns);
	h->sc.why[0] = '\0';
	if (h->state.stream.easy == NULL)
		outcome = collector.connect(&h->sc);
	if (outcome == DONE)
		outcome = collector.ask(&h->sc);
	if (outcome == DONE)
		outcome = harness_collect(h);
	if (outcome == LOST)
		collector.disconnect(&h->sc);
	return outcome;
}

/* What came of the last scrape: the exposition, then a line per group that is
 * not DONE. */
static inline struct text harness_page(struct harness *h)
{
	static const char *const words[] = { "done", "absent", "failed", "lost" };
	struct view              view = { .groups = h->rows };

	buf_reset(&h->page);
	expose(&h->page, &h->registry, &view, 1, false);
	for (unsigned i = 0; i < REDIS_GROUPS; i++)
		if (h->outcome[i] == FAILED || h->why[i][0] != '\0')
			buf_printf(&h->page, "%s %s: %s\n", redis_groups[i].name,
			    words[h->outcome[i]], h->why[i]);
	return (struct text){ h->page.ptr, h->page.len };
}

/* As if these bytes had answered the questions of the mask, on a connection
 * that was made before.  False: the protocol ended the connection. */
static inline bool harness_answer(struct harness *h, unsigned asked, struct text bytes)
{
	size_t want = 0;

	if (h->state.replies.reader == NULL && !redis_replies_open(&h->state.replies))
		abort();
	redis_replies_reset(&h->state.replies);
	for (unsigned q = 0; q < REDIS_QUESTIONS; q++) {
		h->state.answer[q].asked = (asked >> q & 1) != 0;
		want += h->state.answer[q].asked;
	}
	want += h->state.auth;
	return redis_replies_feed(&h->state.replies, bytes, want) &&
	       h->state.replies.nroots == want && redis_answered(&h->sc) == DONE &&
	       harness_collect(h) == DONE;
}

static inline void harness_end(struct harness *h)
{
	redis_sampler_stop(&h->state.prefixes.sampler);
	collector.disconnect(&h->sc);
	for (unsigned i = 0; i < REDIS_GROUPS; i++)
		rows_drop(h->rows[i]);
	registry_free(&h->registry);
	buf_free(&h->sink.records);
	buf_free(&h->page);
}

#endif
