/*
 * discovery.h - the page at /sd: every target as Prometheus' HTTP service
 * discovery reads it.
 */
#ifndef EXPORTER_DISCOVERY_H
#define EXPORTER_DISCOVERY_H

#include "fleet.h"

/*
 * An entry per target, in the order of the configuration:
 *
 *   {"targets":["exporter1:10071"],"labels":{"__metrics_path__":"/probe",
 *    "__param_target":"cache","target":"cache","__meta_datatier_collector":"redis"}}
 *
 * host is the request's Host header: where Prometheus reached /sd it reaches
 * /probe, too.  One that is no HOST, HOST:PORT or [IPv6]:PORT is refused, for
 * any other address would be a guess.
 *
 * The label `target` comes from here and not from the page: so `up` has it, too,
 * without which those of all targets were one series; nothing is renamed to
 * exported_target; and a series is the same as by a scrape of everything.
 *
 * The HTTP status; body has the JSON, or one sentence where it is not 200.
 */
int discovery_page(const struct fleet *, const char *host, struct buf *body);

#endif
