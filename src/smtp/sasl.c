#include "smtp/sasl.h"

#include <sodium.h>

enum { SASL_RAW_MAX = 2 * SASL_USER_MAX + SASL_PASSWORD_MAX + 2 };

bool sasl_begin(struct sasl *s, struct span mechanism)
{
    memset(s, 0, sizeof *s);
    if (span_ieq(mechanism, SPAN("PLAIN")))
        s->mechanism = SASL_PLAIN;
    else if (span_ieq(mechanism, SPAN("LOGIN")))
        s->mechanism = SASL_LOGIN;
    else
        return false;
    return true;
}

const char *sasl_prompt(const struct sasl *s)
{
    if (s->mechanism == SASL_PLAIN)
        return "";
    return s->step == 0 ? "VXNlcm5hbWU6" : "UGFzc3dvcmQ6"; /* Username: Password: */
}

static bool decode(struct span in, char *out, size_t max, size_t *n)
{
    if (in.n == 1 && in.p[0] == '=') { /* RFC 4954 section 4: an empty initial response */
        *n = 0;
        return true;
    }
    const char *end;
    if (sodium_base642bin((unsigned char *)out, max, in.p, in.n, NULL, n, &end,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return false;
    return end == in.p + in.n;
}

static bool keep(char *to, size_t max, struct span from)
{
    if (from.n > max || span_find(from, '\0') != SIZE_MAX)
        return false;
    if (from.n > 0)
        memcpy(to, from.p, from.n);
    to[from.n] = '\0';
    return true;
}

static bool keep_user(struct sasl *s, struct span user)
{
    for (size_t i = 0; i < user.n; i++)
        if ((unsigned char)user.p[i] < ' ' || user.p[i] == 0x7f)
            return false;
    return user.n > 0 && keep(s->user, SASL_USER_MAX, user);
}

static bool keep_password(struct sasl *s, struct span password)
{
    s->password_n = password.n;
    return keep(s->password, SASL_PASSWORD_MAX, password);
}

/* message = [authzid] UTF8NUL authcid UTF8NUL passwd */
static bool take_plain(struct sasl *s, struct span raw)
{
    size_t first = span_find(raw, '\0');
    if (first == SIZE_MAX)
        return false;
    struct span authzid = span_sub(raw, 0, first), rest = span_from(raw, first + 1);
    size_t second = span_find(rest, '\0');
    if (second == SIZE_MAX)
        return false;
    struct span user = span_sub(rest, 0, second);
    if (authzid.n > 0 && !span_eq(authzid, user))
        return false;
    return keep_user(s, user) && keep_password(s, span_from(rest, second + 1));
}

enum sasl_status sasl_take(struct sasl *s, struct span line)
{
    if (line.n == 1 && line.p[0] == '*')
        return SASL_CANCELLED;
    char raw[SASL_RAW_MAX];
    size_t n;
    enum sasl_status status = SASL_BAD;
    if (decode(line, raw, sizeof raw, &n)) {
        bool good, more = false;
        if (s->mechanism == SASL_PLAIN) {
            good = take_plain(s, span_of(raw, n));
        } else if (s->step == 0) {
            good = more = keep_user(s, span_of(raw, n));
        } else {
            good = keep_password(s, span_of(raw, n));
        }
        s->step++;
        status = !good ? SASL_BAD : more ? SASL_MORE : SASL_DONE;
    }
    sodium_memzero(raw, sizeof raw);
    return status;
}

void sasl_wipe(struct sasl *s)
{
    sodium_memzero(s, sizeof *s);
}
