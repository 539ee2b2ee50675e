/*
 * status.h - the page at "/": every target, up or why not, for people.
 */
#ifndef EXPORTER_STATUS_H
#define EXPORTER_STATUS_H

#include "fleet.h"

void status_page(struct fleet *, const char *telemetry_path, struct buf *);

#endif
