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
	HTTP_CONNECTIONS_MAX = 256,
	HTTP_CONNECTIONS_PER_ADDRESS = 128, /* more than one Prometheus' probes */
	HTTP_SCRAPES_MAX = 8,               /* at once; one more gets 503 */
	HTTP_PROBES_MAX = 96,               /* likewise, of one target each */
	HTTP_NAMES_MAX = 512,               /* target= and collect[]= in one request */
	HTTP_BODY_MAX = 256 * 1024 * 1024,
	HTTP_TIMEOUT_MAX = 120,    /* seconds; whatever the header asks for */
	HTTP_TIMEOUT_DEFAULT = 10, /* Prometheus' own, where there is no header */
	HTTP_REQUEST_SECONDS = 10, /* for a new connection to send its headers */
	HTTP_SEND_SECONDS = 60,    /* to take the response */
	HTTP_IDLE_SECONDS = 300,   /* to the end of the next request: longer than
				    * scrapes are apart, so connections are kept */
	HTTP_STOP_SECONDS = 10,    /* http_stop waits as long for requests */
};

/* A request for telemetry as the handler sees it. */
struct http_scrape {
	const char *const *targets; /* target= values in order; NULL ends it */
	const char *const *groups;  /* collect[]= values; NULL ends it */
	struct deadline    until;
	bool               openmetrics; /* else text 0.0.4 */
	bool               bare;        /* of one target, whose series have no label target */
};

struct http_site {
	const char *const *listen; /* "[::]:10071", "127.0.0.1:0", ...; NULL ends it */
	const char        *telemetry_path;

	/* Fills body; returns the HTTP status (200, 400 with one sentence in
	 * body, 503).  Called by several threads at once. */
	int (*scrape)(const struct http_scrape *, struct buf *body);
	/* The page at /sd, JSON; host: what the Host header says, NULL without one.
	 * Returns the status like scrape. */
	int (*discovery)(const char *host, struct buf *body);
	/* The page at "/", HTML without scripts; styles may stand in it. */
	void (*status)(struct buf *body);
	/* True once the exporter can serve scrapes. */
	bool (*ready)(void);
	/* After every request for telemetry, refused ones included: its HTTP
	 * status and duration in seconds. */
	void (*served)(int code, double seconds);

	/* 0: HTTP_REQUEST_SECONDS, HTTP_SEND_SECONDS, HTTP_IDLE_SECONDS. */
	int64_t request_ns, send_ns, idle_ns;
};

struct http;

/* Listens on every address; NULL: nothing is left open and why has one
 * sentence.  The site must outlive it. */
struct http *http_start(const struct http_site *, char *why, size_t size);

/* The port the i-th listener got, for a configured port of 0. */
unsigned http_port(const struct http *, size_t i);

/* Stops accepting, lets requests end for HTTP_STOP_SECONDS, frees.  A scrape
 * handler that takes longer is waited for, but its client is gone. */
void http_stop(struct http *);

#endif
