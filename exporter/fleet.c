/*
 * fleet.c - from a configuration to running workers.
 */
#include "fleet.h"

#include <stdlib.h>
#include <string.h>

#include "self.h"

static bool
build_registry(struct fleet *f, struct buf *faults)
{
	const struct collector **list = calloc(f->config->ntargets + 1, sizeof *list);
	size_t n = 0;

	if (list == NULL)
		return false;
	for (size_t i = 0; i < f->config->ntargets; i++)
		list[n++] = f->config->targets[i].collector;
	list[n++] = &self_collector;
	bool good = registry_build(&f->registry, list, n, faults);
	free(list);
	return good;
}

/* The targets of one collector. */
static uint32_t
list_targets(struct fleet *f, const struct collector *c, struct target **list)
{
	uint32_t n = 0;

	for (size_t i = 0; i < f->ntargets; i++)
		if (f->targets[i]->collector == c)
			list[n++] = f->targets[i];
	return n;
}

static bool
make_workers(struct fleet *f)
{
	for (unsigned c = 0; c < f->registry.ncollectors; c++) {
		const struct collector *used = f->registry.collectors[c];
		struct target **list = calloc(f->ntargets + 1, sizeof *list);
		if (list == NULL)
			return false;
		uint32_t n = list_targets(f, used, list);
		if (n == 0) { /* the exporter's own tables */
			free(list);
			continue;
		}
		f->of_worker[f->nworkers] = list;
		f->workers[f->nworkers] = worker_new(used, list, n);
		if (f->workers[f->nworkers] == NULL)
			return false;
		f->nworkers++;
	}
	return true;
}

struct fleet *
fleet_new(struct config *config, struct buf *faults)
{
	struct fleet *f = calloc(1, sizeof *f);

	if (f == NULL)
		return NULL;
	f->config = config;
	f->targets = calloc(config->ntargets + 1, sizeof *f->targets);
	bool good = f->targets != NULL && build_registry(f, faults);
	for (size_t i = 0; good && i < config->ntargets; i++) {
		f->targets[i] = target_new(&config->targets[i]);
		good = f->targets[i] != NULL;
		f->ntargets += good;
	}
	if (!good || !make_workers(f)) {
		f->config = NULL;
		fleet_free(f);
		return NULL;
	}
	return f;
}

static struct worker_stats
past_of(const struct worker_stats *past, const struct collector *c)
{
	for (size_t i = 0; i < REGISTRY_COLLECTORS_MAX && past[i].collector != NULL; i++)
		if (strcmp(past[i].collector, c->name) == 0)
			return past[i];
	return (struct worker_stats){ 0 };
}

bool
fleet_start(struct fleet *f)
{
	bool good = true;

	for (size_t i = 0; i < f->nworkers; i++) {
		struct worker_stats past = past_of(f->past, f->of_worker[i][0]->collector);
		good = worker_start(f->workers[i], &past) && good;
	}
	return good;
}

void
fleet_stop(struct fleet *f)
{
	memset(f->past, 0, sizeof f->past);
	for (size_t i = 0; i < f->nworkers; i++)
		worker_stop(f->workers[i], &f->past[i]);
}

void
fleet_free(struct fleet *f)
{
	for (size_t i = 0; i < f->nworkers; i++)
		worker_free(f->workers[i]);
	for (size_t i = 0; i < f->ntargets; i++)
		target_free(f->targets[i]);
	for (size_t i = 0; i < COUNT(f->of_worker); i++)
		free(f->of_worker[i]);
	free(f->targets);
	registry_free(&f->registry);
	config_free(f->config);
	free(f);
}

struct target *
fleet_find(const struct fleet *f, const char *name)
{
	for (size_t i = 0; i < f->ntargets; i++)
		if (strcmp(f->targets[i]->name, name) == 0)
			return f->targets[i];
	return NULL;
}

void
fleet_inherit(struct fleet *f, struct fleet *old)
{
	memcpy(f->past, old->past, sizeof f->past);
	for (size_t i = 0; i < f->ntargets; i++) {
		struct target *t = fleet_find(old, f->targets[i]->name);
		if (t != NULL && t->collector == f->targets[i]->collector)
			target_inherit(f->targets[i], t);
	}
}
