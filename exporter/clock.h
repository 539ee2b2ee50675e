/*
 * clock.h - one absolute deadline for everything that waits.
 */
#ifndef EXPORTER_CLOCK_H
#define EXPORTER_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

#define NS_PER_S  INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

struct deadline {
	int64_t at;
}; /* ns, CLOCK_MONOTONIC: the same in all processes */

PUBLIC int64_t         clock_ns(void);            /* CLOCK_MONOTONIC */
PUBLIC double          clock_seconds(int64_t ns); /* as seconds */
PUBLIC double          clock_unix(void);          /* wall clock, seconds since 1970 */
PUBLIC struct deadline deadline_in(int64_t ns);

/* Milliseconds left, rounded up; 0 once it has passed. */
PUBLIC int left_ms(struct deadline);

/* Waits for the poll(2) events on fd: true when one (or an error on the
 * descriptor) is there, false at the deadline. */
PUBLIC bool wait_fd(int fd, short events, struct deadline);

/* wait_fd calls this before it waits, in the thread that set it. */
void clock_before_wait(void (*)(void *), void *arg);

#endif
