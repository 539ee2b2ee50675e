/*
 * fleet.h - one configuration at work: its tables, its targets, its worker
 * processes.  A reload builds a new fleet; the old one stays until that stands.
 */
#ifndef EXPORTER_FLEET_H
#define EXPORTER_FLEET_H

#include "../config/config.h"
#include "registry.h"
#include "supervise.h"
#include "target.h"

struct fleet {
	struct config      *config;   /* owned */
	struct registry     registry; /* the collectors in use, and the exporter's own tables */
	struct target     **targets;  /* in the order of the configuration */
	size_t              ntargets;
	struct worker      *workers[REGISTRY_COLLECTORS_MAX];
	size_t              nworkers;
	/* Per worker the targets it has, as it numbers them. */
	struct target     **of_worker[REGISTRY_COLLECTORS_MAX];
	/* Of workers that were stopped: this fleet's, or before it has any, those
	 * of the fleet it inherits from. */
	struct worker_stats past[REGISTRY_COLLECTORS_MAX];
};

/* Checks the tables and makes the targets; starts nothing, takes over config
 * only when it succeeds.  NULL: faults has a line for each fault. */
struct fleet *fleet_new(struct config *, struct buf *faults);

/* Starts the worker processes; false: there are not threads enough, some targets are
 * down. */
bool fleet_start(struct fleet *);
void fleet_stop(struct fleet *); /* the processes; the targets stay */
void fleet_free(struct fleet *);

/* The counters of targets of the same name and collector go on, and those of
 * the workers.  Comes between the stop of the old and the start of the new. */
void fleet_inherit(struct fleet *, struct fleet *old);

struct target *fleet_find(const struct fleet *, const char *name);

#endif
