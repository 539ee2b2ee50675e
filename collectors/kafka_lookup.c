/*
 * kafka_lookup.c - offsets of many partitions: one call per leader, slot and
 * chunk, several at once, each in a thread for as long as it takes.
 *
 * A call is all or nothing.  With one leader to a call, a broker that hangs
 * loses only its own partitions; where a single partition is at fault the call
 * is halved until it stands alone.
 */
#include <stdlib.h>
#include <string.h>

#include "kafka.h"

enum { STACK = 256 * 1024, CALLS_PER_JOB = 24 };

struct leader {
	int32_t id;
	atomic_bool late; /* did not answer one call in time */
};

struct job { /* lookups first to first + n - 1 */
	struct kafka_lookup *first;
	size_t n;
	struct leader *leader;
};

struct work {
	rd_kafka_t *rk;
	struct deadline until;
	struct leader *leaders;
	struct job *jobs;
	size_t nleaders, njobs;
	atomic_size_t next;
};

bool
kafka_lookup_add(
    struct kafka_lookups *l, struct kafka_topic *t, int32_t partition, unsigned slot, int64_t ask)
{
	if (l->n == l->cap) {
		size_t cap = l->cap > 0 ? l->cap * 2 : 64;
		struct kafka_lookup *v = realloc(l->v, cap * sizeof *v);
		if (v == NULL)
			return false;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] =
	    (struct kafka_lookup){ .topic = t, .partition = partition, .slot = slot, .ask = ask };
	return true;
}

static int32_t
leader_of(const struct kafka_lookup *l)
{
	return l->topic->partitions[l->partition].leader;
}

static int
by_call(const void *left, const void *right)
{
	const struct kafka_lookup *a = left, *b = right;
	int32_t la = leader_of(a), lb = leader_of(b);

	if (a->slot != b->slot)
		return a->slot < b->slot ? -1 : 1;
	if (la != lb)
		return la < lb ? -1 : 1;
	if (a->topic != b->topic)
		return strcmp(a->topic->name, b->topic->name);
	return a->partition < b->partition ? -1 : a->partition > b->partition;
}

/* ---- one call ---- */

static void
answer(struct kafka_lookup *l, size_t n, const rd_kafka_topic_partition_list_t *list, double at)
{
	for (size_t i = 0; i < n; i++) {
		const rd_kafka_topic_partition_t *p = &list->elems[i];
		l[i].answered = p->err == RD_KAFKA_RESP_ERR_NO_ERROR &&
				(p->offset >= 0 || p->offset == RD_KAFKA_OFFSET_END);
		l[i].offset = p->offset;
		l[i].at = at;
	}
}

static rd_kafka_resp_err_t
call(const struct work *w, struct kafka_lookup *l, size_t n)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);
	double begun = clock_unix();

	for (size_t i = 0; i < n; i++)
		rd_kafka_topic_partition_list_add(list, l[i].topic->name, l[i].partition)->offset =
		    l[i].ask;
	rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(w->rk, list, left_ms(w->until));
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		answer(l, n, list, (begun + clock_unix()) / 2);
	rd_kafka_topic_partition_list_destroy(list);
	return err;
}

static bool
is_late(rd_kafka_resp_err_t err)
{
	return err == RD_KAFKA_RESP_ERR__TIMED_OUT || err == RD_KAFKA_RESP_ERR__TRANSPORT ||
	       err == RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE ||
	       err == RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT;
}

static void
call_or_halve(
    const struct work *w, struct job *j, struct kafka_lookup *l, size_t n, unsigned *calls)
{
	if (atomic_load(&j->leader->late) || *calls == 0 || left_ms(w->until) == 0)
		return;
	(*calls)--;
	rd_kafka_resp_err_t err = call(w, l, n);
	if (is_late(err))
		atomic_store(&j->leader->late, true);
	else if (err != RD_KAFKA_RESP_ERR_NO_ERROR && n > 1) {
		call_or_halve(w, j, l, n / 2, calls);
		call_or_halve(w, j, l + n / 2, n - n / 2, calls);
	}
}

static void *
work(void *arg)
{
	struct work *w = arg;

	for (size_t i; (i = atomic_fetch_add(&w->next, 1)) < w->njobs;) {
		unsigned calls = CALLS_PER_JOB;
		call_or_halve(w, &w->jobs[i], w->jobs[i].first, w->jobs[i].n, &calls);
	}
	return NULL;
}

/* ---- all of them ---- */

static struct leader *
find_leader(struct work *w, int32_t id)
{
	for (size_t i = 0; i < w->nleaders; i++)
		if (w->leaders[i].id == id)
			return &w->leaders[i];
	w->leaders[w->nleaders].id = id;
	atomic_init(&w->leaders[w->nleaders].late, false);
	return &w->leaders[w->nleaders++];
}

/* Lookups without a leader stay unanswered. */
static void
cut(struct work *w, struct kafka_lookups *l)
{
	for (size_t i = 0, end; i < l->n; i = end) {
		int32_t leader = leader_of(&l->v[i]);
		for (end = i + 1; end < l->n && end - i < KAFKA_CHUNK &&
				  l->v[end].slot == l->v[i].slot && leader_of(&l->v[end]) == leader;
		     end++)
			;
		if (leader >= 0)
			w->jobs[w->njobs++] =
			    (struct job){ &l->v[i], end - i, find_leader(w, leader) };
	}
}

static void
run(struct work *w)
{
	pthread_t lane[KAFKA_LANES];
	size_t lanes = 0;
	pthread_attr_t attr;

	if (pthread_attr_init(&attr) == 0) {
		pthread_attr_setstacksize(&attr, STACK);
		/* This thread is a lane, too. */
		while (lanes + 1 < w->njobs && lanes < KAFKA_LANES &&
		       pthread_create(&lane[lanes], &attr, work, w) == 0)
			lanes++;
		pthread_attr_destroy(&attr);
	}
	work(w);
	while (lanes > 0)
		pthread_join(lane[--lanes], NULL);
}

void
kafka_lookup_all(rd_kafka_t *rk, struct kafka_lookups *l, struct deadline until)
{
	struct work w = { .rk = rk, .until = until };

	if (l->n == 0)
		return;
	qsort(l->v, l->n, sizeof l->v[0], by_call);
	/* No more calls, and no more leaders, than lookups. */
	w.jobs = calloc(l->n, sizeof *w.jobs);
	w.leaders = calloc(l->n, sizeof *w.leaders);
	if (w.jobs != NULL && w.leaders != NULL) {
		cut(&w, l);
		run(&w);
	}
	free(w.jobs);
	free(w.leaders);
}
