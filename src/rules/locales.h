/* ok_locales: the charsets in which mail is expected (SpamAssassin's Locales). Room-private. */
#ifndef GATEHOUSE_RULES_LOCALES_H
#define GATEHOUSE_RULES_LOCALES_H

#include "base/span.h"

/* No charset is foreign. */
bool locales_all(struct span ok_locales);
/* Western charsets and those of Unicode always are. The environment's locale counts as well. */
bool locales_charset_ok(struct span ok_locales, struct span charset);

#endif
