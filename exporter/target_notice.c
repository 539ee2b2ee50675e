/*
 * target_notice.c - what becomes of a target and of its groups, told once.
 */
#include "target_notice.h"

#include <string.h>

#include "log.h"

enum { LOG_AGAIN_S = 60 }; /* the same trouble in new words is news after this */

static bool
worth_saying(bool changed, bool new_words, int64_t *logged_at)
{
	int64_t now = clock_ns();

	if (!changed && !(new_words && now - *logged_at > LOG_AGAIN_S * NS_PER_S))
		return false;
	*logged_at = now;
	return true;
}

void
target_note_up(struct target *t, bool up, const char *why)
{
	bool changed = t->known ? t->up != up : !up;
	bool new_words = !up && strcmp(t->why, why) != 0;

	if (worth_saying(changed, new_words, &t->logged_at)) {
		if (up)
			log_event(LOG_INFO, t->name, "up again");
		else
			log_event(LOG_WARN, t->name, "down: %s", why);
	}
	t->known = true;
	t->up = up;
	text_clean(t->why, sizeof t->why, text_of(why));
}

/* What a server does not have is none, unless there is something to do about it. */
static bool
is_trouble(enum outcome outcome, const char *why)
{
	return why[0] != '\0' || (outcome != DONE && outcome != ABSENT);
}

void
target_note_group(struct target *t, struct group_state *g, enum outcome outcome, const char *why)
{
	const char *name = t->collector->groups[g - t->groups].name;
	bool trouble = is_trouble(outcome, why);
	bool was_trouble = g->asked && is_trouble(g->outcome, g->why);
	bool changed = was_trouble != trouble || (trouble && g->outcome != outcome);

	if (worth_saying(changed, trouble && strcmp(g->why, why) != 0, &g->logged_at)) {
		if (!trouble)
			log_event(LOG_INFO, t->name, "group %s: works again", name);
		else if (outcome == ABSENT)
			log_event(LOG_INFO, t->name, "group %s: not available: %s", name, why);
		else
			log_event(LOG_WARN, t->name, "group %s: %s", name,
			    why[0] != '\0' ? why : "failed");
	}
	g->asked = true;
	g->outcome = outcome;
	text_clean(g->why, sizeof g->why, text_of(why));
}
