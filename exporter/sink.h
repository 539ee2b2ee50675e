/*
 * sink.h - the way of rows and samples from a worker to the exporter: a
 * collector's row() and put() are written down as records, and replayed into
 * struct rows by the parent, who trusts nothing in them.
 *
 *	record  = 'R' { u32 length, bytes } per label of the group
 *	        | 'P' u32 metric, f64 value
 *	        | 'H' u32 metric, f64 sum, f64 count[nbuckets + 1]
 *	        | 'B' u32 metric, u32 n, f64 bounds[n], f64 sum, f64 count[n + 1]
 *
 * Numbers in the machine's own order: both ends are the same program.
 */
#ifndef EXPORTER_SINK_H
#define EXPORTER_SINK_H

#include "buf.h"
#include "rows.h"

enum { SINK_MAX = 16 << 20 }; /* bytes of records of one group in one scrape */

struct sink {
	struct buf          records;
	const struct group *group; /* whose rows are written now */
};

/* False: malformed, whoever wrote it cannot be believed any more. */
bool sink_replay(struct text records, struct rows *);

#endif
