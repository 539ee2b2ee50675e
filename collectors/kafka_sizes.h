/*
 * kafka_sizes.h - sizes of messages of which only a few were read: how many
 * there are is exact, how large they are is taken from samples.  Pure arithmetic.
 *
 *	log   |---------------|-----------|------|
 *	       known: by samples of theirs  unread: like what was sampled last
 *
 * What a scrape counts it cannot take back when the sample of those messages
 * comes later: then what follows goes to the bounds that had too little.
 */
#ifndef COLLECTORS_KAFKA_SIZES_H
#define COLLECTORS_KAFKA_SIZES_H

#include "../exporter/collector.h"

struct sizes {
	struct histogram known;  /* shares, not whole numbers */
	struct histogram latest; /* the last samples, weighted by what they stand for */
	struct histogram given;  /* counted so far; nothing in it ever falls */
	double           owed;   /* messages whose sample will never come */
};

/* So many messages, of which these records were read; none of them: nothing
 * new is known. */
void sizes_sampled(
    struct sizes *, const struct metric *, double messages, const struct histogram *records);

/* Older samples count for less from now on. */
void sizes_fade(struct sizes *, const struct metric *);

/* Brings given up to all messages, so many of them not sampled yet.  Before
 * there was any sample it stays where it is. */
void sizes_give(struct sizes *, const struct metric *, double unread);

/* How many records to take for the next sample.  That is settled before it is
 * taken: one that ended with a large record would have too many of them. */
unsigned sizes_sample(const struct sizes *, const struct metric *);

/* Observations of a histogram. */
double sizes_number(const struct histogram *, const struct metric *);

#endif
