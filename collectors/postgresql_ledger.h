/*
 * postgresql_ledger.h - what was read last of every entry of
 * pg_stat_statements, and what has been counted since.  Knows no libpq.
 */
#ifndef COLLECTORS_POSTGRESQL_LEDGER_H
#define COLLECTORS_POSTGRESQL_LEDGER_H

#include "postgresql_estimate.h"
#include "postgresql_query_type.h"

/* One entry as it is now. */
struct reading {
	uint32_t       userid, dbid;
	int64_t        queryid;
	int64_t        since; /* when the entry was made; 0: not told */
	struct moments moments;
};

struct ledger;

/* NULL: out of memory.  The metric's buckets are those of the histograms. */
struct ledger *ledger_new(const struct metric *);
void           ledger_free(struct ledger *);

/* One poll: begin, take every entry there is, end.  With `anew`, or the first
 * time, what is there is only remembered.  Take returns false when there is no
 * memory for one more: then end must not be called. */
void ledger_begin(struct ledger *, bool anew);
bool ledger_take(struct ledger *, const struct reading *);
/* evicted: entries the server has thrown out since the last poll; below 0: it
 * does not tell. */
void ledger_end(struct ledger *, double evicted);

/* What kind of statement a queryid is; for entries already taken. */
void   ledger_learn(struct ledger *, int64_t queryid, enum query_type);
/* How many entries wait for that, counted for as long as they may. */
size_t ledger_unknown(const struct ledger *);

size_t ledger_entries(const struct ledger *);
void   ledger_histogram(const struct ledger *, enum query_type, struct histogram *);
/* Calls that were never seen, an estimate. */
double ledger_lost(const struct ledger *);

#endif
