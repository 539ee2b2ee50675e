/*
 * redis_load.c - reads of keys with known prefixes and known hit rates.
 *
 *	redis_load PORT RATE BATCH PREFIX=PERCENT...
 *
 * Writes 1000 keys of each prefix, says "ready", then reads RATE keys a second
 * (0: as fast as it goes) in pipelines of BATCH, the prefixes in turn at random,
 * PERCENT of each being there; until SIGTERM.  Then, for each prefix:
 * its name, the hits and the misses.
 */
#include <hiredis/hiredis.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KEYS = 1000, PREFIXES_MAX = 16, PAUSE_NS = 2000000 };

static struct prefix {
	char name[64];
	double rate;
	long long hits, misses;
} prefixes[PREFIXES_MAX];
static int nprefixes;
static volatile sig_atomic_t stop;

static void
on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static bool
take(redisContext *r, struct prefix *p)
{
	redisReply *reply;

	if (redisGetReply(r, (void **)&reply) != REDIS_OK)
		return false;
	if (p != NULL && reply->type == REDIS_REPLY_NIL)
		p->misses++;
	else if (p != NULL)
		p->hits++;
	freeReplyObject(reply);
	return true;
}

static bool
write_keys(redisContext *r)
{
	bool good = true;

	for (int i = 0; i < nprefixes; i++) {
		for (int k = 0; k < KEYS; k++)
			redisAppendCommand(r, "SET %s:%d %d", prefixes[i].name, k, k);
		for (int k = 0; good && k < KEYS; k++)
			good = take(r, NULL);
	}
	return good;
}

static bool
read_batch(redisContext *r, int batch, unsigned *seed)
{
	static int chosen[4096];
	bool good = true;

	for (int i = 0; i < batch; i++) {
		int n = chosen[i] = rand_r(seed) % nprefixes;
		bool there = rand_r(seed) / (1.0 + RAND_MAX) < prefixes[n].rate;
		redisAppendCommand(r, there ? "GET %s:%d" : "GET %s:none:%d", prefixes[n].name,
		    rand_r(seed) % KEYS);
	}
	for (int i = 0; good && i < batch; i++)
		good = take(r, &prefixes[chosen[i]]);
	return good;
}

static bool
work(redisContext *r, double rate, int batch)
{
	double begin = seconds(), reads = 0;
	unsigned seed = 1;
	bool good = true;

	while (good && !stop) {
		if (rate > 0 && reads > (seconds() - begin) * rate) {
			nanosleep(&(struct timespec){ 0, PAUSE_NS }, NULL);
			continue;
		}
		good = read_batch(r, batch, &seed);
		reads += batch;
	}
	return good;
}

static void
add_prefix(const char *word)
{
	const char *equal = strchr(word, '=');
	struct prefix *p = &prefixes[nprefixes];

	if (equal == NULL || nprefixes == PREFIXES_MAX)
		exit(2);
	snprintf(p->name, sizeof p->name, "%.*s", (int)(equal - word), word);
	p->rate = strtod(equal + 1, NULL) / 100;
	nprefixes++;
}

int
main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	for (int i = 4; i < argc; i++)
		add_prefix(argv[i]);
	int batch = argc < 5 ? 0 : (int)strtol(argv[3], NULL, 10);
	if (batch < 1 || batch > 4096) {
		fprintf(stderr, "usage: redis_load PORT RATE BATCH PREFIX=PERCENT...\n");
		return 2;
	}
	redisContext *r = redisConnect("127.0.0.1", (int)strtol(argv[1], NULL, 10));
	if (r == NULL || r->err != 0 || !write_keys(r))
		return 1;
	printf("ready\n");
	fflush(stdout);
	if (!work(r, strtod(argv[2], NULL), batch))
		return 1;
	for (int i = 0; i < nprefixes; i++)
		printf("%s %lld %lld\n", prefixes[i].name, prefixes[i].hits, prefixes[i].misses);
	redisFree(r);
	return 0;
}
