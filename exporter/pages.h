/*
 * pages.h - which path is answered with what: the routes, and how many scrapes
 * may be under way.
 */
#ifndef EXPORTER_PAGES_H
#define EXPORTER_PAGES_H

#include <stdatomic.h>

#include "http.h"
#include "request.h"

enum scrape_kind { SCRAPE_ALL, SCRAPE_ONE, SCRAPE_KINDS };

struct pages { /* begins zeroed but for the site */
	const struct http_site *site;
	atomic_uint             under_way[SCRAPE_KINDS];
};

struct answer { /* begins with code 0 and an empty body */
	int         code;
	const char *type;
	const char *policy;     /* Content-Security-Policy; NULL: none */
	bool        negotiated; /* another client might get another one */
	bool        gzip;
	struct buf  body;
};

/* May be called by several threads at once. */
void pages_serve(struct pages *, const char *path, const struct request *, struct answer *);

void answer_sentence(struct answer *, int code, const char *sentence);

#endif
