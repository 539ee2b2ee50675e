/*
 * arena.h - memory that is freed all at once: what one reading of the
 * configuration keeps.  Out of memory ends the process.
 */
#ifndef CONFIG_ARENA_H
#define CONFIG_ARENA_H

#include <stddef.h>

#include "../exporter/text.h"

struct arena;

struct arena *arena_new(void);
void          arena_free(struct arena *);

/* Zeroed, aligned for anything. */
void *arena_alloc(struct arena *, size_t count, size_t size);
/* A copy that ends in NUL. */
char *arena_copy(struct arena *, struct text);

#endif
