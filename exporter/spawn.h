/*
 * spawn.h - a new process that is a collector's worker.
 */
#ifndef EXPORTER_SPAWN_H
#define EXPORTER_SPAWN_H

#include <sys/types.h>

/* The process has that descriptor as its end of the socket, the standard ones and
 * no other, and of the environment what client libraries read.  -1: errno says why. */
pid_t spawn_worker(const char *collector, int fd);

#endif
