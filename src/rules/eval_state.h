/* What header access and eval functions work out once a message and then share. Room-private; made
 * by the first who asks, in the message's arena. */
#ifndef GATEHOUSE_RULES_EVAL_STATE_H
#define GATEHOUSE_RULES_EVAL_STATE_H

#include "rules/context.h"

/* A request, read once, and what it found in the message of one state. What nearly all calls need
 * stands first. */
struct header_entry {
    uint64_t head, tail; /* of its key */
    uint32_t length;
    uint16_t name_bit; /* of mime_name_bit */
    bool plain;        /* of the fields of that name alone */
    bool hidden;       /* of fields that rules do not see */
    bool first;        /* header_scalar takes the first value alone */
    bool has_joined, has_lines;
    uint64_t state; /* whose what follows is, and has_... */
    struct span *values;
    size_t n;
    struct span lines;  /* each on a line of its own */
    struct span joined; /* the values one behind the other */
    struct header_req req;
};

struct mime_scan;
struct image_counts;
struct html_list;
struct fromname;
struct pdf_facts;
struct office_facts;
struct languages;
struct geo_facts;
struct bayes;

/* Addresses of a field's value, for all requests that read it. */
struct header_addresses {
    struct span value;
    struct mime_addresses list;
};
enum { HEADER_ADDRESSES = 8 };

struct eval_state {
    struct header_requests *headers;
    uint64_t id; /* of this state, among all that use these requests */
    struct header_addresses addresses[HEADER_ADDRESSES];
    size_t naddresses;
    struct span all; /* the ALL header */
    bool has_all;
    bool all_truncated;   /* ALL was cut at 65536 bytes */
    struct span envelope; /* EnvelopeFrom; absent: none */
    bool has_envelope;
    struct span *all_from, *all_to;
    struct span *lower_from, *lower_to; /* the same in lower case */
    size_t nall_from, nall_to;
    bool has_all_from, has_all_to;
    struct mime_scan *mime;            /* eval_mime.c */
    struct image_counts *image;        /* eval_image.c */
    struct freemail *freemail;         /* eval_freemail.c */
    struct freemail_seen *freemails;   /* eval_freemail.c */
    struct hotmail *hotmail;           /* eval_forged.c */
    struct alternatives *alternatives; /* eval_body.c */
    struct dates *dates;               /* eval_date.c */
    struct span squeezed_received;     /* eval_forged.c */
    struct fromname *fromname;         /* eval_fromname.c */
    struct pdf_facts *pdf;             /* eval_pdf.c */
    struct office_facts *office;       /* eval_office.c */
    struct languages *languages;       /* eval_language.c */
    struct geo_facts *geo;             /* eval_geo.c */
    struct bayes *bayes;               /* eval_bayes.c */
    struct asn_told *asn;              /* eval_asn.c */
    struct span overridden;            /* eval_auth.c: the author domain last asked about, */
    char override;                     /* and what the settings say of it */
    double uppercase;                  /* eval_case.c: percent */
    bool has_uppercase;
    bool has_gated, gated; /* eval_forged.c */
};

struct eval_state *eval_state(struct rules_ctx *c);
/* A copy that has forgotten what was worked out from lists of addresses. */
void eval_state_without_lists(struct rules_ctx *c);

/* Charsets whose encoded form is full of capitals (semantics 8.2). */
bool charset_likes_capitals(struct span s);
/* Charsets that the parts declare, in lower case. */
const struct span *mime_charsets(struct rules_ctx *c, size_t *n);

/* A known top-level domain after a dot, and no white space. */
bool ctx_domain_valid(struct rules_ctx *c, struct span domain);

/* Received headers are missing or were taken away: ezmlm, MSN groups (semantics 8.5). */
bool received_headers_removed(struct rules_ctx *c);

/* charset="x" of Content-Type lines, else charset='x', else charset=x up to white space. */
struct span content_type_charset(struct span lines);
/* The ALL header; sets fetched_all. */
struct span header_all(struct rules_ctx *c);
/* Marks the fields that stand in it, all but those that do not fit; true when some do not. */
bool header_measure(struct rules_ctx *c, bool *fits);
/* When the message came, by its own account: seconds, now when it does not say. */
int64_t message_time(struct rules_ctx *c);
/* EnvelopeFrom (semantics 6.3); absent when there is none. */
struct span header_envelope_from(struct rules_ctx *c);
/* "First" address or name or the joined string, with a default for absent headers: NULL p. */
struct span header_scalar_or_none_of(struct rules_ctx *c, struct header_key request);
static inline struct span header_scalar_or_none(struct rules_ctx *c, const char *request)
{
    return header_scalar_or_none_of(c, header_key(span_str(request)));
}
/* All values of a request given as text. */
struct span *header_list_of(struct rules_ctx *c, struct header_key request, size_t *n);
static inline struct span *header_list(struct rules_ctx *c, const char *request, size_t *n)
{
    return header_list_of(c, header_key(span_str(request)), n);
}

/* header_all_from and header_all_to in lower case. */
const struct span *header_lower_from(struct rules_ctx *c, size_t *n);
const struct span *header_lower_to(struct rules_ctx *c, size_t *n);

/* :host, :domain, :ip and :revip of one value; absent when it has none. */
struct span header_host_of(struct rules_ctx *c, struct span value, bool is_address);
struct span header_ip_of(struct rules_ctx *c, struct span value, bool reversed);
/* X-Spam-*: not seen by rules. */
bool header_hidden(struct span name);

#endif
