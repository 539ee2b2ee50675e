/*
 * fake.c - a collector for tests of the core: does what the first word of a
 * file says, read anew at every scrape.
 *
 *	good              counters go up by 1, rows "a" and "b"
 *	absent, failed    the group says so; lost: the connection does
 *	refuse            connect says no
 *	stale             lost once, as a kept connection that died
 *	block             waits 1 s past the deadline
 *	expire            has no answer at the deadline: lost
 *	slow              takes 300 ms
 *	abort             ends the process in the middle; abort-once: and is good then
 *	flood             1000 rows of a group that may have 10
 *	heavy             a megabyte of them
 *	hostile           label values that are no UTF-8, too long, full of quotes
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../exporter/collector.h"

#ifndef FAKE
#define FAKE "fake" /* its name, and what its metrics' begin with */
#endif

struct fake_conf {
	const char *address, *script, *password;
	long long step;
};

struct fake_state {
	double total;
	struct histogram seconds;
	bool was_stale;
	long long connects;
	int64_t visits; /* of all processes, handed on by keep() */
};

/* clang-format off */
static const double bounds[] = { 0.5, 1, 5 };
enum { TOTAL, SECONDS, CONNECTS, VISITS };
static const struct metric count_metrics[] = {
	[TOTAL] = { .name = FAKE "_things_total", .type = COUNTER, .accumulated = true,
	    .help = "Things that were counted." },
	[SECONDS] = { .name = FAKE "_thing_seconds", .type = HISTOGRAM, .unit = "seconds",
	    .accumulated = true, .buckets = bounds, .nbuckets = COUNT(bounds),
	    .help = "Time that things took." },
	[CONNECTS] = { .name = FAKE "_connects", .type = GAUGE, .help = "Connections made." },
	[VISITS] = { .name = FAKE "_visits", .type = GAUGE, .help = "Collections that were kept." },
};
static const struct metric state_metrics[] = {
	{ .name = FAKE "_state_ratio", .type = GAUGE, .unit = "ratio", .source = "ratio", .scale = 0.01,
	    .help = "A ratio that came as per cent." },
};
static const char *const kinds[] = { "one", "two", NULL };
static const struct label labels[] = { { "name", NULL }, { "kind", kinds } };
static const struct group groups[] = {
	{ .name = "counts", .about = "Counted.", .metrics = count_metrics, .nmetrics = COUNT(count_metrics) },
	{ .name = "states", .about = "Read.", .metrics = state_metrics, .nmetrics = COUNT(state_metrics),
	    .labels = labels, .nlabels = COUNT(labels), .max_rows = 10 },
};
static const struct option options[] = {
	{ "address", NULL, "Where it is.", offsetof(struct fake_conf, address), 0, 0, OPT_ADDRESS, true },
	{ "script", NULL, "File with the word.", offsetof(struct fake_conf, script), 0, 0, OPT_STRING, false },
	{ "password", NULL, "A secret.", offsetof(struct fake_conf, password), 0, 0, OPT_SECRET, false },
	{ "step", "1", "What is added at every scrape.", offsetof(struct fake_conf, step), 0, 100, OPT_INT, false },
};
/* clang-format on */

static void
read_word(const struct fake_conf *conf, char word[static 32])
{
	FILE *f = conf->script == NULL ? NULL : fopen(conf->script, "re");

	if (f == NULL || fscanf(f, "%31s", word) != 1)
		strcpy(word, "good"); /* fits */
	if (f != NULL)
		fclose(f);
}

static enum outcome
fake_connect(struct scrape *sc)
{
	struct fake_state *st = sc->state;
	char word[32];

	read_word(sc->conf, word);
	if (strcmp(word, "refuse") == 0)
		return fail(LOST, sc, "refused by the fake");
	st->connects++;
	return DONE;
}

static void
fake_disconnect(struct scrape *sc)
{
	(void)sc;
}

static void
add_row(struct sink *sink, const char *name, size_t len, const char *kind, double value)
{
	row(sink, (struct text[]){ { name, len }, text_of(kind) });
	put(sink, &state_metrics[0], value);
}

static void
add_states(struct sink *sink, const char *word)
{
	int rows = strcmp(word, "flood") == 0 ? 1000 : strcmp(word, "heavy") == 0 ? 40000 : 0;
	char text[400];

	for (int i = 0; i < rows; i++)
		add_row(sink, text, (size_t)snprintf(text, sizeof text, "n%d", i), "one", i);
	if (strcmp(word, "hostile") == 0) {
		memset(text, 'x', sizeof text);
		add_row(sink, text, sizeof text, "one", 1);
		add_row(sink, text, sizeof text - 1, "one", 2); /* the same once cut */
		add_row(sink, "\"\\\n\xff\0z", 6, "three", 3);
	}
	add_row(sink, "a", 1, "one", 50);
	add_row(sink, "b", 1, "two", 12.5);
	put_text(sink, metric_by_source(&groups[1], TEXT("ratio")), TEXT("not a number"));
}

static void
add_counts(struct scrape *sc)
{
	const struct fake_conf *conf = sc->conf;
	struct fake_state *st = sc->state;

	char text[32];

	if (st->visits == 0)
		text_integer(sc->kept, &st->visits);
	int len = snprintf(text, sizeof text, "%lld", (long long)++st->visits);
	keep(sc, (struct text){ text, (size_t)len });
	st->total += (double)conf->step;
	histogram_observe(&st->seconds, &count_metrics[SECONDS], 0.75, 1);
	row(sc->sink, NULL);
	put(sc->sink, &count_metrics[TOTAL], st->total);
	put_histogram(sc->sink, &count_metrics[SECONDS], &st->seconds);
	put(sc->sink, &count_metrics[CONNECTS], (double)st->connects);
	put(sc->sink, &count_metrics[VISITS], (double)st->visits);
}

static enum outcome
fake_collect(struct scrape *sc, const struct group *g)
{
	struct fake_state *st = sc->state;
	char word[32];

	read_word(sc->conf, word);
	if (strcmp(word, "slow") == 0)
		poll(NULL, 0, 300);
	if (strcmp(word, "block") == 0)
		poll(NULL, 0, left_ms(sc->until) + 1000);
	if (strcmp(word, "abort-once") == 0)
		unlink(((const struct fake_conf *)sc->conf)->script);
	if (strncmp(word, "abort", 5) == 0)
		abort();
	if (strcmp(word, "expire") == 0) {
		poll(NULL, 0, left_ms(sc->until));
		return fail(LOST, sc, "no answer in time");
	}
	if (strcmp(word, "lost") == 0)
		return fail(LOST, sc, "the fake hung up");
	if (strcmp(word, "stale") == 0 && !st->was_stale) {
		st->was_stale = true;
		return fail(LOST, sc, "the connection had died");
	}
	if (g == &groups[0])
		add_counts(sc);
	else if (strcmp(word, "failed") == 0)
		return fail(FAILED, sc, "states failed");
	else if (strcmp(word, "absent") == 0)
		return fail(ABSENT, sc, "this server has no states: install some");
	else
		add_states(sc->sink, word);
	return DONE;
}

const struct collector collector = {
	COLLECTOR_HEAD,
	.name = FAKE,
	.about = "A collector for tests.",
	.groups = groups,
	.ngroups = COUNT(groups),
	.options = options,
	.noptions = COUNT(options),
	.conf_size = sizeof(struct fake_conf),
	.state_size = sizeof(struct fake_state),
	.connect = fake_connect,
	.collect = fake_collect,
	.disconnect = fake_disconnect,
};
