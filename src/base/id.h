/* Identifiers of messages and sessions: 16 characters of Crockford's base32 (no I, L, O, U),
 * sortable by time, unique across processes and restarts: 50 bits of microseconds, 12 bits of
 * sequence, 18 bits drawn at random for each. They name files and rows and stand in SMTP replies.
 */
#ifndef GATEHOUSE_BASE_ID_H
#define GATEHOUSE_BASE_ID_H

#include "base/span.h"

enum { ID_LEN = 16, ID_SIZE = ID_LEN + 1 };

/* Writes a new id with its NUL. Returns out. */
char *id_new(char out[ID_SIZE]);
/* Whether it has the form of an id: the check before an id from outside becomes a file name. */
bool id_valid(struct span s);

#endif
