/*
 * redis_reply.c - hiredis reads the protocol, what it finds is put down in flat
 * memory that is bounded and kept from one scrape to the next.  (hiredis's own
 * reply objects are one allocation each, and an array of two thousand million
 * elements is an allocation, too, before the first of them has come.)
 */
#include <assert.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "redis.h"

#if HIREDIS_MAJOR >= 1
typedef size_t array_size;
#else
typedef int array_size;
#endif

/* NULL makes hiredis stop with an error; anything else is handed around by it
 * and never looked at. */
static void *
add_node(const redisReadTask *task, struct redis_node node)
{
	struct redis_replies *r = task->privdata;

	if (r->nnodes == REDIS_REPLY_NODES_MAX) {
		r->over = true;
		return NULL;
	}
	if (r->nnodes == r->capnodes) {
		size_t cap = r->capnodes == 0 ? 128 : r->capnodes * 2;
		struct redis_node *nodes = realloc(r->nodes, cap * sizeof *nodes);
		if (nodes == NULL)
			return NULL;
		r->nodes = nodes;
		r->capnodes = cap;
	}
	node.type = task->type;
	r->nodes[r->nnodes++] = node;
	return r;
}

static void *
add_string(const redisReadTask *task, char *bytes, size_t len)
{
	struct redis_replies *r = task->privdata;
	struct redis_node node = { .at = (uint32_t)r->bytes.len, .len = (uint32_t)len };

	buf_add(&r->bytes, bytes, len);
	return buf_ok(&r->bytes) ? add_node(task, node) : NULL;
}

static void *
add_array(const redisReadTask *task, array_size elements)
{
	return add_node(task, (struct redis_node){ .integer = (long long)elements });
}

static void *
add_integer(const redisReadTask *task, long long value)
{
	return add_node(task, (struct redis_node){ .integer = value });
}

static void *
add_nil(const redisReadTask *task)
{
	return add_node(task, (struct redis_node){ 0 });
}

#if HIREDIS_MAJOR >= 1
/* Types of RESP3, which is never asked for: kept as what they are, so that
 * whoever expects something else says so. */
static void *
add_double(const redisReadTask *task, double value, char *bytes, size_t len)
{
	(void)value;
	(void)bytes;
	(void)len;
	return add_nil(task);
}

static void *
add_bool(const redisReadTask *task, int value)
{
	(void)value;
	return add_nil(task);
}
#endif

static redisReplyObjectFunctions functions = {
	.createString = add_string,
	.createArray = add_array,
	.createInteger = add_integer,
	.createNil = add_nil,
#if HIREDIS_MAJOR >= 1
	.createDouble = add_double,
	.createBool = add_bool,
#endif
};

bool
redis_replies_open(struct redis_replies *r)
{
	r->bytes.max = REDIS_REPLY_BYTES_MAX;
	r->reader = redisReaderCreateWithFunctions(&functions);
	if (r->reader == NULL)
		return false;
	r->reader->privdata = r;
	r->reader->maxbuf = 0; /* or it frees and allocates for every reply */
	redis_replies_reset(r);
	return true;
}

void
redis_replies_reset(struct redis_replies *r)
{
	r->nnodes = r->nroots = r->fed = r->root[0] = 0;
	r->over = false;
	buf_reset(&r->bytes);
}

/* hiredis looks through an unfinished line again from its begin with all bytes
 * that come: without an end that takes seconds before the limit is reached.
 * (The head of an unfinished bulk string is a line that has its end.) */
static bool
is_endless_line(const redisReader *reader)
{
	enum { LINE_BYTES_MAX = 1 << 16 };

	return reader->len - reader->pos > LINE_BYTES_MAX &&
	       memchr(reader->buf + reader->pos, '\n', LINE_BYTES_MAX) == NULL;
}

bool
redis_replies_feed(struct redis_replies *r, struct text t, size_t want)
{
	assert(want <= REDIS_ROOTS_MAX);
	if (t.len > REDIS_REPLY_BYTES_MAX - r->fed) {
		r->over = true;
		return false;
	}
	r->fed += t.len;
	if (redisReaderFeed(r->reader, t.ptr, t.len) != REDIS_OK)
		return false;
	while (r->nroots < want) {
		void *reply = NULL;
		if (redisReaderGetReply(r->reader, &reply) != REDIS_OK)
			return false;
		if (reply == NULL) {
			r->over = is_endless_line(r->reader);
			return !r->over;
		}
		r->root[++r->nroots] = r->nnodes;
	}
	return r->reader->pos == r->reader->len;
}

void
redis_replies_close(struct redis_replies *r)
{
	if (r->reader != NULL)
		redisReaderFree(r->reader);
	free(r->nodes);
	buf_free(&r->bytes);
	*r = (struct redis_replies){ 0 };
}

struct redis_value
redis_take(const struct redis_replies *r, size_t *position)
{
	if (*position >= r->nnodes)
		return (struct redis_value){ 0 };
	const struct redis_node *n = &r->nodes[(*position)++];
	struct redis_value v = { .type = n->type, .integer = n->integer };
	if (n->len > 0)
		v.text = (struct text){ r->bytes.ptr + n->at, n->len };
	return v;
}

void
redis_skip(const struct redis_replies *r, size_t *position)
{
	for (long long left = 1; left > 0; left--) {
		struct redis_value v = redis_take(r, position);
		if (v.type == 0)
			return;
		if (v.type == REDIS_REPLY_ARRAY)
			left += v.integer;
	}
}
