/* Domain names from outside in one form, so that SPF, DKIM, DMARC and what is shown speak about the
 * same name: lower case, A-labels (IDNA 2008 with the mapping of UTS 46), no final dot. */
#ifndef GATEHOUSE_AUTH_NAME_H
#define GATEHOUSE_AUTH_NAME_H

#include "base/arena.h"

enum { NAME_MAX_BYTES = 253, NAME_LABEL_MAX = 63 };

/* false: no such name can exist (empty or long labels, too long, not to be mapped, control
 * characters or spaces). One final dot is dropped. */
bool name_canonical(struct arena *a, struct span in, struct span *out);
/* Labels of 1 to 63 bytes, at most 253 in all, one final dot allowed; any bytes but NUL. */
bool name_fits(struct span s);
/* One uncompressed name in wire form at the start of rdata, lower case: any bytes but '.' and NUL
 * in a label (SPF allows what no host name has). false when it is cut short, too long, or the root.
 */
bool name_from_wire(struct arena *a, struct span rdata, struct span *out);
size_t name_labels(struct span s);
/* The last n labels. */
struct span name_tail(struct span s, size_t n);
/* name is parent or below it; both canonical. */
bool name_below(struct span name, struct span parent);

#endif
