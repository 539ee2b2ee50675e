/*
 * shared_metrics.h - families that more than one collector may have: they must
 * be declared alike, or the exporter does not start.
 */
#ifndef COLLECTORS_SHARED_METRICS_H
#define COLLECTORS_SHARED_METRICS_H

#define TOTAL_DELIVERY_NAME "message_total_delivery_latency_seconds"
#define TOTAL_DELIVERY_HELP "Time from sending a message to its delivery, in seconds."

#define DELIVERY_PATH_LABEL "delivery_path"
#define DELIVERY_PATHS      "direct", "queue_consumed", "broadcast"

#endif
