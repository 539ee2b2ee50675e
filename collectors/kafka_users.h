/*
 * kafka_users.h - which keys come more often than a limit, in bounded memory.
 *
 * SpaceSaving (Metwally, Agrawal, El Abbadi, 2005): as many counters as there is
 * room for; a key that has none takes over the least, with its count as its
 * error.  Count minus error never says more than is true, so nobody is told of
 * wrongly; with two counters for each key that could be above the limit nobody
 * is missed in practice.  A window is a new beginning.
 *
 * Keys are not kept, only keyed hashes of them, under a secret that is drawn
 * anew for every window.
 */
#ifndef COLLECTORS_KAFKA_USERS_H
#define COLLECTORS_KAFKA_USERS_H

#include "../exporter/text.h"

enum { USERS_MIN = 1024, USERS_MAX = 65536 };

struct user {
	uint64_t hash, count, error;
	uint32_t next;  /* of the same chain */
	uint32_t place; /* in the heap */
	bool     told;  /* went above the limit in this window */
};

struct users {
	struct user *user;
	uint32_t    *heap;  /* the least count first */
	uint32_t    *chain; /* by hash; cap of them */
	uint32_t     n, cap;
	uint64_t     messages; /* of this window */
	uint64_t     secret[2];
};

/* Begins a window, with as many counters as the last one showed to be needed;
 * the first time with users zeroed.  False: out of memory. */
bool users_begin(struct users *, uint64_t limit);
void users_free(struct users *);

/* True: with this message the key went above the limit.  Keys of different
 * spaces are different keys. */
bool users_add(struct users *, struct text key, uint64_t space, uint64_t limit);

/* SipHash-2-4. */
uint64_t users_hash(const uint64_t secret[static 2], struct text);

#endif
