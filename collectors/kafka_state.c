/*
 * kafka_state.c - what is known of the cluster: topics, partitions and groups
 * appear, move, vanish and come back; nothing is asked here.
 */
#include <stdlib.h>
#include <string.h>

#include "kafka.h"

const char *const kafka_states[] = { "stable", "preparing_rebalance", "completing_rebalance",
	"empty", "other", NULL };

unsigned
kafka_state_index(const char *name)
{
	static const char *const theirs[] = { "Stable", "PreparingRebalance", "CompletingRebalance",
		"Empty" };
	unsigned i = 0;

	while (i < COUNT(theirs) && strcmp(theirs[i], name) != 0)
		i++;
	return i;
}

/* Room for one more pointer. */
static bool
room(void *array, size_t n, size_t *cap)
{
	void **at = array, *grown;

	if (n < *cap)
		return true;
	size_t more = *cap > 0 ? *cap * 2 : 16;
	grown = realloc(*at, more * sizeof(void *));
	if (grown == NULL)
		return false;
	*at = grown;
	*cap = more;
	return true;
}

/* Where the one of that name is or belongs in an array of pointers to topics or to
 * groups; both begin with their name and stand in its order. */
static size_t
place_of(const void *array, size_t n, const char *name, bool *there)
{
	char *const *const *list = array;
	size_t low = 0, high = n;

	*there = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(*list[middle], name);
		if (order == 0) {
			*there = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* ---- topics ---- */

static void
topic_free(struct kafka_topic *t)
{
	for (int32_t i = 0; i < t->n; i++)
		free(t->partitions[i].watch);
	free(t->partitions);
	kafka_reading_free(t->reading);
	free(t->name);
	free(t);
}

static struct kafka_topic *
topic_find(struct kafka_state *s, const char *name)
{
	bool there;
	size_t i = place_of(s->topics, s->ntopics, name, &there);

	return there ? s->topics[i] : NULL;
}

static struct kafka_topic *
topic_add(struct kafka_state *s, const char *name)
{
	bool there;
	size_t i = place_of(s->topics, s->ntopics, name, &there);

	if (there)
		return s->topics[i];
	struct kafka_topic *t = calloc(1, sizeof *t);
	if (t == NULL || !room(&s->topics, s->ntopics, &s->captopics) ||
	    (t->name = strdup(name)) == NULL) {
		free(t);
		return NULL;
	}
	memmove(&s->topics[i + 1], &s->topics[i], (s->ntopics - i) * sizeof s->topics[0]);
	s->topics[i] = t;
	s->ntopics++;
	return t;
}

static bool
topic_resize(struct kafka_topic *t, int32_t n)
{
	/* Fewer than before: deleted and created again, all offsets are new. */
	if (n < t->n) {
		for (int32_t i = 0; i < t->n; i++)
			free(t->partitions[i].watch);
		t->n = 0;
	}
	if (n == t->n)
		return true;
	struct kafka_partition *p = realloc(t->partitions, (size_t)n * sizeof *p);
	if (p == NULL)
		return false;
	t->partitions = p;
	for (; t->n < n; t->n++)
		p[t->n] = (struct kafka_partition){ .leader = -1, .start = -1 };
	return true;
}

/* Ids are the partitions' numbers, from 0 on without a gap. */
static void
topic_leaders(struct kafka_topic *t, const struct rd_kafka_metadata_topic *md)
{
	t->under_replicated = 0;
	for (int32_t i = 0; i < t->n; i++) {
		t->partitions[i].leader = -1;
		t->partitions[i].read = t->partitions[i].began_again = false;
	}
	for (int i = 0; i < md->partition_cnt; i++) {
		const struct rd_kafka_metadata_partition *p = &md->partitions[i];
		if (p->isr_cnt < p->replica_cnt)
			t->under_replicated++;
		if (p->id >= 0 && p->id < t->n)
			t->partitions[p->id].leader = p->leader;
	}
}

/* ---- what groups have of topics ---- */

static void
consumption_drop(struct kafka_group *g, size_t i)
{
	free(g->consumptions[i].positions);
	memmove(&g->consumptions[i], &g->consumptions[i + 1],
	    (g->nconsumptions - i - 1) * sizeof g->consumptions[0]);
	g->nconsumptions--;
}

/* Forgets topics that this collection did not see. */
static void
forget_topics(struct kafka_state *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->ngroups; i++)
		for (size_t c = s->groups[i]->nconsumptions; c-- > 0;)
			if (s->groups[i]->consumptions[c].topic->seen != s->now)
				consumption_drop(s->groups[i], c);
	for (size_t i = 0; i < s->ntopics; i++) {
		if (s->topics[i]->seen == s->now)
			s->topics[kept++] = s->topics[i];
		else
			topic_free(s->topics[i]);
	}
	s->ntopics = kept;
}

/* An error is mostly one that passes: a known topic stays, without leaders. */
static bool
take_topic(struct kafka_state *s, const struct rd_kafka_metadata_topic *md)
{
	bool broken = md->err != RD_KAFKA_RESP_ERR_NO_ERROR || md->partition_cnt <= 0;

	if (broken && (md->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
			  topic_find(s, md->topic) == NULL))
		return true;
	struct kafka_topic *t = topic_add(s, md->topic);
	if (t == NULL || (!broken && !topic_resize(t, md->partition_cnt)))
		return false;
	topic_leaders(t, md);
	t->seen = s->now;
	return true;
}

bool
kafka_state_metadata(
    struct kafka_state *s, const struct kafka_select *select, const struct rd_kafka_metadata *md)
{
	int64_t partitions = 0;
	bool good = true;

	s->brokers = (unsigned)md->broker_cnt;
	for (int i = 0; i < md->topic_cnt && good; i++) {
		const struct rd_kafka_metadata_topic *t = &md->topics[i];
		if (!kafka_selected(select, t->topic))
			continue;
		partitions += t->partition_cnt;
		if (s->ntopics >= KAFKA_TOPICS_MAX || partitions > KAFKA_PARTITIONS_MAX)
			break;
		good = take_topic(s, t);
	}
	if (good)
		forget_topics(s);
	return good;
}

/* ---- groups ---- */

static struct kafka_group *
group_add(struct kafka_state *s, const char *name)
{
	bool there;
	size_t i = place_of(s->groups, s->ngroups, name, &there);

	if (there)
		return s->groups[i];
	if (s->ngroups >= KAFKA_GROUPS_MAX)
		return NULL;
	struct kafka_group *g = calloc(1, sizeof *g);
	if (g == NULL || !room(&s->groups, s->ngroups, &s->capgroups) ||
	    (g->name = strdup(name)) == NULL) {
		free(g);
		return NULL;
	}
	g->id = ++s->next_id;
	memmove(&s->groups[i + 1], &s->groups[i], (s->ngroups - i) * sizeof s->groups[0]);
	s->groups[i] = g;
	s->ngroups++;
	return g;
}

static void
group_free(struct kafka_group *g)
{
	while (g->nconsumptions > 0)
		consumption_drop(g, g->nconsumptions - 1);
	free(g->consumptions);
	free(g->name);
	free(g);
}

static void
forget_groups(struct kafka_state *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->ngroups; i++) {
		if (s->groups[i]->seen == s->now)
			s->groups[kept++] = s->groups[i];
		else
			group_free(s->groups[i]);
	}
	s->ngroups = kept;
}

static bool
is_consumer(const struct rd_kafka_group_info *gi)
{
	return gi->protocol_type == NULL || gi->protocol_type[0] == '\0' ||
	       strcmp(gi->protocol_type, "consumer") == 0;
}

bool
kafka_state_groups(struct kafka_state *s, const struct kafka_select *select,
    const struct rd_kafka_group_list *list, bool complete)
{
	for (int i = 0; i < list->group_cnt; i++) {
		const struct rd_kafka_group_info *gi = &list->groups[i];
		if (gi->group == NULL || !is_consumer(gi) || !kafka_selected(select, gi->group))
			continue;
		struct kafka_group *g = group_add(s, gi->group);
		if (g == NULL)
			continue;
		g->seen = s->now;
		/* Dead, and yet it was listed: by a broker that has just lost it
		 * to another, or it is one of the consumer protocol of Kafka 4,
		 * which this old question does not tell of. */
		if (gi->err != RD_KAFKA_RESP_ERR_NO_ERROR || gi->state == NULL ||
		    strcmp(gi->state, "Dead") == 0)
			continue;
		g->described = s->now;
		g->state = kafka_state_index(gi->state);
		g->members = (unsigned)gi->member_cnt;
	}
	if (complete)
		forget_groups(s);
	return true;
}

bool
kafka_state_named_groups(struct kafka_state *s, const char *const *names)
{
	for (; names != NULL && *names != NULL; names++) {
		struct kafka_group *g = group_add(s, *names);
		if (g == NULL)
			return false;
		g->seen = s->now;
		g->named = true;
	}
	return true;
}

struct kafka_group *
kafka_state_group(const struct kafka_state *s, uint64_t id)
{
	for (size_t i = 0; i < s->ngroups; i++)
		if (s->groups[i]->id == id)
			return s->groups[i];
	return NULL;
}

/* ---- offsets ---- */

static struct kafka_consumption *
consumption_add(struct kafka_group *g, struct kafka_topic *t)
{
	size_t i = 0;

	while (i < g->nconsumptions && strcmp(g->consumptions[i].topic->name, t->name) < 0)
		i++;
	if (i < g->nconsumptions && g->consumptions[i].topic == t)
		return &g->consumptions[i];
	struct kafka_consumption *c = realloc(g->consumptions, (g->nconsumptions + 1) * sizeof *c);
	if (c == NULL)
		return NULL;
	g->consumptions = c;
	memmove(&c[i + 1], &c[i], (g->nconsumptions - i) * sizeof *c);
	c[i] = (struct kafka_consumption){ .topic = t, .rate = -1 };
	g->nconsumptions++;
	return &c[i];
}

static bool
consumption_resize(struct kafka_consumption *c, int32_t n)
{
	if (n < c->n)
		c->n = 0;
	struct kafka_position *p = realloc(c->positions, (size_t)n * sizeof *p);
	if (p == NULL)
		return false;
	c->positions = p;
	for (; c->n < n; c->n++)
		p[c->n] = (struct kafka_position){ .committed = -1 };
	return true;
}

static bool
take_offset(struct kafka_state *s, struct kafka_group *g, const rd_kafka_topic_partition_t *from)
{
	struct kafka_topic *t = topic_find(s, from->topic);

	if (t == NULL || from->partition < 0 || from->partition >= t->n || from->offset < 0 ||
	    from->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return true;
	struct kafka_consumption *c = consumption_add(g, t);
	if (c == NULL || (c->n != t->n && !consumption_resize(c, t->n)))
		return false;
	c->seen = s->now;
	c->positions[from->partition].committed = from->offset;
	return true;
}

bool
kafka_state_committed(struct kafka_state *s, struct kafka_group *g,
    const rd_kafka_topic_partition_list_t *list, double answered_at)
{
	for (size_t i = 0; i < g->nconsumptions; i++) {
		struct kafka_consumption *c = &g->consumptions[i];
		for (int32_t p = 0; p < c->n; p++) {
			c->positions[p].before = c->positions[p].committed;
			c->positions[p].committed = -1;
		}
	}
	for (int i = 0; i < list->cnt; i++)
		if (!take_offset(s, g, &list->elems[i]))
			return false;
	for (size_t i = g->nconsumptions; i-- > 0;)
		if (g->consumptions[i].seen != s->now)
			consumption_drop(g, i);
	g->before_at = g->at;
	g->at = (g->asked_at + answered_at) / 2;
	g->answered = s->now;
	return true;
}

void
kafka_state_end(struct kafka_topic *t, struct kafka_partition *p, int64_t end, double at)
{
	struct curve *c = p->watch != NULL ? &p->watch->curve : NULL;

	if (p->known && end < p->end) {
		/* Created again, or cut off by an unclean election: nothing
		 * that was known of its offsets holds. */
		p->began_again = true;
		p->rate_at = 0;
		p->start = -1;
		if (c != NULL)
			c->n = 0;
	} else if (p->known) {
		t->produced += (double)(end - p->end);
	}
	if (c != NULL) {
		/* The clock was set back. */
		if (c->n > 0 && c->at[c->n - 1].t > at + 1)
			c->n = 0;
		curve_add(c, at, (double)end);
	}
	p->end = end;
	p->at = at;
	p->known = p->read = true;
}
