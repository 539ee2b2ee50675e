/*
 * process.h - what the kernel says of a process.
 */
#ifndef EXPORTER_PROCESS_H
#define EXPORTER_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

struct process {
	double cpu_seconds; /* user and system */
	double resident_bytes, virtual_bytes;
	double threads;
};

/* From /proc/PID/stat; false: no such process, or nothing is shown of it. */
bool process_read(pid_t, struct process *);

/* Of this process: descriptors that are open, and how many may be. */
bool process_descriptors(double *open, double *limit);

#endif
