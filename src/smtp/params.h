/* ESMTP parameters of MAIL and RCPT: SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), RET,
 * ENVID, NOTIFY, ORCPT (RFC 3461), AUTH (RFC 4954), and the xtext coding they use. */
#ifndef GATEHOUSE_SMTP_PARAMS_H
#define GATEHOUSE_SMTP_PARAMS_H

#include "base/buf.h"

enum {
    SMTP_ENVID_MAX = 100, /* RFC 3461 section 4.4, decoded characters */
    SMTP_ORCPT_MAX = 500  /* RFC 3461 section 4.2, as written */
};

struct mail_params {
    uint64_t size; /* valid when has_size */
    bool has_size, body_8bit, smtputf8;
    enum { MAIL_RET_NONE, MAIL_RET_FULL, MAIL_RET_HDRS } ret;
    struct span envid; /* decoded; absent when not given */
    char envid_bytes[SMTP_ENVID_MAX];
};

/* Bits of NOTIFY, as in message/envelope.h. */
enum {
    RCPT_NOTIFY_NEVER = 1,
    RCPT_NOTIFY_SUCCESS = 2,
    RCPT_NOTIFY_FAILURE = 4,
    RCPT_NOTIFY_DELAY = 8
};

struct rcpt_params {
    unsigned notify;   /* 0: not given */
    struct span orcpt; /* "type;address", the address decoded; absent when not given */
    char orcpt_bytes[SMTP_ORCPT_MAX];
};

enum param_status {
    PARAM_OK,
    PARAM_BAD,    /* known, but its value is wrong, or given twice */
    PARAM_UNKNOWN /* 555 */
};

/* text: what follows the path. On PARAM_BAD and PARAM_UNKNOWN name is the keyword (cut to what is
 * printable), for the reply. auth: AUTH= is known. */
enum { PARAM_NAME_SIZE = 24 };
enum param_status mail_params_parse(struct span text, bool auth, struct mail_params *out,
                                    char name[PARAM_NAME_SIZE]);
enum param_status rcpt_params_parse(struct span text, bool utf8, struct rcpt_params *out,
                                    char name[PARAM_NAME_SIZE]);

/* Decodes xtext into out (room for in.n bytes); the length, or -1 when it is malformed or when a
 * decoded byte is a control character: an encoded NUL, CR or LF never comes through. */
long xtext_decode(struct span in, char *out);
/* Encodes what is not allowed bare in xtext. */
void xtext_encode(struct buf *out, struct span in);

/* Appends " NOTIFY=..." and " ORCPT=..." (RFC 3461), as far as they are given. orcpt:
 * "type;address", not encoded. */
void rcpt_params_add(struct buf *out, unsigned notify, struct span orcpt);

#endif
