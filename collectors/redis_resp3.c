/*
 * redis_resp3.c - RESP3 as it comes, without a buffer:
 *
 *	+line\r\n  -line\r\n  :1\r\n  ,1.5\r\n  (123\r\n  #t\r\n  _\r\n
 *	$5\r\nbytes\r\n    =9\r\ntxt:bytes\r\n    !5\r\nbytes\r\n
 *	*2\r\n...  ~2\r\n...  >2\r\n... (push)    %2\r\n... (map, pairs)  |2\r\n...
 *
 * A line of MONITOR may hold a value of 512 MB: pieces are handed on from
 * where they were received, and nothing of them is kept.
 */
#include <string.h>

#include "redis_prefixes.h"

enum {
	ELEMENTS_MAX = 1 << 20,
	BULK_MAX = 1 << 30, /* twice the longest string of a server */
};

/* Is it one of these types? */
static bool
any_of(const char *types, char type)
{
	return type != '\0' && strchr(types, type) != NULL;
}

/* The value that has just ended may be the last of those it is in. */
static void
end_value(struct resp3 *r)
{
	r->state = RESP3_TYPE;
	while (r->depth > 0 && --r->elements[r->depth - 1] == 0)
		r->depth--;
	if (r->depth > 0)
		return;
	char root = r->root;
	r->root = '\0';
	r->leaf = 0;
	r->end(r->arg, root);
}

static void
end_leaf(struct resp3 *r)
{
	r->leaf++;
	end_value(r);
}

static bool
begin_value(struct resp3 *r, char type)
{
	if (any_of("+-:,(#_", type))
		r->state = RESP3_LINE;
	else if (any_of("$=!*~>%|", type))
		r->state = RESP3_HEAD;
	else
		return false;
	r->type = type;
	r->nhead = r->ends = 0;
	if (r->root == '\0')
		r->root = type;
	return true;
}

static bool
begin_aggregate(struct resp3 *r, int64_t count)
{
	if (any_of("%|", r->type))
		count *= 2;
	if (count <= 0) {
		end_value(r);
		return true;
	}
	if (r->depth == COUNT(r->elements))
		return false;
	r->elements[r->depth++] = (uint64_t)count;
	r->state = RESP3_TYPE;
	return true;
}

static bool
end_head(struct resp3 *r)
{
	bool bulk = any_of("$=!", r->type);
	int64_t number;

	if (!text_integer((struct text){ r->head, r->nhead }, &number) || number < -1 ||
	    number > (bulk ? BULK_MAX : ELEMENTS_MAX))
		return false;
	if (!bulk)
		return begin_aggregate(r, number);
	if (number < 0) {
		end_leaf(r);
		return true;
	}
	r->left = (uint64_t)number;
	r->ends = 0;
	r->state = number > 0 ? RESP3_BULK : RESP3_END;
	return true;
}

static bool
add_head(struct resp3 *r, char c)
{
	if (r->ends > 0)
		return c == '\n' && end_head(r);
	if (c == '\r')
		r->ends = 1;
	else if (r->nhead < sizeof r->head && any_of("-0123456789", c))
		r->head[r->nhead++] = c;
	else
		return false;
	return true;
}

/* Takes bytes off t up to the end of the line. */
static void
add_line(struct resp3 *r, struct text *t)
{
	const char *cr = memchr(t->ptr, '\r', t->len);
	size_t len = cr == NULL ? t->len : (size_t)(cr - t->ptr);

	if (len > 0)
		r->piece(r->arg, r->root, r->leaf, (struct text){ t->ptr, len });
	t->ptr += len;
	t->len -= len;
	if (cr != NULL)
		r->state = RESP3_END;
}

static void
add_bulk(struct resp3 *r, struct text *t)
{
	size_t len = t->len < r->left ? t->len : (size_t)r->left;

	r->piece(r->arg, r->root, r->leaf, (struct text){ t->ptr, len });
	t->ptr += len;
	t->len -= len;
	r->left -= len;
	if (r->left == 0)
		r->state = RESP3_END;
}

/* One byte of what stands between contents. */
static bool
add_byte(struct resp3 *r, char c)
{
	if (r->state == RESP3_TYPE)
		return begin_value(r, c);
	if (r->state == RESP3_HEAD)
		return add_head(r, c);
	if (c != "\r\n"[r->ends])
		return false;
	if (++r->ends == 2)
		end_leaf(r);
	return true;
}

bool
resp3_feed(struct resp3 *r, struct text t)
{
	while (t.len > 0) {
		if (r->state == RESP3_LINE) {
			add_line(r, &t);
		} else if (r->state == RESP3_BULK) {
			add_bulk(r, &t);
		} else {
			if (!add_byte(r, *t.ptr))
				return false;
			t.ptr++;
			t.len--;
		}
	}
	return true;
}
