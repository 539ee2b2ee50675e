/*
 * scratch_folder.h - a folder for a test's files, where the runner sees whether it
 * is removed again.
 */
#ifndef TESTS_SCRATCH_FOLDER_H
#define TESTS_SCRATCH_FOLDER_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { SCRATCH_MAX = 200 };

static inline bool scratch_folder(char path[static SCRATCH_MAX])
{
	const char *parent = getenv("TMPDIR");

	snprintf(path, SCRATCH_MAX, "%s/test-XXXXXX", parent != NULL ? parent : "/tmp");
	return mkdtemp(path) != NULL;
}

#endif
