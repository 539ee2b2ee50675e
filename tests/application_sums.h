/*
 * application_sums.h - pages from memory, and what stands on ours then; for the
 * tests of sums and of lives.
 */
#ifndef TESTS_APPLICATION_SUMS_H
#define TESTS_APPLICATION_SUMS_H

#include "application_harness.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ONE       "http://127.0.0.1/metrics"
#define TWO       "http://a:1/metrics, http://b:2/metrics"
#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

#define API(le, count)                                                                             \
	"message_api_latency_seconds_bucket{endpoint=\"send\",le=\"" le "\"} " #count "\n"
#define API_END(count, sum)                                                                        \
	API("+Inf", count)                                                                         \
	"message_api_latency_seconds_count{endpoint=\"send\"} " #count "\n"                        \
	"message_api_latency_seconds_sum{endpoint=\"send\"} " #sum "\n"
#define OUT(le, count) "message_api_latency_seconds_bucket{endpoint=\"send\",le=\"" le "\"} " #count

static inline void has(struct harness *h, const char *line)
{
	struct text page = harness_text(h);

	if (!harness_has(h, line))
		fail_msg("no line \"%s\" in\n%.*s", line, (int)page.len, page.ptr);
}

static inline void has_not(struct harness *h, const char *part)
{
	struct text page = harness_text(h);

	if (memmem(page.ptr, page.len, part, strlen(part)) != NULL)
		fail_msg("\"%s\" in\n%.*s", part, (int)page.len, page.ptr);
}

static inline void page(struct harness *h, unsigned instance, const char *text)
{
	if (!harness_page(h, instance, text))
		fail_msg("%s", h->state.instances[instance].why);
	assert_true(harness_collect(h) == DONE || h->state.ninstances > 1);
}

#endif
