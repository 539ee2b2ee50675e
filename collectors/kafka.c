/*
 * kafka.c - consumer groups and topics of a Kafka cluster: how far behind, how
 * fast, how old.  See kafka.h for how the parts hang together.
 */
#include "kafka.h"

#include <string.h>

static const struct kafka_conf *
conf_of(const struct scrape *sc)
{
	return sc->conf;
}

static struct deadline
sooner(struct deadline a, struct deadline b)
{
	return a.at < b.at ? a : b;
}

/* A step may take so much of the time that is left, but no more than anybody's
 * patience: a broker that hangs must leave time for the rest. */
static struct deadline
step(const struct scrape *sc, double share)
{
	int64_t part = (int64_t)(left_ms(sc->until) * share) * NS_PER_MS;

	return sooner(deadline_in(part), deadline_in(KAFKA_PATIENCE_MS * NS_PER_MS));
}

/* ---- the handle ---- */

static enum outcome
unreachable(struct scrape *sc)
{
	struct kafka *k = sc->state;

	kafka_client_listen(&k->client);
	if (k->client.words[0] != '\0')
		return fail(LOST, sc, "%s", k->client.words);
	return fail(LOST, sc, "no broker answered in time");
}

static enum outcome
open_client(struct scrape *sc)
{
	struct kafka *k = sc->state;
	char why[WHY_MAX];

	if (!kafka_client_open(&k->client, conf_of(sc), why))
		return fail(LOST, sc, "%s", why);
	k->nbrokers = 0;
	k->renew = false;
	return DONE;
}

static void
kafka_disconnect(struct scrape *sc)
{
	struct kafka *k = sc->state;

	kafka_client_close(&k->client);
	for (size_t i = 0; i < k->state.ngroups; i++)
		k->state.groups[i]->pending = 0;
}

/* The first metadata.  In short tries, as librdkafka waits on where everybody
 * can see that nothing will come. */
static enum outcome
kafka_connect(struct scrape *sc)
{
	struct kafka *k = sc->state;
	const struct rd_kafka_metadata *md;
	int try = 50;

	if (!k->selects)
		k->selects = kafka_select_make(&k->groups, conf_of(sc)->groups,
				 conf_of(sc)->exclude_groups, conf_of(sc)->group_names) &&
			     kafka_select_make(&k->topics, conf_of(sc)->topics,
				 conf_of(sc)->exclude_topics, conf_of(sc)->topic_names);
	if (!k->selects)
		return fail(LOST, sc, "the expressions for groups and topics take too much memory");
	if (open_client(sc) != DONE)
		return LOST;
	while (left_ms(sc->until) > 0) {
		int left = left_ms(sc->until);
		rd_kafka_resp_err_t err =
		    rd_kafka_metadata(k->client.rk, 0, NULL, &md, try < left ? try : left);
		if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
			rd_kafka_metadata_destroy(md);
			return DONE;
		}
		kafka_client_listen(&k->client);
		if (k->client.down)
			break;
		try *= 2;
	}
	return unreachable(sc);
}

/* ---- asking ---- */

/* A broker that left the cluster is not forgotten by the handle, and the list of
 * groups would wait for it for ever. */
static void
meet_brokers(struct kafka *k, const struct rd_kafka_metadata *md)
{
	unsigned present = 0;

	for (int i = 0; i < md->broker_cnt; i++) {
		unsigned n = 0;
		while (n < k->nbrokers && k->brokers[n] != md->brokers[i].id)
			n++;
		if (n < k->nbrokers)
			present++;
		else if (n < COUNT(k->brokers))
			k->brokers[k->nbrokers++] = md->brokers[i].id, present++;
	}
	if (present < k->nbrokers)
		k->renew = true;
}

static bool
take_metadata(struct kafka *k, struct kafka_metadata *m)
{
	bool good = true;

	kafka_metadata_wait(m);
	if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return false;
	meet_brokers(k, m->reply);
	good = kafka_state_metadata(&k->state, &k->topics, m->reply);
	rd_kafka_metadata_destroy(m->reply);
	return good;
}

static void
take_listing(struct kafka *k, const struct kafka_conf *conf, struct kafka_listing *l)
{
	kafka_listing_wait(l);
	k->listing_err = l->err;
	/* What was named stays in any case. */
	kafka_state_named_groups(&k->state, conf->group_names);
	if (l->reply == NULL)
		return;
	kafka_state_groups(&k->state, &k->groups, l->reply, l->err == RD_KAFKA_RESP_ERR_NO_ERROR);
	rd_kafka_group_list_destroy(l->reply);
}

/* What is to be looked up of one partition. */
static bool
add_lookups(struct kafka *k, struct kafka_topic *t, int32_t n, size_t *questions)
{
	const struct kafka_watch *w = t->partitions[n].watch;

	if (!kafka_lookup_add(&k->lookups, t, n, 0, KAFKA_AT_END))
		return false;
	if (w == NULL)
		return true;
	if (w->lags && !kafka_lookup_add(&k->lookups, t, n, 1, KAFKA_AT_START))
		return false;
	for (unsigned i = 0; i<w->questions.n && * questions> 0; i++, (*questions)--)
		if (!kafka_lookup_add(
			&k->lookups, t, n, 2 + i, (int64_t)(w->questions.t[i] * 1000)))
			return false;
	return true;
}

static bool
make_lookups(struct kafka *k, const struct kafka_conf *conf)
{
	struct kafka_state *s = &k->state;
	size_t questions = KAFKA_QUESTIONS_MAX;

	k->lookups.n = 0;
	if (!kafka_account_watch(s, (unsigned)conf->questions, clock_unix()))
		return false;
	/* From another topic on each time, so that all get their questions. */
	for (size_t i = 0; i < s->ntopics; i++) {
		struct kafka_topic *t = s->topics[(i + s->now * 7919) % s->ntopics];
		for (int32_t n = 0; n < t->n; n++)
			if (!add_lookups(k, t, n, &questions))
				return false;
	}
	return true;
}

/* Slot by slot, so a partition's end is known before what was at a time. */
static size_t
take_lookups(struct kafka *k)
{
	size_t ends = 0;

	for (size_t i = 0; i < k->lookups.n; i++) {
		const struct kafka_lookup *l = &k->lookups.v[i];
		struct kafka_partition *p = &l->topic->partitions[l->partition];
		if (!l->answered)
			continue;
		if (l->ask == KAFKA_AT_END && l->offset >= 0) {
			kafka_state_end(l->topic, p, l->offset, l->at);
			ends++;
		} else if (l->ask == KAFKA_AT_START && l->offset >= 0) {
			p->start = l->offset;
		} else if (l->ask > 0 && p->read && p->watch != NULL) {
			/* Nothing so late: at that time the end was where it is. */
			curve_add(&p->watch->curve, (double)l->ask / 1000,
			    (double)(l->offset >= 0 ? l->offset : p->end));
		}
	}
	return ends;
}

/* Operations that no answer comes to for two collections never end by
 * themselves; but a handle is not replaced at every scrape. */
static void
judge(struct kafka *k)
{
	unsigned stuck = 0;

	for (size_t i = 0; i < k->state.ngroups; i++)
		stuck += k->state.groups[i]->pending > 2;
	if (stuck > 0)
		k->renew = true;
	if (clock_ns() - k->client.opened_at < 10 * NS_PER_S)
		k->renew = false;
}

static enum outcome
kafka_ask(struct scrape *sc)
{
	struct kafka *k = sc->state;
	const struct kafka_conf *conf = conf_of(sc);
	struct kafka_metadata metadata;
	struct kafka_listing listing;

	if (k->renew) {
		kafka_disconnect(sc);
		if (open_client(sc) != DONE)
			return LOST;
	}
	kafka_client_listen(&k->client);
	k->state.now++;
	kafka_listing_ask(&listing, k->client.rk, step(sc, 0.5));
	kafka_metadata_ask(&metadata, k->client.rk, step(sc, 0.4));
	/* Of groups that are not known yet nothing can be asked. */
	bool listed = k->state.ngroups == 0;
	if (listed)
		take_listing(k, conf, &listing);
	unsigned waiting = kafka_committed_ask(&k->client, &k->state);
	struct deadline until = step(sc, 0.4);
	bool good = take_metadata(k, &metadata);
	good = kafka_committed_take(&k->client, &k->state, waiting, until) && good;
	bool made = make_lookups(k, conf);
	if (made)
		kafka_lookup_all(k->client.rk, &k->lookups, step(sc, 0.8));
	if (!listed)
		take_listing(k, conf, &listing);
	size_t ends = made ? take_lookups(k) : 0;
	if (!made)
		return fail(LOST, sc, "out of memory");
	if (ends == 0 && !good)
		return unreachable(sc);
	kafka_account(&k->state, kafka_age_metric, conf->rate_limit);
	if (!kafka_records_collect(k, conf))
		return fail(LOST, sc, "out of memory");
	judge(k);
	return DONE;
}

/* clang-format off */
PUBLIC const struct collector collector = {
	COLLECTOR_HEAD,
	.name = "kafka",
	.about = "Apache Kafka and what speaks its protocol: consumer groups, topics, time in queue",
	.groups = kafka_groups,
	.ngroups = KAFKA_GROUPS,
	.options = kafka_options,
	.noptions = KAFKA_OPTIONS,
	.conf_size = sizeof(struct kafka_conf),
	.state_size = sizeof(struct kafka),
	.check = kafka_check,
	.connect = kafka_connect,
	.ask = kafka_ask,
	.collect = kafka_rows,
	.disconnect = kafka_disconnect,
};
