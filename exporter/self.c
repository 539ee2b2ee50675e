/*
 * self.c - datatier_* and process_*: tables first, then who fills them.
 */
#include "self.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "process.h"

/* clang-format off */
static const struct label target_labels[] = { { "target", NULL }, { "collector", NULL } };
static const struct label group_labels[] = { { "target", NULL }, { "collector", NULL },
	{ "group", NULL } };
static const struct label refused_labels[] = { { "target", NULL }, { "collector", NULL },
	{ "group", NULL }, { "reason", refusal_names } };
static const struct label worker_labels[] = { { "collector", NULL } };
static const struct label version_labels[] = { { "version", NULL } };
static const char *const codes[] = { "200", "400", "500", "503", NULL };
static const struct label code_labels[] = { { "code", codes } };

enum { TARGET_UP, TARGET_SECONDS, TARGET_BUSY };
static const struct metric target_metrics[] = {
	[TARGET_UP] = { .name = "datatier_target_up", .type = GAUGE,
	    .help = "1 when the last collection reached the target and ended in time, else 0." },
	[TARGET_SECONDS] = { .name = "datatier_target_scrape_seconds", .type = GAUGE, .unit = "seconds",
	    .help = "Time the target's last collection took." },
	[TARGET_BUSY] = { .name = "datatier_target_busy_seconds", .type = GAUGE, .unit = "seconds",
	    .help = "Time since the target's collection began that is still under way, 0 when there is none." },
};

enum { GROUP_SUCCESS, GROUP_AGE };
static const struct metric group_metrics[] = {
	[GROUP_SUCCESS] = { .name = "datatier_group_success", .type = GAUGE,
	    .help = "1 when the group's last collection succeeded, 0 when it failed; no series where the server has no such thing." },
	[GROUP_AGE] = { .name = "datatier_group_age_seconds", .type = GAUGE, .unit = "seconds",
	    .help = "Time since the rows of a group that has an every were read from the target." },
};

static const struct metric refused_metrics[] = {
	{ .name = "datatier_rows_refused_total", .type = COUNTER,
	    .help = "Rows and samples left out: over the group's limit, put twice, too large, or no valid value." },
};

enum { WORKER_RESTARTS, WORKER_CPU, WORKER_MEMORY };
static const struct metric worker_metrics[] = {
	[WORKER_RESTARTS] = { .name = "datatier_worker_restarts_total", .type = COUNTER,
	    .help = "Times a collector's worker process was started again." },
	[WORKER_CPU] = { .name = "datatier_worker_cpu_seconds_total", .type = COUNTER, .unit = "seconds",
	    .help = "Processor time of a collector's worker processes, user and system." },
	[WORKER_MEMORY] = { .name = "datatier_worker_resident_memory_bytes", .type = GAUGE, .unit = "bytes",
	    .help = "Resident memory of a collector's worker process." },
};

static const struct metric scrapes_metrics[] = {
	{ .name = "datatier_scrapes_total", .type = COUNTER,
	    .help = "Scrapes answered, by HTTP status code." },
};

static const double scrape_bounds[] = { 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30 };
static const struct metric scrape_metrics[] = {
	{ .name = "datatier_scrape_seconds", .type = HISTOGRAM, .unit = "seconds",
	    .buckets = scrape_bounds, .nbuckets = COUNT(scrape_bounds),
	    .help = "Time from a scrape's request to its answer." },
};

static const struct metric build_metrics[] = {
	{ .name = "datatier_exporter_build_info", .type = INFO,
	    .help = "The version of the exporter." },
};

enum { PROCESS_CPU, PROCESS_RESIDENT, PROCESS_VIRTUAL, PROCESS_START, PROCESS_FDS, PROCESS_MAX_FDS,
	PROCESS_THREADS };
static const struct metric process_metrics[] = {
	[PROCESS_CPU] = { .name = "process_cpu_seconds_total", .type = COUNTER, .unit = "seconds",
	    .help = "Processor time of the exporter without its worker processes, user and system." },
	[PROCESS_RESIDENT] = { .name = "process_resident_memory_bytes", .type = GAUGE, .unit = "bytes",
	    .help = "Resident memory of the exporter without its worker processes." },
	[PROCESS_VIRTUAL] = { .name = "process_virtual_memory_bytes", .type = GAUGE, .unit = "bytes",
	    .help = "Virtual memory of the exporter without its worker processes." },
	[PROCESS_START] = { .name = "process_start_time_seconds", .type = GAUGE, .unit = "seconds",
	    .help = "When the exporter started, in seconds since 1970." },
	[PROCESS_FDS] = { .name = "process_open_fds", .type = GAUGE,
	    .help = "Open file descriptors of the exporter." },
	[PROCESS_MAX_FDS] = { .name = "process_max_fds", .type = GAUGE,
	    .help = "Most file descriptors the exporter may open." },
	[PROCESS_THREADS] = { .name = "process_threads", .type = GAUGE,
	    .help = "Threads of the exporter." },
};

#define METRICS(table) .metrics = (table), .nmetrics = COUNT(table)
#define LABELS(table) .labels = (table), .nlabels = COUNT(table)
enum { TARGETS, GROUPS, REFUSED, WORKERS, SCRAPES, SCRAPE, BUILD, PROCESS, SELF_GROUPS };
static const struct group groups[SELF_GROUPS] = {
	[TARGETS] = { .name = "targets", METRICS(target_metrics), LABELS(target_labels),
	    .max_rows = CONFIG_TARGETS_MAX, .about = "Each target's last collection." },
	[GROUPS] = { .name = "groups", METRICS(group_metrics), LABELS(group_labels),
	    .max_rows = ROWS_SAMPLES_MAX, .about = "Each group of each target." },
	[REFUSED] = { .name = "refused", METRICS(refused_metrics), LABELS(refused_labels),
	    .max_rows = ROWS_SAMPLES_MAX, .about = "What the limits kept out." },
	[WORKERS] = { .name = "workers", METRICS(worker_metrics), LABELS(worker_labels),
	    .max_rows = REGISTRY_COLLECTORS_MAX, .about = "The worker processes, one per collector in use." },
	[SCRAPES] = { .name = "scrapes", METRICS(scrapes_metrics), LABELS(code_labels),
	    .about = "The exporter's answers." },
	[SCRAPE] = { .name = "scrape", METRICS(scrape_metrics), .about = "How long they took." },
	[BUILD] = { .name = "build", METRICS(build_metrics), LABELS(version_labels),
	    .max_rows = 1, .about = "The program itself." },
	[PROCESS] = { .name = "process", METRICS(process_metrics),
	    .about = "The exporter's own process, from /proc." },
};

const struct collector self_collector = {
	COLLECTOR_HEAD,
	.name = "exporter",
	.about = "The exporter itself. A scrape that names targets carries only what is about those.",
	.groups = groups,
	.ngroups = COUNT(groups),
};
/* clang-format on */

/* ---- what only this file counts ---- */

static atomic_ulong served_by_code[COUNT(codes) - 1];
static pthread_mutex_t served_lock = PTHREAD_MUTEX_INITIALIZER; /* guards served_seconds */
static struct histogram served_seconds;

void
self_served(int code, double seconds)
{
	static const int numbers[] = { 200, 400, 500, 503 };

	for (size_t i = 0; i < COUNT(numbers); i++)
		if (numbers[i] == code)
			atomic_fetch_add(&served_by_code[i], 1);
	pthread_mutex_lock(&served_lock);
	histogram_observe(&served_seconds, &scrape_metrics[0], seconds, 1);
	pthread_mutex_unlock(&served_lock);
}

/* ---- rows ---- */

static void
begin_row(struct rows *r, const char *const *values)
{
	struct text t[GROUP_LABELS_MAX];

	for (unsigned i = 0; i < r->group->nlabels; i++)
		/* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): a value per label */
		t[i] = text_of(values[i]);
	rows_begin(r, t);
}

static void
add_group(struct rows **sets, const struct self_target *st, unsigned g, int64_t now)
{
	const struct target *t = st->target;
	const struct group_state *s = &t->groups[g];
	const struct group *group = &t->collector->groups[g];
	const char *labels[] = { st->name, t->collector->name, group->name, NULL };

	if (s->asked && s->outcome != ABSENT) {
		begin_row(sets[GROUPS], labels);
		rows_put(sets[GROUPS], GROUP_SUCCESS, s->outcome == DONE);
		if (s->published != NULL && t->config->every != NULL && t->config->every[g] > 0)
			rows_put(sets[GROUPS], GROUP_AGE, clock_seconds(now - s->at));
	}
	for (unsigned i = 0; i < REFUSALS; i++) {
		/* Rows can be refused where a label is open: there the counter
		 * stands at 0 from the start, so that its first step is seen. */
		if (s->refused[i] == 0 && !(i == REFUSED_ROWS && group->max_rows > 0 && s->asked))
			continue;
		labels[3] = refusal_names[i];
		begin_row(sets[REFUSED], labels);
		rows_put(sets[REFUSED], 0, (double)s->refused[i]);
	}
}

static void
add_target(struct rows **sets, const struct self_target *st, int64_t now)
{
	struct target *t = st->target;

	begin_row(sets[TARGETS], (const char *[]){ st->name, t->collector->name });
	rows_put(sets[TARGETS], TARGET_UP, st->up);
	pthread_mutex_lock(&t->lock);
	bool busy = t->done != t->running;
	rows_put(sets[TARGETS], TARGET_SECONDS, t->seconds);
	rows_put(sets[TARGETS], TARGET_BUSY, busy ? clock_seconds(now - t->begun_at) : 0);
	for (unsigned g = 0; g < t->collector->ngroups; g++)
		add_group(sets, st, g, now);
	pthread_mutex_unlock(&t->lock);
}

static void
add_restarts(struct rows *r, const struct fleet *f)
{
	for (size_t i = 0; i < f->nworkers; i++) {
		const char *collector_name;
		uint64_t restarts = worker_restarts(f->workers[i], &collector_name);
		begin_row(r, &collector_name);
		rows_put(r, WORKER_RESTARTS, (double)restarts);
	}
}

static void
add_workers(struct rows *r, const struct fleet *f)
{
	for (size_t i = 0; i < f->nworkers; i++) {
		struct worker_stats s;
		worker_stats(f->workers[i], &s);
		begin_row(r, (const char *[]){ s.collector });
		rows_put(r, WORKER_CPU, s.cpu_seconds);
		if (s.pid != 0)
			rows_put(r, WORKER_MEMORY, s.resident_bytes);
	}
}

static void
add_scrapes(struct rows **sets)
{
	for (size_t i = 0; codes[i] != NULL; i++) {
		begin_row(sets[SCRAPES], (const char *[]){ codes[i] });
		rows_put(sets[SCRAPES], 0, (double)atomic_load(&served_by_code[i]));
	}
	rows_begin(sets[SCRAPE], NULL);
	pthread_mutex_lock(&served_lock);
	/* Nanoseconds are what it was made of: what is beyond has come by adding. */
	double sum = nearbyint(served_seconds.sum * 1e9) / 1e9;
	rows_put_histogram(sets[SCRAPE], 0, sum, served_seconds.count);
	pthread_mutex_unlock(&served_lock);
	begin_row(sets[BUILD], (const char *[]){ VERSION });
	rows_put(sets[BUILD], 0, 1);
}

/* To the millisecond; by our own clock: /proc/stat may be hidden from a service. */
static double started_unix;
static struct process_watch own_process = { .stat = -1 };

void
self_start(void)
{
	started_unix = nearbyint(clock_unix() * 1e3) / 1e3;
	own_process = process_watch(getpid());
}

static void
add_process(struct rows *r)
{
	struct process p;
	double open, limit;

	rows_begin(r, NULL);
	rows_put(r, PROCESS_START, started_unix);
	if (process_read(&own_process, &p)) {
		rows_put(r, PROCESS_CPU, p.cpu_seconds);
		rows_put(r, PROCESS_RESIDENT, p.resident_bytes);
		rows_put(r, PROCESS_VIRTUAL, p.virtual_bytes);
		rows_put(r, PROCESS_THREADS, p.threads);
	}
	if (process_descriptors(&open, &limit)) {
		rows_put(r, PROCESS_FDS, open);
		rows_put(r, PROCESS_MAX_FDS, limit);
	}
}

bool
self_begin(struct rows **sets)
{
	bool good = true;

	for (unsigned g = 0; g < SELF_GROUPS; g++) {
		sets[g] = rows_new(&groups[g]);
		good = good && sets[g] != NULL;
	}
	return good;
}

void
self_processes(struct rows **sets, const struct fleet *f)
{
	add_process(sets[PROCESS]);
	add_workers(sets[WORKERS], f);
}

void
self_scraped(
    struct rows **sets, const struct fleet *f, const struct self_target *list, size_t n, bool whole)
{
	int64_t now = clock_ns();

	for (size_t i = 0; i < n; i++)
		add_target(sets, &list[i], now);
	if (!whole)
		return;
	add_restarts(sets[WORKERS], f);
	add_scrapes(sets);
}
