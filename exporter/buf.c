/*
 * buf.c - growing bytes with a maximum and a sticky error.
 */
#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *
buf_room(struct buf *b, size_t len)
{
	if (b->failed || len > b->max || b->len > b->max - len) {
		b->failed = true;
		return NULL;
	}
	if (b->cap - b->len < len || b->ptr == NULL) {
		size_t cap = b->cap < 256 ? 256 : b->cap;
		while (cap < b->len + len)
			cap = cap > b->max / 2 ? b->max : cap * 2;
		char *ptr = realloc(b->ptr, cap);
		if (ptr == NULL) {
			b->failed = true;
			return NULL;
		}
		b->ptr = ptr;
		b->cap = cap;
	}
	return b->ptr + b->len;
}

void
buf_add(struct buf *b, const void *bytes, size_t len)
{
	char *room = buf_room(b, len);

	if (room == NULL || len == 0)
		return;
	memcpy(room, bytes, len);
	b->len += len;
}

void
buf_text(struct buf *b, struct text t)
{
	buf_add(b, t.ptr, t.len);
}

void
buf_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;

	va_start(ap, fmt);
	va_copy(again, ap);
	int len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	char *room = len < 0 ? NULL : buf_room(b, (size_t)len + 1);
	if (room != NULL) {
		vsnprintf(room, (size_t)len + 1, fmt, again);
		b->len += (size_t)len;
	} else {
		b->failed = true;
	}
	va_end(again);
}

bool
buf_ok(const struct buf *b)
{
	return !b->failed;
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

void
buf_free(struct buf *b)
{
	free(b->ptr);
	*b = BUF(b->max);
}
