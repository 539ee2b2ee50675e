/*
 * supervise.c - one thread per worker process: start it, hand it its targets,
 * take the frames that no scrape takes, say why it ended, start it again.
 */
#include "supervise.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "process.h"
#include "spawn.h"
#include "worker.h"

enum { STOP_WAIT_MS = 2000 };

struct worker {
	const struct collector *collector;
	struct target **targets;
	uint32_t n;
	pthread_t thread;
	pthread_mutex_t lock;   /* guards all below */
	pthread_cond_t changed; /* ready, stop */
	struct buf out;         /* the frame that is sent */
	int fd;                 /* -1: no process to speak to */
	pid_t pid;              /* 0: none, and its number may be another's */
	struct process_watch process;
	bool ready; /* the first start has been tried */
	bool stop;
	bool replaced; /* killed by us: say so instead of the signal */
	uint64_t restarts;
	double cpu_seconds; /* of the processes that have ended */

	pthread_mutex_t reading;    /* guards these two: whoever has it leads */
	struct frame_reader reader; /* its fd is -1 where there is nothing to read */
	int bell;                   /* wakes the thread to see whether it has to read */
};

/* ---- starting ---- */

/* Settings may be secrets: nothing of them stays in freed memory. */
static void
forget(struct buf *b)
{
	if (b->ptr != NULL)
		explicit_bzero(b->ptr, b->cap);
	buf_free(b);
}

static bool
send_target(int fd, uint32_t number, struct target *target)
{
	const struct config_target *t = target->config;
	struct buf b = BUF(FRAME_MAX), out = BUF(2 * FRAME_MAX);
	uint32_t n = (uint32_t)t->nsettings;

	frame_put_string(&b, t->name);
	buf_add(&b, &n, sizeof n);
	for (size_t i = 0; i < t->nsettings; i++) {
		frame_put_string(&b, t->settings[i].name);
		frame_put_string(&b, t->settings[i].value);
	}
	pthread_mutex_lock(&target->lock);
	buf_text(&b, (struct text){ target->kept.ptr, target->kept.len });
	pthread_mutex_unlock(&target->lock);
	frame_add(&out, (struct frame){ .type = FRAME_TARGET, .target = number },
	    (struct text){ b.ptr, b.len }, TEXT(""));
	bool good = buf_ok(&b) && frame_send(fd, &out, true);
	forget(&b);
	forget(&out);
	return good;
}

/* The parent's end of a new process, which has its targets; -1: errno says why. */
static int
start_process(struct worker *w)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	pid_t pid = spawn_worker(w->collector->name, pair[1]);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return -1;
	}
	pthread_mutex_lock(&w->lock);
	w->pid = pid;
	w->process = process_watch(pid);
	pthread_mutex_unlock(&w->lock);
	for (uint32_t i = 0; i < w->n; i++)
		if (!send_target(pair[0], i, w->targets[i]))
			break; /* it has ended; reading will tell */
	return pair[0];
}

/* ---- running ---- */

static bool
take_frame(struct worker *w, const struct frame *f, struct text t)
{
	if (f->target >= w->n)
		return false;
	return f->type == FRAME_ROWS   ? target_take_rows(w->targets[f->target], f, t)
	       : f->type == FRAME_KEEP ? target_take_kept(w->targets[f->target], f, t)
	       : f->type == FRAME_DONE ? target_take_done(w->targets[f->target], f, t)
				       : false;
}

bool
worker_read(struct worker *w)
{
	struct text payload;
	struct frame f;
	bool good = frame_receive(&w->reader);
	int next;

	while ((next = frame_next(&w->reader, &f, &payload)) > 0 && take_frame(w, &f, payload))
		;
	if (next != 0)
		log_event(LOG_ERROR, NULL, "worker %s sent a frame that makes no sense",
		    w->collector->name);
	if (good && next == 0)
		return true;
	shutdown(w->reader.fd, SHUT_RDWR); /* the thread sees the end, too */
	w->reader.fd = -1;
	return false;
}

int
worker_lead(struct worker *w)
{
	if (pthread_mutex_trylock(&w->reading) != 0)
		return -1;
	if (w->reader.fd >= 0)
		return w->reader.fd;
	pthread_mutex_unlock(&w->reading);
	return -1;
}

static bool
any_busy(const struct worker *w)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (target_busy(w->targets[i]))
			return true;
	return false;
}

void
worker_rouse(struct worker *w)
{
	if (any_busy(w))
		eventfd_write(w->bell, 1);
}

/* What is under way now may have found the lead taken: it is looked for only after
 * that is given up. */
void
worker_leave(struct worker *w)
{
	pthread_mutex_unlock(&w->reading);
	worker_rouse(w);
}

/* While a collection is under way that no scrape reads, or to the end.  False:
 * the end it is. */
static bool
lead_the_rest(struct worker *w, bool to_the_end)
{
	pthread_mutex_lock(&w->reading);
	while (w->reader.fd >= 0 && (to_the_end || any_busy(w))) {
		struct pollfd p = { .fd = w->reader.fd, .events = POLLIN };
		if (poll(&p, 1, -1) > 0)
			worker_read(w);
	}
	bool more = w->reader.fd >= 0;
	pthread_mutex_unlock(&w->reading);
	return more;
}

/* Until the process has closed its socket or said something that makes no sense. */
static void
take_frames(struct worker *w, int fd)
{
	struct pollfd p[] = { { .fd = fd }, { .fd = w->bell, .events = POLLIN } };
	eventfd_t rings;

	while (lead_the_rest(w, p[0].revents != 0)) {
		if (any_busy(w))
			continue; /* begun while the lead was given up */
		poll(p, COUNT(p), -1);
		eventfd_read(w->bell, &rings);
	}
}

static void
set_reader(struct worker *w, int fd)
{
	pthread_mutex_lock(&w->reading);
	frame_reader_free(&w->reader);
	w->reader = FRAME_READER(fd);
	pthread_mutex_unlock(&w->reading);
}

static double
rusage_seconds(const struct rusage *ru)
{
	return (double)(ru->ru_utime.tv_sec + ru->ru_stime.tv_sec) +
	       (double)(ru->ru_utime.tv_usec + ru->ru_stime.tv_usec) / 1e6;
}

static void
describe_end(const struct worker *w, int status, char *why, size_t size)
{
	if (w->replaced)
		snprintf(why, size, "the %s worker process was stuck and is replaced",
		    w->collector->name);
	else if (WIFSIGNALED(status))
		snprintf(why, size,
		    "the %s worker process died of signal %d (%s) and is started again",
		    w->collector->name, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(why, size,
		    "the %s worker process ended with status %d and is started again",
		    w->collector->name, WEXITSTATUS(status));
}

/* Reaps the process, which has closed its socket or is not to be believed. */
static void
end_process(struct worker *w, int fd, char *why, size_t size)
{
	struct rusage ru;
	int status = 0;

	pthread_mutex_lock(&w->lock);
	w->fd = -1;
	pid_t pid = w->pid;
	bool stop = w->stop;
	pthread_mutex_unlock(&w->lock);
	close(fd);
	if (!stop)
		kill(pid, SIGKILL);
	while (wait4(pid, &status, 0, &ru) < 0 && errno == EINTR)
		;
	pthread_mutex_lock(&w->lock);
	w->pid = 0;
	process_unwatch(&w->process);
	w->cpu_seconds += rusage_seconds(&ru);
	describe_end(w, status, why, size);
	w->replaced = false;
	pthread_mutex_unlock(&w->lock);
}

static void
set_ready(struct worker *w, int fd)
{
	pthread_mutex_lock(&w->lock);
	w->fd = fd;
	w->ready = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

/* One process from start to end; why says how it ended. */
static void
run_process(struct worker *w, char *why, size_t size)
{
	int fd = start_process(w);

	if (fd < 0)
		snprintf(why, size, "the %s worker process cannot be started: %s",
		    w->collector->name, strerror(errno));
	set_ready(w, fd);
	if (fd < 0)
		return;
	set_reader(w, fd);
	for (uint32_t i = 0; i < w->n; i++)
		target_worker_ready(w->targets[i]);
	take_frames(w, fd);
	set_reader(w, -1);
	end_process(w, fd, why, size);
}

/* Waits until the next start is due; false: none is, the worker is to stop. */
static bool
wait_for_restart(struct worker *w, int64_t started)
{
	int64_t due = started + WORKER_RESTART_S * NS_PER_S;
	struct timespec ts = { due / NS_PER_S, due % NS_PER_S };

	pthread_mutex_lock(&w->lock);
	while (!w->stop && clock_ns() < due)
		pthread_cond_timedwait(&w->changed, &w->lock, &ts);
	bool again = !w->stop;
	if (again)
		w->restarts++;
	pthread_mutex_unlock(&w->lock);
	return again;
}

static void *
supervise(void *arg)
{
	struct worker *w = arg;
	char why[WHY_MAX];
	int64_t started;

	do {
		started = clock_ns();
		run_process(w, why, sizeof why);
		pthread_mutex_lock(&w->lock);
		bool stop = w->stop;
		pthread_mutex_unlock(&w->lock);
		if (stop)
			break;
		log_event(LOG_ERROR, NULL, "%s", why);
		for (uint32_t i = 0; i < w->n; i++)
			target_worker_gone(w->targets[i], why);
	} while (wait_for_restart(w, started));
	return NULL;
}

/* ---- for others ---- */

void
worker_stats(struct worker *w, struct worker_stats *s)
{
	struct process p = { 0 };

	pthread_mutex_lock(&w->lock);
	*s = (struct worker_stats){ w->collector->name, w->pid, w->restarts, w->cpu_seconds, 0 };
	if (process_read(&w->process, &p)) {
		s->cpu_seconds += p.cpu_seconds;
		s->resident_bytes = p.resident_bytes;
	}
	pthread_mutex_unlock(&w->lock);
}

uint64_t
worker_restarts(struct worker *w, const char **name)
{
	pthread_mutex_lock(&w->lock);
	uint64_t restarts = w->restarts;
	pthread_mutex_unlock(&w->lock);
	*name = w->collector->name;
	return restarts;
}

struct worker *
worker_start(
    const struct collector *c, struct target **targets, uint32_t n, const struct worker_stats *past)
{
	struct worker *w = calloc(1, sizeof *w);
	pthread_condattr_t monotonic;

	if (w == NULL)
		return NULL;
	*w = (struct worker){ .collector = c,
		.targets = targets,
		.n = n,
		.fd = -1,
		.process = PROCESS_UNWATCHED,
		.out = BUF(4096),
		.restarts = past->restarts,
		.cpu_seconds = past->cpu_seconds };
	w->reader = FRAME_READER(-1);
	w->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&w->reading, NULL);
	for (uint32_t i = 0; i < n; i++) {
		targets[i]->worker = w;
		targets[i]->number = i;
	}
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&w->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (w->bell < 0 || pthread_create(&w->thread, NULL, supervise, w) != 0) {
		free(w);
		return NULL;
	}
	pthread_mutex_lock(&w->lock);
	while (!w->ready)
		pthread_cond_wait(&w->changed, &w->lock);
	pthread_mutex_unlock(&w->lock);
	return w;
}

void
worker_stop(struct worker *w, struct worker_stats *last)
{
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->changed);
	if (w->fd >= 0)
		shutdown(w->fd, SHUT_RDWR); /* both threads that use it see the end */
	pthread_mutex_unlock(&w->lock);
	struct deadline until = deadline_in(STOP_WAIT_MS * NS_PER_MS);
	for (;;) {
		pthread_mutex_lock(&w->lock);
		pid_t pid = w->pid;
		if (pid != 0 && left_ms(until) == 0)
			kill(pid, SIGKILL);
		pthread_mutex_unlock(&w->lock);
		if (pid == 0 || left_ms(until) == 0)
			break;
		nanosleep(&(struct timespec){ 0, 2 * NS_PER_MS }, NULL);
	}
	pthread_join(w->thread, NULL);
	worker_stats(w, last);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->reading);
	close(w->bell);
	buf_free(&w->out);
	free(w);
}

bool
worker_kick(struct worker *w, uint32_t target, uint64_t ticket, const struct kick *k, char *why,
    size_t size)
{
	struct frame f = { .type = FRAME_KICK, .target = target, .ticket = ticket };

	pthread_mutex_lock(&w->lock);
	bool there = w->fd >= 0;
	frame_add(&w->out, f, (struct text){ (const char *)k, sizeof *k }, TEXT(""));
	bool sent = there && frame_send(w->fd, &w->out, false);
	buf_reset(&w->out);
	pthread_mutex_unlock(&w->lock);
	if (!sent)
		snprintf(why, size, "the %s worker process %s", w->collector->name,
		    there ? "does not listen" : "is being started again");
	return sent;
}

void
worker_overdue(struct worker *w, int64_t late)
{
	bool others_busy = false;

	if (late < WORKER_STUCK_S * NS_PER_S)
		return;
	for (uint32_t i = 0; i < w->n; i++)
		if (target_overdue(w->targets[i]) == 0 && target_busy(w->targets[i]))
			others_busy = true;
	/* The others finish first, if they do: a replacement costs them nothing. */
	if (others_busy && late < 2 * WORKER_STUCK_S * NS_PER_S)
		return;
	pthread_mutex_lock(&w->lock);
	if (w->pid != 0 && !w->replaced) {
		w->replaced = true;
		kill(w->pid, SIGKILL);
	}
	pthread_mutex_unlock(&w->lock);
}
