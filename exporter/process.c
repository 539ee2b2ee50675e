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

bool
process_read(pid_t pid, struct process *p)
{
	char path[64], line[1024];
	unsigned long virt;
	long threads, resident;

	snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return false;
	size_t n = fread(line, 1, sizeof line - 1, f);
	fclose(f);
	line[n] = '\0';
	/* The name in brackets may hold anything: the last bracket ends it. */
	const char *rest = strrchr(line, ')');
	if (rest == NULL ||
	    sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d"
			     " %ld %*d %*u %lu %ld", &threads, &virt, &resident) != 3)
		return false;
	*p = (struct process){ cpu_seconds(pid),
		(double)resident * (double)sysconf(_SC_PAGESIZE), (double)virt, (double)threads };
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
