/*
 * process.c - /proc/PID/stat, /proc/self/fd and the kernel's clock of a process.
 */
#include "process.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "text.h"

/* /proc counts in ticks of 10 ms, which hide what a scrape costs. */
static double
cpu_seconds(pid_t pid)
{
	clockid_t id;
	struct timespec ts;

	if (clock_getcpuclockid(pid, &id) != 0 || clock_gettime(id, &ts) != 0)
		return 0;
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Fields of stat(5), counted as there; the name in brackets is the second. */
enum { STAT_STATE = 3, STAT_THREADS = 20, STAT_VIRTUAL = 23, STAT_RESIDENT = 24 };

/* False: not all of them are there. */
static bool
read_fields(struct text rest, struct process *p)
{
	int found = 0;

	for (int field = STAT_STATE; rest.len > 0; field++) {
		struct text word = text_cut(&rest, ' ');
		double *to = field == STAT_THREADS    ? &p->threads
			     : field == STAT_VIRTUAL  ? &p->virtual_bytes
			     : field == STAT_RESIDENT ? &p->resident_bytes
						      : NULL;
		if (to != NULL)
			found += text_number(word, to);
	}
	return found == 3;
}

bool
process_read(pid_t pid, struct process *p)
{
	char path[64], line[1024];

	snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return false;
	size_t n = fread(line, 1, sizeof line - 1, f);
	fclose(f);
	line[n] = '\0';
	/* The name in brackets may hold anything: the last bracket ends it. */
	const char *rest = strrchr(line, ')');
	*p = (struct process){ .cpu_seconds = cpu_seconds(pid) };
	if (rest == NULL || rest[1] != ' ' || !read_fields(text_of(rest + 2), p))
		return false;
	p->resident_bytes *= (double)sysconf(_SC_PAGESIZE);
	return true;
}

bool
process_descriptors(double *open, double *limit)
{
	struct rlimit rl;
	DIR *dir = opendir("/proc/self/fd");
	double n = 0;

	if (dir == NULL || getrlimit(RLIMIT_NOFILE, &rl) != 0) {
		if (dir != NULL)
			closedir(dir);
		return false;
	}
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	*open = n - 3; /* ".", "..", and the descriptor of this look itself */
	*limit = (double)rl.rlim_cur;
	return true;
}
