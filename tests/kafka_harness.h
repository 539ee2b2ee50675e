/*
 * kafka_harness.h - the Kafka collector as the core calls it, for its tests: one
 * target, the real sink, rows and exposition, no processes.
 */
#ifndef TESTS_KAFKA_HARNESS_H
#define TESTS_KAFKA_HARNESS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../collectors/kafka.h"
#include "../exporter/expose.h"
#include "../exporter/registry.h"
#include "../exporter/sink.h"

struct harness {
	struct kafka_conf conf;
	struct kafka      state;
	struct sink       sink;
	struct scrape     sc;
	struct registry   registry;
	struct rows      *rows[KAFKA_GROUPS];
	enum outcome      outcome[KAFKA_GROUPS];
	char              why[KAFKA_GROUPS][WHY_MAX];
	struct buf        page;
};

/* In place: the scrape points into it. */
static inline void harness_begin(struct harness *h)
{
	static const struct collector *const collectors[] = { &collector };
	struct buf                           faults = BUF(1 << 16);

	*h = (struct harness){ .page = BUF(64 << 20) };
	h->conf = (struct kafka_conf){ .exclude_topics = "^__",
		.rate_limit = 10000,
		.questions = 4,
		.read_bytes = 4 << 20,
		.oversized_medium = 256 << 10,
		.oversized_large = 1 << 20,
		.oversized_huge = 5 << 20,
		.key_limit = 600,
		.key_window = 60 * NS_PER_S };
	h->sink.records = BUF(SINK_MAX);
	h->sc = (struct scrape){
		.target = "events",
		.conf = &h->conf,
		.state = &h->state,
		.sink = &h->sink,
		.groups = (UINT64_C(1) << KAFKA_GROUPS) - 1,
	};
	if (!registry_build(&h->registry, collectors, 1, &faults)) {
		fprintf(stderr, "%.*s", (int)faults.len, faults.ptr);
		abort();
	}
	buf_free(&faults);
}

/* Every group through the sink into its rows, and the page they make. */
static inline void harness_collect(struct harness *h)
{
	struct view view = { .prefix = TEXT("target=\"events\""), .groups = h->rows };

	for (unsigned i = 0; i < KAFKA_GROUPS; i++) {
		rows_drop(h->rows[i]);
		h->sc.why[0] = '\0';
		buf_reset(&h->sink.records);
		h->sink.group = &kafka_groups[i];
		h->outcome[i] = collector.collect(&h->sc, &kafka_groups[i]);
		memcpy(h->why[i], h->sc.why, WHY_MAX);
		h->rows[i] = rows_new(&kafka_groups[i]);
		struct text records = { h->sink.records.ptr, h->sink.records.len };
		if (h->rows[i] == NULL || !sink_replay(records, h->rows[i]))
			abort();
	}
	buf_reset(&h->page);
	expose(&h->page, &h->registry, &view, 1, false);
	buf_char(&h->page, '\0');
}

/* One collection, on the kept connection if there is one.  LOST leaves the words
 * in sc.why. */
static inline enum outcome harness_scrape(struct harness *h, int64_t ns)
{
	enum outcome outcome = DONE;

	h->sc.until = deadline_in(ns);
	h->sc.why[0] = '\0';
	if (h->state.client.rk == NULL)
		outcome = collector.connect(&h->sc);
	if (outcome == DONE)
		outcome = collector.ask(&h->sc);
	if (outcome == DONE)
		harness_collect(h);
	else
		collector.disconnect(&h->sc);
	return outcome;
}

/* The value of the series written like that, -1: it is not there. */
static inline double harness_value(const struct harness *h, const char *series)
{
	size_t len = strlen(series);

	for (const char *at = h->page.ptr; at != NULL && (at = strstr(at, series)) != NULL; at++)
		if ((at == h->page.ptr || at[-1] == '\n') && at[len] == ' ')
			return strtod(at + len, NULL);
	return -1;
}

/* The collector itself never forgets a target; here everything vanishes. */
static inline void harness_forget(struct kafka *k)
{
	kafka_reader_stop(&k->records.reader);
	kafka_state_metadata(&k->state, &k->topics, &(struct rd_kafka_metadata){ .topic_cnt = 0 });
	kafka_state_groups(
	    &k->state, &k->groups, &(struct rd_kafka_group_list){ .group_cnt = 0 }, true);
	free(k->state.topics);
	free(k->state.groups);
	free(k->lookups.v);
	struct kafka_select *selects[] = { &k->topics, &k->groups, &k->records.sample,
		&k->records.tail };
	for (unsigned i = 0; i < COUNT(selects); i++) {
		struct kafka_select *select = selects[i];
		if (select->has_include)
			regfree(&select->include);
		if (select->has_exclude)
			regfree(&select->exclude);
	}
}

static inline void harness_end(struct harness *h)
{
	collector.disconnect(&h->sc);
	h->state.state.now++;
	harness_forget(&h->state);
	for (unsigned i = 0; i < KAFKA_GROUPS; i++)
		rows_drop(h->rows[i]);
	registry_free(&h->registry);
	buf_free(&h->sink.records);
	buf_free(&h->page);
}

#endif
