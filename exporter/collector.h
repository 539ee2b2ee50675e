/*
 * collector.h - the whole contract between the exporter and a collector.
 *
 * A collector is one shared object that exports one symbol, `collector`.  It
 * says what it can measure (groups of metrics), what may be configured
 * (options), and how one target is read (connect, ask, collect).  Processes,
 * threads, deadlines, HTTP, escaping, limits and logging are the exporter's.
 *
 * A collector runs in a worker process of its own kind; every target has a
 * thread there, and only that thread calls into the collector for it.
 */
#ifndef EXPORTER_COLLECTOR_H
#define EXPORTER_COLLECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "text.h"

#define COLLECTOR_ABI 3u
#define COUNT(a)      (sizeof(a) / sizeof *(a))

enum collector_limits {
	GROUP_METRICS_MAX = 64, /* a row keeps one bit per metric */
	GROUP_LABELS_MAX = 8,
	COLLECTOR_GROUPS_MAX = 64, /* a scrape keeps one bit per group */
	HISTOGRAM_BOUNDS_MAX = 32,
	OWN_BOUNDS_MAX = 128, /* of a row that brings its own */
	WHY_MAX = 240,        /* bytes kept of fail()'s words */
	KEPT_MAX = 64 << 10,  /* bytes of keep() */
};

/* ---- what is measured: static tables, read by registry, expose and docs ---- */

enum metric_type { GAUGE, COUNTER, INFO, HISTOGRAM };

struct metric {
	const char      *name;    /* whole name, unit and _total included */
	const char      *help;    /* one sentence, ends with a full stop */
	const char      *unit;    /* "bytes", "seconds", "ratio"; NULL: a count */
	const char      *source;  /* column or field the server calls it by */
	const double    *buckets; /* upper bounds, rising; histograms only */
	double           scale;   /* server's unit to ours; 0 stands for 1 */
	unsigned         nbuckets;
	enum metric_type type;
	/* Added up in the collector's state and not by the server: goes on
	 * where it was when a worker process had to be started again. */
	bool             accumulated;
	/* Every row of the histogram brings its own bounds (put_buckets);
	 * buckets and nbuckets are empty. */
	bool             own_bounds;
};

struct label {
	const char        *name;
	const char *const *values; /* closed set, NULL ends it; NULL: open */
};

struct group { /* metrics that share one shape of row */
	const char          *name;
	const char          *about; /* for the reference: where it comes from */
	const struct metric *metrics;
	const struct label  *labels;
	const void          *how; /* the collector's own, e.g. the SQL */
	unsigned             nmetrics;
	unsigned             nlabels;
	unsigned             max_rows; /* must be set when a label is open */
	bool                 off;      /* collected only where the config asks */
	/* The value of the one label is no label but the name of the family,
	 * as the configuration or the server knows it; the metrics are patterns
	 * of such families, one of a type. */
	bool                 named;
};

/* ---- what may be configured: parsed into the collector's own struct ---- */

enum option_type {
	OPT_STRING,   /* const char *; NULL when not given and no default */
	OPT_ADDRESS,  /* const char *; where the target is: a target whose address
		       * is empty is left out; a password in it is never shown */
	OPT_SECRET,   /* const char *, never shown */
	OPT_REGEX,    /* const char *, a valid POSIX extended expression */
	OPT_INT,      /* long long */
	OPT_NUMBER,   /* double */
	OPT_DURATION, /* int64_t, nanoseconds; written "500ms", "5s", "10m", "1h" */
	OPT_BOOL,     /* bool */
	OPT_LIST,     /* const char *const *, NULL ends it; never NULL itself */
	OPT_MAP,      /* const char *const *: key, value, key, value, NULL; the
		       * underscores of a key become dots; values are never shown */
};

struct option {
	const char      *name;
	const char      *def; /* as it would be written; NULL: none */
	const char      *help;
	size_t           offset;   /* into the conf struct */
	double           min, max; /* of numbers, and of durations in seconds */
	enum option_type type;
	bool             required;
};

/* ---- one scrape of one target, as the collector sees it ---- */

struct sink; /* where samples go */
struct buf;

struct scrape {
	const char     *target; /* its configured name */
	const void     *conf;   /* options, parsed; read only */
	void           *state;  /* lives as long as the worker; begins zeroed */
	struct sink    *sink;
	struct deadline until;
	uint64_t        groups;       /* bit i: groups[i] is wanted by this scrape */
	struct text     kept;         /* what keep() was given last before this process */
	struct buf     *keeping;      /* keep()'s */
	char            why[WHY_MAX]; /* written by fail() */
};

enum outcome {
	DONE,
	ABSENT, /* this server has no such thing: not an error; fail()
		 * may say what to do about it */
	FAILED, /* this group failed, the connection is good */
	LOST,   /* the connection is gone: disconnect, stop here */
};

struct collector {
	uint32_t             abi, size; /* COLLECTOR_HEAD fills both */
	const char          *name, *about;
	const struct group  *groups;
	const struct option *options;
	unsigned             ngroups, noptions;
	size_t               conf_size, state_size;

	/* Optional.  Looks over the parsed options once, in the parent, before
	 * anything starts: false and one sentence in why when they contradict
	 * each other or an address cannot be read.  Must not connect or wait. */
	bool (*check)(const void *conf, char why[static WHY_MAX]);

	/* One thread per target calls these, never two at once.  None may wait
	 * past sc->until. */
	enum outcome (*connect)(struct scrape *);
	/* Optional.  Before the first collect of a scrape: put the questions of
	 * all wanted groups to the server in one go. */
	enum outcome (*ask)(struct scrape *);
	enum outcome (*collect)(struct scrape *, const struct group *);
	void (*disconnect)(struct scrape *); /* keeps the counters in state */
};

#define COLLECTOR_HEAD .abi = COLLECTOR_ABI, .size = sizeof(struct collector)

extern PUBLIC const struct collector collector;

/* ---- what the exporter offers ---- */

/* Begin a row, or go on with the one that has these labels; values stand in the
 * order of the group's labels, raw: cleaning, cutting, escaping, closed sets
 * and limits are applied by whoever reads the sink.  NULL: no labels. */
PUBLIC void row(struct sink *, const struct text *values);

/* A sample of the row begun last.  The value is multiplied by the metric's
 * scale.  A metric put twice into one row is refused and counted, so is a
 * counter that is negative or not a number. */
PUBLIC void put(struct sink *, const struct metric *, double);

/* The same for a number in text; anything else than a number puts nothing. */
PUBLIC void put_text(struct sink *, const struct metric *, struct text);

/* Not cumulative: count[i] observations lie above bound i-1 and at or below
 * bound i; count[nbuckets] lie above the last.  Lives in a target's state. */
struct histogram {
	double sum;
	double count[HISTOGRAM_BOUNDS_MAX + 1];
};
PUBLIC void histogram_observe(
    struct histogram *, const struct metric *, double value, double times);
PUBLIC void put_histogram(struct sink *, const struct metric *, const struct histogram *);

/* The same for a metric with own_bounds: at most OWN_BOUNDS_MAX finite bounds,
 * rising; count[n] lie above the last.  A sum that is NaN is not known: then
 * neither _sum nor _count is given out. */
PUBLIC void put_buckets(struct sink *, const struct metric *, unsigned n, const double *bounds,
    double sum, const double *count);

/* Bytes (at most KEPT_MAX) that outlive this process: the one after it, or the
 * target of the same name after a reload, finds them in sc->kept.  They reach
 * the exporter before the rows of the group that is being collected do. */
PUBLIC void keep(struct scrape *, struct text);

/* Say why; returns its first argument, so `return fail(FAILED, sc, ...)`.
 * Control characters are made harmless; cut to WHY_MAX.  No secret in it. */
PUBLIC enum outcome fail(enum outcome, struct scrape *, const char *fmt, ...) PRINTF(3, 4);

/* The group's metric that has this source, or NULL. */
PUBLIC const struct metric *metric_by_source(const struct group *, struct text);

/* Is this group (one of the collector's own table) wanted by this scrape? */
PUBLIC bool wants(const struct scrape *, const struct collector *, const struct group *);

#endif
