/*
 * kafka_users.c - see kafka_users.h.
 */
#include "kafka_users.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define NONE UINT32_MAX

/* ---- SipHash-2-4 ---- */

static uint64_t
turned(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void
sip_round(uint64_t v[static 4])
{
	v[0] += v[1];
	v[1] = turned(v[1], 13) ^ v[0];
	v[0] = turned(v[0], 32);
	v[2] += v[3];
	v[3] = turned(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = turned(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = turned(v[1], 17) ^ v[2];
	v[2] = turned(v[2], 32);
}

static void
sip_word(uint64_t v[static 4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
}

/* Up to eight bytes, the first one lowest. */
static uint64_t
word_at(const char *p, size_t len)
{
	uint64_t word = 0;

	for (size_t i = 0; i < len; i++)
		word |= (uint64_t)(unsigned char)p[i] << 8 * i;
	return word;
}

uint64_t
users_hash(const uint64_t secret[static 2], struct text key)
{
	uint64_t v[] = { secret[0] ^ 0x736f6d6570736575, secret[1] ^ 0x646f72616e646f6d,
		secret[0] ^ 0x6c7967656e657261, secret[1] ^ 0x7465646279746573 };
	size_t whole = key.len / 8 * 8;

	for (size_t i = 0; i < whole; i += 8)
		sip_word(v, word_at(key.ptr + i, 8));
	sip_word(v, word_at(key.ptr + whole, key.len - whole) | (uint64_t)key.len << 56);
	v[2] ^= 0xff;
	for (unsigned i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- the heap ---- */

static uint64_t
count_at(const struct users *u, uint32_t place)
{
	return u->user[u->heap[place]].count;
}

static void
put_at(struct users *u, uint32_t place, uint32_t id)
{
	u->heap[place] = id;
	u->user[id].place = place;
}

/* Its count has grown. */
static void
sink_down(struct users *u, uint32_t id)
{
	uint32_t place = u->user[id].place;

	for (;;) {
		uint32_t least = 2 * place + 1;
		if (least + 1 < u->n && count_at(u, least + 1) < count_at(u, least))
			least++;
		if (least >= u->n || count_at(u, least) >= u->user[id].count)
			break;
		put_at(u, place, u->heap[least]);
		place = least;
	}
	put_at(u, place, id);
}

/* It is new, counts nothing yet, and stands last. */
static void
rise(struct users *u, uint32_t id)
{
	uint32_t place = u->user[id].place;

	while (place > 0 && count_at(u, (place - 1) / 2) > u->user[id].count) {
		put_at(u, place, u->heap[(place - 1) / 2]);
		place = (place - 1) / 2;
	}
	put_at(u, place, id);
}

/* ---- the counters ---- */

static uint32_t *
chain_of(struct users *u, uint64_t hash)
{
	return &u->chain[hash & (u->cap - 1)];
}

static void
link_in(struct users *u, uint32_t id)
{
	uint32_t *head = chain_of(u, u->user[id].hash);

	u->user[id].next = *head;
	*head = id;
}

static void
take_out(struct users *u, uint32_t id)
{
	uint32_t *at = chain_of(u, u->user[id].hash);

	while (*at != id)
		at = &u->user[*at].next;
	*at = u->user[id].next;
}

static uint32_t
find(struct users *u, uint64_t hash)
{
	uint32_t id = *chain_of(u, hash);

	while (id != NONE && u->user[id].hash != hash)
		id = u->user[id].next;
	return id;
}

/* A counter for a key that has none, not counted yet. */
static uint32_t
counter_for(struct users *u, uint64_t hash)
{
	uint32_t id;

	if (u->n < u->cap) {
		id = u->n++;
		u->user[id] = (struct user){ .hash = hash, .place = id };
		rise(u, id);
	} else {
		id = u->heap[0];
		take_out(u, id);
		struct user *least = &u->user[id];
		*least = (struct user){
			.hash = hash, .count = least->count, .error = least->count, .place = 0
		};
	}
	link_in(u, id);
	return id;
}

bool
users_add(struct users *u, struct text key, uint64_t space, uint64_t limit)
{
	uint64_t hash = users_hash((const uint64_t[]){ u->secret[0], u->secret[1] ^ space }, key);
	uint32_t id = find(u, hash);

	if (id == NONE)
		id = counter_for(u, hash);
	struct user *user = &u->user[id];
	u->messages++;
	user->count++;
	sink_down(u, id);
	if (user->told || user->count - user->error <= limit)
		return false;
	user->told = true;
	return true;
}

/* ---- windows ---- */

static bool
resize(struct users *u, uint32_t cap)
{
	struct users grown = { .cap = cap };

	grown.user = malloc(cap * sizeof *grown.user);
	grown.heap = malloc(cap * sizeof *grown.heap);
	grown.chain = malloc(cap * sizeof *grown.chain);
	if (grown.user == NULL || grown.heap == NULL || grown.chain == NULL) {
		users_free(&grown);
		return false;
	}
	struct users old = *u;
	*u = grown;
	users_free(&old);
	return true;
}

bool
users_begin(struct users *u, uint64_t limit)
{
	uint64_t needed = 2 * (u->messages / limit);
	uint32_t cap = u->cap > 0 ? u->cap : USERS_MIN;

	while (cap < needed && cap < USERS_MAX)
		cap *= 2;
	/* Where there is no memory for more, what was there goes on. */
	if (cap > u->cap && !resize(u, cap) && u->cap == 0)
		return false;
	u->n = 0;
	u->messages = 0;
	memset(u->chain, 0xff, u->cap * sizeof *u->chain);
	return getrandom(u->secret, sizeof u->secret, 0) == (ssize_t)sizeof u->secret;
}

void
users_free(struct users *u)
{
	free(u->user);
	free(u->heap);
	free(u->chain);
	*u = (struct users){ 0 };
}
