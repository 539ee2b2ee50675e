/*
 * kafka_reader.h - records are read between the scrapes: by a thread, on a
 * handle of its own, which a scrape never waits for.
 *
 * A scrape gives it a plan and takes what was read since the last one.  Of a
 * topic that is tailed every record passes, from the log end on that the first
 * plan had; of one that is sampled a few of each partition, wherever the plan
 * says.  Nothing is committed, no group is joined, and of a record only its
 * size, the hash of its key and two headers are looked at.
 *
 * No more is read than so many bytes a second.  Where that is not enough to keep
 * up with a topic, the reader leaves out what it is behind by and goes on at the
 * log end.  Without scrapes it ends after a while.
 */
#ifndef COLLECTORS_KAFKA_READER_H
#define COLLECTORS_KAFKA_READER_H

#include <librdkafka/rdkafka.h>
#include <pthread.h>

#include "../exporter/collector.h"
#include "kafka_pace.h"
#include "kafka_users.h"

enum kafka_reader_limits {
	KAFKA_SAMPLE_RECORDS = 50,         /* of a partition, at most, */
	KAFKA_SAMPLE_LEAST = 5,            /* and at least; in between by their mean size, */
	KAFKA_SAMPLE_BYTES = 1 << 20,      /* so that it is about so much */
	KAFKA_SAMPLE_BYTES_MAX = 32 << 20, /* then it ends in any case */
	KAFKA_SAMPLES = 64,                /* partitions being sampled at once */
	KAFKA_SAMPLE_S = 10,               /* then it is given up */
	KAFKA_FETCH_BYTES = 64 << 10,      /* of a partition, at most; one batch comes anyhow */
	KAFKA_FETCH_LEAST = 16 << 10,
	KAFKA_RESPONSE_BYTES = 1 << 20, /* of a broker, likewise */
	KAFKA_QUEUE_KBYTES = 2048,      /* fetched and not looked at yet */
	KAFKA_BEHIND_S = 10,            /* a tail that is later than this skips */
	KAFKA_IDLE_S = 300,             /* without a scrape */
	KAFKA_READ_TOPICS_MAX = 1000,   /* that are read */
	KAFKA_READ_PARTITIONS_MAX = 10000,
};

/* ---- what is to be read ---- */

struct kafka_plan_part {
	int64_t  end;       /* of the log; -1: not known, then it is not begun with */
	int64_t  start, to; /* sample the records from start on, to is the first that is too many */
	unsigned records;   /* so many of them */
	bool     again;     /* the log began again: offsets from before are void */
};

struct kafka_plan_topic {
	uint64_t                id; /* never used twice */
	const char             *name;
	struct kafka_plan_part *parts;
	int32_t                 n;
	bool                    tailed;
};

struct kafka_plan { /* one allocation */
	size_t                  n;
	struct kafka_plan_topic topics[]; /* sorted by name */
};

/* ---- what was read ---- */

enum { KAFKA_OVERSIZED = 3, KAFKA_PATHS = 4 };

struct kafka_tally { /* of a topic */
	double           seen;
	double           oversized[KAFKA_OVERSIZED];
	struct histogram sizes; /* of a tailed one */
};

struct kafka_deliveries {
	struct histogram latency[KAFKA_PATHS];
	double           number; /* of all */
};

struct kafka_sample { /* of a partition */
	int64_t          to, until;
	double           bytes;
	unsigned         wanted, records;
	bool             active, done;
	struct histogram sizes;
};

struct kafka_read_part {
	int64_t             next;     /* offset that is read next */
	int64_t             end_then; /* of the log when that was last looked at; -1: not yet */
	bool                assigned;
	struct kafka_sample sample;
};

struct kafka_read_topic {
	uint64_t                id;
	char                   *name;
	struct kafka_read_part *parts;
	int32_t                 n;
	bool                    tailed;
	bool                    denied; /* the broker lets nobody of our name read it */
	struct kafka_tally      tally;
};

struct kafka_conf;

struct kafka_reader {
	const struct kafka_conf *conf;
	pthread_t                thread;
	bool                     started;

	/* The lock is for what follows; the reader's own thread alone changes
	 * the topics, the tallies and the samples, and holds it to do so. */
	pthread_mutex_t           lock;
	pthread_cond_t            wake;
	bool                      stop;
	struct kafka_plan        *plan; /* not taken yet */
	int64_t                   planned_at;
	struct kafka_read_topic **topics; /* sorted by name */
	size_t                    ntopics;
	struct kafka_deliveries   deliveries;
	double                    high_rate_users;
	char                      why[WHY_MAX]; /* it cannot read */

	/* The thread's own. */
	rd_kafka_t        *rk;
	rd_kafka_queue_t  *queue;
	struct kafka_plan *current;
	long long          fetch_bytes;
	size_t             cursor; /* of the topics of current, for samples */
	struct pace        pace;
	double             charged;  /* since the bytes of the network were last known, */
	double             received; /* and these */
	struct users       users;
	int64_t            window_end, looked_at;
	struct {
		struct kafka_read_topic *topic;
		int32_t                  part;
	} samples[KAFKA_SAMPLES];
	unsigned nsamples;
};

/* Starts the thread where it does not run yet, and hands it the plan, which is
 * its own from then on.  False: it cannot be started. */
bool kafka_reader_plan(struct kafka_reader *, const struct kafka_conf *, struct kafka_plan *);

/* The topic as it is read; NULL: it is not yet.  The caller holds the lock. */
struct kafka_read_topic *kafka_reader_topic(struct kafka_reader *, const char *name, uint64_t id);

void kafka_reader_stop(struct kafka_reader *);

/* ---- kafka_assign.c: the thread's own ---- */

/* Begins and ends reading so that it is as the current plan says. */
void kafka_assign_plan(struct kafka_reader *);
/* As many samples as the pace allows. */
void kafka_assign_samples(struct kafka_reader *);
/* Ends those that are done. */
void kafka_assign_sampled(struct kafka_reader *);
/* Tails that are too late go on at the end. */
void kafka_assign_skip(struct kafka_reader *);
/* Nothing is assigned any more. */
void kafka_assign_nothing(struct kafka_reader *);
void kafka_assign_free(struct kafka_reader *);

/* So many bytes are to be paid for. */
void kafka_reader_charge(struct kafka_reader *, double bytes);
/* All that the handle has received so far: what had not been charged for is. */
void kafka_reader_received(struct kafka_reader *, double bytes);

/* ---- kafka_record.c ---- */

/* What one message tells.  The caller holds the lock. */
void kafka_record(struct kafka_reader *, rd_kafka_message_t *);

/* Unix seconds of a header: digits in s, ms, us or ns, or eight bytes of ms. */
bool kafka_record_time(struct text, double *seconds);

#endif
