/*
 * clock.c - monotonic time, and waiting that ends at a deadline.
 */
#include "clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <time.h>

int64_t
clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

double
clock_seconds(int64_t ns)
{
	return (double)ns / 1e9;
}

double
clock_unix(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

struct deadline
deadline_in(int64_t ns)
{
	return (struct deadline){ clock_ns() + ns };
}

int
left_ms(struct deadline d)
{
	int64_t left = d.at - clock_ns();

	if (left <= 0)
		return 0;
	left = (left + NS_PER_MS - 1) / NS_PER_MS;
	return left > INT_MAX ? INT_MAX : (int)left;
}

static _Thread_local void (*before_wait)(void *);
static _Thread_local void *before_wait_arg;

void
clock_before_wait(void (*function)(void *), void *arg)
{
	before_wait = function;
	before_wait_arg = arg;
}

bool
wait_fd(int fd, short events, struct deadline d)
{
	struct pollfd p = { .fd = fd, .events = events };

	if (before_wait != NULL)
		before_wait(before_wait_arg);
	for (;;) {
		int left = left_ms(d);
		int n = poll(&p, 1, left);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
		if (left == 0)
			return false;
	}
}
