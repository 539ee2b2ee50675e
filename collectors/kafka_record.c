/*
 * kafka_record.c - what one record tells: its size, who sent it, how long it
 * took.  Nothing of it is kept.
 */
#include <math.h>
#include <string.h>

#include "kafka.h"
#include "kafka_reader.h"

enum { OVERHEAD = 70 }; /* bytes of a record besides, and of what carries it */

/* ---- headers ---- */

/* The magnitude says the unit: seconds have ten digits for three centuries. */
static double
in_seconds(double t)
{
	double size = fabs(t);

	return size >= 1e17 ? t / 1e9 : size >= 1e14 ? t / 1e6 : size >= 1e11 ? t / 1e3 : t;
}

bool
kafka_record_time(struct text value, double *seconds)
{
	double t;

	if (text_number(value, &t) && isfinite(t) && t > 0) {
		*seconds = in_seconds(t);
		return true;
	}
	if (value.len != 8)
		return false;
	uint64_t bits = 0;
	for (unsigned i = 0; i < 8; i++)
		bits = bits << 8 | (unsigned char)value.ptr[i];
	if (bits == 0 || bits > INT64_MAX)
		return false;
	*seconds = in_seconds((double)bits);
	return true;
}

static bool
header(const rd_kafka_headers_t *headers, const char *name, struct text *value)
{
	const void *bytes;
	size_t len;

	if (name == NULL ||
	    rd_kafka_header_get_last(headers, name, &bytes, &len) != RD_KAFKA_RESP_ERR_NO_ERROR ||
	    bytes == NULL)
		return false;
	*value = (struct text){ bytes, len };
	return true;
}

/* The last one is for all others. */
static unsigned
path_index(struct text path)
{
	static const char *const paths[KAFKA_PATHS - 1] = { DELIVERY_PATHS };
	unsigned i = 0;

	while (i < KAFKA_PATHS - 1 && !text_is(path, paths[i]))
		i++;
	return i;
}

/* From being sent until the producer of this record knew of the delivery. */
static void
take_delivery(
    struct kafka_reader *r, const rd_kafka_message_t *m, const rd_kafka_headers_t *headers)
{
	rd_kafka_timestamp_type_t type;
	int64_t stamp = rd_kafka_message_timestamp(m, &type);
	struct text sent, path = TEXT("");
	double at;

	if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || stamp <= 0 ||
	    !header(headers, r->conf->header_sent_at, &sent) || !kafka_record_time(sent, &at))
		return;
	header(headers, r->conf->header_delivery_path, &path);
	/* Clocks differ. */
	double took = fmax(0, (double)stamp / 1000 - at);
	histogram_observe(&r->deliveries.latency[path_index(path)], kafka_delivery_metric, took, 1);
	r->deliveries.number++;
}

static double
bytes_of(const rd_kafka_headers_t *headers)
{
	const char *name;
	const void *value;
	size_t len;
	double bytes = 0;

	for (size_t i = 0;
	     rd_kafka_header_get_all(headers, i, &name, &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR;
	     i++)
		bytes += (double)(strlen(name) + len);
	return bytes;
}

/* ---- records ---- */

static void
take_tailed(struct kafka_reader *r, struct kafka_read_topic *t, const rd_kafka_message_t *m)
{
	const long long bounds[KAFKA_OVERSIZED] = { r->conf->oversized_medium,
		r->conf->oversized_large, r->conf->oversized_huge };
	unsigned category = 0;

	histogram_observe(&t->tally.sizes, kafka_size_metric, (double)m->len, 1);
	while (category < KAFKA_OVERSIZED && (double)m->len > (double)bounds[category])
		category++;
	if (category > 0)
		t->tally.oversized[category - 1]++;
	if (m->key != NULL && users_add(&r->users, (struct text){ m->key, m->key_len }, t->id,
				  (uint64_t)r->conf->key_limit))
		r->high_rate_users++;
}

static void
take_sampled(struct kafka_sample *s, const rd_kafka_message_t *m, double bytes)
{
	histogram_observe(&s->sizes, kafka_size_metric, (double)m->len, 1);
	s->bytes += bytes;
	s->records++;
	s->done =
	    m->offset + 1 >= s->to || s->records >= s->wanted || s->bytes >= KAFKA_SAMPLE_BYTES_MAX;
}

static void
take_record(
    struct kafka_reader *r, struct kafka_read_topic *t, int32_t n, const rd_kafka_message_t *m)
{
	struct kafka_read_part *part = &t->parts[n];
	rd_kafka_headers_t *headers = NULL;
	double bytes = OVERHEAD + (double)m->len + (double)m->key_len;

	if (rd_kafka_message_headers(m, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
		bytes += bytes_of(headers);
	part->next = m->offset + 1;
	if (part->sample.active && m->offset >= part->sample.to) {
		part->sample.done = true;
		return;
	}
	t->tally.seen++;
	if (part->sample.active) {
		take_sampled(&part->sample, m, bytes);
		return;
	}
	kafka_reader_charge(r, bytes);
	take_tailed(r, t, m);
	if (headers != NULL)
		take_delivery(r, m, headers);
}

/* Said once, and again only when something else has come in between. */
static void
note_rights(struct kafka_read_topic *t, rd_kafka_resp_err_t err)
{
	if (err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
		t->denied = true;
	else if (err == RD_KAFKA_RESP_ERR_NO_ERROR || err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
		t->denied = false;
}

void
kafka_record(struct kafka_reader *r, rd_kafka_message_t *m)
{
	if (m->rkt == NULL)
		return;
	struct kafka_read_topic *t = kafka_reader_topic(r, rd_kafka_topic_name(m->rkt), 0);
	if (t == NULL || m->partition < 0 || m->partition >= t->n)
		return;
	struct kafka_read_part *part = &t->parts[m->partition];
	note_rights(t, m->err);
	/* What was on its way when reading went on elsewhere. */
	if (!part->assigned || part->sample.done)
		return;
	if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR && m->offset >= part->next)
		take_record(r, t, m->partition, m);
	else if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && part->sample.active)
		part->sample.done = true;
}
