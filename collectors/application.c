/*
 * application.c - one scrape of a service that has a metrics page of its own:
 * the pages of all its instances are fetched and summed while they arrive, then
 * each group takes what is its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "application.h"

void
application_forget(struct application *a)
{
	application_fetch_close(a);
	for (unsigned i = 0; i < a->ninstances; i++)
		application_life_free(&a->instances[i].life, &a->plan);
	free(a->instances);
	application_addresses_free(a->addresses);
	application_plan_free(&a->plan);
	*a = (struct application){ 0 };
}

/* Once in a worker's life: what the options say, and memory for the sums. */
static enum outcome
make_ready(struct scrape *sc)
{
	struct application *a = sc->state;
	char why[WHY_MAX];

	if (a->ready)
		return DONE;
	int n = application_addresses_read(a->addresses, sc->conf, why);
	if (n <= 0 || !application_plan_make(&a->plan, sc->conf, why))
		return fail(LOST, sc, "%s", why);
	a->instances = calloc((size_t)n, sizeof *a->instances);
	if (a->instances == NULL)
		return fail(LOST, sc, "out of memory");
	a->ninstances = (unsigned)n;
	for (unsigned i = 0; i < a->ninstances; i++) {
		a->instances[i].address = a->addresses[i];
		if (!application_life_make(&a->instances[i].life, &a->plan))
			return fail(LOST, sc, "out of memory");
	}
	a->ready = true;
	return DONE;
}

static void
application_disconnect(struct scrape *sc)
{
	struct application *a = sc->state;

	if (a->ready)
		application_fetch_close(a);
	else
		application_forget(a);
}

/* Connects to nothing yet: that is libcurl's, address by address. */
static enum outcome
application_connect(struct scrape *sc)
{
	enum outcome outcome = make_ready(sc);

	if (outcome == DONE && !application_fetch_open(sc))
		outcome = fail(LOST, sc, "libcurl cannot be initialised");
	return outcome;
}

static enum outcome
application_ask(struct scrape *sc)
{
	application_fetch(sc);
	return DONE;
}

/* The first instance that is down, with the number of all of them. */
static const struct application_instance *
find_down(const struct application *a, unsigned *down)
{
	const struct application_instance *first = NULL;

	*down = 0;
	for (unsigned i = 0; i < a->ninstances; i++) {
		if (a->instances[i].up)
			continue;
		if (first == NULL)
			first = &a->instances[i];
		++*down;
	}
	return first;
}

/* Says what is wrong with the instances; the target is down when none is up. */
static enum outcome
judge(struct scrape *sc, const struct group *g)
{
	const struct application *a = sc->state;
	unsigned down;
	const struct application_instance *first = find_down(a, &down);

	if (down == 0 || (down < a->ninstances && g != APPLICATION_INSTANCES))
		return DONE;
	if (a->ninstances == 1)
		fail(FAILED, sc, "%s: %s", first->address.shown, first->why);
	else
		fail(FAILED, sc, "%u of %u instances are down; %s: %s", down, a->ninstances,
		    first->address.shown, first->why);
	/* Where the instances are asked for, what is known of each comes first. */
	return g == APPLICATION_INSTANCES ? FAILED : LOST;
}

static enum outcome
application_collect(struct scrape *sc, const struct group *g)
{
	enum outcome outcome = judge(sc, g);

	if (g == APPLICATION_INSTANCES)
		application_emit_instances(sc);
	else if (outcome == DONE && g == APPLICATION_ADDED)
		application_emit_added(sc);
	else if (outcome == DONE)
		application_emit_group(sc, g);
	return outcome;
}

const struct collector collector = {
	COLLECTOR_HEAD,
	.name = "application",
	.about = "A service's own metrics page, text 0.0.4 or OpenMetrics, over HTTP: its families "
		 "of the contract, summed over all other labels and over the instances; counters "
		 "begin at 0 when an instance is first read.",
	.groups = application_groups,
	.ngroups = APPLICATION_GROUPS,
	.options = application_options,
	.noptions = APPLICATION_OPTIONS,
	.conf_size = sizeof(struct application_conf),
	.state_size = sizeof(struct application),
	.check = application_check,
	.connect = application_connect,
	.ask = application_ask,
	.collect = application_collect,
	.disconnect = application_disconnect,
};
