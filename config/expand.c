/*
 * expand.c - see expand.h.  A variable that is not set fails a longer string,
 * but a string that is nothing but that variable expands to nothing: so that an
 * environment file decides what is given at all.
 */
#include "expand.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../exporter/buf.h"

struct reference { /* what stands between ${ and } */
	char *name;
	const char *def; /* NULL: none */
	bool credential;
};

/* ---- secrets in files ---- */

static bool
read_secret(int fd, struct buf *out, const char **words)
{
	struct stat st;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		*words = "not a regular file";
		return false;
	}
	size_t before = out->len;
	for (;;) {
		char *room = buf_room(out, SECRET_FILE_MAX + 1);
		ssize_t n = room == NULL ? -1 : read(fd, room, SECRET_FILE_MAX + 1);
		if (n < 0) {
			*words = room == NULL ? "too large" : strerror(errno);
			return false;
		}
		if (n == 0)
			break;
		out->len += (size_t)n;
		if (out->len - before > SECRET_FILE_MAX) {
			*words = "too large for a secret";
			return false;
		}
	}
	if (out->len > before && out->ptr[out->len - 1] == '\n')
		out->len--;
	if (out->len > before && out->ptr[out->len - 1] == '\r')
		out->len--;
	*words = "it is empty";
	if (out->len == before)
		return false;
	*words = "it holds a NUL byte";
	return memchr(out->ptr + before, '\0', out->len - before) == NULL;
}

static bool
add_file(struct buf *out, const char *path, const char *what, char *why, size_t size)
{
	const char *words;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool ok = fd >= 0;
	if (ok) {
		ok = read_secret(fd, out, &words);
		close(fd);
	} else {
		words = strerror(errno);
	}
	if (!ok)
		snprintf(why, size, "%s: cannot use the file %s: %s", what, path, words);
	return ok;
}

static bool
add_credential(struct buf *out, const char *name, char *why, size_t size)
{
	char path[4096], what[160];
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	if (directory == NULL || *directory == '\0') {
		snprintf(why, size,
		    "${credential:%s}: CREDENTIALS_DIRECTORY is not set; the systemd unit needs "
		    "LoadCredential=%s:/path/to/file",
		    name, name);
		return false;
	}
	snprintf(what, sizeof what, "${credential:%.100s}", name);
	if ((size_t)snprintf(path, sizeof path, "%s/%s", directory, name) >= sizeof path) {
		snprintf(why, size, "%s: its path is too long", what);
		return false;
	}
	return add_file(out, path, what, why, size);
}

/* ---- one reference ---- */

static bool
is_name(struct text name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
	if (name.len == 0 || name.len > 100 || strchr(letters, name.ptr[0]) == NULL)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (strchr(letters, name.ptr[i]) == NULL &&
		    strchr("0123456789", name.ptr[i]) == NULL)
			return false;
	return true;
}

static bool
is_credential_name(struct text name)
{
	if (name.len == 0 || name.len > 100 || name.ptr[0] == '.')
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!is_name((struct text){ name.ptr + i, 1 }) &&
		    strchr("0123456789.-", name.ptr[i]) == NULL)
			return false;
	return true;
}

static bool
parse_reference(
    struct arena *arena, struct text inside, struct reference *r, char *why, size_t size)
{
	struct text rest = inside;
	*r = (struct reference){ 0 };
	if (text_begins(inside, "credential:")) {
		(void)text_cut(&rest, ':');
		r->credential = true;
		r->name = arena_copy(arena, rest);
		if (!is_credential_name(rest)) {
			snprintf(why, size, "${credential:NAME}: a name is letters, digits, _ . -");
			return false;
		}
		return true;
	}
	struct text name = text_cut(&rest, ':');
	r->name = arena_copy(arena, name);
	if (!is_name(name) || (rest.ptr != NULL && !text_begins(rest, "-"))) {
		snprintf(why, size,
		    "a variable is written ${NAME} or ${NAME:-default}, and ${ itself $${");
		return false;
	}
	if (rest.ptr != NULL)
		r->def = arena_copy(arena, (struct text){ rest.ptr + 1, rest.len - 1 });
	if (r->def != NULL && strstr(r->def, "${") != NULL) {
		snprintf(why, size, "the default of ${%s} cannot hold another variable", r->name);
		return false;
	}
	return true;
}

/* A variable, its _FILE, its default, in this order. */
static bool
add_variable(struct buf *out, const struct reference *r, bool alone, char *why, size_t size)
{
	char file_name[128];
	snprintf(file_name, sizeof file_name, "%.100s_FILE", r->name);
	const char *value = getenv(r->name), *path = getenv(file_name);
	if (value != NULL && *value != '\0') {
		buf_str(out, value);
		return true;
	}
	if (path != NULL && *path != '\0')
		return add_file(out, path, file_name, why, size);
	if (r->def != NULL) {
		buf_str(out, r->def);
		return true;
	}
	if (value != NULL || alone)
		return true;
	snprintf(
	    why, size, "the variable %s is not set; ${%s:-} would allow that", r->name, r->name);
	return false;
}

static bool
add_reference(struct arena *arena, struct buf *out, struct text inside, bool alone,
    struct expansion *e, char *why, size_t size)
{
	struct reference r;
	size_t before = out->len;
	if (!parse_reference(arena, inside, &r, why, size))
		return false;
	bool ok = r.credential ? add_credential(out, r.name, why, size)
			       : add_variable(out, &r, alone, why, size);
	if (ok && out->len == before && e->empty == NULL)
		e->empty = r.name;
	e->foreign = true;
	return ok;
}

static bool
expand_into(struct arena *arena, struct buf *out, const char *raw, struct expansion *e, char *why,
    size_t size)
{
	for (const char *p = raw; *p != '\0';) {
		if (p[0] == '$' && p[1] == '$') {
			buf_char(out, '$');
			p += 2;
			continue;
		}
		if (p[0] != '$' || p[1] != '{') {
			buf_char(out, *p++);
			continue;
		}
		const char *end = strchr(p, '}');
		if (end == NULL) {
			snprintf(why, size, "${ without its }; ${ itself is written $${");
			return false;
		}
		bool alone = p == raw && end[1] == '\0';
		struct text inside = { p + 2, (size_t)(end - p - 2) };
		if (!add_reference(arena, out, inside, alone, e, why, size))
			return false;
		p = end + 1;
	}
	return true;
}

bool
expand(struct arena *arena, const char *raw, struct expansion *e, char *why, size_t size)
{
	struct buf out = BUF(EXPANDED_MAX);
	*e = (struct expansion){ .value = "" };
	bool ok = expand_into(arena, &out, raw, e, why, size);
	if (ok && !buf_ok(&out)) {
		snprintf(why, size, "longer than %d bytes when expanded", EXPANDED_MAX);
		ok = false;
	}
	if (ok) {
		e->value = arena_copy(arena, (struct text){ out.ptr, out.len });
		if (out.len > 0)
			e->empty = NULL;
	}
	buf_free(&out);
	return ok;
}
