/*
 * keys.c - the file's own keys, as option tables.
 */
#include "keys.h"

/* clang-format off */
const struct option web_options[] = {
	{ .name = "listen", .type = OPT_LIST, .def = "[::]:10071",
	    .offset = offsetof(struct config, listen),
	    .help = "Addresses and ports to serve HTTP on; [::] is every address, IPv6 and IPv4." },
	{ .name = "telemetry_path", .type = OPT_STRING, .def = "/metrics",
	    .offset = offsetof(struct config, telemetry_path),
	    .help = "Path of the metrics." },
	{ 0 },
};
const struct option log_options[] = {
	{ .name = "level", .type = OPT_STRING, .def = "info",
	    .offset = offsetof(struct config, log_level),
	    .help = "Least level that is logged: debug, info, warn or error." },
	{ .name = "format", .type = OPT_STRING, .def = "logfmt",
	    .offset = offsetof(struct config, log_format),
	    .help = "Form of the lines: logfmt or json." },
	{ 0 },
};
const struct option target_options[] = {
	{ .name = "collector", .type = OPT_STRING, .required = true,
	    .offset = offsetof(struct target_keys, collector),
	    .help = "Kind of server." },
	{ .name = "name", .type = OPT_STRING, .required = true,
	    .offset = offsetof(struct target_keys, name),
	    .help = "Value of the label target; unique; letters, digits and _ . : -, at most 64." },
	{ .name = "enable", .type = OPT_LIST, .offset = offsetof(struct target_keys, enable),
	    .help = "Groups to collect that are off by default." },
	{ .name = "disable", .type = OPT_LIST, .offset = offsetof(struct target_keys, disable),
	    .help = "Groups not to collect." },
	{ .name = "every", .type = OPT_MAP, .min = 0, .max = 86400,
	    .offset = offsetof(struct target_keys, every),
	    .help = "Groups to read less often than they are asked for, with the least time between "
		    "two readings: { size = \"5m\"; }." },
	{ 0 },
};

/* clang-format on */

size_t
keys_count(const struct option *options)
{
	size_t n = 0;
	while (options[n].name != NULL)
		n++;
	return n;
}
