/*
 * target_notice.h - remembers how a target and its groups are, and logs one
 * line when that changes; a state that lasts is a metric.
 */
#ifndef EXPORTER_TARGET_NOTICE_H
#define EXPORTER_TARGET_NOTICE_H

#include "target.h"

/* The caller holds the target's lock. */
void target_note_up(struct target *, bool up, const char *why);
void target_note_group(struct target *, struct group_state *, enum outcome, const char *why);

#endif
