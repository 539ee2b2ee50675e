/*
 * frame.c - whole frames over a stream socket.
 */
#include "frame.h"

#include <errno.h>
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
	const char *at = out->ptr;
	size_t left = out->len;
	bool good = buf_ok(out);
	/* Only the first piece may be refused for want of room: half a frame
	 * would be nonsense to the other side. */
	int flags = MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT);

	while (good && left > 0) {
		ssize_t sent = send(fd, at, left, flags);
		if (sent < 0 && errno == EINTR)
			continue;
		good = sent >= 0;
		at += good ? sent : 0;
		left -= good ? (size_t)sent : 0;
		flags = MSG_NOSIGNAL;
	}
	buf_reset(out);
	return good;
}

/* Sees to it that len bytes of the next frame are there. */
static bool
have(struct frame_reader *r, size_t len)
{
	struct buf *b = &r->bytes;

	while (b->len - r->at < len) {
		if (r->at > 0) {
			memmove(b->ptr, b->ptr + r->at, b->len - r->at);
			b->len -= r->at;
			r->at = 0;
		}
		size_t missing = len - b->len;
		size_t most = missing > READ_AT_ONCE ? missing : READ_AT_ONCE;
		char *room = buf_room(b, most);
		ssize_t n = room == NULL ? -1 : recv(r->fd, room, most, 0);
		if (n < 0 && room != NULL && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		b->len += (size_t)n;
	}
	return true;
}

bool
frame_read(struct frame_reader *r, struct frame *f, struct text *payload)
{
	if (!have(r, sizeof *f))
		return false;
	memcpy(f, r->bytes.ptr + r->at, sizeof *f);
	if (f->len > FRAME_MAX || !have(r, sizeof *f + f->len))
		return false;
	*payload = (struct text){ r->bytes.ptr + r->at + sizeof *f, f->len };
	r->at += sizeof *f + f->len;
	return true;
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
