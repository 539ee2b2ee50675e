/*
 * kafka_select.c - which groups and topics are watched: those named, or those
 * that match one expression and not the other.
 */
#include <string.h>

#include "kafka.h"

static bool
make(regex_t *re, bool *has, const char *expression)
{
	*has = expression != NULL && expression[0] != '\0';
	return !*has || regcomp(re, expression, REG_EXTENDED | REG_NOSUB) == 0;
}

bool
kafka_select_make(
    struct kafka_select *s, const char *include, const char *exclude, const char *const *names)
{
	*s = (struct kafka_select){ .names = names };
	return make(&s->include, &s->has_include, include) &&
	       make(&s->exclude, &s->has_exclude, exclude);
}

bool
kafka_selected(const struct kafka_select *s, const char *name)
{
	if (s->names != NULL && s->names[0] != NULL) {
		for (size_t i = 0; s->names[i] != NULL; i++)
			if (strcmp(s->names[i], name) == 0)
				return true;
		return false;
	}
	if (s->has_include && regexec(&s->include, name, 0, NULL, 0) != 0)
		return false;
	return !s->has_exclude || regexec(&s->exclude, name, 0, NULL, 0) != 0;
}
