/*
 * redis_prefixes.h - hits and misses by key prefix; private to the collector.
 *
 *	redis_resp3.c     the protocol in pieces, of which nothing is kept
 *	redis_monitor.c   lines of MONITOR -> which prefixes were looked up
 *	redis_watch.c     the answers of one window -> hits and misses by prefix
 *	redis_window.c    one window: a connection that watches, and is closed
 *	redis_sampler.c   the thread that opens windows between scrapes
 *	redis_prefixes.c  what INFO counted, split by what the windows saw
 *
 * Keys are read up to the separator, compared with the configured prefixes and
 * forgotten; values pass by in the receive buffer and are never looked at.
 */
#ifndef COLLECTORS_REDIS_PREFIXES_H
#define COLLECTORS_REDIS_PREFIXES_H

#include <pthread.h>
#include <stdatomic.h>

#include "../exporter/buf.h"
#include "../exporter/collector.h"

struct redis_conf;

enum redis_prefix_limits {
	REDIS_PREFIXES_MAX = 60,
	REDIS_COUNTS = REDIS_PREFIXES_MAX + 1, /* the one behind the prefixes is other */
	REDIS_PREFIX_BYTES_MAX = 64,
};

/* ---- redis_resp3.c ---- */

/* A reply has a root (the character of its type) and leaves, numbered from 0,
 * however deep they are.  A leaf comes in any number of pieces, also none. */
struct resp3 {
	void (*piece)(void *arg, char root, unsigned leaf, struct text);
	void (*end)(void *arg, char root);
	void *arg;

	enum { RESP3_TYPE, RESP3_HEAD, RESP3_LINE, RESP3_BULK, RESP3_END } state;
	char     type, root;
	unsigned leaf;
	char     head[24];    /* a number: length or count */
	unsigned nhead, ends; /* ends: bytes of the CRLF that have come */
	uint64_t left;        /* bytes of the bulk string */
	unsigned depth;
	uint64_t elements[8]; /* that are to come, by depth */
};

/* False: not the protocol, or more nested than it is. */
bool resp3_feed(struct resp3 *, struct text);

/* ---- redis_monitor.c ---- */

struct redis_key { /* the begin of a key, up to the separator */
	char     begin[REDIS_PREFIX_BYTES_MAX];
	unsigned len;
	bool     cut, whole; /* longer than any prefix; the separator has come */
};

struct redis_read_command {
	const char *name;
	int         first, last; /* which arguments are keys looked up; -1: to the end */
};

struct redis_monitor {
	const char *const *prefixes; /* NULL ends them */
	unsigned           nprefixes;
	char               separator;
	uint64_t           lookups[REDIS_COUNTS];
	uint64_t           commands, reads;

	enum {
		MONITOR_HEAD,
		MONITOR_GAP,
		MONITOR_WORD,
		MONITOR_ESCAPE,
		MONITOR_HEX,
		MONITOR_SKIP
	} state;
	int                              word; /* 0: the command */
	unsigned                         hex, nhex;
	char                             name[24];
	unsigned                         nname;
	const struct redis_read_command *command;
	struct redis_key                 key;
};

void     redis_key_add(struct redis_key *, char separator, char byte);
unsigned redis_key_prefix(
    const struct redis_key *, const char *const *prefixes, unsigned nprefixes);
void redis_monitor_piece(struct redis_monitor *, struct text);
void redis_monitor_end(struct redis_monitor *); /* of the line */

/* ---- redis_watch.c ---- */

struct redis_window { /* what was seen in it */
	uint64_t hits[REDIS_COUNTS], misses[REDIS_COUNTS];
	uint64_t reads;
	uint64_t events;        /* key misses that the server told of */
	uint64_t silent_misses; /* that it counted without telling of any */
	int64_t  ns;
};

#define REDIS_MISS_EVENTS "__keyevent@*__:keymiss"

/* The answer that is waited for; WATCHING: none, commands and misses come. */
enum redis_step {
	WATCH_HELLO,
	WATCH_BEFORE,
	WATCH_SUBSCRIBE,
	WATCH_MONITOR,
	WATCH_WATCHING,
	WATCH_AFTER,
	WATCH_OVER,
};

struct redis_watch {
	struct redis_window *window;
	struct resp3         protocol;
	struct redis_monitor monitor;
	struct redis_key     missed;
	enum redis_step      step;
	struct buf           info;
	uint64_t             hits, misses; /* of INFO before */
	char                 error[160];   /* the begin of a refusal */
	size_t               nerror;
	const char          *password; /* that HELLO told; NULL: none */
	bool                 refused, odd;
	uint64_t             bytes;
};

/* In place: it points into itself.  window, conf must outlive it. */
void redis_watch_begin(
    struct redis_watch *, const struct redis_conf *, struct redis_window *window);
/* False: a refusal, or not what a Redis server answers. */
bool         redis_watch_feed(struct redis_watch *, struct text);
enum outcome redis_watch_refused(struct scrape *, const struct redis_watch *);
void         redis_watch_settle(const struct redis_watch *); /* completes the window */
void         redis_watch_end(struct redis_watch *);

/* ---- redis_window.c ---- */

struct redis_limits_of_window {
	int64_t  ns;
	uint64_t reads, commands, bytes;
};

/* DONE; else sc->why says why there is nothing.  Uses conf and target of the
 * scrape, sets its deadline.  Ends early once *stop is set. */
enum outcome redis_window_run(struct scrape *, const struct redis_limits_of_window *,
    struct redis_window *, const atomic_bool *stop);

/* ---- redis_sampler.c ---- */

struct redis_seen { /* since the last scrape */
	uint64_t hits[REDIS_COUNTS], misses[REDIS_COUNTS];
};

struct redis_sampler {
	const struct redis_conf *conf;
	const char              *target;
	pthread_t                thread;
	bool                     started;
	atomic_bool              stop;

	pthread_mutex_t   lock; /* guards all below */
	pthread_cond_t    wake;
	int64_t           scraped_at, interval;
	unsigned          turns; /* windows that are left for the last scrape */
	int64_t           due;   /* when the next of them opens */
	unsigned          seed;
	struct redis_seen seen;
	uint64_t          reads, silent_misses;
	int64_t           ns;
	enum outcome      outcome; /* of the last window */
	char              why[WHY_MAX];
};

struct redis_samples { /* since the start of the process */
	uint64_t     reads;
	double       seconds;
	bool         blind; /* the server does not tell of its misses */
	enum outcome outcome;
	char         why[WHY_MAX];
};

/* A scrape takes what was seen since the last one, and so gives the word for
 * the windows after it.  Never waits for a window.  False: no thread. */
bool redis_sampler_scrape(struct redis_sampler *, const struct scrape *, struct redis_seen *);
void redis_sampler_read(struct redis_sampler *, struct redis_samples *);
void redis_sampler_stop(struct redis_sampler *);

/* ---- redis_prefixes.c ---- */

/* One of the server's counters, divided.  The counts add up to what was added
 * exactly; carry is what each is ahead of or behind its due. */
struct redis_split {
	uint64_t count[REDIS_COUNTS];
	double   carry[REDIS_COUNTS], weight[REDIS_COUNTS];
};

/* seen: by windows since the last call.  Below `memory` of them older ones,
 * fading, count as well. */
void redis_split_add(
    struct redis_split *, unsigned n, const uint64_t *seen, double memory, uint64_t delta);

struct redis_counted { /* what the server's INFO said */
	uint64_t hits, misses;
	int64_t  uptime, at; /* s; ns of our clock */
	char     run_id[48];
};

struct redis_prefixes {             /* in a target's state */
	bool                 known; /* last is valid */
	struct redis_counted last;
	struct redis_split   hits, misses;
	struct redis_sampler sampler;
};

unsigned redis_prefixes_count(const struct redis_conf *);
/* Goes on from the last reading to this one; blind: nothing can be told of the
 * prefixes. */
void     redis_prefixes_count_on(struct redis_prefixes *, const struct redis_conf *,
	const struct redis_counted *, const struct redis_seen *, bool blind);
/* To text and back: what outlives a process. */
void redis_prefixes_save(const struct redis_prefixes *, const struct redis_conf *, struct buf *);
void redis_prefixes_load(struct redis_prefixes *, const struct redis_conf *, struct text);
bool redis_prefixes_check(const struct redis_conf *, char why[static WHY_MAX]);

enum outcome redis_emit_cache(struct scrape *, const struct group *);
enum outcome redis_emit_samples(struct scrape *, const struct group *);

#endif
