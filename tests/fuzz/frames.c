/*
 * frames.c - what a worker process may send: records of rows, and the ends of
 * collections.  Whatever it is, the exposition stays well formed.
 */
#include <stdlib.h>
#include <string.h>

#include "../../exporter/expose.h"
#include "../../exporter/sink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* clang-format off */
static const double bounds[] = { 1, 10 };
static const struct metric metrics[] = {
	{ .name = "t_calls_total", .type = COUNTER, .accumulated = true, .help = "C." },
	{ .name = "t_level", .type = GAUGE, .help = "L." },
	{ .name = "t_time", .type = HISTOGRAM, .accumulated = true, .buckets = bounds,
	    .nbuckets = COUNT(bounds), .help = "T." },
	{ .name = "t_own", .type = HISTOGRAM, .own_bounds = true, .accumulated = true, .help = "O." },
	{ .name = "t_kept_total", .type = COUNTER, .accumulated = true, .help = "K." },
};
static const char *const colours[] = { "red", "green", NULL };
static const struct label labels[] = { { "name", NULL }, { "colour", colours } };
static const struct group group = { .name = "t", .about = "T.", .metrics = metrics,
	.nmetrics = COUNT(metrics), .labels = labels, .nlabels = COUNT(labels), .max_rows = 3 };
static const struct metric patterns[] = {
	{ .name = "n_calls_total", .type = COUNTER, .help = "C." },
	{ .name = "n_level", .type = GAUGE, .help = "L." },
	{ .name = "n_own", .type = HISTOGRAM, .own_bounds = true, .help = "O." },
};
static const struct group named = { .name = "n", .about = "N.", .metrics = patterns,
	.nmetrics = COUNT(patterns), .labels = labels, .nlabels = 1, .max_rows = 5, .named = true };
static const struct collector collectors[] = {
	{ COLLECTOR_HEAD, .name = "t", .about = "T.", .groups = &group, .ngroups = 1 },
	{ COLLECTOR_HEAD, .name = "n", .about = "N.", .groups = &named, .ngroups = 1 },
};
/* clang-format on */

/* Every line: name, an even number of unescaped quotes, no other control
 * character, one value. */
static void
check_page(const struct buf *page)
{
	struct text rest = { page->ptr, page->len };

	if (page->len > 0 && page->ptr[page->len - 1] != '\n')
		abort();
	while (rest.len > 0) {
		struct text line = text_cut(&rest, '\n');
		unsigned quotes = 0;
		for (size_t i = 0; i < line.len; i++) {
			if ((unsigned char)line.ptr[i] < 0x20)
				abort();
			if (line.ptr[i] == '\\')
				i++;
			else if (line.ptr[i] == '"')
				quotes++;
		}
		if (quotes % 2 != 0)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct collector *list[] = { &collectors[0], &collectors[1] };
	struct buf faults = BUF(4096), page = BUF(1 << 24);
	struct rows *r = rows_new(&group), *base = rows_new(&group), *n = rows_new(&named);
	struct registry registry;

	if (!registry_build(&registry, list, 2, &faults) || r == NULL || base == NULL || n == NULL)
		abort();
	(void)sink_replay((struct text){ (const char *)data, size }, r);
	(void)sink_replay((struct text){ (const char *)data, size }, n);
	rows_inherit(base, r);
	rows_add(r, base);
	struct view views[] = { { TEXT("target=\"t\""), 0, &r }, { TEXT("target=\"n\""), 1, &n } };
	expose(&page, &registry, views, 2, false);
	check_page(&page);
	registry_free(&registry);
	rows_drop(r);
	rows_drop(base);
	rows_drop(n);
	buf_free(&page);
	buf_free(&faults);
	return 0;
}
