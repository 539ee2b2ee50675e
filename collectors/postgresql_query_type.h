/*
 * postgresql_query_type.h - what kind of statement a text is.
 */
#ifndef COLLECTORS_POSTGRESQL_QUERY_TYPE_H
#define COLLECTORS_POSTGRESQL_QUERY_TYPE_H

#include "../exporter/text.h"

enum query_type {
	QUERY_UNKNOWN, /* not learnt yet */
	QUERY_SELECT,
	QUERY_INSERT,
	QUERY_UPDATE,
	QUERY_DELETE,
	QUERY_OTHER,
	QUERY_OURS, /* the exporter's own: not counted */
	QUERY_TYPES,
};

/* The label's value; NULL for what is not counted. */
const char *query_type_name(enum query_type);

/* By the beginning of a statement's text.  Comments and opening brackets are
 * skipped; a WITH is what its main verb says, and a select when that verb lies
 * beyond the text.  Never QUERY_UNKNOWN. */
enum query_type query_type_of(struct text);

/* By the first word alone: QUERY_UNKNOWN unless that settles it. */
enum query_type query_type_of_word(struct text);

#endif
