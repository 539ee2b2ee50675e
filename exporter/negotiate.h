/*
 * negotiate.h - what a client would rather have, from its Accept and
 * Accept-Encoding headers.
 */
#ifndef EXPORTER_NEGOTIATE_H
#define EXPORTER_NEGOTIATE_H

#include <stdbool.h>

#include "text.h"

enum preference { /* what a client may name, in either header */
	LIKES_OPENMETRICS,
	LIKES_TEXT,
	LIKES_ANY_TEXT, /* text/ and a star */
	LIKES_ANY_TYPE,
	LIKES_GZIP,
	LIKES_IDENTITY,
	LIKES_ANY_CODING,
	PREFERENCES,
};

/* Begins zeroed.  0: not named; else q in thousandths, plus one. */
struct negotiation {
	int weight[PREFERENCES];
};

/* May be called for each of several headers of one name.  What cannot be read
 * (a q that is no q, an unknown type or version) is as if it were not there. */
void negotiate_accept(struct negotiation *, struct text header);
void negotiate_encoding(struct negotiation *, struct text header);

/* OpenMetrics 1.0.0 only for those who name it and do not like text 0.0.4
 * better; the rest gets text, also when it says it cannot take it. */
bool negotiate_openmetrics(const struct negotiation *);
bool negotiate_gzip(const struct negotiation *);

#endif
