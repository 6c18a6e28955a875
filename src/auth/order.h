/* What the settings (spf.on_fail, dmarc.on_*) say about the facts of sender authentication, for the
 * verdict: one order, the strictest, with its reason. */
#ifndef GATEHOUSE_AUTH_ORDER_H
#define GATEHOUSE_AUTH_ORDER_H

#include "config/settings.h"
#include "message/message.h"

void auth_order(const struct settings *set, struct message *m);

#endif
