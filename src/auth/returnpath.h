/* Reverse-paths by the settings: what stands in MAIL FROM of mail that leaves (srs.*, batv.*), and
 * what an address in RCPT was before it left with that mail (auth/srs.h).
 *
 * The secrets are read once, while we still may; a new one needs a reload. A returnpath is not
 * changed after that: several threads may use one. */
#ifndef GATEHOUSE_AUTH_RETURNPATH_H
#define GATEHOUSE_AUTH_RETURNPATH_H

#include "auth/srs.h"
#include "config/settings.h"
#include "message/envelope.h"

struct returnpath;

/* NULL when the settings want neither. What can't be used is told to problem (NULL: to the log);
 * until it is mended senders stay as they are, and nothing is refused for want of a tag. */
typedef void returnpath_problem_fn(void *ctx, const char *text);
struct returnpath *returnpath_open(const struct settings *set, returnpath_problem_fn *problem,
                                   void *ctx);
void returnpath_free(struct returnpath *r);

/* --- mail that comes. r may be NULL --- */

enum returnpath_kind { RETURN_NOT, RETURN_SRS, RETURN_BATV };
struct returnpath_found {
    enum returnpath_kind kind;
    enum srs_result result;
    bool unknown;        /* ours by its form, but the secrets can't be read */
    struct span address; /* whose it is; with BATV also when the tag is forged */
};
/* What rcpt is, by its form and its domain. kind RETURN_NOT: an ordinary address. */
void returnpath_read(const struct returnpath *r, struct arena *a, struct span rcpt, usec now,
                     struct returnpath_found *out);
/* Whether bounces to this domain (lower case) must carry a tag. */
bool returnpath_wants_tag(const struct returnpath *r, struct span domain);

/* --- mail that leaves for other domains. r may be NULL --- */

/* What such a sender can become; ours: its domain is one of ours. */
enum returnpath_kind returnpath_kind(const struct returnpath *r, struct arena *a,
                                     struct span sender, bool ours);
/* The sender for the next hop: *out, which is the sender itself unless RETURN_CHANGED. */
enum returnpath_made { RETURN_SAME, RETURN_CHANGED, RETURN_TOO_LONG };
enum returnpath_made returnpath_make(const struct returnpath *r, struct arena *a,
                                     enum returnpath_kind kind, struct span sender, usec now,
                                     struct span *out);

#endif
