/*
 * plugin.h - collectors are shared objects, found by name.
 */
#ifndef EXPORTER_PLUGIN_H
#define EXPORTER_PLUGIN_H

#include <stddef.h>

#include "collector.h"

/* Loads NAME.so once and for ever (libraries leave threads behind, so nothing
 * is ever unloaded).  NULL: why has one sentence. */
const struct collector *plugin_load(const char *name, char *why, size_t size);

/* All collectors that lie in the collectors' folder, by name; for the
 * references.  Returns how many of at most max were loaded; one that does not
 * load is left out with a line in the log. */
size_t plugin_load_all(const struct collector **list, size_t max);

/* The folder: "collectors" beside the program (a build tree) or
 * "../lib/datatier/collectors" from it (an installation, wherever it was
 * moved to), else the one set at build time. */
const char *plugin_folder(void);

#endif
