/*
 * worker.c - frames in, a thread per target, rows out.
 *
 * A target's thread, begun with its first kick, waits for a kick, runs one
 * collection and waits again; the only target of a process needs none.  The
 * parent kicks a target only after its last collection was DONE, so one slot
 * for the kick is enough.
 */
#include "worker.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "../config/options.h"
#include "frame.h"
#include "log.h"
#include "plugin.h"
#include "sink.h"

enum worker_limits {
	THREAD_STACK = 512 * 1024,
	SEND_AT = 64 * 1024, /* bytes of frames that are not held back any more */
};

struct runner { /* one target in this process */
	uint32_t number;
	const struct collector *collector;
	const char *name;
	char *payload; /* of the TARGET frame; name and settings point into it */
	void *conf, *state;
	bool connected;
	struct sink sink;
	struct text kept;   /* by an earlier process; in payload */
	struct buf keeping; /* what keep() was given and is not sent yet */
	struct buf out;     /* frames not sent yet */
	uint64_t ticket;    /* of the collection under way, and what it is asked for */
	struct kick kick;
	bool started;         /* it has a thread */
	pthread_mutex_t lock; /* guards the slot: kicked, next_ticket, next */
	pthread_cond_t wake;
	bool kicked;
	uint64_t next_ticket;
	struct kick next;
};

static int parent_fd;
static pthread_mutex_t parent_lock = PTHREAD_MUTEX_INITIALIZER; /* one frame at a time */

/* Everything the runner has ready goes to the parent. */
static void
flush(void *arg)
{
	struct runner *r = arg;

	if (r->out.len == 0 && buf_ok(&r->out))
		return;
	pthread_mutex_lock(&parent_lock);
	bool sent = frame_send(parent_fd, &r->out, true);
	pthread_mutex_unlock(&parent_lock);
	if (!sent)
		_exit(0); /* the parent is gone, or memory is: it will start us again */
}

/* ---- one collection ---- */

void
keep(struct scrape *sc, struct text t)
{
	if (sc->keeping == NULL || t.len > KEPT_MAX)
		return;
	buf_reset(sc->keeping);
	buf_text(sc->keeping, t);
}

static void
send_kept(struct runner *r)
{
	if (r->keeping.len == 0)
		return;
	frame_add(&r->out,
	    (struct frame){ .type = FRAME_KEEP, .target = r->number, .ticket = r->ticket },
	    (struct text){ r->keeping.ptr, r->keeping.len }, TEXT(""));
	buf_reset(&r->keeping);
}

/* Frames of groups that need not be waited for go out together; before the
 * collector waits (wait_fd) they go, so that nothing ready is lost with what
 * is not. */
static void
send_rows(struct runner *r, const struct scrape *sc, const struct group *g, enum outcome o)
{
	char head[1 + WHY_MAX];
	size_t len = strlen(sc->why);
	struct frame f = { .type = FRAME_ROWS, .target = r->number, .ticket = r->ticket };

	f.group = (uint16_t)(g - r->collector->groups);
	head[0] = (char)o;
	memcpy(head + 1, sc->why, len + 1);
	send_kept(r); /* before the rows: what was published is never ahead of it */
	frame_add(&r->out, f, (struct text){ head, len + 2 },
	    (struct text){ r->sink.records.ptr, r->sink.records.len });
	if (r->out.len > SEND_AT || !buf_ok(&r->out))
		flush(r);
}

static enum outcome
hang_up(struct runner *r, struct scrape *sc, const char *what)
{
	if (sc->why[0] == '\0')
		fail(LOST, sc, "%s failed without a reason", what);
	r->collector->disconnect(sc);
	r->connected = false;
	return LOST;
}

static enum outcome
collect_group(struct runner *r, struct scrape *sc, const struct group *g)
{
	buf_reset(&r->sink.records);
	r->sink.group = g;
	sc->why[0] = '\0';
	enum outcome o = r->collector->collect(sc, g);
	if (o == LOST)
		return hang_up(r, sc, g->name);
	if (!buf_ok(&r->sink.records)) {
		buf_reset(&r->sink.records);
		o = fail(FAILED, sc, "more than %d MiB of rows in one scrape", SINK_MAX >> 20);
	}
	send_rows(r, sc, g, o);
	return o;
}

/* Connects where needed, asks, collects.  LOST: the connection is closed.
 * *answered: at least one group got through. */
static enum outcome
attempt(struct runner *r, struct scrape *sc, bool *answered)
{
	const struct collector *c = r->collector;

	sc->why[0] = '\0';
	if (!r->connected && c->connect(sc) != DONE)
		return hang_up(r, sc, "connecting");
	r->connected = true;
	if (c->ask != NULL && c->ask(sc) != DONE)
		return hang_up(r, sc, "asking");
	for (unsigned g = 0; g < c->ngroups; g++) {
		if (!wants(sc, c, &c->groups[g]))
			continue;
		enum outcome o = collect_group(r, sc, &c->groups[g]);
		if (o == LOST)
			return LOST;
		/* What the server does not have may not have been asked for. */
		if (o != ABSENT)
			*answered = true;
	}
	return DONE;
}

/* A kept connection may have died since the last scrape without anybody being
 * to blame: that one case gets a second attempt. */
static bool
collect_target(struct runner *r, struct scrape *sc)
{
	bool kept = r->connected, answered = false;
	enum outcome o = attempt(r, sc, &answered);

	if (o == LOST && kept && !answered && left_ms(sc->until) > 0)
		o = attempt(r, sc, &answered);
	return o == DONE;
}

/* The worker ends a little before the request does, so that what is ready is
 * published and not lost. */
static struct deadline
before(int64_t until, int64_t now)
{
	int64_t margin = (until - now) / 20;

	if (margin < 50 * NS_PER_MS)
		margin = 50 * NS_PER_MS;
	return (struct deadline){ until - margin };
}

static void
run_collection(struct runner *r)
{
	int64_t start = clock_ns();
	struct scrape sc = {
		.target = r->name,
		.conf = r->conf,
		.state = r->state,
		.sink = &r->sink,
		.until = before(r->kick.until, start),
		.groups = r->kick.groups,
		.kept = r->kept,
		.keeping = &r->keeping,
	};

	clock_before_wait(flush, r);
	struct done done = { .up = collect_target(r, &sc) };
	done.ns = clock_ns() - start;
	if (done.up)
		sc.why[0] = '\0';
	frame_add(&r->out,
	    (struct frame){ .type = FRAME_DONE, .target = r->number, .ticket = r->ticket },
	    (struct text){ (const char *)&done, sizeof done },
	    (struct text){ sc.why, strlen(sc.why) + 1 });
	flush(r);
}

static void *
runner_thread(void *arg)
{
	struct runner *r = arg;

	for (;;) {
		pthread_mutex_lock(&r->lock);
		while (!r->kicked)
			pthread_cond_wait(&r->wake, &r->lock);
		r->kicked = false;
		r->ticket = r->next_ticket;
		r->kick = r->next;
		pthread_mutex_unlock(&r->lock);
		run_collection(r);
	}
	return NULL;
}

/* ---- frames from the parent ---- */

/* Name, number of settings, settings, kept bytes: all in place in the runner's
 * payload. */
static bool
read_settings(struct runner *r, struct text t)
{
	uint32_t n;
	char why[WHY_MAX];

	r->name = frame_get_string(&t);
	if (r->name == NULL || t.len < sizeof n)
		return false;
	memcpy(&n, t.ptr, sizeof n);
	t.ptr += sizeof n;
	t.len -= sizeof n;
	struct setting *s = calloc((size_t)n + 1, sizeof *s);
	for (uint32_t i = 0; s != NULL && i < n; i++) {
		s[i].name = frame_get_string(&t);
		s[i].value = s[i].name == NULL ? NULL : frame_get_string(&t);
		if (s[i].value == NULL)
			n = 0;
	}
	r->kept = t;
	/* The parent has checked the same settings with the same tables. */
	bool good = s != NULL && options_fill(r->collector->options, r->collector->noptions,
				     r->conf, s, n, why, sizeof why, NULL);
	free(s); /* conf points to the strings, not to this array */
	return good;
}

static bool
start_thread(struct runner *r)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wake, NULL);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	return pthread_create(&thread, &attr, runner_thread, r) == 0;
}

static struct runner *
new_runner(const struct collector *c, uint32_t number, struct text payload)
{
	struct runner *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	*r = (struct runner){ .number = number, .collector = c };
	r->conf = calloc(1, c->conf_size + 1);
	r->state = calloc(1, c->state_size + 1);
	r->payload = malloc(payload.len + 1);
	r->sink.records = BUF(SINK_MAX);
	r->keeping = BUF(KEPT_MAX);
	r->out = BUF(SEND_AT + FRAME_MAX + KEPT_MAX + 4096);
	if (r->conf == NULL || r->state == NULL || r->payload == NULL)
		/* cppcheck-suppress memleak; the process ends */
		return NULL; /* NOLINT(clang-analyzer-unix.Malloc) */
	memcpy(r->payload, payload.ptr, payload.len);
	return read_settings(r, (struct text){ r->payload, payload.len }) ? r : NULL;
}

/* The only target of a process is collected right here: a thread to wake would
 * cost a tenth of a fast scrape.  False: no thread to be had. */
static bool
kick(struct runner *r, bool alone, uint64_t ticket, const struct kick *k)
{
	if (alone) {
		r->ticket = ticket;
		r->kick = *k;
		run_collection(r);
		return true;
	}
	if (!r->started && !start_thread(r))
		return false;
	r->started = true;
	pthread_mutex_lock(&r->lock);
	r->kicked = true;
	r->next_ticket = ticket;
	r->next = *k;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	return true;
}

/* Targets come first and in the order of their numbers.  False: out of memory
 * or nonsense; the parent will see this process end. */
static bool
handle(const struct collector *c, struct runner ***runners, uint32_t *n, const struct frame *f,
    struct text payload)
{
	if (f->type == FRAME_KICK && f->target < *n && payload.len == sizeof(struct kick)) {
		struct kick k;
		memcpy(&k, payload.ptr, sizeof k);
		return kick((*runners)[f->target], *n == 1, f->ticket, &k);
	}
	if (f->type != FRAME_TARGET || f->target != *n)
		return false;
	struct runner **more = realloc(*runners, (*n + 1) * sizeof *more);
	if (more == NULL)
		return false;
	*runners = more;
	more[*n] = new_runner(c, f->target, payload);
	return more[(*n)++] != NULL;
}

int
worker_main(const char *name, int fd)
{
	struct frame_reader reader = FRAME_READER(fd);
	struct runner **runners = NULL;
	struct text payload;
	uint32_t n = 0;
	struct frame f;
	char why[512];

	/* Ctrl-C and a service manager signal the whole group; a worker ends when
	 * its parent closes the socket, after the last scrape. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, name); /* or the process is called exe */
	mallopt(M_ARENA_MAX, 2);  /* a heap per thread would cost more than a lock */
	parent_fd = fd;
	log_without_waiting();
	const struct collector *c = plugin_load(name, why, sizeof why);
	if (c == NULL) {
		log_event(LOG_ERROR, NULL, "%s", why);
		return 1;
	}
	while (frame_read(&reader, &f, &payload))
		if (!handle(c, &runners, &n, &f, payload)) {
			/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the process ends */
			log_event(LOG_ERROR, NULL, "worker %s: a frame that makes no sense", name);
			return 1;
		}
	_exit(0); /* threads may be in a library: no tidying up under their feet */
}
