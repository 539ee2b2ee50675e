/*
 * source.c - a scanner that knows just enough of libconfig's language to follow
 * strings, comments, brackets, numbers and @include.
 */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct segment { /* from this line of the text on */
	unsigned at;
	struct source_place place;
};

struct bracket {
	char closes;
	unsigned line;
};

struct scanner { /* one file */
	struct source *source;
	const char *file;
	const char *p, *end;
	unsigned line;
	unsigned depth;  /* of includes */
	bool line_start; /* only blanks since the line began */
	struct bracket open[SOURCE_NESTING_MAX];
	unsigned nopen;
};

static bool include(struct scanner *); /* scans a file from within a file */

static bool PRINTF(3, 4) fault(struct scanner *s, unsigned line, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(s->source->why, sizeof s->source->why, fmt, ap);
	va_end(ap);
	s->source->fault = (struct source_place){ s->file, line };
	return false;
}

/* What follows in the text is line `line` of this file. */
static void
begin_segment(struct scanner *s)
{
	struct source *source = s->source;
	struct segment *more = reallocarray(source->segments, source->nsegments + 1, sizeof *more);
	if (more == NULL) {
		source->text.failed = true;
		return;
	}
	source->segments = more;
	more[source->nsegments++] = (struct segment){ source->lines + 1, { s->file, s->line } };
}

static void
copy_char(struct scanner *s)
{
	if (*s->p == '\n') {
		s->line++;
		s->source->lines++;
	}
	buf_char(&s->source->text, *s->p++);
}

static void
copy_to(struct scanner *s, const char *end)
{
	while (s->p < end)
		copy_char(s);
}

static bool
begins(const struct scanner *s, const char *what)
{
	size_t len = strlen(what);
	return (size_t)(s->end - s->p) >= len && memcmp(s->p, what, len) == 0;
}

static bool
comment(struct scanner *s)
{
	unsigned line = s->line;
	if (!begins(s, "/*")) {
		const char *end = memchr(s->p, '\n', (size_t)(s->end - s->p));
		copy_to(s, end == NULL ? s->end : end);
		return true;
	}
	const char *end = memmem(s->p + 2, (size_t)(s->end - s->p - 2), "*/", 2);
	if (end == NULL)
		return fault(s, line, "this comment is never closed");
	copy_to(s, end + 2);
	return true;
}

static bool
string(struct scanner *s)
{
	unsigned line = s->line;
	for (const char *p = s->p + 1; p < s->end; p++) {
		if (*p == '\\')
			p++;
		else if (*p == '"') {
			copy_to(s, p + 1);
			return true;
		}
	}
	return fault(s, line, "the string that begins here is never closed");
}

static bool
open_bracket(struct scanner *s)
{
	if (s->nopen == SOURCE_NESTING_MAX)
		return fault(s, s->line, "brackets nested more than %d deep", SOURCE_NESTING_MAX);
	char closes = *s->p == '(' ? ')' : *s->p == '{' ? '}' : ']';
	s->open[s->nopen++] = (struct bracket){ closes, s->line };
	copy_char(s);
	return true;
}

static bool
close_bracket(struct scanner *s)
{
	if (s->nopen == 0)
		return fault(s, s->line, "'%c' closes nothing", *s->p);
	const struct bracket *last = &s->open[--s->nopen];
	if (last->closes != *s->p)
		return fault(s, s->line, "'%c' where the bracket of line %u needs '%c'", *s->p,
		    last->line, last->closes);
	copy_char(s);
	return true;
}

/* A whole number above the range of int gets the L that libconfig wants. */
static bool
number(struct scanner *s)
{
	static const char hex[] = "0123456789abcdefABCDEF";
	char digits[40] = "";
	const char *p = s->p;
	if (*p == '-' || *p == '+')
		p++;
	bool is_hex = s->end - p > 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X');
	p += is_hex ? 2 : 0;
	while (p < s->end && memchr(hex, *p, is_hex ? 22 : 10) != NULL)
		p++;
	bool whole = p == s->end || strchr(".eE", *p) == NULL;
	size_t len = (size_t)(p - s->p);
	if (whole && len < sizeof digits)
		memcpy(digits, s->p, len);
	errno = 0;
	long long value = strtoll(digits, NULL, is_hex ? 16 : 10);
	if (whole && (len >= sizeof digits || errno != 0))
		return fault(s, s->line, "a number that is too large");
	copy_to(s, p);
	bool marked = p < s->end && *p == 'L';
	if (whole && !marked && (value > INT_MAX || value < INT_MIN))
		buf_char(&s->source->text, 'L');
	while (s->p < s->end && strchr(".eE+-L0123456789", *s->p) != NULL)
		copy_char(s);
	return true;
}

static bool
is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '*';
}

static bool
token(struct scanner *s)
{
	char c = *s->p;
	if (c == '"')
		return string(s);
	if (c == '#' || begins(s, "//") || begins(s, "/*"))
		return comment(s);
	if (strchr("({[", c) != NULL)
		return open_bracket(s);
	if (strchr(")}]", c) != NULL)
		return close_bracket(s);
	if ((c >= '0' && c <= '9') || c == '-' || c == '+')
		return number(s);
	do
		copy_char(s);
	while (is_word_char(c) && s->p < s->end && is_word_char(*s->p));
	return true;
}

static bool
scan(struct scanner *s)
{
	begin_segment(s);
	while (s->p < s->end) {
		char c = *s->p;
		if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
			s->line_start = c == '\n' || s->line_start;
			copy_char(s);
			continue;
		}
		bool ok = s->line_start && begins(s, "@include") ? include(s) : token(s);
		if (!ok)
			return false;
		s->line_start = false;
	}
	if (s->nopen > 0)
		return fault(s, s->open[s->nopen - 1].line,
		    "a bracket that is opened here is never closed: '%c' is missing",
		    s->open[s->nopen - 1].closes);
	return true;
}

/* ---- files ---- */

static bool
read_all(struct scanner *s, int fd, struct buf *bytes)
{
	struct stat st;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return fault(s, s->line, "not a regular file");
	for (;;) {
		char *room = buf_room(bytes, 65536);
		ssize_t n = room == NULL ? 0 : read(fd, room, 65536);
		if (room == NULL)
			return fault(s, s->line, "larger than %d bytes", SOURCE_MAX);
		if (n < 0)
			return fault(s, s->line, "cannot read: %s", strerror(errno));
		if (n == 0)
			return true;
		bytes->len += (size_t)n;
	}
}

static bool
scan_text(struct scanner *s, struct text text)
{
	if (text_begins(text, "\xef\xbb\xbf"))
		text = (struct text){ text.ptr + 3, text.len - 3 };
	s->p = text.ptr;
	s->end = text.ptr + text.len;
	s->line = 1;
	s->line_start = true;
	const char *nul = text.len > 0 ? memchr(text.ptr, '\0', text.len) : NULL;
	for (const char *p = text.ptr; nul != NULL && p < nul; p++)
		s->line += *p == '\n';
	if (nul != NULL)
		return fault(s, s->line, "a NUL byte: not a configuration file");
	if (!scan(s))
		return false;
	if (!buf_ok(&s->source->text))
		return fault(s, s->line, "larger than %d bytes, all files together", SOURCE_MAX);
	return true;
}

static bool
scan_file(struct scanner *s)
{
	struct buf bytes = BUF(SOURCE_MAX + 65536);
	int fd = open(s->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fault(s, 0, "cannot open: %s", strerror(errno));
	bool ok = read_all(s, fd, &bytes) && scan_text(s, (struct text){ bytes.ptr, bytes.len });
	close(fd);
	buf_free(&bytes);
	return ok;
}

/* The path of an @include, from the folder of the file that it stands in. */
static const char *
included_path(const struct scanner *s, struct text name)
{
	const char *slash = strrchr(s->file, '/');
	if (text_begins(name, "/") || slash == NULL)
		return arena_copy(s->source->arena, name);
	size_t len = (size_t)(slash - s->file) + 1;
	char *path = arena_alloc(s->source->arena, len + name.len + 1, 1);
	memcpy(path, s->file, len);
	memcpy(path + len, name.ptr, name.len);
	return path;
}

/* The file could not be read at all: that is the fault of the line that names it. */
static bool
blame_include(struct scanner *s, const char *file)
{
	char words[sizeof s->source->why];
	memcpy(words, s->source->why, sizeof words);
	return fault(s, s->line, "@include of %.100s: %.100s", file, words);
}

/* @include "name" */
static bool
include(struct scanner *s)
{
	const char *p = s->p + strlen("@include");
	while (p < s->end && (*p == ' ' || *p == '\t'))
		p++;
	const char *name_end = p < s->end ? p + 1 : p;
	while (name_end < s->end && *name_end != '"' && *name_end != '\n')
		name_end++;
	if (p == s->end || *p != '"' || name_end == s->end || *name_end != '"')
		return fault(s, s->line, "write @include \"file\"");
	if (s->depth == SOURCE_INCLUDES_MAX)
		return fault(s, s->line, "files that include each other more than %d deep",
		    SOURCE_INCLUDES_MAX);
	struct text name = { p + 1, (size_t)(name_end - p - 1) };
	struct scanner inner = {
		.source = s->source, .file = included_path(s, name), .depth = s->depth + 1
	};
	if (!scan_file(&inner))
		return inner.line == 0 ? blame_include(s, inner.file) : false;
	buf_char(&s->source->text, '\n');
	s->source->lines++;
	s->p = name_end + 1;
	begin_segment(s);
	return true;
}

static bool
finish(struct source *source)
{
	buf_char(&source->text, '\0');
	return buf_ok(&source->text);
}

bool
source_read(struct source *source, struct arena *arena, const char *path)
{
	*source = (struct source){ .text = BUF(SOURCE_MAX + 1), .arena = arena };
	struct scanner s = { .source = source, .file = arena_copy(arena, text_of(path)) };
	return scan_file(&s) && finish(source);
}

bool
source_read_text(struct source *source, struct arena *arena, const char *name, struct text text)
{
	*source = (struct source){ .text = BUF(SOURCE_MAX + 1), .arena = arena };
	struct scanner s = { .source = source, .file = arena_copy(arena, text_of(name)) };
	return scan_text(&s, text) && finish(source);
}

void
source_free(struct source *source)
{
	buf_free(&source->text);
	free(source->segments);
	source->segments = NULL;
}

struct source_place
source_place(const struct source *source, unsigned n)
{
	struct source_place place = { "", 0 };
	for (size_t i = 0; i < source->nsegments && source->segments[i].at <= n; i++) {
		place = source->segments[i].place;
		place.line += n - source->segments[i].at;
	}
	return place;
}
