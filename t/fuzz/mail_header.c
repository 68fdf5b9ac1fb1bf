/* Any bytes as a message's header: what is found is bounded text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "mail/mail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mail_header h;
	/* A copy of just that size, so that one octet too far is seen. */
	char *copy = malloc(size > 0 ? size : 1);
	if (copy == NULL)
		abort();
	memcpy(copy, data, size);
	mail_header_parse((struct slice){ copy, size }, &h);
	free(copy);
	if (h.message_id != NULL && (h.message_id[0] == '\0' || strlen(h.message_id) > 998))
		abort();
	for (const char *p = h.message_id; p != NULL && *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			abort();
	if (h.date != INT64_MIN) {
		char text[32];
		mail_date_print(h.date, 0, text);
		if (strlen(text) != 26)
			abort();
	}
	mail_header_release(&h);
	return 0;
}
