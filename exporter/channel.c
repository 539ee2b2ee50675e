/*
 * channel.c - see channel.h.
 */
#include "channel.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

enum { OUT_MAX = 1 << 20 }; /* bytes: a kick for every target there may be, and more */

void
channel_init(struct channel *c)
{
	*c = (struct channel){ .fd = -1, .out = BUF(OUT_MAX), .reader = FRAME_READER(-1) };
	pthread_mutex_init(&c->sending, NULL);
	pthread_mutex_init(&c->reading, NULL);
	atomic_init(&c->bell, -1);
}

void
channel_free(struct channel *c)
{
	if (c->bell >= 0)
		close(c->bell);
	buf_free(&c->out);
	frame_reader_free(&c->reader);
	pthread_mutex_destroy(&c->sending);
	pthread_mutex_destroy(&c->reading);
}

/* Both ends of one descriptor. */
static void
set_fd(struct channel *c, int fd)
{
	pthread_mutex_lock(&c->reading);
	frame_reader_free(&c->reader);
	c->reader = FRAME_READER(fd);
	pthread_mutex_unlock(&c->reading);
	pthread_mutex_lock(&c->sending);
	c->fd = fd;
	buf_reset(&c->out);
	pthread_mutex_unlock(&c->sending);
}

bool
channel_prepare(struct channel *c)
{
	if (c->bell < 0)
		c->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return c->bell >= 0;
}

void
channel_open(struct channel *c, int fd)
{
	set_fd(c, fd);
}

void
channel_close(struct channel *c)
{
	int fd = c->fd;

	set_fd(c, -1);
	close(fd);
}

void
channel_hang_up(struct channel *c)
{
	pthread_mutex_lock(&c->sending);
	if (c->fd >= 0)
		shutdown(c->fd, SHUT_RDWR);
	pthread_mutex_unlock(&c->sending);
}

void
channel_ring(struct channel *c)
{
	eventfd_write(c->bell, 1);
}

/* ---- sending ---- */

bool
channel_add(struct channel *c, struct frame f, struct text payload)
{
	pthread_mutex_lock(&c->sending);
	size_t before = c->out.len;
	bool there = c->fd >= 0;
	if (there)
		frame_add(&c->out, f, payload, TEXT(""));
	bool good = buf_ok(&c->out);
	if (!good) {
		c->out.len = before; /* those that were added before are whole */
		c->out.failed = false;
	}
	pthread_mutex_unlock(&c->sending);
	return there && good;
}

void
channel_send(struct channel *c)
{
	pthread_mutex_lock(&c->sending);
	/* Who is gone says so where he is read from. */
	if (c->fd >= 0 && c->out.len > 0 && !frame_send(c->fd, &c->out, false))
		buf_reset(&c->out);
	bool left = c->out.len > 0;
	pthread_mutex_unlock(&c->sending);
	if (left)
		channel_ring(c);
}

/* ---- reading ---- */

int
channel_lead(struct channel *c)
{
	if (pthread_mutex_trylock(&c->reading) != 0)
		return -1;
	if (c->reader.fd >= 0)
		return c->reader.fd;
	pthread_mutex_unlock(&c->reading);
	return -1;
}

void
channel_leave(struct channel *c)
{
	pthread_mutex_unlock(&c->reading);
}

enum channel_state
channel_read(struct channel *c, bool (*take)(void *arg, const struct frame *, struct text payload),
    void *arg)
{
	struct text payload;
	struct frame f;
	bool more = frame_receive(&c->reader);
	int next;

	while ((next = frame_next(&c->reader, &f, &payload)) > 0)
		if (!take(arg, &f, payload))
			break;
	if (more && next == 0)
		return CHANNEL_MORE;
	shutdown(c->reader.fd, SHUT_RDWR); /* who watches sees the end, too */
	c->reader.fd = -1;
	return next == 0 ? CHANNEL_END : CHANNEL_NONSENSE;
}

short
channel_watch(struct channel *c, bool lead)
{
	pthread_mutex_lock(&c->sending);
	short events = c->out.len > 0 ? POLLOUT : 0;
	struct pollfd p[] = { { .fd = c->fd }, { .fd = c->bell, .events = POLLIN } };
	pthread_mutex_unlock(&c->sending);
	eventfd_t rings;

	p[0].events = (short)(lead ? events | POLLIN : events);
	if (poll(p, COUNT(p), -1) <= 0)
		return 0;
	eventfd_read(c->bell, &rings);
	if ((p[0].revents & POLLOUT) != 0)
		channel_send(c);
	return p[0].revents;
}
