/*
 * scrape.h - one request for telemetry: which targets and groups, all asked at
 * once, each waited for under one deadline, then written down.
 */
#ifndef EXPORTER_SCRAPE_H
#define EXPORTER_SCRAPE_H

#include "fleet.h"
#include "http.h"

/* The HTTP status; body has the exposition, or one sentence where it is not 200. */
int scrape_run(struct fleet *, const struct http_scrape *, struct buf *body);

/* Asks all targets, or those named; each that failed, and each group that
 * failed, is a line in reasons.  Number of targets that are not up, -1: a name
 * is unknown (body has the sentence). */
int scrape_probe(struct fleet *, const struct http_scrape *, struct buf *body, struct buf *reasons);

#endif
