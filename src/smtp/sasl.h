/* SASL PLAIN (RFC 4616) and LOGIN as SMTP AUTH carries them (RFC 4954): base64 in, name and
 * password out. Nothing here is larger than its limit, however long the line. */
#ifndef GATEHOUSE_SMTP_SASL_H
#define GATEHOUSE_SMTP_SASL_H

#include "base/span.h"

enum { SASL_USER_MAX = 255, SASL_PASSWORD_MAX = 512 };

enum sasl_mechanism { SASL_PLAIN, SASL_LOGIN };
enum sasl_status { SASL_MORE, SASL_DONE, SASL_BAD, SASL_CANCELLED };

struct sasl {
    enum sasl_mechanism mechanism;
    unsigned step;
    char user[SASL_USER_MAX + 1];
    char password[SASL_PASSWORD_MAX + 1];
    size_t password_n;
};

/* false: unknown mechanism. */
bool sasl_begin(struct sasl *s, struct span mechanism);
/* The prompt to send (base64) before the next line is expected. */
const char *sasl_prompt(const struct sasl *s);
/* One line of the client, or its initial response ("=" is the empty one). On SASL_DONE user and
 * password are set: UTF-8, no NUL, user not empty. An authorization identity other than the user
 * is refused. Wipe the struct when done (sasl_wipe). */
enum sasl_status sasl_take(struct sasl *s, struct span line);
void sasl_wipe(struct sasl *s);

#endif
