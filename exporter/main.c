/*
 * main.c - arguments, start and stop in order, signals.
 */
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "discovery.h"
#include "flags.h"
#include "fleet.h"
#include "http.h"
#include "listen.h"
#include "log.h"
#include "plugin.h"
#include "scrape.h"
#include "self.h"
#include "status.h"
#include "worker.h"

enum main_limits {
	OUTPUT_MAX = 256 << 20, /* bytes of an exposition */
	MESSAGES_MAX = 1 << 20, /* bytes of all faults of a configuration */
	PROBE_SECONDS = 10,     /* a --probe takes at most */
	STATUS_SECONDS = 1,     /* pages that ask no target wait for a reload */
};

static struct flags flags;
static struct fleet *fleet;
/* Scrapes read the fleet, a reload writes it. */
static pthread_rwlock_t fleet_lock;
static atomic_bool serving;

/* ---- words ---- */

static void
print(FILE *f, const struct buf *b)
{
	if (b->len > 0)
		fwrite(b->ptr, 1, b->len, f);
	fflush(f);
}

static void
log_lines(enum log_level level, const struct buf *lines)
{
	struct text rest = { lines->ptr, lines->len };

	while (rest.len > 0) {
		struct text line = text_cut(&rest, '\n');
		if (line.len > 0)
			log_event(level, NULL, "%.*s", (int)line.len, line.ptr);
	}
}

static bool
set_log(const char *level, const char *format)
{
	bool good = true;

	if (level != NULL && !log_set_level(level)) {
		log_event(LOG_ERROR, NULL,
		    "--log.level, DATATIER_LOG_LEVEL: debug, info, warn or error, not \"%s\"",
		    level);
		good = false;
	}
	if (format != NULL && !log_set_format(format)) {
		log_event(LOG_ERROR, NULL,
		    "--log.format, DATATIER_LOG_FORMAT: logfmt or json, not \"%s\"", format);
		good = false;
	}
	/* Worker processes are to speak alike. */
	if (level != NULL)
		setenv("DATATIER_LOG_LEVEL", level, 1);
	if (format != NULL)
		setenv("DATATIER_LOG_FORMAT", format, 1);
	return good;
}

/* ---- configuration ---- */

/* A new fleet from the file; NULL: every fault has been logged. */
static struct fleet *
load_fleet(void)
{
	struct buf faults = BUF(MESSAGES_MAX), notes = BUF(MESSAGES_MAX);
	struct fleet *f = NULL;
	struct config *c = config_load(flags.config_file, plugin_load, &faults, &notes);

	if (c != NULL) {
		set_log(flags.log_level != NULL ? flags.log_level : c->log_level,
		    flags.log_format != NULL ? flags.log_format : c->log_format);
		f = fleet_new(c, &faults);
		if (f == NULL)
			config_free(c);
	}
	log_lines(LOG_INFO, &notes);
	log_lines(LOG_ERROR, &faults);
	if (f == NULL && faults.len == 0)
		log_event(LOG_ERROR, NULL, "out of memory");
	buf_free(&faults);
	buf_free(&notes);
	return f;
}

/* All or nothing: with any fault the running configuration stays. */
static void
reload(void)
{
	struct fleet *next = load_fleet();

	if (next == NULL) {
		log_event(
		    LOG_ERROR, NULL, "reload: the configuration has faults, the old one stays");
		return;
	}
	pthread_rwlock_wrlock(&fleet_lock); /* scrapes under way end first */
	struct fleet *old = fleet;
	fleet_stop(old);
	fleet_inherit(next, old);
	if (!fleet_start(next))
		log_event(LOG_ERROR, NULL, "reload: not all worker processes could be started");
	fleet = next;
	pthread_rwlock_unlock(&fleet_lock);
	fleet_free(old);
	log_event(LOG_INFO, NULL, "reload: %zu targets", next->ntargets);
}

/* ---- the site ---- */

/* A reload lets the scrapes under way end first, and holds up all others. */
static bool
hold_fleet(struct deadline until)
{
	struct timespec ts;
	int left = left_ms(until);

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += left / 1000;
	ts.tv_nsec += (long)(left % 1000) * NS_PER_MS;
	if (ts.tv_nsec >= NS_PER_S) {
		ts.tv_nsec -= NS_PER_S;
		ts.tv_sec++;
	}
	return pthread_rwlock_timedrdlock(&fleet_lock, &ts) == 0;
}

static const char being_read[] = "The configuration is being read again, try again later.";

static int
serve_scrape(const struct http_scrape *req, struct buf *body)
{
	if (!hold_fleet(req->until)) {
		buf_str(body, being_read);
		return 503;
	}
	int code = scrape_run(fleet, req, body);
	pthread_rwlock_unlock(&fleet_lock);
	return code;
}

static int
serve_discovery(const char *host, struct buf *body)
{
	if (!hold_fleet(deadline_in(STATUS_SECONDS * NS_PER_S))) {
		buf_str(body, being_read);
		return 503;
	}
	int code = discovery_page(fleet, host, body);
	pthread_rwlock_unlock(&fleet_lock);
	return code;
}

static const char *
telemetry_path(void)
{
	return flags.telemetry_path != NULL ? flags.telemetry_path : fleet->config->telemetry_path;
}

static void
serve_status(struct buf *body)
{
	if (!hold_fleet(deadline_in(STATUS_SECONDS * NS_PER_S))) {
		buf_str(body, "<!DOCTYPE html><title>datatier_exporter</title><p>The configuration "
			      "is being read again, scrapes under way end first.</p>");
		return;
	}
	status_page(fleet, telemetry_path(), body);
	pthread_rwlock_unlock(&fleet_lock);
}

static bool
is_serving(void)
{
	return serving;
}

/* Until a signal ends it. */
static void
handle_signals(const sigset_t *set)
{
	for (;;) {
		int sig = 0;
		sigwait(set, &sig);
		if (sig == SIGHUP)
			reload();
		else if (sig == SIGTERM || sig == SIGINT)
			return;
	}
}

static void
block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, set, NULL);
}

static bool
start_workers(void)
{
	bool good = fleet_start(fleet);

	if (!good)
		log_event(LOG_ERROR, NULL, "not all worker processes could be started");
	else if (fleet->ntargets == 0)
		log_event(LOG_WARN, NULL,
		    "no target to watch: set an address, for example DATATIER_POSTGRESQL_URI, and "
		    "restart");
	return good;
}

static struct http *
start_http(const struct http_site *site)
{
	char why[512];

	struct http *http = http_start(site, why, sizeof why);
	if (http == NULL)
		log_event(LOG_ERROR, NULL, "%s", why);
	for (size_t i = 0; http != NULL && site->listen[i] != NULL; i++)
		log_event(LOG_INFO, NULL, "listening on %s (port %u), metrics at %s",
		    site->listen[i], http_port(http, i), site->telemetry_path);
	return http;
}

/* A reload frees the configuration, but does not move the telemetry path. */
static const char *
kept_path(void)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof path, "%s", telemetry_path());
	return path;
}

static int
run(void)
{
	sigset_t set;
	struct http_site site = {
		.listen = flags.listen[0] != NULL ? flags.listen : fleet->config->listen,
		.telemetry_path = kept_path(),
		.scrape = serve_scrape,
		.discovery = serve_discovery,
		.status = serve_status,
		.ready = is_serving,
		.served = self_served,
	};

	block_signals(&set);
	log_without_waiting();
	/* Listening comes first, for that is what fails; who asks already waits
	 * for the workers. */
	pthread_rwlock_wrlock(&fleet_lock);
	struct http *http = start_http(&site);
	serving = http != NULL && start_workers();
	pthread_rwlock_unlock(&fleet_lock);
	if (http == NULL)
		return 1;
	site.listen = NULL; /* a reload frees it, and nobody needs it any more */
	bool served = serving;
	if (served)
		handle_signals(&set);
	serving = false;
	http_stop(http);
	fleet_stop(fleet);
	log_event(LOG_INFO, NULL, "stopped");
	return !served;
}

/* ---- other modes ---- */

static int
probe(void)
{
	static const char *const no_groups[] = { NULL };
	struct buf body = BUF(OUTPUT_MAX), reasons = BUF(MESSAGES_MAX);

	if (!start_workers() || fleet->ntargets == 0)
		return 1;
	struct http_scrape req = { .targets = flags.names,
		.groups = no_groups,
		.until = deadline_in(PROBE_SECONDS * NS_PER_S) };
	int down = scrape_probe(fleet, &req, &body, &reasons);
	print(down < 0 ? stderr : stdout, &body);
	print(stderr, &reasons);
	fleet_stop(fleet);
	buf_free(&body);
	buf_free(&reasons);
	return down != 0;
}

static int
print_metrics(const struct collector **list, size_t n)
{
	struct buf out = BUF(OUTPUT_MAX), faults = BUF(MESSAGES_MAX);
	struct registry r;

	list[n++] = &self_collector;
	bool good = registry_build(&r, list, n, &faults);
	if (good)
		registry_reference(&r, &out);
	registry_free(&r);
	print(good ? stdout : stderr, good ? &out : &faults);
	buf_free(&out);
	buf_free(&faults);
	return !good;
}

static int
print_options(const struct collector **list, size_t n)
{
	struct buf out = BUF(OUTPUT_MAX);

	config_reference(list, n, &out);
	flags_reference(&out);
	print(stdout, &out);
	buf_free(&out);
	return 0;
}

static int
print_reference(void)
{
	const struct collector *list[REGISTRY_COLLECTORS_MAX];
	size_t n = plugin_load_all(list, COUNT(list) - 1);

	return flags.metrics ? print_metrics(list, n) : print_options(list, n);
}

static int
print_help(void)
{
	struct buf out = BUF(MESSAGES_MAX);

	flags_help(&out);
	print(stdout, &out);
	buf_free(&out);
	return 0;
}

/* Short of descriptors the HTTP library spins; a soft limit is there for
 * programs that use select(2), which nothing here does. */
static void
raise_descriptor_limit(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < rl.rlim_max) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

/* The configuration's own are checked with it. */
static bool
check_web_flags(void)
{
	const char *path = flags.telemetry_path;
	bool good = path == NULL || path[0] == '/';

	if (!good)
		log_event(LOG_ERROR, NULL, "--web.telemetry-path: a path begins with /, not \"%s\"",
		    path);
	for (const char *const *a = flags.listen; *a != NULL; a++)
		if (!listen_is_address(*a)) {
			log_event(LOG_ERROR, NULL,
			    "--web.listen-address: expected HOST:PORT, such as \"[::]:10071\", "
			    "not \"%.300s\"",
			    *a);
			good = false;
		}
	return good;
}

static int
with_fleet(void)
{
	bool good = check_web_flags();

	fleet = load_fleet();
	if (fleet == NULL || !good)
		return 1;
	if (flags.check) {
		printf("%s: good, %zu targets\n", flags.config_file, fleet->ntargets);
		return 0;
	}
	return flags.probe ? probe() : run();
}

int
main(int argc, char **argv)
{
	pthread_rwlockattr_t fair;
	char why[256];
	(void)argc;

	signal(SIGPIPE, SIG_IGN);
	if (!flags_parse(&flags, argv, why, sizeof why)) {
		fprintf(stderr, "datatier_exporter: %s\n", why);
		return 1;
	}
	if (flags.help)
		return print_help();
	if (flags.version)
		return printf("datatier_exporter %s\n", VERSION) < 0;
	if (!set_log(flags.log_level, flags.log_format))
		return 1;
	if (flags.worker != NULL)
		return worker_main(flags.worker, WORKER_FD);
	if (flags.metrics || flags.options)
		return print_reference();
	/* A reload must not wait for a moment without any scrape. */
	pthread_rwlockattr_init(&fair);
	pthread_rwlockattr_setkind_np(&fair, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&fleet_lock, &fair);
	mallopt(M_ARENA_MAX, 4);
	raise_descriptor_limit();
	self_start();
	return with_fleet();
}
