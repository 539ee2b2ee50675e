/*
 * buf.h - growing bytes with a maximum.  An error (too large, out of memory)
 * sticks: append freely, ask buf_ok once at the end.
 */
#ifndef EXPORTER_BUF_H
#define EXPORTER_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "text.h"

struct buf {
	char  *ptr;
	size_t len, cap, max;
	bool   failed;
};

#define BUF(maximum) ((struct buf){ .max = (maximum) })

PUBLIC void buf_add(struct buf *, const void *, size_t);
PUBLIC void buf_text(struct buf *, struct text);
PUBLIC void buf_str(struct buf *, const char *);
PUBLIC void buf_char(struct buf *, char);
PUBLIC void buf_printf(struct buf *, const char *fmt, ...) PRINTF(2, 3);

/* Room for len more bytes, to be written by the caller who then adds to
 * buf->len; NULL when that is too much. */
PUBLIC char *buf_room(struct buf *, size_t len);

PUBLIC bool buf_ok(const struct buf *);
PUBLIC void buf_reset(struct buf *); /* empty, keeps the memory */
PUBLIC void buf_free(struct buf *);

#endif
