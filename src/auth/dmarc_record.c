#include "auth/dmarc.h"

/* RFC 7489 section 6.4, RFC 9989 section 4.8: dmarc-version [dmarc-sep ...]; the version is first
 * and in upper case. */
bool dmarc_is_record(struct span txt)
{
    struct span version = span_sub(txt, 0, span_find(txt, ';'));
    size_t equals = span_find(version, '=');
    return equals != SIZE_MAX && span_eq(span_trim(span_sub(version, 0, equals)), SPAN("v")) &&
           span_eq(span_trim(span_from(version, equals + 1)), SPAN("DMARC1"));
}

static bool policy_of(struct span v, enum dmarc_policy *out)
{
    for (int p = DMARC_POLICY_NONE; p <= DMARC_POLICY_REJECT; p++)
        if (span_ieq(v, span_str(dmarc_policy_name((enum dmarc_policy)p))))
            return *out = (enum dmarc_policy)p, true;
    return false;
}

static struct span percent_decoded(struct arena *a, struct span s)
{
    char *out = arena_raw(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        int hi = i + 2 < s.n && s.p[i] == '%' ? ascii_hex(s.p[i + 1]) : -1;
        int lo = hi >= 0 ? ascii_hex(s.p[i + 2]) : -1;
        if (lo >= 0) {
            out[n++] = (char)(hi * 16 + lo);
            i += 2;
        } else {
            out[n++] = s.p[i];
        }
    }
    return span_of(out, n);
}

/* An address that a report can be sent to without a second thought. */
static bool plain_address(struct span s)
{
    size_t at = span_rfind(s, '@');
    if (at == SIZE_MAX || at == 0 || at + 1 == s.n || s.n > 320)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isalnum(s.p[i]) && !(s.p[i] && strchr("@.-_+=/!#$&'*^`{|}~", s.p[i])))
            return false;
    return span_find(s, '@') == at;
}

/* dmarc-uri = URI [ "!" 1*DIGIT [ "k" / "m" / "g" / "t" ] ] */
bool dmarc_uri_parse(struct arena *a, struct span s, struct dmarc_uri *out)
{
    static const char units[] = "kmgt";
    *out = (struct dmarc_uri){0};
    if (!span_istarts(s, SPAN("mailto:")))
        return false;
    s = span_from(s, 7);
    size_t bang = span_rfind(s, '!');
    if (bang != SIZE_MAX) {
        struct span size = span_from(s, bang + 1);
        unsigned shift = 0;
        const char *unit = size.n ? strchr(units, ascii_lower(size.p[size.n - 1])) : NULL;
        if (unit && *unit) {
            shift = 10 * (unsigned)(unit - units + 1);
            size.n--;
        }
        if (!span_u64(size, &out->max_size) || out->max_size > UINT64_MAX >> shift)
            return false;
        out->max_size <<= shift;
        s = span_sub(s, 0, bang);
    }
    out->address = percent_decoded(a, s);
    return plain_address(out->address);
}

static void uris_of(struct arena *a, struct span v, struct dmarc_record *out)
{
    while (v.n && out->nrua < DMARC_URIS_MAX) {
        struct span one = span_trim(span_word(&v, ","));
        if (one.n && dmarc_uri_parse(a, one, &out->rua[out->nrua]))
            out->nrua++;
    }
}

enum seen { SEEN_P = 1, SEEN_SP = 2, SEEN_NP = 4, SEEN_BAD = 8 };

static void policy_tag(struct span v, enum dmarc_policy *out, unsigned bit, unsigned *seen)
{
    *seen |= *seen & bit ? 0 : policy_of(v, out) ? bit : SEEN_BAD;
}

static void tag(struct arena *a, struct span name, struct span v, struct dmarc_record *out,
                unsigned *seen)
{
    uint64_t n;
    if (span_ieq(name, SPAN("p")))
        policy_tag(v, &out->p, SEEN_P, seen);
    else if (span_ieq(name, SPAN("sp")))
        policy_tag(v, &out->sp, SEEN_SP, seen);
    else if (span_ieq(name, SPAN("np")))
        policy_tag(v, &out->np, SEEN_NP, seen);
    else if (span_ieq(name, SPAN("adkim")))
        out->strict_dkim = span_ieq(v, SPAN("s"));
    else if (span_ieq(name, SPAN("aspf")))
        out->strict_spf = span_ieq(v, SPAN("s"));
    else if (span_ieq(name, SPAN("t")))
        out->testing = span_ieq(v, SPAN("y"));
    else if (span_ieq(name, SPAN("pct")))
        out->percent = span_u64(v, &n) && n <= 100 ? (unsigned)n : 100;
    else if (span_ieq(name, SPAN("psd")))
        out->psd = span_ieq(v, SPAN("y"))   ? DMARC_PSD_YES
                   : span_ieq(v, SPAN("n")) ? DMARC_PSD_NO
                                            : DMARC_PSD_UNKNOWN;
    else if (span_ieq(name, SPAN("fo")))
        out->fo = v;
    else if (span_ieq(name, SPAN("rua")) && out->nrua == 0)
        uris_of(a, v, out);
}

bool dmarc_parse(struct arena *a, struct span txt, struct dmarc_record *out)
{
    unsigned seen = 0;
    *out = (struct dmarc_record){.percent = 100, .text = txt};
    if (txt.n > DMARC_RECORD_MAX || !dmarc_is_record(txt))
        return false;
    struct span rest = span_from(txt, span_find(txt, ';'));
    while (rest.n) {
        struct span one = span_word(&rest, ";");
        size_t equals = span_find(one, '=');
        if (equals != SIZE_MAX)
            tag(a, span_trim(span_sub(one, 0, equals)), span_trim(span_from(one, equals + 1)), out,
                &seen);
    }
    if (!(seen & SEEN_P) || seen & SEEN_BAD) {
        if (out->nrua == 0)
            return false;
        out->p = out->sp = out->np = DMARC_POLICY_NONE;
        return true;
    }
    if (!(seen & SEEN_SP))
        out->sp = out->p;
    if (!(seen & SEEN_NP))
        out->np = out->sp;
    return true;
}
