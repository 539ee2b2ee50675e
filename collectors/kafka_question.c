/*
 * kafka_question.c - what is asked of the cluster in the first step, all of it
 * under way at the same time.
 *
 * Metadata and the list of groups only exist as calls that block, so each has a
 * thread for as long as it takes.  Both keep to their time limit, and whoever
 * asked waits for the thread.
 */
#include <string.h>

#include "kafka.h"

enum { STACK = 256 * 1024 };

static bool
start(pthread_t *thread, void *(*run)(void *), void *what)
{
	pthread_attr_t attr;

	if (pthread_attr_init(&attr) != 0)
		return false;
	pthread_attr_setstacksize(&attr, STACK);
	bool good = pthread_create(thread, &attr, run, what) == 0;
	pthread_attr_destroy(&attr);
	return good;
}

/* ---- metadata ---- */

static void *
metadata_run(void *arg)
{
	struct kafka_metadata *m = arg;

	/* Any broker may be asked, also one that hangs: the next try may meet
	 * another. */
	do {
		int left = left_ms(m->until), part = left > 400 ? left / 2 : left;
		m->err = rd_kafka_metadata(m->rk, 1, NULL, &m->reply, part);
	} while (m->err != RD_KAFKA_RESP_ERR_NO_ERROR && left_ms(m->until) > 0);
	return NULL;
}

void
kafka_metadata_ask(struct kafka_metadata *m, rd_kafka_t *rk, struct deadline until)
{
	*m = (struct kafka_metadata){ .rk = rk, .until = until };
	m->running = start(&m->thread, metadata_run, m);
	if (!m->running)
		metadata_run(m);
}

void
kafka_metadata_wait(struct kafka_metadata *m)
{
	if (m->running)
		pthread_join(m->thread, NULL);
	m->running = false;
}

/* ---- groups ---- */

/* Not the newer rd_kafka_ListConsumerGroups(): that is one of the operations
 * that can end the process. */
static void *
listing_run(void *arg)
{
	struct kafka_listing *l = arg;

	l->err = rd_kafka_list_groups(l->rk, NULL, &l->reply, left_ms(l->until));
	return NULL;
}

void
kafka_listing_ask(struct kafka_listing *l, rd_kafka_t *rk, struct deadline until)
{
	*l = (struct kafka_listing){ .rk = rk, .until = until };
	l->running = start(&l->thread, listing_run, l);
	if (!l->running)
		listing_run(l);
}

void
kafka_listing_wait(struct kafka_listing *l)
{
	if (l->running)
		pthread_join(l->thread, NULL);
	l->running = false;
}

/* ---- committed offsets ---- */

static rd_kafka_topic_partition_list_t *
every_partition(const struct kafka_state *s)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);

	for (size_t i = 0; i < s->ntopics; i++)
		for (int32_t p = 0; p < s->topics[i]->n; p++)
			rd_kafka_topic_partition_list_add(list, s->topics[i]->name, p);
	return list;
}

static void
ask_group(struct kafka_client *c, const struct kafka_state *s, struct kafka_group *g)
{
	rd_kafka_topic_partition_list_t *list = g->by_partition ? every_partition(s) : NULL;

	if (list != NULL && list->cnt == 0) {
		rd_kafka_topic_partition_list_destroy(list);
		list = NULL;
	}
	rd_kafka_ListConsumerGroupOffsets_t *ask =
	    rd_kafka_ListConsumerGroupOffsets_new(g->name, list);
	rd_kafka_AdminOptions_set_opaque(c->options, (void *)(uintptr_t)g->id);
	rd_kafka_ListConsumerGroupOffsets(c->rk, &ask, 1, c->options, c->replies);
	rd_kafka_ListConsumerGroupOffsets_destroy(ask);
	if (list != NULL)
		rd_kafka_topic_partition_list_destroy(list);
	g->asked_at = clock_unix();
	g->pending = 1;
}

/* What was asked in an earlier collection is too old: it is asked again. */
static bool
take_reply(
    struct kafka_client *c, struct kafka_state *s, rd_kafka_event_t *event, unsigned *waiting)
{
	const rd_kafka_ListConsumerGroupOffsets_result_t *result =
	    rd_kafka_event_ListConsumerGroupOffsets_result(event);
	struct kafka_group *g =
	    kafka_state_group(s, (uint64_t)(uintptr_t)rd_kafka_event_opaque(event));
	size_t n = 0;

	if (result == NULL || g == NULL)
		return true;
	if (g->pending > 1) {
		ask_group(c, s, g);
		(*waiting)++;
		return true;
	}
	g->pending = 0;
	(*waiting)--;
	c->group_err = rd_kafka_event_error(event);
	if (c->group_err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return true;
	const rd_kafka_group_result_t **groups =
	    rd_kafka_ListConsumerGroupOffsets_result_groups(result, &n);
	if (n != 1)
		return true;
	c->group_err = rd_kafka_error_code(rd_kafka_group_result_error(groups[0]));
	const rd_kafka_topic_partition_list_t *list = rd_kafka_group_result_partitions(groups[0]);
	if (c->group_err != RD_KAFKA_RESP_ERR_NO_ERROR || list == NULL)
		return true;
	if (list->cnt == 0 && !g->by_partition && g->nconsumptions == 0)
		g->by_partition = g->named;
	return kafka_state_committed(s, g, list, clock_unix());
}

unsigned
kafka_committed_ask(struct kafka_client *c, struct kafka_state *s)
{
	unsigned waiting = 0;

	for (size_t i = 0; i < s->ngroups; i++) {
		struct kafka_group *g = s->groups[i];
		if (g->pending > 0) {
			g->pending++;
		} else {
			ask_group(c, s, g);
			waiting++;
		}
	}
	return waiting;
}

bool
kafka_committed_take(
    struct kafka_client *c, struct kafka_state *s, unsigned waiting, struct deadline until)
{
	bool good = true;

	/* Late answers are taken in even where no new one is waited for. */
	for (;;) {
		rd_kafka_event_t *event =
		    rd_kafka_queue_poll(c->replies, waiting > 0 ? left_ms(until) : 0);
		if (event == NULL)
			return good;
		good = take_reply(c, s, event, &waiting) && good;
		rd_kafka_event_destroy(event);
	}
}
