/* Mailboxes in one file: messages that each begin with a line "From SENDER DATE". */
#ifndef GATEHOUSE_CLI_MBOX_H
#define GATEHOUSE_CLI_MBOX_H

#include "base/span.h"

/* Whether a line (without its end) is such a separator: "From ", a sender, a time of day and a
 * year. */
bool mbox_separator(struct span line);

/* Cuts the next message off *rest: its separator line (absent when the file starts without one) and
 * its bytes, without the empty line in front of the next separator. false when nothing is left. A
 * separator counts at the start and after an empty line. "\r\n" and "\n" are both line ends. */
bool mbox_next(struct span *rest, struct span *separator, struct span *message);

#endif
