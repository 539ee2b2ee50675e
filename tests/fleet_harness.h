/*
 * fleet_harness.h - a fleet of fake targets that do what they are told, and
 * what a scrape of them says.
 *
 * The program is its own worker: started with --worker it is one, as the
 * exporter is.  Its collectors lie in build/.../tests/collectors.
 */
#ifndef TESTS_FLEET_HARNESS_H
#define TESTS_FLEET_HARNESS_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../exporter/log.h"
#include "../exporter/plugin.h"
#include "../exporter/scrape.h"
#include "../exporter/worker.h"
#include "scratch_folder.h"

/* After ours: it defines fail as a macro. */
#include <cmocka.h>

static char              folder[SCRATCH_MAX];
static const char *const none[] = { NULL };

static inline void write_word(const char *target, const char *word)
{
	char path[SCRATCH_MAX + 64], temporary[SCRATCH_MAX + 72];

	snprintf(path, sizeof path, "%s/%s", folder, target);
	snprintf(temporary, sizeof temporary, "%s.new", path);
	FILE *f = fopen(temporary, "we");
	assert_non_null(f);
	fputs(word, f);
	fclose(f);
	assert_int_equal(rename(temporary, path), 0);
}

/* The collector of a target: "other" is another one, with a process of its own. */
static inline const char *kind_of(const char *name)
{
	return strncmp(name, "other", 5) == 0 ? "other" : "fake";
}

/* More goes into each target's settings. */
static inline struct fleet *new_fleet(const char *const *names, const char *more)
{
	struct buf text = BUF(1 << 20), faults = BUF(1 << 16), notes = BUF(1 << 16);

	buf_str(&text, "targets = (");
	for (size_t i = 0; names[i] != NULL; i++) {
		buf_printf(&text,
		    "%s{ collector = \"%s\"; name = \"%s\"; address = \"x\"; script = \"%s/%s\"; "
		    "%s }",
		    i > 0 ? ", " : "", kind_of(names[i]), names[i], folder, names[i], more);
	}
	buf_str(&text, ");");
	struct config *c = config_load_text(
	    "test", (struct text){ text.ptr, text.len }, plugin_load, &faults, &notes);
	struct fleet *f = c == NULL ? NULL : fleet_new(c, &faults);
	if (f == NULL)
		fail_msg("%.*s", (int)faults.len, faults.ptr);
	buf_free(&text);
	buf_free(&faults);
	buf_free(&notes);
	return f;
}

static inline struct fleet *start_fleet(const char *const *names, const char *more)
{
	for (size_t i = 0; names[i] != NULL; i++)
		write_word(names[i], "good");
	struct fleet *f = new_fleet(names, more);
	assert_true(fleet_start(f));
	return f;
}

static inline void end_fleet(struct fleet *f)
{
	fleet_stop(f);
	fleet_free(f);
}

/* The exposition of one scrape; the caller frees. */
static inline char *scrape(
    struct fleet *f, const char *const *targets, const char *const *groups, int ms)
{
	struct buf         body = BUF(1 << 22);
	struct http_scrape req = { targets, groups, deadline_in(ms * NS_PER_MS), false, false };

	assert_int_equal(scrape_run(f, &req, &body), 200);
	buf_char(&body, '\0');
	assert_true(buf_ok(&body));
	return body.ptr;
}

/* The value of the line that begins with series, or -1. */
static inline double value_of(const char *page, const char *series)
{
	size_t len = strlen(series);

	for (const char *line = page; line != NULL && *line != '\0';) {
		if (strncmp(line, series, len) == 0 && line[len] == ' ')
			return strtod(line + len + 1, NULL);
		line = strchr(line, '\n');
		line = line == NULL ? NULL : line + 1;
	}
	return -1;
}

static inline double scrape_value(struct fleet *f, const char *series)
{
	char  *page = scrape(f, none, none, 5000);
	double v = value_of(page, series);

	free(page);
	return v;
}

static inline size_t lines(const char *page)
{
	size_t n = 0;

	while ((page = strchr(page, '\n')) != NULL) {
		page++;
		n++;
	}
	return n;
}

static inline pid_t worker_pid(struct fleet *f)
{
	struct worker_stats s;

	worker_stats(f->workers[0], &s);
	return s.pid;
}

static inline int make_folder(void **state)
{
	(void)state;
	return !scratch_folder(folder);
}

static inline int remove_folder(void **state)
{
	static const char *const names[] = { "a", "b", "c", "other" };
	char                     path[SCRATCH_MAX + 64];
	(void)state;

	for (size_t i = 0; i < COUNT(names); i++) {
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		unlink(path);
	}
	return rmdir(folder);
}

static inline bool is_worker(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	return argc == 3 && strcmp(argv[1], "--worker") == 0;
}

#endif
