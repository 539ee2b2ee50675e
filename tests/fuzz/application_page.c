/*
 * Any bytes as pages of a service, one after the other (a byte 0x01 ends one),
 * in both formats: in pieces they say what they say as a whole, the exposition
 * stays well formed, and no counter falls.
 */
#include "../application_harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One label text for every line, no control characters, quotes in pairs. */
static void
check_page(struct text rest)
{
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

/* The instance's counters, cell by cell. */
static void
check_counters(const struct harness *h, double *before, unsigned n)
{
	const struct application_plan *plan = &h->state.plan;

	for (unsigned f = 0; f < plan->nfamilies; f++) {
		const struct application_family *family = &plan->family[f];
		bool counts = family->metric != NULL && family->metric->type != GAUGE;
		for (unsigned c = 0; c < family->ncells && counts && family->into == f; c++) {
			const struct application_life *l = &h->state.instances[0].life;
			unsigned cell = family->cell + c;
			double now = l->past[cell].value + l->last[cell].value +
				     application_cell_total(&l->past[cell]) +
				     application_cell_total(&l->last[cell]);
			if (cell >= n || now < before[cell] - before[cell] * 1e-9)
				abort();
			before[cell] = now;
		}
	}
}

static void
feed(struct harness *h, struct text rest, bool openmetrics)
{
	static double before[1024];

	memset(before, 0, sizeof before);
	while (rest.ptr != NULL) {
		struct text page = text_cut(&rest, '\x01');
		uint64_t seen[3][4];
		for (unsigned i = 0; i < 3; i++) { /* instances that get the same in pieces */
			static const size_t piece[] = { SIZE_MAX / 2, 1, 7 };
			const struct application_page *p = &h->state.instances[i].page;
			bool good = harness_page_in(h, i, page, openmetrics, piece[i]);
			uint64_t said[] = { good, p->good, p->bad, p->samples };
			memcpy(seen[i], said, sizeof said);
			/* A page that is given up is given up at the end of a piece. */
			if (p->bad < 32 && memcmp(seen[i], seen[0], sizeof said) != 0)
				abort();
		}
		check_counters(h, before, 1024);
		harness_collect(h);
		check_page(harness_expose(h, openmetrics));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const families[] = { "a", "b_total", "h", NULL };
	static const char *const renamed[] = { "old_total=messages_sent_total",
		"old_seconds=message_api_latency_seconds", NULL };
	struct harness h;

	for (int openmetrics = 0; openmetrics < 2; openmetrics++) {
		harness_begin(&h, "http://a/,http://b/,http://c/");
		h.conf.families = families;
		h.conf.rename = renamed;
		harness_connect(&h);
		feed(&h, (struct text){ (const char *)data, size }, openmetrics);
		harness_end(&h);
	}
	return 0;
}
