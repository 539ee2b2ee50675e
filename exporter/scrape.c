/*
 * scrape.c - kick all, read what the workers answer, wait for what others read,
 * expose.  Nothing here is shared with a worker that is late: it can finish when
 * it likes.
 */
#include "scrape.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "expose.h"
#include "self.h"

enum { WORTH_MS = 50 }; /* with less time left nothing is asked again */

struct asked { /* one target in this scrape */
	struct target *target;
	uint64_t groups, ticket;
	int64_t ends; /* when the collection with that ticket does, at the latest */
	bool again;   /* it is asked a second time */
	struct target_view view;
};

struct plan {
	struct asked *asked;
	size_t n;
	struct rows **sets;                     /* memory of all views' groups */
	bool whole;                             /* no target was named */
	bool bare;                              /* without the label target */
	struct rows *own[COLLECTOR_GROUPS_MAX]; /* of the exporter itself */
};

static void
plan_free(struct plan *p)
{
	for (size_t g = 0; g < COUNT(p->own); g++)
		rows_drop(p->own[g]);
	free(p->asked);
	free(p->sets);
}

/* ---- which ---- */

static bool
knows_group(const struct registry *r, const char *name)
{
	for (unsigned c = 0; c < r->ncollectors; c++)
		for (unsigned g = 0; g < r->collectors[c]->ngroups; g++)
			if (strcmp(r->collectors[c]->groups[g].name, name) == 0)
				return true;
	return false;
}

static bool
check_names(struct fleet *f, const struct http_scrape *req, struct buf *body)
{
	for (const char *const *t = req->targets; *t != NULL; t++)
		if (fleet_find(f, *t) == NULL) {
			buf_str(body, "There is no such target in the configuration.\n");
			return false;
		}
	for (const char *const *g = req->groups; *g != NULL; g++)
		if (!knows_group(&f->registry, *g)) {
			buf_str(body, "No collector in use has such a group (collect[]).\n");
			return false;
		}
	return true;
}

static bool
in_list(const char *const *list, const char *name)
{
	for (; *list != NULL; list++)
		if (strcmp(*list, name) == 0)
			return true;
	return false;
}

static uint64_t
wanted_groups(const struct target *t, const char *const *names)
{
	uint64_t groups = t->config->groups, wanted = 0;

	if (*names == NULL)
		return groups;
	for (unsigned g = 0; g < t->collector->ngroups; g++)
		if (in_list(names, t->collector->groups[g].name))
			wanted |= UINT64_C(1) << g;
	return groups & wanted;
}

/* Every target of the request once, in the order of the configuration. */
static bool
make_plan(struct fleet *f, const struct http_scrape *req, struct plan *p)
{
	size_t nsets = 0;

	*p = (struct plan){ .whole = req->targets[0] == NULL, .bare = req->bare };
	p->asked = calloc(f->ntargets + 1, sizeof *p->asked);
	for (size_t i = 0; p->asked != NULL && i < f->ntargets; i++) {
		struct target *t = f->targets[i];
		if (!p->whole && !in_list(req->targets, t->name))
			continue;
		p->asked[p->n++] =
		    (struct asked){ .target = t, .groups = wanted_groups(t, req->groups) };
		nsets += t->collector->ngroups;
	}
	p->sets = calloc(nsets + 1, sizeof(struct rows *));
	struct rows **sets = p->sets;
	for (size_t i = 0; sets != NULL && i < p->n; i++) {
		p->asked[i].view.groups = sets;
		sets += p->asked[i].target->collector->ngroups;
	}
	return p->asked != NULL && p->sets != NULL;
}

/* ---- ask, wait, write ---- */

static void
ask(struct asked *a, struct deadline until, bool join)
{
	a->ticket = target_kick(a->target, a->groups, until.at, join, &a->ends);
}

/* With the worker's thread to send that and read the answer: this one waits for
 * others, too. */
static void
ask_again(struct asked *a, struct deadline until)
{
	a->again = true;
	ask(a, until, false);
	worker_rouse(a->target->worker);
}

/* What failed in a collection that had to end before us, since somebody with
 * less time had asked for it, gets the time that is ours. */
static bool
failed_early(const struct asked *a, struct deadline until)
{
	return !a->view.up && a->ends < until.at && left_ms(until) > WORTH_MS;
}

struct lead { /* the workers that this scrape reads */
	struct worker *worker[REGISTRY_COLLECTORS_MAX];
	struct pollfd fd[REGISTRY_COLLECTORS_MAX];
	size_t n;
};

/* Where it is led, or would be; n: not yet. */
static size_t
lead_of(const struct lead *l, const struct worker *w)
{
	size_t i = 0;

	while (i < l->n && l->worker[i] != w)
		i++;
	return i;
}

static void
take_lead(struct lead *l, const struct plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct worker *w = p->asked[i].target->worker;
		if (lead_of(l, w) < l->n)
			continue;
		l->worker[l->n] = w;
		l->fd[l->n++] = (struct pollfd){ .fd = worker_lead(w), .events = POLLIN };
	}
}

static void
give_up_lead(struct lead *l, size_t i)
{
	if (l->fd[i].fd >= 0)
		worker_leave(l->worker[i]);
	l->fd[i].fd = -1; /* poll() passes over it */
}

/* Moves *next to the first target whose answer is to be read here. */
static bool
lacks_answer(const struct lead *l, const struct plan *p, size_t *next)
{
	for (; *next < p->n; ++*next) {
		const struct asked *a = &p->asked[*next];
		if (l->fd[lead_of(l, a->target->worker)].fd >= 0 &&
		    !target_done(a->target, a->ticket))
			return true;
	}
	return false;
}

/* Answers that come are taken in from all at once: a worker that is slow, or a
 * target, holds up nobody. */
static void
read_answers(const struct plan *p, struct deadline until)
{
	struct lead l = { .n = 0 };
	size_t next = 0;

	take_lead(&l, p);
	while (lacks_answer(&l, p, &next) && left_ms(until) > 0) {
		if (poll(l.fd, l.n, left_ms(until)) <= 0)
			continue;
		for (size_t i = 0; i < l.n; i++)
			if (l.fd[i].fd >= 0 && l.fd[i].revents != 0 && !worker_read(l.worker[i]))
				give_up_lead(&l, i);
	}
	for (size_t i = 0; i < l.n; i++)
		give_up_lead(&l, i);
}

static void
wait_all(struct plan *p, struct deadline until)
{
	read_answers(p, until);
	for (size_t i = 0; i < p->n; i++) {
		struct asked *a = &p->asked[i];
		target_wait(a->target, a->ticket, a->groups, until, &a->view);
		if (failed_early(a, until))
			ask_again(a, until);
	}
	for (size_t i = 0; i < p->n; i++) {
		struct asked *a = &p->asked[i];
		if (!a->again)
			continue;
		target_view_drop(a->target, &a->view);
		target_wait(a->target, a->ticket, a->groups, until, &a->view);
	}
}

/* False: out of memory. */
static bool
collect(struct fleet *f, struct plan *p, struct deadline until)
{
	for (size_t i = 0; i < p->n; i++)
		ask(&p->asked[i], until, true);
	for (size_t i = 0; i < f->nworkers; i++) /* all that one worker is asked goes at once */
		worker_send(f->workers[i]);
	bool good = self_begin(p->own);
	if (good && p->whole)
		self_processes(p->own, f);
	wait_all(p, until);
	return good;
}

static bool
write_views(struct fleet *f, struct plan *p, bool openmetrics, struct buf *body)
{
	struct view *views = calloc(p->n + 1, sizeof *views);
	struct self_target *list = calloc(p->n + 1, sizeof *list);
	bool good = views != NULL && list != NULL;

	for (size_t i = 0; good && i < p->n; i++) {
		const struct asked *a = &p->asked[i];
		views[i] = (struct view){ p->bare ? TEXT("") : a->target->prefix,
			(unsigned)registry_find(&f->registry, a->target->collector),
			a->view.groups };
		list[i] =
		    (struct self_target){ a->target, p->bare ? NULL : a->target->name, a->view.up };
	}
	if (good) {
		self_scraped(p->own, f, list, p->n, p->whole);
		views[p->n] = (struct view){ { NULL, 0 },
			(unsigned)registry_find(&f->registry, &self_collector), p->own };
		expose(body, &f->registry, views, p->n + 1, openmetrics);
	}
	free(views);
	free(list);
	return good && buf_ok(body);
}

static void
drop_views(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		target_view_drop(p->asked[i].target, &p->asked[i].view);
	plan_free(p);
}

static int
too_large(struct buf *body)
{
	buf_reset(body);
	buf_str(body, "The exposition is larger than the exporter's limit, or memory is short.\n");
	return 500;
}

int
scrape_run(struct fleet *f, const struct http_scrape *req, struct buf *body)
{
	struct plan p;

	if (!check_names(f, req, body))
		return 400;
	if (!make_plan(f, req, &p)) {
		plan_free(&p);
		return too_large(body);
	}
	bool good = collect(f, &p, req->until) && write_views(f, &p, req->openmetrics, body);
	drop_views(&p);
	return good ? 200 : too_large(body);
}

/* ---- probe ---- */

static void
say_groups(struct target *t, uint64_t asked, struct buf *reasons)
{
	for (unsigned g = 0; g < t->collector->ngroups; g++) {
		const struct group_state *s = &t->groups[g];
		if (asked >> g & 1 && s->asked && s->why[0] != '\0')
			buf_printf(reasons, "%s: group %s: %s\n", t->name,
			    t->collector->groups[g].name, s->why);
	}
}

int
scrape_probe(struct fleet *f, const struct http_scrape *req, struct buf *body, struct buf *reasons)
{
	struct plan p;
	int down = 0;

	if (!check_names(f, req, body))
		return -1;
	if (!make_plan(f, req, &p)) {
		plan_free(&p);
		too_large(body);
		return -1;
	}
	bool good = collect(f, &p, req->until);
	for (size_t i = 0; i < p.n; i++) {
		struct target *t = p.asked[i].target;
		pthread_mutex_lock(&t->lock);
		if (!p.asked[i].view.up) {
			buf_printf(reasons, "%s: %s\n", t->name, t->why);
			down++;
		}
		say_groups(t, p.asked[i].groups, reasons);
		pthread_mutex_unlock(&t->lock);
	}
	if (!good || !write_views(f, &p, req->openmetrics, body))
		down = -1;
	drop_views(&p);
	return down;
}
