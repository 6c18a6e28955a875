/* What an answer must be for a rule to hit: the notations of DNSEval, URIDNSBL and AskDNS. */
#include "rules/net.h"

#include <stdlib.h>

#include "relays/ip_pattern.h"

static bool digits(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isdigit(s.p[i]))
            return false;
    return s.n > 0;
}

/* \d+.\d+.\d+.\d+ with \d{1,3} each, as the number; false: something else. */
static bool quad(struct span s, uint32_t *out)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        struct span part = span_sub(s, 0, i < 3 ? span_find(s, '.') : s.n);
        uint64_t n;
        if (part.n > 3 || !digits(part) || !span_u64(part, &n))
            return false;
        value = value << 8 | (uint32_t)(n & 255);
        s = span_from(s, part.n + (i < 3));
    }
    *out = value;
    return s.n == 0;
}

int net_test_rbl(struct arena *a, struct span s, struct net_test *out, struct err *e)
{
    uint64_t n;
    uint32_t address;
    *out = (struct net_test){.text = s};
    if (digits(s) && span_u64(s, &n)) {
        out->kind = NET_MASK;
        out->n1 = (uint32_t)n;
    } else if (quad(s, &address)) {
        out->kind = NET_TEXT;
    } else {
        out->kind = NET_REGEX;
        out->regex = regex_new(a, s, SPAN(""), e);
        return out->regex ? 0 : -1;
    }
    return 0;
}

/* "16", "0x10", "127.0.0.4" (sets *address) */
static bool number(struct span s, uint32_t *out, bool *address)
{
    uint64_t n;
    if (digits(s) && s.n <= 10 && span_u64(s, &n)) {
        *out = (uint32_t)n;
        return true;
    }
    if (span_starts(s, SPAN("0x")) && s.n > 2 && s.n <= 10) {
        *out = 0;
        for (size_t i = 2; i < s.n; i++) {
            if (ascii_hex(s.p[i]) < 0)
                return false;
            *out = *out << 4 | (uint32_t)ascii_hex(s.p[i]);
        }
        return true;
    }
    *address = true;
    return quad(s, out);
}

int net_test_uri(struct arena *a, struct span s, struct net_test *out, struct err *e)
{
    size_t at = 0;
    bool address = false;
    (void)a;
    while (at < s.n && s.p[at] != '/' && s.p[at] != '-')
        at++;
    *out = (struct net_test){.kind = NET_MASK, .text = s};
    bool ok = number(span_sub(s, 0, at), &out->n1, &address);
    if (ok && at < s.n) {
        out->kind = s.p[at] == '-' ? NET_RANGE : NET_VALUE_MASK;
        ok = number(span_from(s, at + 1), &out->n2, &address);
    } else if (ok && address) {
        out->kind = NET_RANGE;
        out->n2 = out->n1;
    }
    return ok ? 0 : err_set(e, "'%.*s' is no number, address, range or mask", SPAN_ARG(s));
}

/* "[NXDOMAIN]", "[FormErr,ServFail,4,5]" */
static int rcodes(struct span s, struct net_test *out, struct err *e)
{
    static const char *const names[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
                                        "NOTIMP",  "REFUSED", "YXDOMAIN", "YXRRSET",
                                        "NXRRSET", "NOTAUTH", "NOTZONE"};
    struct span rest = span_sub(s, 1, s.n - 1), word;
    out->kind = NET_RCODES;
    while ((word = span_word(&rest, ", \t")).p) {
        uint64_t n = 32;
        if (!span_u64(word, &n))
            for (n = 0; n < sizeof names / sizeof *names; n++)
                if (span_ieq(word, span_str(names[n])))
                    break;
        if (n >= 32 || (n >= sizeof names / sizeof *names && !digits(word)))
            return err_set(e, "'%.*s' is no DNS response code", SPAN_ARG(word));
        out->rcodes |= UINT32_C(1) << n;
    }
    return 0;
}

int net_test_ask(struct arena *a, struct span s, struct net_test *out, struct err *e)
{
    *out = (struct net_test){.text = s};
    if (s.n > 2 && (s.p[0] == '/' || (s.p[0] == 'm' && !is_word_byte(s.p[1])))) {
        out->kind = NET_REGEX;
        out->regex = regex_new_delimited(a, s, e);
        return out->regex ? 0 : -1;
    }
    if (s.n >= 2 && (s.p[0] == '"' || s.p[0] == '\'') && s.p[s.n - 1] == s.p[0]) {
        out->kind = NET_TEXT;
        out->text = span_sub(s, 1, s.n - 1);
        return 0;
    }
    if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
        return rcodes(s, out, e);
    return net_test_uri(a, s, out, e);
}

bool net_test_hits(const struct net_test *t, struct span text, bool address)
{
    uint32_t n;
    if (t->kind == NET_REGEX)
        return regex_hit(t->regex, text);
    if (t->kind == NET_TEXT)
        return span_eq(t->text, text);
    if (t->kind == NET_RCODES)
        return false;
    if (t->kind == NET_ANY || span_eq(t->text, text))
        return true;
    if (!address || !quad(text, &n))
        return false;
    switch (t->kind) {
    case NET_MASK:
        return n & t->n1 && n >> 24 == 127;
    case NET_RANGE:
        return n >= t->n1 && n <= t->n2;
    default:
        return (n & t->n2) == (t->n1 & t->n2);
    }
}
