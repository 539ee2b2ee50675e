/*
 * target.h - one target as the exporter sees it: what it gave last, whether a
 * collection is under way, who waits for it.
 *
 * A collection has a ticket.  A request that finds one under way with all the
 * groups it wants waits for that one; else the missing groups are asked next.
 * At most one collection of a target is under way.
 */
#ifndef EXPORTER_TARGET_H
#define EXPORTER_TARGET_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "../config/config.h"
#include "frame.h"
#include "rows.h"

struct worker;

struct group_state {            /* one group of the target */
	struct rows *published; /* NULL: nothing yet */
	struct rows *spare;     /* filled next, where nobody reads it any more */
	struct rows *base;      /* what earlier worker processes had accumulated */
	struct rows *lapsed;    /* what this process once accumulated and published lacks;
				 * other rows may be in it, older than the published ones */
	uint64_t     ticket;    /* of the collection that gave published */
	int64_t      at;        /* when that was, clock_ns */
	enum outcome outcome;   /* of the last collection */
	bool         asked;     /* outcome and why are valid */
	char         why[WHY_MAX];
	int64_t      logged_at;
	uint64_t     refused[REFUSALS]; /* since the start */
};

struct target {
	const struct config_target *config;
	const char                 *name;
	const struct collector     *collector;
	struct text                 prefix; /* `target="name"`, owned */
	struct worker              *worker;
	uint32_t                    number; /* within its worker */

	pthread_mutex_t     lock; /* guards all below */
	pthread_cond_t      served;
	uint64_t            running, done; /* tickets: the last begun, the last ended */
	uint64_t            running_groups;
	uint64_t            pending_groups; /* wanted by who came while one was running */
	int64_t             pending_until;
	int64_t             begun_at;  /* clock_ns of the running collection */
	int64_t             until;     /* its deadline */
	bool                again;     /* it is asked a second time: a worker died of the first */
	bool                known, up; /* up is valid once known */
	double              seconds;   /* the last collection took */
	char                why[WHY_MAX]; /* why it is not up */
	int64_t             logged_at;
	struct group_state *groups; /* by group of the collector */
	struct buf          kept;   /* the collector's own, for its next process */
};

/* What a scrape takes away from a target; rows are held until it drops them. */
struct target_view {
	struct rows **groups; /* by group; NULL where there is nothing to show */
	bool          up;
	bool          late; /* it did not end in time */
};

/* NULL: out of memory.  The config must outlive the target. */
struct target *target_new(const struct config_target *);
void           target_free(struct target *);

/* Sees to it that those groups are asked for; the ticket to wait for, and when
 * that collection ends at the latest.  One that is under way is joined; without
 * join only where it does not end before until. */
uint64_t target_kick(struct target *, uint64_t groups, int64_t until, bool join, int64_t *ends);

/* The collection with that ticket has ended. */
bool target_done(struct target *, uint64_t ticket);

/* Waits for the ticket or the deadline, then fills the view (groups must hold
 * ngroups pointers) with what of those groups may be shown. */
void target_wait(
    struct target *, uint64_t ticket, uint64_t groups, struct deadline, struct target_view *);
void target_view_drop(struct target *, struct target_view *);

/* ---- the worker's side: frames from its process, and its end ---- */

/* False: the frame makes no sense. */
bool target_take_rows(struct target *, const struct frame *, struct text payload);
bool target_take_kept(struct target *, const struct frame *, struct text payload);
bool target_take_done(struct target *, const struct frame *, struct text payload);
/* The process is gone: counters are kept as base.  A collection under way is
 * asked again of the next process, once and where time is left; else whoever
 * waits is served. */
void target_worker_gone(struct target *, const char *why);
/* The next process listens. */
void target_worker_ready(struct target *);

/* How long the running collection is past its deadline, ns; 0: it is not. */
int64_t target_overdue(struct target *);
bool    target_busy(struct target *); /* a collection is under way */

/* A reload: the counters of the old target go on in the new one. */
void target_inherit(struct target *, struct target *old);

#endif
