/* Authentication-Results (RFC 8601): read with bounds, written so that nothing a stranger chose can
 * look like a result of ours. */
#ifndef GATEHOUSE_AUTH_AUTHRES_H
#define GATEHOUSE_AUTH_AUTHRES_H

#include "base/buf.h"
#include "message/message.h"

enum { AUTHRES_RESULTS_MAX = 64, AUTHRES_PROPERTIES_MAX = 16, AUTHRES_VALUE_MAX = 320 };

struct authres_property {
    struct span type, name, value; /* "header", "from", "example.org" */
};

struct authres_result {
    struct span method, result, reason; /* reason absent when not given */
    struct authres_property v[AUTHRES_PROPERTIES_MAX];
    size_t n;
};

struct authres {
    struct span authserv_id;
    struct authres_result *v;
    size_t n, cap;
};

/* The value of the field (or of ARC-Authentication-Results, whose "i=1;" is skipped). false when it
 * does not have the form, or more than the limits in it. */
bool authres_parse(struct arena *a, struct span value, struct authres *out);
/* The value of a property; SPAN_NONE when it is not there. */
struct span authres_property(const struct authres_result *r, const char *type, const char *name);

/* Our own field, whole, LF line ends. Nothing when no check was made. */
void authres_write(struct buf *b, const char *authserv_id, const struct message *m);

/* A value of a stranger's for a structured field: as it is when it is a dot-atom or an address,
 * else quoted; other bytes than printable ASCII become '?', and it is cut at AUTHRES_VALUE_MAX. */
void authres_value(struct buf *b, struct span s);

#endif
