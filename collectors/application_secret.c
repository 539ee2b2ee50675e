/*
 * application_secret.c - a server that was told a secret may say it again, in
 * its words for an error that go to the log and to people.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "application.h"

bool
application_tells_secret(const struct application_secrets *s, struct text words)
{
	return text_tells(words, s->token) || text_tells(words, s->password) ||
	       text_tells(words, s->basic) || text_tells(words, s->query);
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
