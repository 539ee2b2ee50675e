/*
 * log.c - logfmt or JSON lines on stderr.
 */
#include "log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"

enum {
	MESSAGE_MAX = 1024,
	LINE_MAX_BYTES = 4096, /* PIPE_BUF: a pipe that has room has it for all of a line */
};

static const char *const level_names[] = { "debug", "info", "warn", "error", NULL };
static const char *const format_names[] = { "logfmt", "json", NULL };
static atomic_int lowest = LOG_INFO, format; /* a reload sets them while others log */
static int patience_ms = -1;                 /* for room on stderr; -1: any time */

static bool
choose(atomic_int *choice, const char *const *names, const char *name)
{
	for (int i = 0; names[i] != NULL; i++)
		if (strcmp(names[i], name) == 0) {
			*choice = i;
			return true;
		}
	return false;
}

bool
log_set_level(const char *name)
{
	return choose(&lowest, level_names, name);
}

bool
log_set_format(const char *name)
{
	return choose(&format, format_names, name);
}

void
log_without_waiting(void)
{
	patience_ms = 0;
}

/* In quotes, with quotes and backslashes escaped; text is clean of control
 * characters, so this is a valid JSON string and a valid logfmt value. */
static void
add_quoted(struct buf *line, const char *text)
{
	buf_char(line, '"');
	for (const char *s = text; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			buf_char(line, '\\');
		buf_char(line, *s);
	}
	buf_char(line, '"');
}

static void
add_field(struct buf *line, const char *key, const char *value)
{
	bool json = format == 1;

	buf_printf(line,
	    json ? "%s\"%s\":" : "%s%s=", line->len == 0 ? (json ? "{" : "") : (json ? "," : " "),
	    key);
	if (!json && value[0] != '\0' && strpbrk(value, " =\"\\") == NULL)
		buf_str(line, value);
	else
		add_quoted(line, value);
}

void
log_event(enum log_level level, const char *target, const char *fmt, ...)
{
	char raw[MESSAGE_MAX], message[MESSAGE_MAX], time_text[40];
	struct buf line = BUF(LINE_MAX_BYTES);
	struct timespec ts;
	struct tm tm;
	va_list ap;

	if ((int)level < lowest)
		return;
	va_start(ap, fmt);
	vsnprintf(raw, sizeof raw, fmt, ap);
	va_end(ap);
	text_clean(message, sizeof message, text_of(raw));
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	size_t n = strftime(time_text, sizeof time_text, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(time_text + n, sizeof time_text - n, ".%03ldZ", ts.tv_nsec / 1000000);

	add_field(&line, "ts", time_text);
	add_field(&line, "level", level_names[level]);
	if (target != NULL)
		add_field(&line, "target", target);
	add_field(&line, "msg", message);
	buf_str(&line, format == 1 ? "}\n" : "\n");
	/* One write, so that lines of several processes do not mix.  Where stderr
	 * is gone, or its reader stands still, there is nobody left to tell. */
	struct pollfd room = { .fd = STDERR_FILENO, .events = POLLOUT };
	if (buf_ok(&line) && poll(&room, 1, patience_ms) > 0 && (room.revents & POLLOUT) != 0 &&
	    write(STDERR_FILENO, line.ptr, line.len) < 0)
		(void)0;
	buf_free(&line);
}
