/*
 * application.h - what the parts of the application collector share.
 *
 *	application_address.c	options -> where the instances are, and what is wrong
 *	application_plan.c	which names on a page are kept, and as what
 *	application_page.c	a page, piece by piece -> lines -> samples
 *	application_descriptor.c	lines that begin with #
 *	application_labels.c	what stands between { and } of a line
 *	application_number.c	numbers as the two formats write them
 *	application_cells.c	samples that have the same labels for us, summed
 *	application_lives.c	counters that start again, instances that are gone
 *	application_fetch.c	libcurl: all instances at once under the deadline
 *	shared_curl.h		what it has in common with the Redis collector
 *	application_secret.c	what a server says is not shown where it tells a secret
 *	application_rows.c	sums over the instances -> rows
 *	application_tables.c	metrics, groups, options
 *	application.c		one scrape
 *
 * A page may have a million series of which one is kept: nothing here grows
 * with the page, only with the tables and what the configuration adds.
 */
#ifndef COLLECTORS_APPLICATION_H
#define COLLECTORS_APPLICATION_H

#include "../exporter/buf.h"
#include "../exporter/collector.h"
#include "shared_curl.h"

enum application_limits {
	APPLICATION_INSTANCES_MAX = 64,
	APPLICATION_ADDED_MAX = 32,       /* families of the configuration */
	APPLICATION_RENAMED_MAX = 64,     /* old names, those of the tables included */
	APPLICATION_NAME_MAX = 120,       /* bytes of a name that is kept */
	APPLICATION_LINE_MAX = 64 << 10,  /* bytes; a longer line is a bad one */
	APPLICATION_LABELS_MAX = 64,      /* of a line, likewise */
	APPLICATION_QUOTE_MAX = 100,      /* bytes of a first line that are shown */
	APPLICATION_HEAD_MAX = 256 << 10, /* bytes of an answer's headers */
};

struct application_conf {
	const char        *url;
	const char *const *urls;
	const char        *username, *password, *bearer_token;
	struct shared_tls  tls;
	const char *const *families, *const *rename;
	long long max_bytes;
	bool      compression;
};

/* ---- application_tables.c ---- */

enum { APPLICATION_GROUPS = 16, APPLICATION_METRICS = 18, APPLICATION_OPTIONS = 12 };
extern const struct group  application_groups[APPLICATION_GROUPS];
extern const struct option application_options[APPLICATION_OPTIONS];

/* The first and the last group are not of the tables of pages. */
#define APPLICATION_INSTANCES (&application_groups[0])
#define APPLICATION_ADDED     (&application_groups[APPLICATION_GROUPS - 1])
enum { INSTANCE_UP, INSTANCE_BAD_LINES, INSTANCE_PAGE_BYTES, INSTANCE_PAGE_SAMPLES };
enum { ADDED_COUNTER, ADDED_GAUGE, ADDED_HISTOGRAM };

/* ---- application_address.c ---- */

struct application_address {
	char *url;
	char *shown; /* host:port, with the path where that alone is not unique */
	bool  tls;
};

/* All instances in the order they are written; -1: why has one sentence.
 * Free them in either case. */
int  application_addresses_read(struct application_address[APPLICATION_INSTANCES_MAX],
     const struct application_conf *, char why[static WHY_MAX]);
void application_addresses_free(struct application_address[APPLICATION_INSTANCES_MAX]);
bool application_check(const void *conf, char why[static WHY_MAX]);

/* ---- application_plan.c ---- */

enum application_part { PART_VALUE, PART_BUCKET, PART_SUM, PART_COUNT };

/* Of families that the configuration adds, as the page's # TYPE says. */
enum application_type { TYPE_UNKNOWN, TYPE_COUNTER, TYPE_GAUGE, TYPE_HISTOGRAM, TYPE_SUMMARY };

struct application_family {
	const struct metric *metric; /* NULL: the configuration's */
	const struct group  *group;
	struct text          name;
	unsigned             cell, ncells; /* its cells: one per combination of label values */
	unsigned             into;         /* an old name: the family it stands for; else its own */
};

struct application_name {           /* of a sample */
	struct text           name; /* empty: a free place */
	unsigned              family;
	enum application_part part;
};

enum {
	APPLICATION_FAMILIES_MAX =
	    APPLICATION_METRICS + APPLICATION_ADDED_MAX + APPLICATION_RENAMED_MAX,
	APPLICATION_NAMES = 1024, /* places; more than twice what can be there */
	APPLICATION_START = APPLICATION_FAMILIES_MAX, /* as a family: process_start_time_seconds */
};

struct application_plan {
	struct application_family family[APPLICATION_FAMILIES_MAX];
	unsigned                  nfamilies, ncells;
	unsigned                  first[APPLICATION_GROUPS]; /* family of a group's first metric */
	unsigned                  added, nadded;             /* the configuration's families */
	struct application_name   names[APPLICATION_NAMES];  /* by hash */
	char                     *made[4 * APPLICATION_FAMILIES_MAX]; /* names with suffixes */
	unsigned                  nmade;
};

/* False: why has one sentence (of the options).  Free it in either case. */
bool application_plan_make(
    struct application_plan *, const struct application_conf *, char why[static WHY_MAX]);
void application_plan_free(struct application_plan *);

/* NULL: nothing that is kept. */
const struct application_name *application_plan_find(
    const struct application_plan *, struct text name);
/* The added family that a # TYPE line of that name is about, or -1. */
int application_plan_typed(const struct application_plan *, struct text name);

bool application_is_name(struct text);
bool application_ends_in(struct text, const char *end);

/* ---- application_number.c ---- */

/* The whole text is a number as Go reads it (text 0.0.4) or as OpenMetrics
 * does; neither knows hexadecimal ones. */
bool application_number(struct text, bool openmetrics, double *);

/* ---- application_cells.c ---- */

struct application_bin {
	double   bound, count; /* count of what lies at or below, as on the page */
	uint32_t lines;        /* series of the page that have this bound */
};

struct application_cell {
	double   value, sum;
	double   count;                     /* of a histogram: observations by _count */
	double   inf;                       /* and by its bucket +Inf */
	uint32_t lines, sums, counts, infs; /* samples of value, _sum, _count, +Inf */
	uint32_t nbins, capbins;
	uint32_t hint;                /* where the last bound was found */
	struct application_bin *bins; /* rising */
};

struct application_sample {
	const struct application_name *name;
	struct text                    label[GROUP_LABELS_MAX]; /* in the order of the group's */
	double                         le, value;
	bool                           has_le;
	bool                           counter; /* an added family is one */
};

/* False: a value that no counter can have, it is left out. */
bool application_cells_add(
    struct application_cell *, const struct application_plan *, const struct application_sample *);
/* Old names give their cells to the family they stand for, unless the page has
 * that one under its own name, too. */
void application_cells_settle(struct application_cell *, const struct application_plan *);
void application_cells_reset(struct application_cell *, unsigned ncells); /* keeps memory */
void application_cells_free(struct application_cell *, unsigned ncells);  /* and the array */

/* The values of a cell's labels, in the group's order. */
void     application_cell_labels(const struct group *, unsigned cell, struct text *values);
/* How many combinations of label values a group has. */
unsigned application_cell_count(const struct group *);

bool   application_cell_seen(const struct application_cell *);
double application_cell_total(const struct application_cell *); /* observations */
/* Where the cell has a bin of that bound or the next lower one; NULL: it has none. */
const struct application_bin *application_cell_bin(const struct application_cell *, double bound);
void                          application_cell_add_bin(
			     struct application_cell *, double bound, double count, uint32_t lines);

/* ---- application_secret.c ---- */

struct application_secrets { /* that an instance is told; NULL: none */
	const char *token, *password;
	const char *basic; /* user and password as the header has them */
	const char *query; /* of the address */
};

/* Is a part of one of them in these words? */
bool  application_tells_secret(const struct application_secrets *, struct text words);
/* NULL: out of memory; the caller frees it. */
char *application_basic(const char *username, const char *password);

/* ---- application_page.c ---- */

struct application_descriptor { /* what # HELP and # TYPE have said of the family at hand */
	char                  name[APPLICATION_NAME_MAX];
	size_t                len;
	bool                  help, unit, samples;
	unsigned              row;  /* of the table of types, from 1; 0: not said */
	enum application_type type; /* likewise */
};

struct application_page {
	const struct application_plan    *plan;
	struct application_cell          *cells;
	const struct application_secrets *secrets; /* NULL: none */
	bool                              openmetrics;
	bool                              eof;      /* # EOF was there */
	bool                              skipping; /* a line that is too long */
	struct buf                        carry;    /* the beginning of a line */
	uint64_t                          good, bad, samples;
	uint64_t                          odd; /* samples that no counter can have */
	char                              first[APPLICATION_QUOTE_MAX + 1]; /* line, cleaned */
	bool                              has_start;
	double                            start; /* process_start_time_seconds */
	enum application_type             type[APPLICATION_ADDED_MAX];
	struct application_descriptor     descriptor;
	/* The name of the last sample, and what came of looking it up: nearly
	 * always the next one has the same. */
	char                              name[APPLICATION_NAME_MAX];
	size_t                            name_len;
	const struct application_name    *known;
	bool                              number_le, number_quantile; /* must be numbers */
	bool                              counter;
};

void application_page_begin(struct application_page *, const struct application_plan *,
    struct application_cell *, bool openmetrics);
/* False: what came so far is no metrics page, more of it will not help. */
bool application_page_feed(struct application_page *, struct text);
/* Nothing more comes.  False: why has one sentence. */
bool application_page_end(struct application_page *, char why[static WHY_MAX]);
void application_page_free(struct application_page *);
/* The first line that has something in it, as words for people; not with a
 * secret in it. */
void application_page_quote(struct application_page *, struct text);

/* ---- application_descriptor.c ---- */

/* Behind the #; false: not well formed. */
bool application_comment(struct application_page *, struct text);
/* A sample of that name comes, of the family at hand or the first of another.
 * False: no sample of that family may be called so. */
bool application_descriptor_sample(struct application_page *, struct text name);

struct text application_after_blanks(struct text);
/* Takes what stands before the next blank, which stays. */
struct text application_take_word(struct text *);

/* ---- application_labels.c ---- */

/* Behind the brace; returns where it goes on behind the closing one, NULL: not
 * well formed. */
const char *application_labels(
    struct application_sample *, const struct application_page *, const char *at, const char *end);
/* The labels of an exemplar, likewise. */
const char *application_exemplar_labels(const char *at, const char *end);

/* ---- application_lives.c ---- */

struct application_life {              /* what is known of one instance */
	struct application_cell *page; /* being filled */
	struct application_cell *last; /* of the last good page */
	struct application_cell *past; /* of processes that are gone, added up */
	enum application_type    type[APPLICATION_ADDED_MAX];
	double                   start;
	uint64_t                 unread;           /* lines and samples of a page, usually */
	unsigned                 cut;              /* pages in a row that had more of these */
	bool                     has_start, known; /* known: there was a good page */
};

bool application_life_make(struct application_life *, const struct application_plan *);
void application_life_free(struct application_life *, const struct application_plan *);
/* The page was good: its cells become the last ones. */
void application_life_go_on(
    struct application_life *, const struct application_plan *, const struct application_page *);

/* ---- application_fetch.c ---- */

struct application_instance {
	struct application_address address;
	struct application_life    life;
	struct application_page    page;
	struct application_secrets secrets;
	CURL                      *easy;
	char                       error[CURL_ERROR_SIZE];
	char                       why[WHY_MAX];
	long                       status;
	uint64_t                   bytes, max_bytes, samples;
	double                     bad_lines; /* of all its pages */
	size_t                     head;      /* bytes of the answer's headers */
	bool                       up, began, too_long, no_page;
};

struct application { /* a target's state */
	struct application_plan      plan;
	struct application_address   addresses[APPLICATION_INSTANCES_MAX];
	struct application_instance *instances;
	unsigned                     ninstances;
	CURLM                       *multi;
	struct curl_slist           *headers;
	char                        *basic; /* see struct application_secrets */
	bool                         ready;
};

/* Handles for all instances, connected to nothing.  False: out of memory. */
bool application_fetch_open(struct scrape *);
/* Fetches all pages, at most until the deadline; up and why tell of each. */
void application_fetch(struct scrape *);
void application_fetch_close(struct application *);

/* ---- application_rows.c ---- */

void application_emit_instances(struct scrape *);
void application_emit_group(struct scrape *, const struct group *);
void application_emit_added(struct scrape *);

/* ---- application.c ---- */

/* Tests only: a worker keeps the state until it ends. */
void application_forget(struct application *);

#endif
