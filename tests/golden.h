/*
 * golden.h - files of what is expected.  Behind cmocka.h.
 */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H

#include <stdio.h>

#include "../exporter/buf.h"

/* The caller frees. */
static inline struct buf read_file(const char *path)
{
	struct buf b = BUF(1 << 20);
	FILE      *f = fopen(path, "rbe");
	char       bytes[4096];
	size_t     n;

	if (f == NULL)
		fail_msg("%s cannot be read", path);
	while ((n = fread(bytes, 1, sizeof bytes, f)) > 0)
		buf_add(&b, bytes, n);
	fclose(f);
	return b;
}

static inline void write_file(const char *path, struct text t)
{
	FILE *f = fopen(path, "wbe");

	if (f == NULL || fwrite(t.ptr, 1, t.len, f) != t.len || fclose(f) != 0)
		fail_msg("%s cannot be written", path);
}

#endif
