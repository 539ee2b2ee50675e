/*
 * plugin.c - NAME to shared object to `collector`.
 */
#include "plugin.h"

#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

#ifndef COLLECTORS_DIR
#define COLLECTORS_DIR "/usr/lib/datatier/collectors"
#endif

enum { NAME_LEN_MAX = 32 };

static bool
is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

const char *
plugin_folder(void)
{
	static const char *const beside[] = { "collectors", "../lib/datatier/collectors" };
	static char path[PATH_MAX];
	char exe[PATH_MAX];

	if (path[0] != '\0')
		return path;
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
	exe[n > 0 ? n : 0] = '\0';
	char *slash = strrchr(exe, '/');
	for (size_t i = 0; slash != NULL && i < COUNT(beside); i++) {
		int len =
		    snprintf(path, sizeof path, "%.*s/%s", (int)(slash - exe), exe, beside[i]);
		if (len > 0 && (size_t)len < sizeof path && is_folder(path))
			return path;
	}
	snprintf(path, sizeof path, "%s", COLLECTORS_DIR);
	return path;
}

static bool
good_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= NAME_LEN_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

static const struct collector *
open_object(const char *name, const char *path, char *why, size_t size)
{
	if (access(path, R_OK) != 0) {
		snprintf(why, size, "collector \"%s\" is not installed: no readable file %s", name,
		    path);
		return NULL;
	}
	void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const struct collector *c = object == NULL ? NULL : dlsym(object, "collector");
	if (c == NULL) {
		snprintf(why, size, "collector \"%s\" cannot be loaded: %s", name, dlerror());
		return NULL;
	}
	if (c->abi != COLLECTOR_ABI || c->size != sizeof *c || strcmp(c->name, name) != 0) {
		snprintf(why, size,
		    "collector \"%s\" (%s) was built for another version of this program", name,
		    path);
		return NULL;
	}
	return c;
}

const struct collector *
plugin_load(const char *name, char *why, size_t size)
{
	char path[PATH_MAX + 64];

	if (!good_name(name)) {
		snprintf(
		    why, size, "a collector's name is 1 to %d of a-z, 0-9 and _", NAME_LEN_MAX);
		return NULL;
	}
	snprintf(path, sizeof path, "%s/%s.so", plugin_folder(), name);
	/* dlopen of an object that is loaded already gives the same one again. */
	return open_object(name, path, why, size);
}

static int
by_name(const void *a, const void *b)
{
	const struct collector *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

size_t
plugin_load_all(const struct collector **list, size_t max)
{
	DIR *dir = opendir(plugin_folder());
	char name[NAME_LEN_MAX + 1], why[256];
	struct dirent *e;
	size_t n = 0;

	while (dir != NULL && n < max && (e = readdir(dir)) != NULL) {
		size_t len = strlen(e->d_name);
		if (len < 4 || len - 3 > NAME_LEN_MAX || strcmp(e->d_name + len - 3, ".so") != 0)
			continue;
		snprintf(name, sizeof name, "%.*s", (int)(len - 3), e->d_name);
		list[n] = plugin_load(name, why, sizeof why);
		if (list[n] != NULL)
			n++;
		else
			log_event(LOG_ERROR, NULL, "%s", why);
	}
	if (dir != NULL)
		closedir(dir);
	qsort(list, n, sizeof *list, by_name);
	return n;
}
