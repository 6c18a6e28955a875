/* One Received line. Room-private. */
#ifndef GATEHOUSE_RELAYS_RELAYS_PRIVATE_H
#define GATEHOUSE_RELAYS_RELAYS_PRIVATE_H

#include "relays/relays.h"
#include "relays/template.h"

enum received_result {
    RECEIVED_RELAY,   /* *out is filled */
    RECEIVED_IGNORED, /* a line that tells no hand-over */
    RECEIVED_FETCHED, /* a mail fetcher's line: ignored, marks a new start */
    RECEIVED_UNPARSEABLE
};

/* What one line may tell the next (older) one: the envelope sender in qmail-scanner's line. */
struct received_carry {
    struct span envfrom;
};

/* value: decoded, unfolded. m: a zeroed matcher with its arena, used for line after line. */
enum received_result received_parse(struct template_match *m, struct span value, struct relay *out,
                                    struct received_carry *carry);

/* The first place in the line where the template matches, in this or in any case. */
bool received_search(struct template_match *m, struct span line, const char *template);
bool received_isearch(struct template_match *m, struct span line, const char *template);
/* How the sender authenticated; absent when nothing tells. */
struct span received_auth(struct template_match *m, struct span line);

#endif
