/*
 * supervise.c - one thread per worker process: start it, hand it its targets,
 * take the frames that no scrape takes, say why it ended, start it again.
 */
#include "supervise.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "channel.h"
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
	bool running;           /* the thread is there */
	pid_t pid;              /* 0: none, and its number may be another's */
	struct process_watch process;
	bool ready; /* the first start has been tried */
	bool stop;
	bool replaced; /* killed by us: say so instead of the signal */
	uint64_t restarts;
	double cpu_seconds; /* of the processes that have ended */

	struct channel channel;
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

/* A new process, which has its targets; false: errno says why there is none. */
static bool
start_process(struct worker *w)
{
	int pair[2];

	if (!channel_prepare(&w->channel) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	pid_t pid = spawn_worker(w->collector->name, pair[1]);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return false;
	}
	pthread_mutex_lock(&w->lock);
	w->pid = pid;
	w->process = process_watch(pid);
	pthread_mutex_unlock(&w->lock);
	for (uint32_t i = 0; i < w->n; i++)
		if (!send_target(pair[0], i, w->targets[i]))
			break; /* it has ended; reading will tell */
	channel_open(&w->channel, pair[0]);
	return true;
}

/* ---- running ---- */

static bool
take_frame(void *arg, const struct frame *f, struct text t)
{
	struct worker *w = arg;

	if (f->target >= w->n)
		return false;
	return f->type == FRAME_ROWS   ? target_take_rows(w->targets[f->target], f, t)
	       : f->type == FRAME_KEEP ? target_take_kept(w->targets[f->target], f, t)
	       : f->type == FRAME_DONE ? target_take_done(w->targets[f->target], f, t)
				       : false;
}

int
worker_lead(struct worker *w)
{
	return channel_lead(&w->channel);
}

bool
worker_read(struct worker *w)
{
	enum channel_state state = channel_read(&w->channel, take_frame, w);

	if (state == CHANNEL_NONSENSE)
		log_event(LOG_ERROR, NULL, "worker %s sent a frame that makes no sense",
		    w->collector->name);
	worker_send(w); /* what waited for the end of a collection begins */
	return state == CHANNEL_MORE;
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
		channel_ring(&w->channel);
}

/* What is under way now may have found the lead taken: it is looked for only after
 * that is given up. */
void
worker_leave(struct worker *w)
{
	channel_leave(&w->channel);
	worker_rouse(w);
}

/* A scrape that leads reads to the end itself. */
static void
read_to_the_end(struct worker *w)
{
	if (worker_lead(w) < 0)
		return;
	while (worker_read(w))
		;
	channel_leave(&w->channel);
}

/* What no scrape reads, until the process has closed its socket or said something
 * that makes no sense: that ends the socket, too. */
static void
take_frames(struct worker *w)
{
	short events = 0;

	while ((events & (POLLHUP | POLLERR)) == 0) {
		bool lead = any_busy(w) && worker_lead(w) >= 0;
		events = channel_watch(&w->channel, lead);
		if (!lead)
			continue;
		if ((events & POLLIN) != 0)
			worker_read(w);
		channel_leave(&w->channel);
	}
	read_to_the_end(w);
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

/* Waits for the end and adds up.  The clock of a process is more exact than what
 * is said when it is reaped, and what was published of it must not fall. */
static int
reap(struct worker *w, pid_t pid)
{
	struct process p = { 0 };
	struct rusage ru = { 0 };
	siginfo_t ended;
	int status = 0;

	while (waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT) < 0 && errno == EINTR)
		;
	pthread_mutex_lock(&w->lock);
	process_read(&w->process, &p);
	while (wait4(pid, &status, 0, &ru) < 0 && errno == EINTR)
		;
	w->cpu_seconds += fmax(p.cpu_seconds, rusage_seconds(&ru));
	w->pid = 0;
	process_unwatch(&w->process);
	pthread_mutex_unlock(&w->lock);
	return status;
}

/* The process has closed its socket, or is not to be believed. */
static void
end_process(struct worker *w, char *why, size_t size)
{
	channel_close(&w->channel);
	pthread_mutex_lock(&w->lock);
	pid_t pid = w->pid;
	bool stop = w->stop;
	pthread_mutex_unlock(&w->lock);
	if (!stop)
		kill(pid, SIGKILL);
	int status = reap(w, pid);
	pthread_mutex_lock(&w->lock);
	describe_end(w, status, why, size);
	w->replaced = false;
	pthread_mutex_unlock(&w->lock);
}

/* A stop that came while the process was started found nobody to hang up on. */
static void
set_ready(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->ready = true;
	bool stop = w->stop;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	if (stop)
		channel_hang_up(&w->channel);
}

/* One process from start to end; why says how it ended. */
static void
run_process(struct worker *w, char *why, size_t size)
{
	bool started = start_process(w);

	if (!started)
		snprintf(why, size, "the %s worker process cannot be started: %s",
		    w->collector->name, strerror(errno));
	set_ready(w);
	if (!started)
		return;
	for (uint32_t i = 0; i < w->n; i++)
		target_worker_ready(w->targets[i]);
	worker_send(w);
	take_frames(w);
	end_process(w, why, size);
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
worker_new(const struct collector *c, struct target **targets, uint32_t n)
{
	struct worker *w = calloc(1, sizeof *w);
	pthread_condattr_t monotonic;

	if (w == NULL)
		return NULL;
	*w = (struct worker){
		.collector = c, .targets = targets, .n = n, .process = PROCESS_UNWATCHED
	};
	channel_init(&w->channel);
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&w->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	for (uint32_t i = 0; i < n; i++) {
		targets[i]->worker = w;
		targets[i]->number = i;
	}
	return w;
}

bool
worker_start(struct worker *w, const struct worker_stats *past)
{
	w->restarts = past->restarts;
	w->cpu_seconds = past->cpu_seconds;
	w->running = pthread_create(&w->thread, NULL, supervise, w) == 0;
	if (!w->running)
		return false;
	pthread_mutex_lock(&w->lock);
	while (!w->ready)
		pthread_cond_wait(&w->changed, &w->lock);
	pthread_mutex_unlock(&w->lock);
	return true;
}

void
worker_free(struct worker *w)
{
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->changed);
	channel_free(&w->channel);
	free(w);
}

void
worker_stop(struct worker *w, struct worker_stats *last)
{
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	channel_hang_up(&w->channel);
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
	if (w->running)
		pthread_join(w->thread, NULL);
	w->running = false;
	worker_stats(w, last);
}

bool
worker_kick(struct worker *w, uint32_t target, uint64_t ticket, const struct kick *k, char *why,
    size_t size)
{
	struct frame f = { .type = FRAME_KICK, .target = target, .ticket = ticket };

	if (channel_add(&w->channel, f, (struct text){ (const char *)k, sizeof *k }))
		return true;
	snprintf(why, size,
	    w->running ? "the %s worker process is being started again"
		       : "there was no thread for the %s worker process",
	    w->collector->name);
	return false;
}

void
worker_send(struct worker *w)
{
	channel_send(&w->channel);
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
