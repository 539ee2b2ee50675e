/*
 * request.h - what a request says, out of the HTTP library's hands: headers,
 * parameters, and the framing that it is too lenient with.
 */
#ifndef EXPORTER_REQUEST_H
#define EXPORTER_REQUEST_H

#include <stdbool.h>

#include "http.h"
#include "negotiate.h"

struct MHD_Connection;

/* Texts are the library's and stay until the response is queued. */
struct request {
	struct negotiation likes;
	double             timeout; /* seconds; 0: not said */
	const char        *host;    /* NULL: not said; empty: said more than once */
	const char        *fault;   /* one sentence, for 400; NULL: none */
	unsigned           ntargets, ngroups;
	/* in order, NULL ends them */
	const char        *targets[HTTP_NAMES_MAX + 1], *groups[HTTP_NAMES_MAX + 1];
};

/* Fills a zeroed request. */
void request_read(struct MHD_Connection *, struct request *);

/* As soon as the headers are there: the status with which the request is
 * refused before its body is read, and one sentence; 0: it is not. */
int request_refused(struct MHD_Connection *, const char *method, const char **why);

/* Resolves %XX in place and sets the length.  False: a sequence is broken, or
 * stands for NUL; the text ends before it. */
bool request_decode(char *text, size_t *len);

#endif
