/*
 * application_harness.h - the application collector as the core calls it, for
 * its tests: one target, the real sink, rows and exposition, no processes.
 * Pages come from a server (harness_scrape) or from memory (harness_page).
 */
#ifndef TESTS_APPLICATION_HARNESS_H
#define TESTS_APPLICATION_HARNESS_H

#include <stdlib.h>
#include <string.h>

#include "../collectors/application.h"
#include "../exporter/expose.h"
#include "../exporter/registry.h"
#include "../exporter/sink.h"

struct harness {
	struct application_conf conf;
	struct application      state;
	struct sink             sink;
	struct scrape           sc;
	struct registry         registry;
	struct rows            *rows[APPLICATION_GROUPS];
	enum outcome            outcome[APPLICATION_GROUPS];
	char                    why[APPLICATION_GROUPS][WHY_MAX];
	struct buf              page;
	bool                    first_sight; /* nothing is known of the instances */
};

static const char *const harness_none[] = { NULL };

/* In place: the scrape points into it.  Options may be set until the first
 * page. */
static inline void harness_begin(struct harness *h, const char *url)
{
	static const struct collector *const collectors[] = { &collector };
	struct buf                           faults = BUF(1 << 16);

	memset(h, 0, sizeof *h);
	h->conf = (struct application_conf){ .url = url,
		.urls = harness_none,
		.families = harness_none,
		.rename = harness_none,
		.max_bytes = 1 << 20 };
	h->page = BUF(64 << 20);
	h->sink.records = BUF(SINK_MAX);
	h->sc = (struct scrape){
		.target = "chat",
		.conf = &h->conf,
		.state = &h->state,
		.sink = &h->sink,
		.until = deadline_in(3600 * NS_PER_S),
		.groups = (UINT64_C(1) << APPLICATION_GROUPS) - 1,
	};
	if (!registry_build(&h->registry, collectors, 1, &faults))
		abort();
	buf_free(&faults);
}

/* As if empty pages had been read before, so that the first one counts in full. */
static inline enum outcome harness_known(struct harness *h)
{
	enum outcome outcome = collector.connect(&h->sc);

	for (unsigned i = 0; i < h->state.ninstances; i++)
		h->state.instances[i].life.known = !h->first_sight;
	return outcome;
}

static inline void harness_connect(struct harness *h)
{
	h->sc.why[0] = '\0';
	if (h->state.multi == NULL && harness_known(h) != DONE)
		abort();
}

/* Every wanted group through the sink into its rows.  LOST ends it, as it does
 * in the core. */
static inline enum outcome harness_collect(struct harness *h)
{
	for (unsigned i = 0; i < APPLICATION_GROUPS; i++) {
		rows_drop(h->rows[i]);
		h->rows[i] = NULL;
	}
	for (unsigned i = 0; i < APPLICATION_GROUPS; i++) {
		const struct group *g = &application_groups[i];
		h->sc.why[0] = '\0';
		if (!wants(&h->sc, &collector, g))
			continue;
		buf_reset(&h->sink.records);
		h->sink.group = g;
		h->outcome[i] = collector.collect(&h->sc, g);
		memcpy(h->why[i], h->sc.why, WHY_MAX);
		if (h->outcome[i] == LOST)
			return LOST;
		h->rows[i] = rows_new(g);
		struct text records = { h->sink.records.ptr, h->sink.records.len };
		if (h->rows[i] == NULL || !sink_replay(records, h->rows[i]))
			abort();
	}
	return DONE;
}

/* One scrape, on kept connections if there are any. */
static inline enum outcome harness_scrape(struct harness *h, int64_t ns)
{
	enum outcome outcome = DONE;

	h->sc.until = deadline_in(ns);
	h->sc.why[0] = '\0';
	if (h->state.multi == NULL)
		outcome = harness_known(h);
	if (outcome == DONE)
		outcome = collector.ask(&h->sc);
	if (outcome == DONE)
		outcome = harness_collect(h);
	if (outcome == LOST)
		collector.disconnect(&h->sc);
	return outcome;
}

/* As if an instance had sent that page, in pieces of so many bytes.  False: it
 * is none, in->why says why. */
static inline bool harness_page_in(
    struct harness *h, unsigned instance, struct text t, bool openmetrics, size_t piece)
{
	harness_connect(h);
	struct application_instance *in = &h->state.instances[instance];
	bool                         good = true;

	application_page_begin(&in->page, &h->state.plan, in->life.page, openmetrics);
	for (size_t at = 0; at < t.len && good; at += piece) {
		size_t len = t.len - at < piece ? t.len - at : piece;
		good = application_page_feed(&in->page, (struct text){ t.ptr + at, len });
	}
	in->up = application_page_end(&in->page, in->why) && good;
	in->bad_lines += (double)in->page.bad;
	in->bytes = t.len;
	in->samples = in->page.samples;
	if (in->up)
		application_life_go_on(&in->life, &h->state.plan, &in->page);
	return in->up;
}

static inline bool harness_page(struct harness *h, unsigned instance, const char *page)
{
	return harness_page_in(h, instance, text_of(page), false, 1 << 20);
}

/* The exposition of the last collection. */
static inline struct text harness_expose(struct harness *h, bool openmetrics)
{
	struct view view = { .groups = h->rows };

	buf_reset(&h->page);
	expose(&h->page, &h->registry, &view, 1, openmetrics);
	return (struct text){ h->page.ptr, h->page.len };
}

/* The same, then a line per group that is not DONE. */
static inline struct text harness_text(struct harness *h)
{
	static const char *const words[] = { "done", "absent", "failed", "lost" };

	harness_expose(h, false);
	for (unsigned i = 0; i < APPLICATION_GROUPS; i++)
		if (h->outcome[i] != DONE)
			buf_printf(&h->page, "%s %s: %s\n", application_groups[i].name,
			    words[h->outcome[i]], h->why[i]);
	return (struct text){ h->page.ptr, h->page.len };
}

/* Is there a line `series value`? */
static inline bool harness_has(struct harness *h, const char *line)
{
	struct text rest = harness_text(h);

	while (rest.len > 0)
		if (text_is(text_cut(&rest, '\n'), line))
			return true;
	return false;
}

static inline void harness_end(struct harness *h)
{
	application_forget(&h->state);
	for (unsigned i = 0; i < APPLICATION_GROUPS; i++)
		rows_drop(h->rows[i]);
	registry_free(&h->registry);
	buf_free(&h->sink.records);
	buf_free(&h->page);
}

#endif
