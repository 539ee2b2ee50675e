/*
 * http.h - the HTTP side: sockets, routes, limits, content negotiation.  What
 * is answered comes from the handlers of struct http_site; http.c knows
 * nothing of targets and rows.
 */
#ifndef EXPORTER_HTTP_H
#define EXPORTER_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "clock.h"

enum http_limits {
	HTTP_CONNECTIONS_MAX = 64,
	HTTP_CONNECTIONS_PER_ADDRESS = 16,
	HTTP_SCRAPES_MAX = 8,		/* at once; one more gets 503 */
	HTTP_NAMES_MAX = 4096,		/* target= and collect[]= in one request */
};

/* A request for telemetry as the handler sees it. */
struct http_scrape {
	const char *const *targets;	/* target= values in order; NULL ends it */
	const char *const *groups;	/* collect[]= values; NULL ends it */
	struct deadline	   until;
	bool		   openmetrics;	/* else text 0.0.4 */
};

struct http_site {
	const char *const *listen;	/* "[::]:10071", "127.0.0.1:0", ...; NULL ends it */
	const char	  *telemetry_path;

	/* Fills body; returns the HTTP status (200, 400 with one sentence in
	 * body, 503).  Called by several threads at once. */
	int	(*scrape)(const struct http_scrape *, struct buf *body);
	/* The page at "/", HTML. */
	void	(*status)(struct buf *body);
	/* True once the exporter can serve scrapes. */
	bool	(*ready)(void);
	/* After every scrape: its HTTP status and duration in seconds. */
	void	(*served)(int code, double seconds);
};

struct http;

/* Listens on every address; NULL: nothing is left open and why has one
 * sentence.  The site must outlive it. */
struct http	*http_start(const struct http_site *, char *why, size_t size);

/* The port the i-th listener got, for a configured port of 0. */
unsigned	 http_port(const struct http *, size_t i);

/* Stops accepting, lets requests end, frees. */
void		 http_stop(struct http *);

#endif
