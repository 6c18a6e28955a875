/* A step of work on a message that may ask for more memory than the message may have, or hang. */
#ifndef GATEHOUSE_FLOW_GUARDED_H
#define GATEHOUSE_FLOW_GUARDED_H

#include "message/message.h"

/* Runs fn(ctx). false: the message's arena was exhausted and fn was left in the middle; what it was
 * making is not to be used again. A step that takes longer than `time` (0: any time) ends the
 * process by the alarm's default action, which costs the message a temporary failure and is counted
 * against it. Not nested. */
bool guarded(struct message *m, usec time, void (*fn)(void *ctx), void *ctx);

#endif
