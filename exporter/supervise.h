/*
 * supervise.h - the parent's end of the worker processes: start them, hand
 * them their targets, read what they send, start them again.
 *
 * What a process sends is read by the scrape that waits for it, so that no
 * thread has to be woken in between: it leads.  Where nobody leads and a
 * collection is under way, the worker's own thread reads.
 */
#ifndef EXPORTER_SUPERVISE_H
#define EXPORTER_SUPERVISE_H

#include "target.h"

enum supervise_limits {
	WORKER_RESTART_S = 1, /* at most one start a second */
	WORKER_STUCK_S = 60,  /* a target that long past its deadline has its worker
			       * replaced: longer than a resolver's own time-outs */
};

struct worker;

struct worker_stats {
	const char *collector;
	pid_t       pid; /* 0: none at the moment */
	uint64_t    restarts;
	double      cpu_seconds; /* of all its processes since the start */
	double      resident_bytes;
};

/* A worker for the targets of one collector, which must outlive it and know it from
 * now on.  NULL: out of memory. */
struct worker *worker_new(const struct collector *, struct target **, uint32_t n);
void           worker_free(struct worker *);

/* Starts its process; its counters go on from past.  False: there is no thread to
 * be had, and its targets are down. */
bool worker_start(struct worker *, const struct worker_stats *past);

/* Closes the process's socket, waits at most 2 s for its end, then kills it. */
void worker_stop(struct worker *, struct worker_stats *last);

/* Asks for a collection, with the next worker_send.  False: the process is not there,
 * and why says so. */
bool worker_kick(
    struct worker *, uint32_t target, uint64_t ticket, const struct kick *, char *why, size_t size);
/* Does not wait: what the process does not read yet is sent when it does. */
void worker_send(struct worker *);

/* Takes the lead: the descriptor to poll(2) for input, until worker_leave.  -1:
 * somebody else reads, or there is no process. */
int  worker_lead(struct worker *);
/* Takes the frames that have come.  False: no more will. */
bool worker_read(struct worker *);
void worker_leave(struct worker *);
/* Has the worker's thread send and read what was asked for, where nobody leads. */
void worker_rouse(struct worker *);

/* A target of this worker is overdue: replace the process when that has gone
 * on too long. */
void worker_overdue(struct worker *, int64_t overdue);

void     worker_stats(struct worker *, struct worker_stats *);
/* Of these only the restarts: no system call. */
uint64_t worker_restarts(struct worker *, const char **collector);

#endif
