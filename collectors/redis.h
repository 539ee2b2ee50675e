/*
 * redis.h - what the parts of the Redis collector share.
 *
 *	redis_address.c	options -> where to connect and as whom
 *	redis_stream.c	libcurl as a raw connection: tcp, TLS, unix socket
 *	redis_reply.c	hiredis as the parser, replies in flat bounded memory
 *	redis_info.c	the text of INFO -> rows, driven by the metric tables
 *	redis_latency.c	LATENCY HISTOGRAM -> histograms
 *	shared_curl.h	what it has in common with the application collector
 *	redis_tables.c	metrics, groups, options
 *	redis_prefixes.h	hits and misses by key prefix, and the files for it
 *	redis.c		one scrape: all questions in one write, then the groups
 */
#ifndef COLLECTORS_REDIS_H
#define COLLECTORS_REDIS_H

#include <hiredis/read.h>

#include "../exporter/buf.h"
#include "../exporter/collector.h"
#include "redis_prefixes.h"
#include "shared_curl.h"

struct redis_conf {
	const char       *uri, *username, *password;
	struct shared_tls tls;
	const char       *tls_server_name;

	const char *const *key_prefixes;
	const char        *key_separator, *prefix_username, *prefix_password;
	double             prefix_share;
	long long          prefix_reads, prefix_bytes;
};

/* ---- redis_address.c ---- */

struct redis_address {
	char        url[320];        /* for libcurl, without user and password */
	char        shown[300];      /* for people: host:port or the socket's path */
	char        connect_to[304]; /* for libcurl: shown, whatever the URL says */
	const char *socket;          /* path of a unix socket, else NULL; points into conf */
	const char *user, *password; /* decoded; NULL: none; in conf or below */
	char       *uri_user, *uri_password;
	bool        tls;
};

/* False: why has one sentence, no secret in it.  Free it in either case. */
bool redis_address_read(
    struct redis_address *, const struct redis_conf *, char why[static WHY_MAX]);
void redis_address_free(struct redis_address *);
bool redis_check(const void *conf, char why[static WHY_MAX]);

/* ---- redis_stream.c ---- */

struct redis_stream {
	CURL              *easy;
	struct curl_slist *connect_to;
	int                fd;
	bool               tls;
	char               error[CURL_ERROR_SIZE];
};

/* DONE, or LOST and said why; close it in either case. */
enum outcome redis_stream_open(
    struct scrape *, struct redis_stream *, const struct redis_address *);
enum outcome redis_stream_write(struct scrape *, struct redis_stream *, struct text);
/* Waits for some bytes; *got is 0 when the server has closed the connection. */
enum outcome redis_stream_read(
    struct scrape *, struct redis_stream *, char *, size_t size, size_t *got);
void redis_stream_close(struct redis_stream *);

/* ---- redis_reply.c ---- */

enum redis_limits {
	REDIS_REPLY_BYTES_MAX = 16 << 20, /* of all replies of one scrape */
	REDIS_REPLY_NODES_MAX = 1 << 16,  /* likewise */
	REDIS_ROOTS_MAX = 8,              /* replies to one write */
	REDIS_INFO_FIELDS_MAX = 1 << 17,  /* lines of INFO */
	REDIS_HISTOGRAM_MAJOR = 7,        /* the first version with LATENCY HISTOGRAM */
};

/* Replies in the order of their bytes: an array stands before its elements, so
 * that a position is all it takes to walk through nested ones. */
struct redis_node {
	long long integer; /* of an integer; of an array its elements */
	uint32_t  at, len; /* of a string, status or error, in bytes */
	int       type;    /* REDIS_REPLY_... */
};

struct redis_replies {
	redisReader       *reader;
	struct redis_node *nodes;
	size_t             nnodes, capnodes;
	/* Where the whole replies begin, and where the next one will. */
	size_t             root[REDIS_ROOTS_MAX + 1], nroots;
	size_t             fed;   /* bytes since the last reset */
	struct buf         bytes; /* of the strings */
	bool               over;  /* a limit was passed */
};

struct redis_value {
	int         type;    /* 0: there is nothing */
	struct text text;    /* of a string, status or error */
	long long   integer; /* of an integer; of an array its elements */
};

bool redis_replies_open(struct redis_replies *); /* false: out of memory */
void redis_replies_reset(struct redis_replies *);
/* False: not the protocol, over a limit, or more than the want replies. */
bool redis_replies_feed(struct redis_replies *, struct text, size_t want);
void redis_replies_close(struct redis_replies *);

/* The value at *position, which goes on to the one behind it: an array's first
 * element, or else the next one. */
struct redis_value redis_take(const struct redis_replies *, size_t *position);
/* Goes on behind a whole value, an array with all that is in it. */
void               redis_skip(const struct redis_replies *, size_t *position);

/* ---- one scrape ---- */

struct redis_field {
	struct text name, value;
};

struct redis_info { /* the answer to INFO, cut into lines once */
	struct redis_field *fields;
	size_t              n, cap;
	bool                over;     /* too many lines, or out of memory: some are missing */
	bool                keyspace; /* it has that section, if only its heading */
};

enum redis_question { REDIS_INFO, REDIS_LATENCY, REDIS_SLOWLOG, REDIS_QUESTIONS };

struct redis { /* a target's state */
	struct redis_stream  stream;
	struct redis_replies replies;
	struct buf           out;              /* AUTH, while it waits for the first questions */
	bool                 auth;             /* it does */
	struct buf           questions;        /* as they are sent */
	unsigned             form;             /* which those are; 0: none */
	bool                 fresh;            /* nothing was read since connecting */
	bool                 sections_refused; /* INFO takes one section only */
	unsigned             major;            /* version of the server; 0: not known yet */
	struct redis_info    info;             /* of this scrape; points into replies */
	struct text          version;          /* likewise */
	struct {
		size_t position;
		bool   asked;
	} answer[REDIS_QUESTIONS];
	struct redis_prefixes prefixes;
};

/* How a group is read: what it needs asked, and who makes its rows. */
struct redis_how {
	unsigned needs; /* bit q: question q */
	enum outcome (*emit)(struct scrape *, const struct group *);
	const char *prefix; /* redis_emit_lines: of the fields; no part of the label */
};

/* Takes note of the replies that came: all that ask() does after reading. */
enum outcome redis_answered(struct scrape *);
/* The reply to a question if it has this type; else FAILED and said why. */
enum outcome redis_answer(
    struct scrape *, enum redis_question, int type, size_t *position, struct redis_value *);

/* ---- redis_info.c ---- */

/* The next line `field:value` of INFO; false: there is none. */
bool         redis_info_next(struct text *info, struct text *field, struct text *value);
/* All of them; the text must outlast it. */
void         redis_info_read(struct redis_info *, struct text);
void         redis_info_free(struct redis_info *);
/* The value of a field, or ptr NULL. */
struct text  redis_info_field(const struct redis_info *, const char *field);
/* The value of a key in "calls=1,usec=7", or ptr NULL. */
struct text  redis_info_part(struct text value, const char *key);
/* The version the server goes by: Valkey's own where it is one. */
struct text  redis_info_version(const struct redis_info *);
/* That of this scrape, if there is one; else FAILED and said why. */
enum outcome redis_info_answer(struct scrape *, const struct redis_info **);

enum outcome redis_emit_fields(struct scrape *, const struct group *);
enum outcome redis_emit_lines(struct scrape *, const struct group *);
enum outcome redis_emit_keys(struct scrape *, const struct group *);
enum outcome redis_emit_replication(struct scrape *, const struct group *);
enum outcome redis_emit_info(struct scrape *, const struct group *);
enum outcome redis_emit_slowlog(struct scrape *, const struct group *);

/* ---- redis_latency.c ---- */

enum outcome redis_emit_latency(struct scrape *, const struct group *);

/* ---- redis_tables.c ---- */

enum { REDIS_GROUPS = 9, REDIS_OPTIONS = 14 };
extern const struct group  redis_groups[REDIS_GROUPS];
extern const struct option redis_options[REDIS_OPTIONS];

#endif
