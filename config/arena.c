/*
 * arena.c - a chain of blocks, each allocation its own: configurations are
 * small, and like this a sanitizer sees every overrun.
 */
#include "arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct block {
	struct block *next;
	max_align_t data[];
};

struct arena {
	struct block *blocks;
};

static void *
must(void *p)
{
	if (p == NULL) {
		fputs("out of memory while reading the configuration\n", stderr);
		exit(1);
	}
	return p;
}

struct arena *
arena_new(void)
{
	return must(calloc(1, sizeof(struct arena)));
}

void
arena_free(struct arena *arena)
{
	if (arena == NULL)
		return;
	struct block *next;
	for (struct block *b = arena->blocks; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	free(arena);
}

void *
arena_alloc(struct arena *arena, size_t count, size_t size)
{
	if (size != 0 && count > (SIZE_MAX - sizeof(struct block)) / size)
		must(NULL);
	struct block *b = must(calloc(1, sizeof *b + count * size));
	b->next = arena->blocks;
	arena->blocks = b;
	return b->data;
}

char *
arena_copy(struct arena *arena, struct text text)
{
	char *copy = arena_alloc(arena, text.len + 1, 1);
	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	return copy;
}
