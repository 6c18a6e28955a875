/* Option negotiation: with which version, actions and steps filter and MTA work together.
 *
 * Only what was offered may be asked for (Sendmail fails a filter that asks for more). The fewest
 * steps: commands that nobody needs are not sent, and where no answer is needed none is given
 * (the NR bits), which saves a round trip for each header field and each piece of the body. */
#ifndef GATEHOUSE_MILTER_OPTIONS_H
#define GATEHOUSE_MILTER_OPTIONS_H

#include "milter/packet.h"

enum { MILTER_VERSION = 6, MILTER_VERSION_MIN = 2 };

/* Actions (SMFIF): what a filter may do to a message. */
enum milter_action {
    MILTER_CAN_ADD_HEADERS = 0x1, /* also inserting them */
    MILTER_CAN_CHANGE_BODY = 0x2,
    MILTER_CAN_ADD_RCPT = 0x4,
    MILTER_CAN_DELETE_RCPT = 0x8,
    MILTER_CAN_CHANGE_HEADERS = 0x10, /* also deleting them */
    MILTER_CAN_QUARANTINE = 0x20,
    MILTER_CAN_CHANGE_SENDER = 0x40,
    MILTER_CAN_ADD_RCPT_ARGS = 0x80,
    MILTER_CAN_SET_MACROS = 0x100
};

/* Steps (SMFIP). */
enum milter_step {
    MILTER_NO_CONNECT = 0x1,
    MILTER_NO_HELO = 0x2,
    MILTER_NO_MAIL = 0x4,
    MILTER_NO_RCPT = 0x8,
    MILTER_NO_BODY = 0x10,
    MILTER_NO_HEADERS = 0x20,
    MILTER_NO_EOH = 0x40,
    MILTER_NR_HEADER = 0x80,
    MILTER_NO_UNKNOWN = 0x100,
    MILTER_NO_DATA = 0x200,
    MILTER_CAN_SKIP = 0x400, /* the rest of the body can be declined */
    MILTER_RCPT_REJ = 0x800, /* recipients that the MTA refused are shown too */
    MILTER_NR_CONNECT = 0x1000,
    MILTER_NR_HELO = 0x2000,
    MILTER_NR_MAIL = 0x4000,
    MILTER_NR_RCPT = 0x8000,
    MILTER_NR_DATA = 0x10000,
    MILTER_NR_UNKNOWN = 0x20000,
    MILTER_NR_EOH = 0x40000,
    MILTER_NR_BODY = 0x80000,
    MILTER_LEADING_SPACE = 0x100000 /* header values with what stands behind the colon */
};

struct milter_options {
    uint32_t version, actions, steps;
};

/* Reads an offer; false when it is none or its version is below MILTER_VERSION_MIN. */
bool milter_offer_parse(struct span data, struct milter_options *offer);

/* What we choose from an offer. wanted: actions; helo: it is to be answered. */
struct milter_options milter_choose(const struct milter_options *offer, uint32_t wanted, bool helo);

/* Appends our answer; with the lists of macros that we need, where these may be asked for. */
void milter_answer_offer(struct buf *b, const struct milter_options *chosen);

#endif
