/*
 * nearest.c - edit distance over short words.
 */
#include "nearest.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

enum { WORD_MAX = 64 };

static unsigned
least(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;
	return ab < c ? ab : c;
}

/* Levenshtein's, with one row. */
static unsigned
distance(const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b);
	unsigned row[WORD_MAX + 1];
	if (na > WORD_MAX || nb > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= nb; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= na; i++) {
		unsigned diagonal = row[0];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			unsigned above = row[j];
			unsigned same = diagonal + (a[i - 1] != b[j - 1]);
			row[j] = least(same, above + 1, row[j - 1] + 1);
			diagonal = above;
		}
	}
	return row[nb];
}

void
nearest_try(struct nearest *n, const char *candidate)
{
	unsigned d = strcasecmp(n->word, candidate) == 0 ? 0 : distance(n->word, candidate);
	unsigned limit = strlen(n->word) < 5 ? 1 : 2;
	if (d > limit || (n->best != NULL && d >= n->distance))
		return;
	n->best = candidate;
	n->distance = d;
}
