/*
 * process.h - what the kernel says of a process.
 */
#ifndef EXPORTER_PROCESS_H
#define EXPORTER_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

struct process {
	double cpu_seconds; /* user and system */
	double resident_bytes, virtual_bytes;
	double threads;
};

/* A process that is looked at again and again.  What is open stays with that
 * process, also when another one gets its number. */
struct process_watch {
	int       stat; /* /proc/PID/stat; -1: there is nothing to see */
	clockid_t clock;
};
#define PROCESS_UNWATCHED ((struct process_watch){ .stat = -1 })

/* The process must be there yet, as one's own children are until they are reaped. */
struct process_watch process_watch(pid_t);
void                 process_unwatch(struct process_watch *);

/* False: no such process any more, or nothing is shown of it. */
bool process_read(const struct process_watch *, struct process *);

/* Of this process: descriptors that are open, and how many may be. */
bool process_descriptors(double *open, double *limit);

#endif
