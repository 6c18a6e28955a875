#include "smtp/params.h"

#include <stdio.h>

#include "smtp/path.h"

static int hex_upper(char c)
{
    return c >= 'a' && c <= 'f' ? -1 : ascii_hex(c);
}

/* xtext = *( xchar / hexchar ); xchar: "!" to "~" except "+" and "=" (RFC 3461 section 4). */
long xtext_decode(struct span in, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < in.n; i++) {
        unsigned char c = (unsigned char)in.p[i];
        if (c == '+') {
            if (in.n - i < 3)
                return -1;
            int high = hex_upper(in.p[i + 1]), low = hex_upper(in.p[i + 2]);
            if (high < 0 || low < 0)
                return -1;
            c = (unsigned char)(high << 4 | low);
            if (c < ' ' || c == 0x7f)
                return -1;
            i += 2;
        } else if (c <= ' ' || c >= 0x7f || c == '=') {
            return -1;
        }
        out[n++] = (char)c;
    }
    return (long)n;
}

void xtext_encode(struct buf *out, struct span in)
{
    for (size_t i = 0; i < in.n; i++) {
        unsigned char c = (unsigned char)in.p[i];
        if (c > ' ' && c < 0x7f && c != '+' && c != '=')
            buf_char(out, (char)c);
        else
            buf_printf(out, "+%02X", c);
    }
}

static bool is_param(struct span name, const char *want)
{
    return span_ieq(name, span_str(want));
}

static void keep_name(struct span name, char out[PARAM_NAME_SIZE])
{
    size_t n = name.n < PARAM_NAME_SIZE - 1 ? name.n : PARAM_NAME_SIZE - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = name.p[i] > ' ' && name.p[i] < 0x7f ? name.p[i] : '?';
    out[n] = '\0';
}

/* esmtp-param = esmtp-keyword ["=" esmtp-value]. false at the end. */
static bool next_param(struct span *rest, struct span *name, struct span *value)
{
    struct span word = span_word(rest, " ");
    if (!word.p)
        return false;
    size_t eq = span_find(word, '=');
    *name = span_sub(word, 0, eq);
    *value = eq == SIZE_MAX ? SPAN_NONE : span_from(word, eq + 1);
    return true;
}

static bool take_envid(struct span value, struct mail_params *out)
{
    char plain[4 * SMTP_ENVID_MAX];
    if (!value.p || value.n == 0 || value.n > sizeof plain)
        return false;
    long n = xtext_decode(value, plain);
    if (n <= 0 || n > SMTP_ENVID_MAX)
        return false;
    for (long i = 0; i < n; i++)
        if ((unsigned char)plain[i] >= 0x7f)
            return false;
    memcpy(out->envid_bytes, plain, (size_t)n);
    out->envid = span_of(out->envid_bytes, (size_t)n);
    return true;
}

static bool take_size(struct span value, struct mail_params *out)
{
    out->has_size = value.p && value.n <= 20 && span_u64(value, &out->size);
    return out->has_size;
}

static bool take_body(struct span value, struct mail_params *out)
{
    out->body_8bit = span_ieq(value, SPAN("8BITMIME"));
    return out->body_8bit || span_ieq(value, SPAN("7BIT"));
}

static bool take_ret(struct span value, struct mail_params *out)
{
    out->ret = span_ieq(value, SPAN("FULL"))   ? MAIL_RET_FULL
               : span_ieq(value, SPAN("HDRS")) ? MAIL_RET_HDRS
                                               : MAIL_RET_NONE;
    return out->ret != MAIL_RET_NONE;
}

static bool take_smtputf8(struct span value, struct mail_params *out)
{
    out->smtputf8 = true;
    return !value.p;
}

/* RFC 4954 section 5: we trust nobody's AUTH=, but it must be well formed. */
static bool take_auth(struct span value, struct mail_params *out)
{
    (void)out;
    char plain[4 * SMTP_ORCPT_MAX];
    return value.p && value.n > 0 && value.n <= sizeof plain && xtext_decode(value, plain) > 0;
}

static const struct {
    const char *name;
    bool (*take)(struct span value, struct mail_params *out);
    bool needs_auth;
} mail_table[] = {
    {"SIZE", take_size, false},   {"BODY", take_body, false},         {"RET", take_ret, false},
    {"ENVID", take_envid, false}, {"SMTPUTF8", take_smtputf8, false}, {"AUTH", take_auth, true},
};

enum param_status mail_params_parse(struct span text, bool auth, struct mail_params *out,
                                    char name_out[PARAM_NAME_SIZE])
{
    memset(out, 0, sizeof *out);
    unsigned seen = 0;
    struct span name, value;
    while (next_param(&text, &name, &value)) {
        keep_name(name, name_out);
        unsigned i = 0, n = sizeof mail_table / sizeof *mail_table;
        while (i < n && !is_param(name, mail_table[i].name))
            i++;
        if (i == n || (mail_table[i].needs_auth && !auth))
            return PARAM_UNKNOWN;
        if (seen & 1u << i || !mail_table[i].take(value, out))
            return PARAM_BAD;
        seen |= 1u << i;
    }
    return PARAM_OK;
}

/* NOTIFY=NEVER or a list of SUCCESS, FAILURE, DELAY */
static bool take_notify(struct span value, struct rcpt_params *out)
{
    static const struct {
        const char *word;
        unsigned bit;
    } words[] = {{"NEVER", RCPT_NOTIFY_NEVER},
                 {"SUCCESS", RCPT_NOTIFY_SUCCESS},
                 {"FAILURE", RCPT_NOTIFY_FAILURE},
                 {"DELAY", RCPT_NOTIFY_DELAY}};
    if (!value.p || value.n == 0 || value.p[value.n - 1] == ',' || value.p[0] == ',')
        return false;
    while (value.n > 0) {
        size_t comma = span_find(value, ',');
        struct span word = span_sub(value, 0, comma);
        unsigned bit = 0;
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (is_param(word, words[i].word))
                bit = words[i].bit;
        if (!bit || out->notify & bit)
            return false;
        out->notify |= bit;
        value = comma == SIZE_MAX ? SPAN_NONE : span_from(value, comma + 1);
    }
    return !(out->notify & RCPT_NOTIFY_NEVER) || out->notify == RCPT_NOTIFY_NEVER;
}

/* utf-8-addr-xtext, utf-8-addr-unitext (RFC 6533 section 3): kept as written, when printable. */
static bool utf8_address(struct span s, bool utf8)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f || s.p[i] == '=' || s.p[i] == '+')
            return false;
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return utf8 && utf8_valid(s);
    return s.n > 0;
}

/* ORCPT = addr-type ";" xtext */
static bool take_orcpt(struct span value, bool utf8, struct rcpt_params *out)
{
    size_t semi = span_find(value, ';');
    if (!value.p || semi == SIZE_MAX || semi == 0 || value.n > SMTP_ORCPT_MAX)
        return false;
    struct span type = span_sub(value, 0, semi), addr = span_from(value, semi + 1);
    for (size_t i = 0; i < type.n; i++)
        if (!ascii_isalnum(type.p[i]) && type.p[i] != '-')
            return false;
    memcpy(out->orcpt_bytes, value.p, semi + 1);
    long n;
    if (span_ieq(type, SPAN("utf-8"))) {
        if (!utf8_address(addr, utf8))
            return false;
        memcpy(out->orcpt_bytes + semi + 1, addr.p, addr.n);
        n = (long)addr.n;
    } else {
        n = xtext_decode(addr, out->orcpt_bytes + semi + 1);
        for (long i = 0; i < n; i++)
            if ((unsigned char)out->orcpt_bytes[semi + 1 + (size_t)i] >= 0x7f)
                return false;
    }
    if (n <= 0)
        return false;
    out->orcpt = span_of(out->orcpt_bytes, semi + 1 + (size_t)n);
    return true;
}

enum param_status rcpt_params_parse(struct span text, bool utf8, struct rcpt_params *out,
                                    char name_out[PARAM_NAME_SIZE])
{
    out->notify = 0;
    out->orcpt = SPAN_NONE;
    struct span name, value;
    while (next_param(&text, &name, &value)) {
        keep_name(name, name_out);
        if (is_param(name, "NOTIFY")) {
            if (out->notify || !take_notify(value, out))
                return PARAM_BAD;
        } else if (is_param(name, "ORCPT")) {
            if (out->orcpt.p || !take_orcpt(value, utf8, out))
                return PARAM_BAD;
        } else {
            return PARAM_UNKNOWN;
        }
    }
    return PARAM_OK;
}

static void add_notify(struct buf *out, unsigned notify)
{
    static const struct {
        unsigned bit;
        const char *word;
    } words[] = {{RCPT_NOTIFY_SUCCESS, "SUCCESS"},
                 {RCPT_NOTIFY_FAILURE, "FAILURE"},
                 {RCPT_NOTIFY_DELAY, "DELAY"}};
    const char *before = " NOTIFY=";
    if (notify & RCPT_NOTIFY_NEVER) {
        buf_str(out, " NOTIFY=NEVER");
        return;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!(notify & words[i].bit))
            continue;
        buf_str(out, before);
        buf_str(out, words[i].word);
        before = ",";
    }
}

void rcpt_params_add(struct buf *out, unsigned notify, struct span orcpt)
{
    size_t semi = span_find(orcpt, ';');
    add_notify(out, notify);
    if (semi == SIZE_MAX)
        return;
    buf_str(out, " ORCPT=");
    buf_add(out, span_sub(orcpt, 0, semi + 1));
    xtext_encode(out, span_from(orcpt, semi + 1));
}
