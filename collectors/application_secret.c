/*
 * application_secret.c - a server that was told a secret may say it again, in
 * its words for an error that go to the log and to people.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "application.h"

enum {
	RUN = 8,   /* bytes of a secret, one after another, that are not shown */
	SHORT = 4, /* shorter ones are found in any words */
};

static bool
shares_run(struct text words, const char *secret)
{
	size_t len = secret != NULL ? strlen(secret) : 0, run = len < RUN ? len : RUN;

	for (size_t i = 0; run >= SHORT && i + run <= len; i++)
		if (memmem(words.ptr, words.len, secret + i, run) != NULL)
			return true;
	return false;
}

bool
application_tells_secret(const struct application_secrets *s, struct text words)
{
	return shares_run(words, s->token) || shares_run(words, s->password) ||
	       shares_run(words, s->basic) || shares_run(words, s->query);
}

/* As they stand in the header of basic authentication. */
char *
application_basic(const char *username, const char *password)
{
	static const char letters[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *plain, *made = NULL;
	int len = asprintf(&plain, "%s:%s", username, password);

	if (len < 0)
		return NULL;
	made = calloc((size_t)len / 3 + 2, 4);
	for (int i = 0; made != NULL && i < len; i += 3) {
		unsigned bits = (unsigned)(unsigned char)plain[i] << 16;
		if (i + 1 < len)
			bits |= (unsigned)(unsigned char)plain[i + 1] << 8;
		if (i + 2 < len)
			bits |= (unsigned char)plain[i + 2];
		for (int k = 0; k < 4; k++)
			made[i / 3 * 4 + k] =
			    i + k > len ? '=' : letters[bits >> (18 - 6 * k) & 63];
	}
	explicit_bzero(plain, (size_t)len);
	free(plain);
	return made;
}
