/* The facts of sender authentication as named facts, for receipts and `scan --format json`:
 * "spf" = "pass", "dmarc.domain" = "example.org"... docs/authentication.md tells the names. */
#ifndef GATEHOUSE_AUTH_PUBLISH_H
#define GATEHOUSE_AUTH_PUBLISH_H

#include "message/message.h"

void auth_publish(struct message *m);

#endif
