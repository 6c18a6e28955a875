/* Dates as mail programs write them, read as SpamAssassin reads them (semantics 8.5): RFC 5322 and
 * asctime forms, two-digit years, zone names; impossible parts are bent, years kept in 1970 to
 * 2037. */
#ifndef GATEHOUSE_RULES_DATE_H
#define GATEHOUSE_RULES_DATE_H

#include "base/span.h"

/* Seconds since 1970 (UTC). false when there is no date in the text. */
bool date_parse(struct span text, int64_t *out);

#endif
