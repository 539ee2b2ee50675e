/*
 * self.h - the exporter's own metrics: an ordinary table, linked in, whose rows
 * are written at every scrape from what the exporter knows anyway.
 */
#ifndef EXPORTER_SELF_H
#define EXPORTER_SELF_H

#include "collector.h"
#include "fleet.h"

extern const struct collector self_collector;

struct self_target { /* a target of this scrape */
	struct target *target;
	const char    *name; /* its label target; NULL: without */
	bool           up;
};

/* One set per group of self_collector, which the caller drops.  False: out of
 * memory, and sets may be NULL. */
bool self_begin(struct rows **sets);
/* What the exporter's processes take: system calls, made while the targets
 * collect. */
void self_processes(struct rows **sets, const struct fleet *);
/* What the scrape came to, once they have; whole: also what is not about
 * single targets. */
void self_scraped(
    struct rows **sets, const struct fleet *, const struct self_target *, size_t n, bool whole);

/* The exporter starts now. */
void self_start(void);

/* A scrape was answered. */
void self_served(int code, double seconds);

#endif
