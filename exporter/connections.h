/*
 * connections.h - who is connected, how many from where, and for how long they
 * may stay in each phase.  A thread of its own shuts down what overstays: the
 * HTTP library only knows idle time, and one byte now and then is not idle.
 */
#ifndef EXPORTER_CONNECTIONS_H
#define EXPORTER_CONNECTIONS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "clock.h"

/*
 *            first byte ... last of the headers   handler    response sent
 *   NEW ----------------------------------------> BUSY -----> SENDING ---+
 *                                                   ^                    |
 *                                                   +------- IDLE <------+
 */
enum connection_phase {
	CONNECTION_NEW,  /* no request has been complete yet */
	CONNECTION_BUSY, /* the handler has it, and a deadline of its own */
	CONNECTION_SENDING,
	CONNECTION_IDLE,    /* up to the end of the headers of the next request */
	CONNECTION_CLOSING, /* shut down by us, not gone yet */
	CONNECTION_PHASES,
};

struct connection_limits {
	unsigned most, most_per_address;
	int64_t  phase[CONNECTION_PHASES]; /* ns; 0: no limit */
};

struct connections;
struct connection;

/* NULL: no memory or no thread. */
struct connections *connections_new(const struct connection_limits *);

/* Is there room for one more from this address?  Where there is not, the one
 * that has been idle longest (of that address, if it has too many) gives way. */
bool connections_admit(struct connections *, const struct sockaddr *);

/* Takes note of an admitted connection whose descriptor stays open until
 * connections_remove.  NULL: several came at once and this is one too many. */
struct connection *connections_add(struct connections *, int fd, const struct sockaddr *);
void               connections_remove(struct connections *, struct connection *);
void connection_enter(struct connections *, struct connection *, enum connection_phase);

/* Shuts down those that are not in the middle of something and waits for the
 * others until the deadline. */
void connections_drain(struct connections *, struct deadline);

/* All connections have been removed before. */
void connections_free(struct connections *);

#endif
