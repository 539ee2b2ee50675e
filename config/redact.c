/*
 * redact.c - which bytes of an address are secret.  Two ways of writing one are
 * known, and where an address is not quite either, more is hidden, not less:
 *
 *   scheme://user:SECRET@host/path?password=SECRET&x=y
 *   host=h password='SECRET' x=y
 *
 * The password of the first ends at the last '@' of all, because people forget
 * to encode '/', '?' and '@'; that of the second before the next "word=".
 */
#include "options.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool
is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '-' || c == '%';
}

static bool
is_space(char c)
{
	return isspace((unsigned char)c) != 0;
}

/* "sslpassword", "sasl.password", "ssl_key_passphrase", "auth_token" ...  A name
 * with an encoded letter is not looked into: it counts as one of them. */
static bool
names_secret(struct text name)
{
	static const char *const parts[] = { "password", "passwd", "passphrase", "pwd", "secret",
		"token", "credential", "apikey", "api_key", "%" };
	char copy[64] = "";
	if (name.len >= sizeof copy)
		return true;
	memcpy(copy, name.ptr, name.len);
	for (size_t i = 0; i < COUNT(parts); i++)
		if (strcasestr(copy, parts[i]) != NULL)
			return true;
	return false;
}

/* The ':' behind the user's name up to the '@' before the host. */
static bool
password_of_user(const char *authority, struct text *secret)
{
	const char *at = strrchr(authority, '@');
	const char *colon = strchr(authority, ':');
	if (at == NULL || colon == NULL || colon > at)
		return false;
	*secret = (struct text){ colon + 1, (size_t)(at - colon - 1) };
	return true;
}

static const char *
end_of_quoted(const char *p)
{
	for (p++; *p != '\0' && *p != '\''; p++)
		if (*p == '\\' && p[1] != '\0')
			p++;
	return *p == '\'' ? p + 1 : p;
}

/* Does a "word =" stand here? */
static bool
at_keyword(const char *p)
{
	const char *start = p;
	while (is_word(*p))
		p++;
	if (p == start)
		return false;
	while (is_space(*p))
		p++;
	return *p == '=';
}

static const char *
end_of_value(const char *p, bool uri)
{
	if (uri)
		return p + strcspn(p, "&");
	if (*p == '\'')
		p = end_of_quoted(p);
	for (; *p != '\0'; p++) {
		if (!is_space(*p))
			continue;
		const char *next = p;
		while (is_space(*next))
			next++;
		if (*next == '\0' || at_keyword(next))
			return p;
	}
	return p;
}

/* The next "password=..." at or behind from. */
static bool
password_of_key(const char *address, const char *from, bool uri, struct text *secret)
{
	const char *equals = from;
	while ((equals = strchr(equals, '=')) != NULL) {
		const char *end = equals;
		while (end > address && is_space(end[-1]))
			end--;
		const char *start = end;
		while (start > address && is_word(start[-1]))
			start--;
		const char *value = equals + 1;
		while (!uri && is_space(*value))
			value++;
		const char *value_end = end_of_value(value, uri);
		if (names_secret((struct text){ start, (size_t)(end - start) })) {
			*secret = (struct text){ value, (size_t)(value_end - value) };
			return true;
		}
		equals++;
	}
	return false;
}

/* The part behind "scheme://", or NULL. */
static const char *
authority_of(const char *address)
{
	size_t len = strspn(address, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789+.-");
	return len > 0 && strncmp(address + len, "://", 3) == 0 ? address + len + 3 : NULL;
}

/* The first secret at or behind *at, which is moved behind it. */
static bool
next_secret(const char *address, const char **at, struct text *secret)
{
	const char *authority = authority_of(address);
	const char *begin = authority != NULL ? authority : address;
	bool keywords = authority == NULL && strchr(address, '=') != NULL;
	bool found = false;
	if (*at == address && !keywords)
		found = password_of_user(begin, secret);
	if (!found)
		found = password_of_key(address, *at, authority != NULL, secret);
	if (found)
		*at = secret->ptr + secret->len;
	return found;
}

void
options_redact(struct buf *out, const char *address)
{
	const char *at = address, *shown = address;
	struct text secret;
	while (next_secret(address, &at, &secret)) {
		buf_add(out, shown, (size_t)(secret.ptr - shown));
		if (secret.len > 0)
			buf_str(out, "***");
		shown = at;
	}
	buf_str(out, shown);
}

/* How many bytes of a secret stand at p; 0: none. */
static size_t
secret_at(const char *p, const struct option *o, const char *value)
{
	if (o == NULL || *value == '\0')
		return 0;
	if (option_secret(o)) {
		size_t len = strlen(value);
		return strncmp(p, value, len) == 0 ? len : 0;
	}
	if (o->type != OPT_ADDRESS && o->type != OPT_STRING)
		return 0;
	const char *at = value;
	struct text secret;
	size_t longest = 0;
	while (next_secret(value, &at, &secret))
		if (secret.len > longest && strncmp(p, secret.ptr, secret.len) == 0)
			longest = secret.len;
	return longest;
}

void
options_scrub(struct buf *out, const char *words, const struct option *options, size_t noptions,
    const struct setting *settings, size_t nsettings)
{
	for (const char *p = words; *p != '\0';) {
		size_t hidden = 0;
		for (size_t i = 0; i < nsettings; i++) {
			const struct option *o = option_find(options, noptions, settings[i].name);
			size_t len = secret_at(p, o, settings[i].value);
			hidden = len > hidden ? len : hidden;
		}
		if (hidden > 0)
			buf_str(out, "***");
		else
			buf_char(out, *p);
		p += hidden > 0 ? hidden : 1;
	}
}
