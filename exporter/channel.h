/*
 * channel.h - the parent's end of a worker's socket.  Any thread adds frames; one
 * at a time reads, and that one leads.
 */
#ifndef EXPORTER_CHANNEL_H
#define EXPORTER_CHANNEL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "frame.h"

struct channel {
	pthread_mutex_t sending; /* guards these two */
	int             fd;      /* -1: there is no process */
	struct buf      out;     /* frames that are not sent yet */

	pthread_mutex_t     reading; /* guards this one: whoever has it leads */
	struct frame_reader reader;  /* its fd is -1 where nothing more is to be read */

	atomic_int bell; /* wakes channel_watch; -1 until there was a descriptor for it */
};

void channel_init(struct channel *);
void channel_free(struct channel *);

/* Comes before open.  False: no descriptor is to be had for the bell, errno says why. */
bool channel_prepare(struct channel *);
void channel_open(struct channel *, int fd);
/* Only after the last read: closes the descriptor, forgets what was not sent. */
void channel_close(struct channel *);
/* Both sides see the end, the descriptor stays. */
void channel_hang_up(struct channel *);

/* False: there is no process, or no memory. */
bool channel_add(struct channel *, struct frame, struct text payload);
/* Sends what the socket has room for; what is left goes when it has, as
 * channel_watch will see. */
void channel_send(struct channel *);

/* Takes the lead: the descriptor to poll(2) for input, until channel_leave.  -1:
 * somebody else has it, or there is nothing to read. */
int  channel_lead(struct channel *);
void channel_leave(struct channel *);
enum channel_state { CHANNEL_MORE, CHANNEL_END, CHANNEL_NONSENSE };

/* Takes what has come, for who leads: each frame is given to take, which says
 * false of one that makes no sense.  But for MORE, nothing more will come. */
enum channel_state channel_read(struct channel *,
    bool (*take)(void *arg, const struct frame *, struct text payload), void *arg);

/* Waits for the bell, for the end of the process or, with lead, for input; sends
 * what was left over meanwhile.  The poll(2) events of the socket. */
short channel_watch(struct channel *, bool lead);
void  channel_ring(struct channel *);

#endif
