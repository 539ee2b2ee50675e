/*
 * frame.h - what the exporter and its worker processes say to each other over
 * a socketpair: a head, then len bytes.
 *
 *	parent                                worker
 *	TARGET (name, settings, kept)   --->  starts the target's thread
 *	KICK   (deadline, groups)       --->
 *	                                <---  KEEP (bytes for the next worker)
 *	                                <---  ROWS (outcome, why, records), one per group
 *	                                <---  DONE (up, seconds, why), ends the collection
 *
 * Payloads are written and read by the functions here and in sink.h only.
 */
#ifndef EXPORTER_FRAME_H
#define EXPORTER_FRAME_H

#include "buf.h"
#include "collector.h"

enum { FRAME_MAX = 17 << 20 }; /* bytes of a payload */

enum frame_type { FRAME_TARGET = 1, FRAME_KICK, FRAME_ROWS, FRAME_DONE, FRAME_KEEP };

struct frame {
	uint32_t len; /* of what follows */
	uint16_t type;
	uint16_t group;  /* ROWS: which of the collector's groups */
	uint32_t target; /* number in the order of the TARGET frames */
	uint32_t reserved;
	uint64_t ticket; /* KICK: of this collection; ROWS and DONE say it back */
};

struct kick {            /* payload of KICK */
	int64_t  until;  /* ns, CLOCK_MONOTONIC */
	uint64_t groups; /* bit i: the collector's group i */
};

struct done {       /* head of DONE's payload, why follows */
	int64_t ns; /* the collection took */
	bool    up;
};

/* Appends a frame with the payload a b; several may be sent at once. */
void frame_add(struct buf *, struct frame, struct text a, struct text b);

/* Sends what was added and empties the buffer; without wait, only as much as the
 * socket has room for, and the rest stays.  False: the other side is gone, or the
 * buffer had failed; it is empty then. */
bool frame_send(int fd, struct buf *, bool wait);

struct frame_reader { /* bytes from a socket, frame after frame */
	int        fd;
	struct buf bytes;
	size_t     at; /* where the next frame begins */
};
#define FRAME_READER(fd) ((struct frame_reader){ (fd), BUF(2 * FRAME_MAX), 0 })

/* Takes what the socket has, without waiting.  False: the other side is gone, or
 * memory is. */
bool frame_receive(struct frame_reader *);
/* The next of what was received, 1; its payload is valid until more is received.
 * 0: it is not all there yet, -1: it makes no sense. */
int  frame_next(struct frame_reader *, struct frame *, struct text *payload);
/* Both, and waits.  False: the other side is gone or sent nonsense. */
bool frame_read(struct frame_reader *, struct frame *, struct text *payload);
void frame_reader_free(struct frame_reader *);

/* Strings within a payload: u32 length, bytes, NUL; so that they can be used
 * in place.  get: NULL when the payload does not hold one. */
void        frame_put_string(struct buf *, const char *);
const char *frame_get_string(struct text *payload);

#endif
