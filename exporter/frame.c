/*
 * frame.c - whole frames over a stream socket.
 */
#include "frame.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Sends the parts whole.  Only the first piece may be refused for want of
 * room: half a frame would be nonsense to the other side. */
static bool
send_parts(int fd, struct iovec *part, size_t n, bool wait)
{
	int flags = MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT);

	while (n > 0) {
		struct msghdr msg = { .msg_iov = part, .msg_iovlen = n };
		ssize_t sent = sendmsg(fd, &msg, flags);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return false;
		flags = MSG_NOSIGNAL;
		size_t left = (size_t)sent;
		while (n > 0 && left >= part->iov_len) {
			left -= part->iov_len;
			part++;
			n--;
		}
		if (n > 0) {
			part->iov_base = (char *)part->iov_base + left;
			part->iov_len -= left;
		}
	}
	return true;
}

bool
frame_write(int fd, struct frame f, struct text a, struct text b, bool wait)
{
	if (a.len > FRAME_MAX || b.len > FRAME_MAX - a.len)
		return false;
	f.len = (uint32_t)(a.len + b.len);
	struct iovec part[] = {
		{ &f, sizeof f },
		{ (void *)(uintptr_t)a.ptr, a.len },
		{ (void *)(uintptr_t)b.ptr, b.len },
	};
	return send_parts(fd, part, COUNT(part), wait);
}

static bool
read_whole(int fd, void *out, size_t len)
{
	char *at = out;

	while (len > 0) {
		ssize_t n = recv(fd, at, len, MSG_WAITALL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

bool
frame_read(int fd, struct frame *f, struct buf *payload)
{
	buf_reset(payload);
	if (!read_whole(fd, f, sizeof *f) || f->len > FRAME_MAX)
		return false;
	char *room = buf_room(payload, f->len);
	if (room == NULL || !read_whole(fd, room, f->len))
		return false;
	payload->len = f->len;
	return true;
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
