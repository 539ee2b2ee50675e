/*
 * spawn.c - fork and exec of a worker process, which gets next to nothing of us.
 */
#include "spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector.h"
#include "worker.h"

/* What client libraries may read; nothing that could hold another's secret. */
static bool
may_pass(const char *variable)
{
	static const char *const names[] = { "PATH=", "HOME=", "LANG=", "TZ=", "TMPDIR=",
		"SSL_CERT_FILE=", "SSL_CERT_DIR=", "KRB5", "PGSSL",
		"PGSERVICEFILE=", "PGSYSCONFDIR=", "PGPASSFILE=", "LD_LIBRARY_PATH=",
		"ASAN_OPTIONS=", "UBSAN_OPTIONS=", "TSAN_OPTIONS=", "DATATIER_LOG_" };

	for (size_t i = 0; i < COUNT(names); i++)
		if (strncmp(variable, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

static char **
worker_environment(void)
{
	size_t n = 0, kept = 0;

	while (environ[n] != NULL)
		n++;
	char **list = calloc(n + 1, sizeof *list);
	for (size_t i = 0; list != NULL && i < n; i++)
		if (may_pass(environ[i]))
			list[kept++] = environ[i];
	return list;
}

/* After fork, with other threads about: only async-signal-safe calls. */
static void
become_worker(int fd, char *const *argv, char *const *envp)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (fd == WORKER_FD)
		fcntl(fd, F_SETFD, 0);
	else if (dup2(fd, WORKER_FD) < 0)
		_exit(127);
	/* Ours are closed on exec; a library's may not be. */
	close_range(WORKER_FD + 1, ~0u, 0);
	execve("/proc/self/exe", argv, envp);
	_exit(127);
}

pid_t
spawn_worker(const char *name, int fd)
{
	char title[64];
	char **envp = worker_environment();
	snprintf(title, sizeof title, "datatier_exporter: %s", name);
	char *argv[] = { title, (char *)(uintptr_t) "--worker", (char *)(uintptr_t)name, NULL };

	if (envp == NULL)
		return -1;
	pid_t pid = fork();
	if (pid == 0)
		become_worker(fd, argv, envp);
	free(envp);
	return pid;
}
