/*
 * worker.h - the inside of a worker process: one collector, its targets, a
 * thread for each.  What a client library does to its process stays there.
 */
#ifndef EXPORTER_WORKER_H
#define EXPORTER_WORKER_H

/* Serves the parent on that socket until it closes; the exit status. */
int worker_main(const char *collector, int fd);

enum { WORKER_FD = 3 }; /* where a worker finds its socket */

#endif
