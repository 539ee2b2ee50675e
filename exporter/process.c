/*
 * process.c - /proc/PID/stat, /proc/self/fd and the kernel's clock of a process.
 * To open a file of /proc takes longer than to read it, so those stay open.
 */
#include "process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"

/* Fields of stat(5), counted as there; the name in brackets is the second. */
enum { STAT_STATE = 3, STAT_THREADS = 20, STAT_VIRTUAL = 23, STAT_RESIDENT = 24 };

struct process_watch
process_watch(pid_t pid)
{
	struct process_watch w = PROCESS_UNWATCHED;
	char path[64];

	snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
	if (clock_getcpuclockid(pid, &w.clock) == 0)
		w.stat = open(path, O_RDONLY | O_CLOEXEC);
	return w;
}

void
process_unwatch(struct process_watch *w)
{
	if (w->stat >= 0)
		close(w->stat);
	*w = PROCESS_UNWATCHED;
}

/* /proc counts in ticks of 10 ms, which hide what a scrape costs. */
static bool
read_clock(clockid_t clock, double *seconds)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts) != 0)
		return false;
	*seconds = clock_seconds(ts.tv_sec * NS_PER_S + ts.tv_nsec);
	return true;
}

/* False: not all of them are there. */
static bool
read_fields(struct text rest, struct process *p)
{
	int found = 0;

	for (int field = STAT_STATE; field <= STAT_RESIDENT; field++) {
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
process_read(const struct process_watch *w, struct process *p)
{
	char line[1024];
	ssize_t n = w->stat < 0 ? -1 : pread(w->stat, line, sizeof line - 1, 0);

	if (n <= 0)
		return false;
	line[n] = '\0';
	/* The name in brackets may hold anything: the last bracket ends it. */
	const char *rest = strrchr(line, ')');
	if (rest == NULL || rest[1] != ' ' || !read_fields(text_of(rest + 2), p))
		return false;
	p->resident_bytes *= (double)sysconf(_SC_PAGESIZE);
	return read_clock(w->clock, &p->cpu_seconds);
}

/* ---- descriptors ---- */

/* Linux before 6.2 has to be asked for every single one. */
static bool
list_descriptors(double *open)
{
	DIR *dir = opendir("/proc/self/fd");
	double n = 0;

	if (dir == NULL)
		return false;
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	*open = n - 3; /* ".", "..", and the descriptor of this look itself */
	return true;
}

bool
process_descriptors(double *open, double *limit)
{
	struct rlimit rl;
	struct stat st;

	if (getrlimit(RLIMIT_NOFILE, &rl) != 0 || stat("/proc/self/fd", &st) != 0)
		return false;
	*limit = (double)rl.rlim_cur;
	*open = (double)st.st_size;
	return st.st_size > 0 || list_descriptors(open);
}
