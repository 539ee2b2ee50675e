/*
 * gzip.c - see gzip.h.
 */
#include "gzip.h"

#include <libdeflate.h>
#include <stdlib.h>

enum { LEVEL = 1 }; /* 6 takes three times as long for little less to send */

bool
gzip(struct buf *body)
{
	struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(LEVEL);
	char *out = compressor != NULL && body->len > 0 ? malloc(body->len) : NULL;
	size_t len = 0;

	if (out != NULL)
		len = libdeflate_gzip_compress(compressor, body->ptr, body->len, out, body->len);
	libdeflate_free_compressor(compressor);
	if (len == 0) { /* no memory, or no room in what the body takes */
		free(out);
		return false;
	}
	free(body->ptr);
	body->ptr = out;
	body->cap = body->len;
	body->len = len;
	return true;
}
