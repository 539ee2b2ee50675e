/*
 * target.c - tickets and published rows.
 */
#include "target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expose.h"
#include "log.h"
#include "sink.h"
#include "supervise.h"
#include "target_notice.h"

enum {
	AGAIN_MS = 1500, /* asking again takes a new process and a collection */
	/* A collection lasts until its deadline but may last this long, however
	 * soon who asked gives up: a target is not down because of a client. */
	COLLECT_MS = 1000,
};

struct target *
target_new(const struct config_target *config)
{
	struct target *t = calloc(1, sizeof *t);
	pthread_condattr_t monotonic;

	if (t == NULL)
		return NULL;
	t->config = config;
	t->name = config->name;
	t->collector = config->collector;
	t->prefix = expose_prefix(config->name);
	t->kept = BUF(KEPT_MAX);
	t->groups = calloc(config->collector->ngroups, sizeof *t->groups);
	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&t->served, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (t->groups == NULL || t->prefix.ptr == NULL) {
		target_free(t);
		return NULL;
	}
	return t;
}

void
target_free(struct target *t)
{
	for (unsigned g = 0; t->groups != NULL && g < t->collector->ngroups; g++) {
		rows_drop(t->groups[g].published);
		rows_drop(t->groups[g].spare);
		rows_drop(t->groups[g].base);
		rows_drop(t->groups[g].lapsed);
	}
	free(t->groups);
	buf_free(&t->kept);
	free((void *)(uintptr_t)t->prefix.ptr);
	pthread_mutex_destroy(&t->lock);
	pthread_cond_destroy(&t->served);
	free(t);
}

/* ---- asking; the caller holds the lock ---- */

/* The running collection is over: serve who waits. */
static void
finish(struct target *t, bool up, double seconds, const char *why)
{
	target_note_up(t, up, why);
	t->seconds = seconds;
	t->done = t->running;
	pthread_cond_broadcast(&t->served);
}

static void
ask_worker(struct target *t)
{
	char why[WHY_MAX];
	struct kick kick = { t->until, t->running_groups };

	if (!worker_kick(t->worker, t->number, t->running, &kick, why, sizeof why))
		finish(t, false, 0, why);
}

static void
begin(struct target *t, uint64_t groups, int64_t until)
{
	t->running++;
	t->running_groups = groups;
	t->begun_at = clock_ns();
	t->until = until;
	if (t->until < t->begun_at + COLLECT_MS * NS_PER_MS)
		t->until = t->begun_at + COLLECT_MS * NS_PER_MS;
	t->again = false;
	ask_worker(t);
}

/* What is wanted besides stays wanted until the running collection is over. */
static void
begin_pending(struct target *t)
{
	uint64_t groups = t->pending_groups;

	if (groups == 0 || t->done != t->running)
		return;
	int64_t until = t->pending_until;
	t->pending_groups = 0;
	t->pending_until = 0;
	begin(t, groups, until);
}

/* A group with an `every` is asked again when that has passed; until then its
 * last rows stand, as long as the target is up. */
static bool
is_fresh(const struct target *t, unsigned g)
{
	const struct group_state *s = &t->groups[g];
	int64_t every = t->config->every == NULL ? 0 : t->config->every[g];

	return every > 0 && t->known && t->up && s->published != NULL && clock_ns() - s->at < every;
}

static uint64_t
due(const struct target *t, uint64_t groups)
{
	for (unsigned g = 0; g < t->collector->ngroups; g++)
		if (groups >> g & 1 && is_fresh(t, g))
			groups &= ~(UINT64_C(1) << g);
	return groups;
}

static int64_t
overdue(const struct target *t, int64_t now)
{
	return t->done != t->running && now > t->until ? now - t->until : 0;
}

uint64_t
target_kick(struct target *t, uint64_t groups, int64_t until, bool join, int64_t *ends)
{
	pthread_mutex_lock(&t->lock);
	int64_t late = overdue(t, clock_ns());
	uint64_t ticket = t->running + 1;

	groups = due(t, groups);
	if (t->done == t->running) {
		begin(t, groups, until);
		*ends = t->until;
	} else if ((t->running_groups & groups) == groups && (join || t->until >= until)) {
		ticket = t->running;
		*ends = t->until;
	} else {
		t->pending_groups |= groups;
		if (until > t->pending_until)
			t->pending_until = until;
		*ends = t->pending_until;
	}
	pthread_mutex_unlock(&t->lock);
	if (late > 0)
		worker_overdue(t->worker, late);
	return ticket;
}

int64_t
target_overdue(struct target *t)
{
	pthread_mutex_lock(&t->lock);
	int64_t late = overdue(t, clock_ns());
	pthread_mutex_unlock(&t->lock);
	return late;
}

bool
target_busy(struct target *t)
{
	pthread_mutex_lock(&t->lock);
	bool busy = t->done != t->running;
	pthread_mutex_unlock(&t->lock);
	return busy;
}

bool
target_done(struct target *t, uint64_t ticket)
{
	pthread_mutex_lock(&t->lock);
	bool done = t->done >= ticket;
	pthread_mutex_unlock(&t->lock);
	return done;
}

static void
wait_until(struct target *t, uint64_t ticket, struct deadline until)
{
	struct timespec ts = { until.at / NS_PER_S, until.at % NS_PER_S };

	while (t->done < ticket)
		if (pthread_cond_timedwait(&t->served, &t->lock, &ts) != 0)
			return;
}

void
target_wait(struct target *t, uint64_t ticket, uint64_t groups, struct deadline until,
    struct target_view *view)
{
	pthread_mutex_lock(&t->lock);
	wait_until(t, ticket, until);
	view->late = t->done < ticket;
	if (view->late && clock_ns() >= t->until) {
		char why[WHY_MAX];
		snprintf(why, sizeof why,
		    "no answer within the scrape's deadline (asked %.1f s ago)",
		    clock_seconds(clock_ns() - t->begun_at));
		target_note_up(t, false, why);
	}
	view->up = t->known && t->up && !view->late;
	for (unsigned g = 0; g < t->collector->ngroups; g++) {
		struct group_state *s = &t->groups[g];
		bool show = groups >> g & 1 && s->published != NULL && !view->late &&
			    (s->ticket >= ticket || is_fresh(t, g));
		view->groups[g] = show ? s->published : NULL;
		if (show)
			rows_hold(s->published);
	}
	pthread_mutex_unlock(&t->lock);
}

void
target_view_drop(struct target *t, struct target_view *view)
{
	for (unsigned g = 0; g < t->collector->ngroups; g++)
		rows_drop(view->groups[g]);
}

/* ---- frames ---- */

/* A group may fail for a while, or a topic be out of reach, and the worker die
 * before they are back: what was counted until then must not be lost. */
static void
remember_lapsed(struct group_state *g, const struct rows *old)
{
	if (old == NULL || rows_cover(g->published, old))
		return;
	struct rows *lapsed = rows_new(old->group);
	if (lapsed == NULL)
		return;
	rows_inherit(lapsed, old);
	if (g->lapsed != NULL)
		rows_inherit(lapsed, g->lapsed);
	rows_drop(g->lapsed);
	g->lapsed = lapsed;
}

/* Publishes the spare set and keeps the old one to be filled next, unless a
 * scrape still reads it. */
static void
publish(struct target *t, struct group_state *g, uint64_t ticket)
{
	struct rows *old = g->published;

	if (g->base != NULL)
		rows_add(g->spare, g->base);
	pthread_mutex_lock(&t->lock);
	for (unsigned i = 0; i < REFUSALS; i++)
		g->refused[i] += g->spare->refused[i];
	g->published = g->spare;
	g->ticket = ticket;
	g->at = clock_ns();
	g->spare = NULL;
	pthread_mutex_unlock(&t->lock);
	remember_lapsed(g, old);
	/* From here on nobody new can take hold of the old set. */
	if (old != NULL && atomic_load(&old->refs) == 1)
		g->spare = old;
	else
		rows_drop(old);
}

/* True stays true until DONE, which only the caller's thread takes. */
static bool
is_running(struct target *t, uint64_t ticket)
{
	pthread_mutex_lock(&t->lock);
	bool running = t->running == ticket && t->done != ticket;
	pthread_mutex_unlock(&t->lock);
	return running;
}

bool
target_take_rows(struct target *t, const struct frame *f, struct text payload)
{
	if (f->group >= t->collector->ngroups || payload.len < 2 || !is_running(t, f->ticket))
		return false;
	struct group_state *g = &t->groups[f->group];
	unsigned outcome = (unsigned char)payload.ptr[0];
	const char *why = payload.ptr + 1;
	size_t len = strnlen(why, payload.len - 1);
	if (outcome >= LOST || len == payload.len - 1 || len >= WHY_MAX)
		return false;

	if (g->spare == NULL)
		g->spare = rows_new(&t->collector->groups[f->group]);
	if (g->spare == NULL) {
		log_event(LOG_ERROR, t->name, "out of memory");
		return false;
	}
	rows_reset(g->spare);
	if (!sink_replay((struct text){ why + len + 1, payload.len - len - 2 }, g->spare))
		return false;
	publish(t, g, f->ticket);
	pthread_mutex_lock(&t->lock);
	target_note_group(t, g, (enum outcome)outcome, why);
	pthread_mutex_unlock(&t->lock);
	return true;
}

bool
target_take_kept(struct target *t, const struct frame *f, struct text payload)
{
	if (payload.len > KEPT_MAX || !is_running(t, f->ticket))
		return false;
	pthread_mutex_lock(&t->lock);
	buf_reset(&t->kept);
	buf_text(&t->kept, payload);
	pthread_mutex_unlock(&t->lock);
	return true;
}

bool
target_take_done(struct target *t, const struct frame *f, struct text payload)
{
	struct done done;
	char why[WHY_MAX];

	if (payload.len <= sizeof done || payload.ptr[payload.len - 1] != '\0')
		return false;
	memcpy(&done, payload.ptr, sizeof done);
	text_clean(why, sizeof why, text_of(payload.ptr + sizeof done));
	pthread_mutex_lock(&t->lock);
	bool good = f->ticket == t->running && t->done != t->running;
	if (good) {
		finish(t, done.up, clock_seconds(done.ns), why);
		begin_pending(t);
	}
	pthread_mutex_unlock(&t->lock);
	return good;
}

/* The base of the next process: all that was published, the last time it was,
 * and what the last base had and was not published since. */
static void
keep_base(struct group_state *g)
{
	if (g->published == NULL)
		return;
	struct rows *base = rows_new(g->published->group);
	if (base == NULL)
		return;
	rows_inherit(base, g->published);
	if (g->lapsed != NULL)
		rows_inherit(base, g->lapsed);
	if (g->base != NULL)
		rows_inherit(base, g->base);
	rows_drop(g->lapsed);
	rows_drop(g->base);
	g->lapsed = NULL;
	g->base = base;
}

void
target_worker_gone(struct target *t, const char *why)
{
	pthread_mutex_lock(&t->lock);
	for (unsigned g = 0; g < t->collector->ngroups; g++)
		keep_base(&t->groups[g]);
	int64_t now = clock_ns();
	if (t->done != t->running && !t->again && t->until - now > AGAIN_MS * NS_PER_MS)
		t->again = true;
	else if (t->done != t->running)
		finish(t, false, clock_seconds(now - t->begun_at), why);
	begin_pending(t);
	pthread_mutex_unlock(&t->lock);
}

void
target_worker_ready(struct target *t)
{
	pthread_mutex_lock(&t->lock);
	if (t->done != t->running && t->again)
		ask_worker(t);
	begin_pending(t); /* where that could not be asked, either */
	pthread_mutex_unlock(&t->lock);
}

void
target_inherit(struct target *t, struct target *old)
{
	pthread_mutex_lock(&old->lock);
	for (unsigned g = 0; g < t->collector->ngroups; g++) {
		struct group_state *from = &old->groups[g];
		keep_base(from);
		t->groups[g].base = from->base;
		from->base = NULL;
		memcpy(t->groups[g].refused, from->refused, sizeof from->refused);
	}
	buf_reset(&t->kept);
	buf_text(&t->kept, (struct text){ old->kept.ptr, old->kept.len });
	t->known = old->known;
	t->up = old->up;
	memcpy(t->why, old->why, sizeof t->why);
	pthread_mutex_unlock(&old->lock);
}
