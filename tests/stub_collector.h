/*
 * A collector with an option of every type, for tests of the configuration.
 */
#ifndef TESTS_STUB_COLLECTOR_H
#define TESTS_STUB_COLLECTOR_H

#include <stdio.h>
#include <string.h>

#include "../exporter/collector.h"

struct stub_conf {
	const char        *uri, *user, *password, *topics;
	long long          port;
	double             ratio;
	int64_t            timeout;
	bool               tls;
	const char *const *databases, *const *tags, *const *kafka;
};

/* clang-format off */
static const struct option stub_options[] = {
	{ .name = "uri", .type = OPT_ADDRESS, .required = true,
	    .offset = offsetof(struct stub_conf, uri), .help = "Where it is." },
	{ .name = "user", .type = OPT_STRING, .def = "monitor",
	    .offset = offsetof(struct stub_conf, user), .help = "As whom." },
	{ .name = "password", .type = OPT_SECRET,
	    .offset = offsetof(struct stub_conf, password), .help = "Its password." },
	{ .name = "topics", .type = OPT_REGEX, .def = "^a|b$",
	    .offset = offsetof(struct stub_conf, topics), .help = "Which | topics." },
	{ .name = "port", .type = OPT_INT, .def = "99", .min = 1, .max = 65535,
	    .offset = offsetof(struct stub_conf, port), .help = "Which port." },
	{ .name = "ratio", .type = OPT_NUMBER, .def = "0.5", .max = 1,
	    .offset = offsetof(struct stub_conf, ratio), .help = "How much." },
	{ .name = "timeout", .type = OPT_DURATION, .def = "5s", .min = 0.1, .max = 60,
	    .offset = offsetof(struct stub_conf, timeout), .help = "How long." },
	{ .name = "tls", .type = OPT_BOOL, .def = "yes",
	    .offset = offsetof(struct stub_conf, tls), .help = "Whether." },
	{ .name = "databases", .type = OPT_LIST, .def = "one, two,three",
	    .offset = offsetof(struct stub_conf, databases), .help = "Which databases." },
	{ .name = "tags", .type = OPT_LIST,
	    .offset = offsetof(struct stub_conf, tags), .help = "Which tags." },
	{ .name = "kafka", .type = OPT_MAP,
	    .offset = offsetof(struct stub_conf, kafka), .help = "Passed through." },
};
static const struct group stub_groups[] = {
	{ .name = "access", .about = "access()" },
	{ .name = "size", .about = "size()", .off = true },
	{ .name = "locks", .about = "locks()" },
};
/* clang-format on */

/* What a library might say, password included. */
static bool stub_check(const void *conf, char why[static WHY_MAX])
{
	const struct stub_conf *c = conf;
	if (strncmp(c->uri, "stub://", 7) == 0)
		return true;
	snprintf(why, WHY_MAX, "cannot read \"%.80s\" with password \"%.80s\"", c->uri,
	    c->password == NULL ? "" : c->password);
	return false;
}

static const struct collector stub = {
	COLLECTOR_HEAD,
	.name = "stub",
	.about = "Nothing at all.",
	.groups = stub_groups,
	.ngroups = COUNT(stub_groups),
	.options = stub_options,
	.noptions = COUNT(stub_options),
	.conf_size = sizeof(struct stub_conf),
	.check = stub_check,
};

static inline const struct collector *stub_find(const char *name, char *why, size_t size)
{
	if (strcmp(name, stub.name) == 0)
		return &stub;
	snprintf(why, size, "no collector \"%s\"", name);
	return NULL;
}

#endif
