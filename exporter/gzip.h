/*
 * gzip.h - a whole body, compressed in one call.
 */
#ifndef EXPORTER_GZIP_H
#define EXPORTER_GZIP_H

#include <stdbool.h>

#include "buf.h"

/* Puts the compressed body in its place.  False: it is left as it is, since
 * there is no memory or it would not become smaller. */
bool gzip(struct buf *);

#endif
