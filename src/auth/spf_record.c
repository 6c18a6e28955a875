#include "auth/spf.h"

#include <arpa/inet.h>

bool spf_is_record(struct span txt, enum spf_scope scope)
{
    struct span version = span_sub(txt, 0, span_find(txt, ' '));
    if (scope == SPF_MFROM)
        return span_ieq(version, SPAN("v=spf1"));
    /* RFC 4406 section 3.1: "spf2.0" *("/" or ",") scopes */
    if (!span_istarts(version, SPAN("spf2.0/")))
        return false;
    struct span scopes = span_from(version, 7);
    while (scopes.n) {
        struct span scope_name = span_word(&scopes, ",");
        if (span_ieq(scope_name, SPAN("pra")))
            return true;
    }
    return false;
}

struct reading {
    struct arena *a;
    struct spf_record *r;
    struct span *why;
};

static bool wrong(struct reading *rd, const char *what, struct span text)
{
    *rd->why = arena_printf(rd->a, "%s in '%.*s'", what, SPAN_ARG(span_sub(text, 0, 100)));
    return false;
}

/* Digits without leading zeros, at most max. */
static bool prefix_length(struct span s, unsigned max, unsigned *out)
{
    uint64_t v;
    if (s.n == 0 || s.n > 3 || (s.n > 1 && s.p[0] == '0') || !span_u64(s, &v) || v > max)
        return false;
    *out = (unsigned)v;
    return true;
}

static bool all_digits(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isdigit(s.p[i]))
            return false;
    return true;
}

/* dual-cidr-length = [ "/" ip4 ] [ "//" ip6 ], cut off the end of *s. A domain-spec may hold
 * slashes too, but can't end in one followed by digits. */
static bool cut_cidr(struct span *s, struct spf_term *t)
{
    t->bits4 = 32;
    t->bits6 = 128;
    size_t slash = span_rfind(*s, '/');
    if (slash == SIZE_MAX || !all_digits(span_from(*s, slash + 1)))
        return true;
    struct span digits = span_from(*s, slash + 1);
    if (slash > 0 && s->p[slash - 1] == '/') {
        if (!prefix_length(digits, 128, &t->bits6))
            return false;
        *s = span_sub(*s, 0, slash - 1);
        slash = span_rfind(*s, '/');
        if (slash == SIZE_MAX || !all_digits(span_from(*s, slash + 1)))
            return true;
        digits = span_from(*s, slash + 1);
    }
    if (!prefix_length(digits, 32, &t->bits4))
        return false;
    *s = span_sub(*s, 0, slash);
    return true;
}

static bool domain_spec(struct reading *rd, struct span s, struct span term)
{
    bool uses_p;
    return spf_macro_valid(s, false, true, &uses_p) || wrong(rd, "no valid domain", term);
}

/* inet_pton is as strict as section 12's ABNF: four decimal numbers without leading zeros. */
static bool network(struct span s, bool four, struct cidr *out)
{
    char text[INET6_ADDRSTRLEN + 1];
    unsigned char raw[16];
    size_t slash = span_find(s, '/');
    struct span host = span_sub(s, 0, slash);
    unsigned bits = four ? 32 : 128;
    if (slash != SIZE_MAX && !prefix_length(span_from(s, slash + 1), bits, &bits))
        return false;
    if (host.n == 0 || host.n >= sizeof text || span_find(host, '\0') != SIZE_MAX)
        return false;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    if (inet_pton(four ? AF_INET : AF_INET6, text, raw) != 1)
        return false;
    *out = (struct cidr){.bits = bits};
    if (four) {
        out->net.b[10] = out->net.b[11] = 0xff;
        memcpy(out->net.b + 12, raw, 4);
        out->bits += 96;
    } else {
        memcpy(out->net.b, raw, 16);
    }
    return true;
}

enum argument { NO_ARGUMENT, DOMAIN, DOMAIN_CIDR, NETWORK4, NETWORK6 };

static const struct {
    const char *name;
    enum argument argument;
    bool required;
} mechanisms[] = {
    [SPF_ALL] = {"all", NO_ARGUMENT, false}, [SPF_INCLUDE] = {"include", DOMAIN, true},
    [SPF_A] = {"a", DOMAIN_CIDR, false},     [SPF_MX] = {"mx", DOMAIN_CIDR, false},
    [SPF_PTR] = {"ptr", DOMAIN, false},      [SPF_IP4] = {"ip4", NETWORK4, true},
    [SPF_IP6] = {"ip6", NETWORK6, true},     [SPF_EXISTS] = {"exists", DOMAIN, true},
};

/* rest: what follows the mechanism's name, with its ':' or '/'. */
static bool argument(struct reading *rd, struct spf_term *t, struct span rest)
{
    enum argument kind = mechanisms[t->mechanism].argument;
    if (kind == DOMAIN_CIDR && !cut_cidr(&rest, t))
        return wrong(rd, "no valid prefix length", t->text);
    if (rest.n == 0)
        return !mechanisms[t->mechanism].required || wrong(rd, "argument missing", t->text);
    if (rest.p[0] != ':' || kind == NO_ARGUMENT)
        return wrong(rd, "unexpected argument", t->text);
    rest = span_from(rest, 1);
    if (kind == NETWORK4 || kind == NETWORK6)
        return network(rest, kind == NETWORK4, &t->net) || wrong(rd, "no valid network", t->text);
    t->domain = rest;
    return domain_spec(rd, rest, t->text);
}

static bool directive(struct reading *rd, struct span text)
{
    struct spf_term *t = ARENA_PUSH(rd->a, rd->r->terms, rd->r->n, rd->r->cap);
    *t = (struct spf_term){.text = text, .qualifier = SPF_PASS};
    struct span s = text;
    size_t q = span_find(SPAN("+-~?"), s.p[0]);
    if (q != SIZE_MAX) {
        static const enum spf_result results[] = {SPF_PASS, SPF_FAIL, SPF_SOFTFAIL, SPF_NEUTRAL};
        t->qualifier = results[q];
        s = span_from(s, 1);
    }
    size_t end = 0;
    while (end < s.n && s.p[end] != ':' && s.p[end] != '/')
        end++;
    for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++)
        if (span_ieq(span_sub(s, 0, end), span_str(mechanisms[i].name))) {
            t->mechanism = (enum spf_mechanism)i;
            return argument(rd, t, span_from(s, end));
        }
    return wrong(rd, "unknown mechanism", text);
}

static bool modifier(struct reading *rd, struct span text, size_t equals)
{
    struct span name = span_sub(text, 0, equals), value = span_from(text, equals + 1);
    struct span *known = span_ieq(name, SPAN("redirect")) ? &rd->r->redirect
                         : span_ieq(name, SPAN("exp"))    ? &rd->r->exp
                                                          : NULL;
    bool uses_p;
    if (!known)
        return spf_macro_valid(value, false, false, &uses_p) ||
               wrong(rd, "no valid macro string", text);
    if (known->p)
        return wrong(rd, "modifier given twice", text);
    *known = value;
    return domain_spec(rd, value, text);
}

/* name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." ), then "=" */
static bool is_modifier(struct span text, size_t *equals)
{
    size_t i = 0;
    while (i < text.n && (ascii_isalnum(text.p[i]) || (text.p[i] && strchr("-_.", text.p[i]))))
        i++;
    *equals = i;
    return i > 0 && i < text.n && text.p[i] == '=' && ascii_isalpha(text.p[0]);
}

bool spf_parse(struct arena *a, struct span txt, struct spf_record *out, struct span *why)
{
    struct reading rd = {a, out, why};
    *out = (struct spf_record){0};
    if (txt.n > SPF_RECORD_MAX)
        return *why = SPAN("record too long"), false;
    for (size_t i = 0; i < txt.n; i++)
        if ((unsigned char)txt.p[i] >= 0x80 || txt.p[i] < ' ')
            return *why = SPAN("record is not printable ASCII"), false;
    struct span rest = span_from(txt, span_find(txt, ' '));
    for (size_t n = 0; rest.n; n++) {
        struct span text = span_word(&rest, " ");
        size_t equals;
        if (!text.p)
            break;
        if (n == SPF_TERMS_MAX)
            return *why = SPAN("too many terms"), false;
        if (is_modifier(text, &equals) ? !modifier(&rd, text, equals) : !directive(&rd, text))
            return false;
    }
    return true;
}
