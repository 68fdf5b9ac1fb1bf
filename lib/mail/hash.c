/* SHA-256 of bodies: the identity of content (design: identity). */
#include <stdlib.h>

#include <openssl/evp.h>

#include "base/err.h"
#include "mail/mail.h"

struct mail_hash {
	EVP_MD_CTX *context;
};

/* The digest is looked up once for each object, not for each message: EVP_sha256() of OpenSSL 3
 * fetches its implementation again at each EVP_DigestInit_ex, a NULL type keeps it. */
struct mail_hash *mail_hash_new(void)
{
	struct mail_hash *h = mem_new(sizeof *h);
	h->context = EVP_MD_CTX_new();
	INVARIANT(h->context != NULL);
	INVARIANT(EVP_DigestInit_ex(h->context, EVP_sha256(), NULL) == 1);
	return h;
}

void mail_hash_add(struct mail_hash *h, const void *data, size_t len)
{
	if (len > 0)
		INVARIANT(EVP_DigestUpdate(h->context, data, len) == 1);
}

void mail_hash_take(struct mail_hash *h, uint8_t out[MAIL_HASH_SIZE])
{
	INVARIANT(EVP_DigestFinal_ex(h->context, out, NULL) == 1);
	INVARIANT(EVP_DigestInit_ex(h->context, NULL, NULL) == 1);
}

void mail_hash_free(struct mail_hash *h)
{
	if (h == NULL)
		return;
	EVP_MD_CTX_free(h->context);
	free(h);
}

void mail_hash_hex(const uint8_t hash[MAIL_HASH_SIZE], char out[65])
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < MAIL_HASH_SIZE; i++) {
		out[2 * i] = digits[hash[i] >> 4];
		out[2 * i + 1] = digits[hash[i] & 15];
	}
	out[64] = '\0';
}
