/*
 * frame.c - whole frames over a stream socket.
 */
#include "frame.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

enum { READ_AT_ONCE = 64 * 1024 };

void
frame_add(struct buf *out, struct frame f, struct text a, struct text b)
{
	if (a.len > FRAME_MAX || b.len > FRAME_MAX - a.len) {
		out->failed = true;
		return;
	}
	f.len = (uint32_t)(a.len + b.len);
	buf_add(out, &f, sizeof f);
	buf_text(out, a);
	buf_text(out, b);
}

bool
frame_send(int fd, struct buf *out, bool wait)
{
	const int flags = MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT);
	size_t at = 0;
	ssize_t sent = 0;

	while (buf_ok(out) && at < out->len && (sent >= 0 || errno == EINTR)) {
		sent = send(fd, out->ptr + at, out->len - at, flags);
		at += sent > 0 ? (size_t)sent : 0;
	}
	if (sent < 0 && !wait && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		memmove(out->ptr, out->ptr + at, out->len - at);
		out->len -= at;
		return true;
	}
	bool all = buf_ok(out) && at == out->len;
	buf_reset(out);
	return all;
}

/* Bytes of the next frame that are known to be missing: its head first. */
static size_t
missing(const struct frame_reader *r)
{
	size_t there = r->bytes.len - r->at, whole = sizeof(struct frame);
	struct frame f;

	if (there >= whole) {
		memcpy(&f, r->bytes.ptr + r->at, sizeof f);
		whole += f.len;
	}
	return whole > there ? whole - there : 0;
}

bool
frame_receive(struct frame_reader *r)
{
	struct buf *b = &r->bytes;
	size_t most = missing(r);
	ssize_t n;

	if (r->at > 0) {
		memmove(b->ptr, b->ptr + r->at, b->len - r->at);
		b->len -= r->at;
		r->at = 0;
	}
	if (most < READ_AT_ONCE)
		most = READ_AT_ONCE;
	char *room = buf_room(b, most);
	if (room == NULL)
		return false;
	do
		n = recv(r->fd, room, most, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		b->len += (size_t)n;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
}

int
frame_next(struct frame_reader *r, struct frame *f, struct text *payload)
{
	if (r->bytes.len - r->at < sizeof *f)
		return 0;
	memcpy(f, r->bytes.ptr + r->at, sizeof *f);
	if (f->len > FRAME_MAX)
		return -1;
	if (missing(r) > 0)
		return 0;
	*payload = (struct text){ r->bytes.ptr + r->at + sizeof *f, f->len };
	r->at += sizeof *f + f->len;
	return 1;
}

bool
frame_read(struct frame_reader *r, struct frame *f, struct text *payload)
{
	struct pollfd p = { .fd = r->fd, .events = POLLIN };
	int next;

	/* Who sleeps in recv() is also woken when the other side has read: not so in poll(). */
	while ((next = frame_next(r, f, payload)) == 0)
		if ((poll(&p, 1, -1) < 0 && errno != EINTR) || !frame_receive(r))
			return false;
	return next > 0;
}

void
frame_reader_free(struct frame_reader *r)
{
	buf_free(&r->bytes);
}

void
frame_put_string(struct buf *b, const char *s)
{
	uint32_t len = (uint32_t)strlen(s);

	buf_add(b, &len, sizeof len);
	buf_add(b, s, (size_t)len + 1);
}

const char *
frame_get_string(struct text *t)
{
	uint32_t len;

	if (t->len < sizeof len)
		return NULL;
	memcpy(&len, t->ptr, sizeof len);
	const char *s = t->ptr + sizeof len;
	if (t->len - sizeof len <= len || s[len] != '\0' || strlen(s) != len)
		return NULL;
	t->ptr = s + len + 1;
	t->len -= sizeof len + len + 1;
	return s;
}
