#include "smtp/xclient.h"

#include "smtp/params.h"
#include "smtp/path.h"

static bool printable(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 0x7f)
            return false;
    return true;
}

static bool take(struct xclient *x, struct span name, struct span value)
{
    if (span_ieq(value, SPAN("[UNAVAILABLE]")) || span_ieq(value, SPAN("[TEMPUNAVAIL]")))
        value = SPAN("");
    if (span_ieq(name, SPAN("ADDR"))) {
        x->has_ip = value.n > 0;
        return value.n == 0 || (value.p[0] != '[' && ip_parse(value, &x->ip));
    }
    if (span_ieq(name, SPAN("PORT")) || span_ieq(name, SPAN("DESTPORT"))) {
        uint64_t v = 0;
        if (value.n > 0 && (value.n > 5 || !span_u64(value, &v) || v > 65535))
            return false;
        if (span_ieq(name, SPAN("PORT")) && value.n > 0) {
            x->has_port = true;
            x->port = (uint16_t)v;
        }
        return true;
    }
    if (span_ieq(name, SPAN("PROTO"))) {
        x->esmtp = span_ieq(value, SPAN("ESMTP"));
        return x->esmtp || span_ieq(value, SPAN("SMTP"));
    }
    if (span_ieq(name, SPAN("NAME"))) {
        x->name = value;
        return value.n == 0 || domain_valid(value, false);
    }
    if (span_ieq(name, SPAN("HELO"))) {
        x->helo = value;
        return printable(value);
    }
    if (span_ieq(name, SPAN("LOGIN"))) {
        x->login = value;
        return printable(value);
    }
    return span_ieq(name, SPAN("DESTADDR"));
}

bool xclient_parse(struct span attributes, struct xclient *out)
{
    memset(out, 0, sizeof *out);
    out->esmtp = -1;
    size_t at = 0;
    struct span word;
    bool any = false;
    while ((word = span_word(&attributes, " ")).p) {
        size_t eq = span_find(word, '=');
        if (eq == SIZE_MAX || word.n - eq - 1 > sizeof out->bytes - at)
            return false;
        long n = xtext_decode(span_from(word, eq + 1), out->bytes + at);
        if (n < 0 || !take(out, span_sub(word, 0, eq), span_of(out->bytes + at, (size_t)n)))
            return false;
        at += (size_t)n;
        any = true;
    }
    return any;
}
