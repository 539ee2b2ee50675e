/*
 * kafka.h - what the parts of the Kafka collector share.
 *
 *	kafka.c		options, connect, ask, collect
 *	kafka_tables.c	metrics, groups of metrics, options
 *	kafka_client.c	the librdkafka handle: settings, opening, its last words
 *	kafka_question.c  committed offsets, lists of groups, metadata, in flight
 *	kafka_lookup.c	offsets of many partitions, a call per leader
 *	kafka_state.c	topics, partitions, groups: what is known of the cluster
 *	kafka_account.c	what the groups did since the last collection
 *	kafka_age.c kafka_ask.c  time in queue; no Kafka in it
 *	kafka_rows.c	the state as rows
 *	kafka_records.c	which records are to be read, and what was read as rows
 *	kafka_reader.c kafka_assign.c kafka_record.c  the thread that reads them
 *	kafka_sizes.c kafka_users.c kafka_pace.c  sizes, frequent keys, bytes a second
 *	kafka_select.c	which groups and topics are watched
 *
 * One collection, of which only the two steps in the middle are waited for:
 *
 *	metadata | committed offsets of all groups | list of groups
 *	log ends | log starts | offsets at time stamps, all leaders at once
 *
 * Committed offsets come before log ends, so that no lag is ever negative.
 */
#ifndef COLLECTORS_KAFKA_H
#define COLLECTORS_KAFKA_H

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <regex.h>
#include <stdatomic.h>

#include "../exporter/collector.h"
#include "kafka_age.h"
#include "kafka_reader.h"
#include "kafka_sizes.h"
#include "shared_metrics.h"

enum kafka_limits {
	KAFKA_TOPICS_MAX = 20000,
	KAFKA_PARTITIONS_MAX = 200000, /* of all topics */
	KAFKA_GROUPS_MAX = 5000,
	KAFKA_QUESTIONS_MAX = 4000,  /* offsets at time stamps, in a collection */
	KAFKA_CHUNK = 250,           /* partitions a call: its CPU grows with the square */
	KAFKA_LANES = 24,            /* calls at once */
	KAFKA_PATIENCE_MS = 1500,    /* for one step, as long as there is time */
	KAFKA_RATE_WINDOW_MS = 1000, /* rates are not taken over less */
};

struct kafka_conf {
	const char        *brokers;
	const char        *groups, *exclude_groups, *topics, *exclude_topics;
	const char *const *group_names, *const *topic_names;
	const char *const *kafka;
	double             rate_limit;
	long long          questions;
	const char        *sample_topics, *tail_topics; /* NULL: none */
	long long          read_bytes;                  /* a second */
	long long          oversized_medium, oversized_large, oversized_huge;
	long long          key_limit; /* messages in key_window */
	int64_t            key_window;
	const char        *header_sent_at, *header_delivery_path;
};

/* ---- kafka_select.c ---- */

struct kafka_select {
	regex_t            include, exclude;
	bool               has_include, has_exclude;
	const char *const *names; /* not empty: these and no others */
};

/* False: out of memory. */
bool kafka_select_make(
    struct kafka_select *, const char *include, const char *exclude, const char *const *names);
bool kafka_selected(const struct kafka_select *, const char *name);

/* ---- kafka_state.c ---- */

struct kafka_watch { /* of a partition that some group reads */
	struct curve     curve;
	struct questions questions; /* for this collection */
	int64_t          needed;    /* the least committed offset of all groups */
	uint64_t         seen;      /* the last collection that found it watched */
	bool             lags;      /* some group has not read all */
};

struct kafka_partition {
	int32_t             leader;      /* broker id; -1: none */
	bool                known;       /* end and at are valid */
	bool                read;        /* end is of this collection */
	bool                began_again; /* in this collection: an end before the last one */
	int64_t             end;         /* of the log: the offset of the next message */
	int64_t             start;       /* first message that is kept; -1: not known */
	double              at;          /* when end was read, unix seconds */
	int64_t             rate_end;    /* the log end when the rate was last taken, */
	double              rate_at;     /* and the time; 0: never */
	struct kafka_watch *watch;       /* NULL: no group reads it */
};

struct kafka_topic {
	char                   *name;
	struct kafka_partition *partitions;
	int32_t                 n;
	unsigned                under_replicated;
	uint64_t                seen;     /* number of the last collection that had it */
	double                  produced; /* messages since it was first seen */
	struct kafka_reading   *reading;  /* NULL: its records are not read */
	bool                    judged;   /* whether they are, is settled */
};

struct kafka_position {    /* of a group in a partition */
	int64_t committed; /* -1: none */
	int64_t before;    /* at the last collection that got an answer */
	int64_t lost_to;   /* what was lost below is counted */
	bool    anchored;  /* before and lost_to are valid */
};

struct kafka_consumption { /* of a topic by a group */
	struct kafka_topic    *topic;
	struct kafka_position *positions; /* by partition */
	int32_t                n;
	uint64_t               seen;
	double                 consumed, rewinds, lost;
	double                 rate_at, rate_consumed;
	double                 rate; /* -1: not known yet */
	struct histogram       age;  /* shares, not whole numbers */
};

struct kafka_group {
	char                     *name;
	uint64_t                  id;            /* never used twice */
	uint64_t                  seen;          /* listed or named in that collection */
	uint64_t                  answered;      /* the last collection its offsets came in */
	uint64_t                  described;     /* likewise state and members */
	unsigned                  pending;       /* collections its question has been under way */
	bool                      named;         /* in the configuration, not discovered */
	bool                      by_partition;  /* "all partitions" gave nothing: ask for each */
	double                    asked_at;      /* unix seconds */
	double                    at, before_at; /* of committed and before */
	unsigned                  members;
	unsigned                  state;        /* index of kafka_states */
	struct kafka_consumption *consumptions; /* sorted by topic name */
	size_t                    nconsumptions;
};

/* Names of group states as the label has them; NULL ends it. */
extern const char *const kafka_states[];
/* "PreparingRebalance" -> its index; unknown ones are "other". */
unsigned                 kafka_state_index(const char *);

struct kafka_state {
	uint64_t             now;    /* number of this collection */
	struct kafka_topic **topics; /* sorted by name */
	size_t               ntopics, captopics;
	struct kafka_group **groups; /* sorted by name */
	size_t               ngroups, capgroups;
	uint64_t             next_id;
	unsigned             brokers;
	bool                 rate_known;
	double               rate; /* produced per second */
	double               rate_at;
	double               spikes;
	bool                 above; /* the rate was above the limit */
};

/* Topics that are in it are kept, others begin, those that are gone end, in the
 * groups too.  False: out of memory. */
bool kafka_state_metadata(
    struct kafka_state *, const struct kafka_select *, const struct rd_kafka_metadata *);
/* The same for groups; complete: what is not in the list is gone. */
bool                kafka_state_groups(struct kafka_state *, const struct kafka_select *,
		   const struct rd_kafka_group_list *, bool complete);
bool                kafka_state_named_groups(struct kafka_state *, const char *const *names);
struct kafka_group *kafka_state_group(const struct kafka_state *, uint64_t id);

/* A group's offsets as asked for at asked_at: topics and partitions that are
 * not in it are no longer consumed. */
bool kafka_state_committed(struct kafka_state *, struct kafka_group *,
    const rd_kafka_topic_partition_list_t *, double answered_at);

/* A partition's log end at that time. */
void kafka_state_end(struct kafka_topic *, struct kafka_partition *, int64_t end, double at);

/* ---- kafka_account.c ---- */

/* Which partitions are watched, from where on, and what to ask of them: at most
 * so many time stamps each.  False: out of memory. */
bool kafka_account_watch(struct kafka_state *, unsigned questions, double now);
/* After all answers: what was produced, consumed, lost since the last time. */
void kafka_account(struct kafka_state *, const struct metric *age, double rate_limit);

struct kafka_waiting { /* messages of a topic that a group has not read */
	double lag;
	double oldest;   /* seconds */
	double older[8]; /* than each of the seconds; negative: not known */
	bool   known;    /* at least one partition is */
};
extern const double kafka_older[]; /* seconds; 0 ends it */
void kafka_account_waiting(const struct kafka_consumption *, double now, struct kafka_waiting *);

/* ---- kafka_client.c ---- */

/* A handle that reads records; NULL: why has one sentence. */
rd_kafka_t *kafka_client_reader(struct kafka_reader *, char why[static WHY_MAX]);
/* It asks for so many of a partition at once. */
long long   kafka_client_fetch_bytes(const struct kafka_conf *);

struct kafka_client {
	rd_kafka_t              *rk;
	rd_kafka_queue_t        *replies; /* of questions in flight */
	rd_kafka_AdminOptions_t *options;
	const struct kafka_conf *conf;
	int64_t                  opened_at;      /* clock_ns */
	bool                     down;           /* no broker can be reached */
	char                     words[WHY_MAX]; /* the last error librdkafka spoke of */
	rd_kafka_resp_err_t      group_err;      /* of the last group that gave one */
};

/* The settings as librdkafka takes them; NULL: why has one sentence. */
rd_kafka_conf_t *kafka_client_conf(const struct kafka_conf *, char why[static WHY_MAX]);
bool             kafka_check(const void *conf, char why[static WHY_MAX]);
/* What librdkafka has said, behind begin; a broker may have put a secret into it. */
void             kafka_client_say(
		char out[static WHY_MAX], const char *begin, const char *said, const struct kafka_conf *);

/* A handle; whether a broker answers is not known yet. */
bool kafka_client_open(struct kafka_client *, const struct kafka_conf *, char why[static WHY_MAX]);
void kafka_client_close(struct kafka_client *);
/* Takes in what librdkafka has to say. */
void kafka_client_listen(struct kafka_client *);

/* ---- kafka_question.c ---- */

struct kafka_metadata { /* a question in a thread of its own */
	rd_kafka_t                     *rk;
	struct deadline                 until;
	const struct rd_kafka_metadata *reply; /* NULL: err */
	rd_kafka_resp_err_t             err;
	pthread_t                       thread;
	bool                            running;
};
void kafka_metadata_ask(struct kafka_metadata *, rd_kafka_t *, struct deadline);
void kafka_metadata_wait(struct kafka_metadata *); /* free reply afterwards */

struct kafka_listing { /* likewise */
	rd_kafka_t                       *rk;
	struct deadline                   until;
	const struct rd_kafka_group_list *reply; /* may be there with an err */
	rd_kafka_resp_err_t               err;
	pthread_t                         thread;
	bool                              running;
};
void kafka_listing_ask(struct kafka_listing *, rd_kafka_t *, struct deadline);
void kafka_listing_wait(struct kafka_listing *);

/* Asks for the committed offsets of all groups at once; returns how many answers
 * are to be waited for. */
unsigned kafka_committed_ask(struct kafka_client *, struct kafka_state *);
/* Takes the answers into the state; what does not come in time stays under way.
 * False: out of memory. */
bool     kafka_committed_take(
	struct kafka_client *, struct kafka_state *, unsigned waiting, struct deadline);

/* ---- kafka_lookup.c ---- */

enum { KAFKA_AT_END = RD_KAFKA_OFFSET_END, KAFKA_AT_START = RD_KAFKA_OFFSET_BEGINNING };

struct kafka_lookup {
	struct kafka_topic *topic;
	int32_t             partition;
	unsigned            slot;   /* a partition is in a slot once */
	int64_t             ask;    /* KAFKA_AT_*, or unix milliseconds */
	int64_t             offset; /* the answer; RD_KAFKA_OFFSET_END: none so late */
	double              at;     /* when it was answered, unix seconds */
	bool                answered;
};

struct kafka_lookups {
	struct kafka_lookup *v;
	size_t               n, cap;
};
bool kafka_lookup_add(
    struct kafka_lookups *, struct kafka_topic *, int32_t partition, unsigned slot, int64_t ask);
/* Sorts and asks; what is not answered at the deadline, is not. */
void kafka_lookup_all(rd_kafka_t *, struct kafka_lookups *, struct deadline);

/* ---- kafka_records.c ---- */

struct kafka_reading { /* of a topic, as the scrapes know it */
	uint64_t id;   /* never used twice */
	bool     tailed;
	bool     denied; /* its records may not be read */
	struct kafka_reading_part {
		int64_t from;  /* up to here sizes are known by samples */
		int64_t upto;  /* the log end of the last collection */
		bool    known; /* both are valid */
		bool    seen;  /* was sampled, or has nothing to be sampled */
	} * parts;
	int32_t            n;
	struct sizes       sizes;
	struct kafka_tally tally;
};

struct kafka_records {
	struct kafka_select     sample, tail;
	bool                    on;     /* some topics may be read */
	bool                    judged; /* on, sample and tail are valid */
	uint64_t                last_id;
	unsigned                seed;
	size_t                  topics, partitions, tailed; /* that are read */
	struct kafka_reader     reader;
	struct kafka_deliveries deliveries;
	double                  high_rate_users;
	double                  seen;   /* of tailed topics */
	size_t                  denied; /* likewise: that may not be read */
	char                    why[WHY_MAX];
};

struct kafka;
/* After the log ends have come: takes in what was read, says what is to be read
 * next.  False: out of memory. */
bool kafka_records_collect(struct kafka *, const struct kafka_conf *);
void kafka_reading_free(struct kafka_reading *);

enum outcome kafka_record_rows(struct scrape *, const struct group *);

/* ---- kafka_tables.c, kafka_rows.c ---- */

struct kafka {
	struct kafka_client  client;
	struct kafka_state   state;
	struct kafka_select  groups, topics;
	bool                 selects;     /* groups and topics are made */
	int32_t              brokers[64]; /* ids this handle has met */
	unsigned             nbrokers;
	bool                 renew; /* the handle, before the next collection */
	rd_kafka_resp_err_t  listing_err;
	struct kafka_lookups lookups;
	struct kafka_records records;
};

enum kafka_group_number {
	KAFKA_CLUSTER,
	KAFKA_TOPICS,
	KAFKA_CONSUMPTION,
	KAFKA_WAITING,
	KAFKA_MEMBERS,
	KAFKA_STATES,
	KAFKA_PARTITIONS,
	KAFKA_POSITIONS,
	KAFKA_SIZES,
	KAFKA_OVERSIZES,
	KAFKA_USERS,
	KAFKA_DELIVERIES,
	KAFKA_GROUPS
};
extern const struct group kafka_groups[KAFKA_GROUPS];
enum { KAFKA_OPTIONS = 20 };
extern const struct option        kafka_options[KAFKA_OPTIONS];
extern const struct metric *const kafka_age_metric, *const kafka_size_metric,
							*const kafka_delivery_metric;

enum outcome kafka_rows(struct scrape *, const struct group *);

#endif
