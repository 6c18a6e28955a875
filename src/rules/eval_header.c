/* HeaderEval (semantics 8.5), all but dates (eval_date.c) and forged providers (eval_forged.c). */
#include "rules/eval_state.h"

#include "relays/template.h"
#include "rules/eval.h"
#include "rules/locales.h"

#include <stdlib.h>

static bool has_non_space(struct span s)
{
    return span_trim(s).n > 0;
}

/* RFC 3629: shortest forms, no surrogates, up to U+10FFFF. */
static bool is_utf8(struct span s)
{
    for (size_t i = 0; i < s.n;) {
        unsigned char b = (unsigned char)s.p[i];
        size_t n = b < 0x80 ? 0 : b >= 0xc2 && b <= 0xdf ? 1 : (b & 0xf0) == 0xe0 ? 2 : 3;
        if (b >= 0x80 && (b < 0xc2 || b > 0xf4 || i + n >= s.n))
            return false;
        for (size_t k = 1; k <= n; k++)
            if (((unsigned char)s.p[i + k] & 0xc0) != 0x80)
                return false;
        unsigned char next = n ? (unsigned char)s.p[i + 1] : 0;
        if ((b == 0xe0 && next < 0xa0) || (b == 0xed && next > 0x9f) ||
            (b == 0xf0 && next < 0x90) || (b == 0xf4 && next > 0x8f))
            return false;
        i += n + 1;
    }
    return true;
}

static bool is_control(unsigned char b)
{
    return b < 0x20 && b != '\t' && b != '\n' && b != '\r';
}

/* Nothing beyond ASCII and no control character. Without a way out of the loop, so that compilers
 * make vectors of it. */
static bool all_legal(struct span s)
{
    uint8_t found = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t b = (uint8_t)s.p[i];
        uint8_t low = (uint8_t)(b < 0x20),
                blank = (uint8_t)((b == '\t') | (b == '\n') | (b == '\r'));
        found = (uint8_t)(found | (low & (blank ^ 1)) | (b >= 0x7f));
    }
    return !found;
}

static double check_illegal_chars(struct rules_ctx *c, const struct eval_call *call)
{
    struct span name = eval_arg(call, 0);
    const struct span form[] = {name, SPAN(":raw")};
    name = arena_concat(c->a, form, span_ends(name, SPAN(":raw")) ? 1 : 2);
    struct span s = header_scalar_of(c, header_key(name));
    size_t high = 0, controls = 0, deleted = 0, exempt = 0;
    for (size_t i = all_legal(s) ? s.n : 0; i < s.n;) {
        unsigned char b = (unsigned char)s.p[i++];
        high += b >= 0x80;
        deleted += b == 0x7f;
        controls += is_control(b);
        exempt += b == 0xa2 || b == 0xa3 || b == 0xae;
    }
    if (!has_non_space(s) || (high && !controls && is_utf8(s)))
        return 0;
    size_t illegal = high + controls + deleted;
    /* a single cent, pound or registered sign is forgiven */
    if (illegal && exempt == 1 && span_ieq(name, SPAN("Subject:raw")))
        illegal--;
    double n = (double)illegal;
    return n / (double)s.n >= eval_number(call, 1, 0) && n >= eval_number(call, 2, 0);
}

/* --- recipients --- */

enum { SORTED_COUNT = 7, SIMILAR_COUNT = 5, RECIPIENTS_MAX = 256 };

struct recipients {
    struct span v[RECIPIENTS_MAX];
    size_t n;
};

static void recipients(struct rules_ctx *c, struct recipients *r)
{
    size_t n, total = 0;
    r->n = 0;
    static const char *const requests[] = {"ToCc:addr", "Bcc:addr"};
    for (size_t k = 0; k < 2 && total < SIMILAR_COUNT; k++) {
        struct span *v = header_list(c, requests[k], &n);
        total += n;
        for (size_t i = 0; i < n && r->n < RECIPIENTS_MAX; i++) {
            if (!v[i].n || span_eq(v[i], SPAN("0")))
                return;
            if (r->n == 0 || !span_ieq(v[i], r->v[r->n - 1]))
                r->v[r->n++] = v[i];
        }
    }
}

static double sorted_recipients(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    struct recipients r;
    recipients(c, &r);
    for (size_t i = 1; i < r.n; i++)
        if (span_cmp(r.v[i - 1], r.v[i]) > 0)
            return 0;
    return r.n >= SORTED_COUNT;
}

/* Pairs whose local parts begin alike, and pairs of different hosts that begin alike. */
static double similarity(const struct recipients *r)
{
    if (r->n < SIMILAR_COUNT)
        return 0;
    struct span host[RECIPIENTS_MAX] = {{0}};
    size_t hosts = 0, hits = 0, pairs = 0;
    for (size_t i = 0; i < r->n; i++) {
        size_t at = span_find(r->v[i], '@');
        if (at != SIZE_MAX)
            host[hosts++] = span_from(r->v[i], at + 1);
    }
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = i + 1; k < r->n; k++) {
            hits += span_eq(span_sub(r->v[i], 0, 2), span_sub(r->v[k], 0, 2));
            hits += span_eq(span_sub(host[i], 0, 2), span_sub(host[k], 0, 2)) &&
                    !span_eq(host[i], host[k]);
            pairs++;
        }
    return (double)hits / (double)pairs;
}

static double similar_recipients(struct rules_ctx *c, const struct eval_call *call)
{
    struct recipients r;
    recipients(c, &r);
    double v = similarity(&r);
    return (eval_open(call, 0) || v >= eval_number(call, 0, 0)) &&
           (eval_open(call, 1) || v < eval_number(call, 1, 0));
}

static double check_for_missing_to_header(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return !header_scalar(c, "To").n && !header_scalar(c, "Apparently-To").n;
}

/* --- subject --- */

static struct span after_replies(struct span s)
{
    static const char *const words[] = {"Re", "Fwd", "Fw", "Aw", "Antwort",
                                        "WG", "SV",  "VB", "VS", "VL"};
    for (;;) {
        size_t colon = span_find(s, ':');
        bool reply = false;
        for (size_t i = 0; colon != SIZE_MAX && i < sizeof words / sizeof *words; i++)
            reply = reply || span_ieq(span_sub(s, 0, colon), span_str(words[i]));
        if (!reply)
            return s;
        s = span_from(s, colon + 1);
        while (s.n && ascii_isspace(s.p[0]))
            s = span_from(s, 1);
    }
}

/* An encoded word in a charset that is written in capitals. */
static bool coded_in_capitals(struct span raw)
{
    for (size_t at = 0;; at++) {
        size_t found = span_search(span_from(raw, at), SPAN("=?"));
        if (found == SIZE_MAX)
            return false;
        at += found;
        struct span rest = span_from(raw, at + 2);
        size_t end = span_find(rest, '?');
        if (end != SIZE_MAX && charset_likes_capitals(span_sub(rest, 0, end)))
            return true;
    }
}

static double subject_is_all_caps(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    struct span s = after_replies(span_trim(header_scalar(c, "Subject")));
    size_t spaces = 0, upper = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] >= 'a' && s.p[i] <= 'z')
            return 0;
        spaces += ascii_isspace(s.p[i]);
        upper += s.p[i] >= 'A' && s.p[i] <= 'Z';
    }
    return spaces && s.n >= 10 && upper && !coded_in_capitals(header_scalar(c, "Subject:raw"));
}

/* $: the end, or before one last LF. */
static bool at_end(struct span s)
{
    return s.n == 0 || (s.n == 1 && s.p[0] == '\n');
}

static struct span skip_space(struct span s)
{
    while (s.n && ascii_isspace(s.p[0]))
        s = span_from(s, 1);
    return s;
}

static struct span skip_word(struct span s)
{
    size_t n = 0;
    while (n < s.n && (ascii_isalnum(s.p[n]) || s.p[n] == '_'))
        n++;
    return span_from(s, n);
}

static bool is_mark(struct span s)
{
    return s.n && strchr(",:;!?-", s.p[0] ? s.p[0] : ' ');
}

/* "re: user", "re: word user". */
static bool replies_to(struct span s, struct span user)
{
    if (!span_istarts(s, SPAN("re:")) && !span_istarts(s, SPAN("fw:")))
        return false;
    s = skip_space(span_from(s, 3));
    struct span later = skip_word(s), word = skip_space(later);
    if (span_istarts(s, user) && at_end(span_from(s, user.n)))
        return true;
    return later.n < s.n && word.n < later.n && span_istarts(word, user) &&
           at_end(span_from(word, user.n));
}

static bool starts_with_user(struct span s, struct span user)
{
    if (replies_to(s, user) || (span_istarts(s, user) && at_end(span_from(s, user.n))))
        return true;
    if (span_starts(s, user)) {
        struct span rest = skip_space(span_from(s, user.n));
        struct span after = span_from(rest, 1);
        if (is_mark(rest) && (at_end(after) || ascii_isspace(after.p[0])))
            return true;
    }
    if (!s.n || s.p[0] != ',')
        return false;
    struct span rest = skip_space(span_from(s, 1));
    return span_istarts(rest, user) && is_mark(span_from(rest, user.n)) &&
           at_end(span_from(rest, user.n + 1));
}

static double check_for_to_in_subject(struct rules_ctx *c, const struct eval_call *call)
{
    struct span to = header_scalar(c, "To:addr"), subject = header_scalar(c, "Subject");
    if (!to.n)
        return 0;
    if (span_eq(eval_arg(call, 0), SPAN("address"))) {
        size_t at = span_isearch(subject, to);
        return at != SIZE_MAX;
    }
    if (!span_eq(eval_arg(call, 0), SPAN("user")))
        return 0;
    return starts_with_user(subject, span_sub(to, 0, span_find(to, '@')));
}

/* --- other --- */

static double check_header_count_range(struct rules_ctx *c, const struct eval_call *call)
{
    size_t n;
    struct span *v = header_list(c, arena_cstr(c->a, eval_arg(call, 0)), &n);
    struct map distinct = map_in(c->a);
    for (size_t i = 0; i < n; i++)
        *map_at(&distinct, v[i]) = c;
    double count = (double)distinct.n;
    return count >= eval_number(call, 1, 0) && count <= eval_number(call, 2, 0);
}

static bool may_hold_percent(struct span line)
{
    static const char *const names[] = {"X-VMS-To:",
                                        "X-UIDL:",
                                        "X-Face:",
                                        "To:",
                                        "Cc:",
                                        "From:",
                                        "Subject:",
                                        "References:",
                                        "In-Reply-To:",
                                        "Message-Id:",
                                        "X-Message-Id:",
                                        "Resent-Message-Id:",
                                        "X-Original-Message-Id:"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (span_istarts(line, span_str(names[i])))
            return true;
    return false;
}

static bool has_template(struct span s)
{
    for (size_t i = 0; i + 2 < s.n; i++)
        if (s.p[i] == '%' && s.p[i + 1] >= 'A' && s.p[i + 1] <= 'Z' &&
            ((s.p[i + 2] >= 'A' && s.p[i + 2] <= 'Z') || s.p[i + 2] == '_' || s.p[i + 2] == '-'))
            return true;
    return false;
}

static double check_unresolved_template(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    struct span rest = header_all(c), line;
    if (span_find(rest, '%') == SIZE_MAX)
        return 0;
    while (span_line(&rest, &line))
        if (has_template(line) && !may_hold_percent(line))
            return 1;
    return 0;
}

/* <28 capitals . NAME>, and From: "..." <NAME> */
static double check_ratware_name_id(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    struct span id = header_scalar(c, "MESSAGEID"), from = header_scalar(c, "From");
    for (size_t at = 0; at + 30 < id.n; at++) {
        size_t n = 0;
        while (n < 28 && id.p[at] == '<' && id.p[at + 1 + n] >= 'A' && id.p[at + 1 + n] <= 'Z')
            n++;
        if (n < 28 || id.p[at + 29] != '.')
            continue;
        struct span name = span_from(id, at + 30);
        size_t end = name.n ? span_find(span_from(name, 1), '>') : SIZE_MAX;
        if (end == SIZE_MAX)
            continue;
        struct span wanted = arena_printf(c->a, "<%.*s>", (int)(end + 1), name.p);
        for (size_t k = 0; (n = span_search(span_from(from, k), wanted)) != SIZE_MAX; k += n + 1) {
            struct span before = span_trim(span_sub(from, 0, k + n));
            size_t quote =
                before.n > 2 ? span_rfind(span_sub(before, 0, before.n - 1), '"') : SIZE_MAX;
            if (span_ends(before, SPAN("\"")) && quote != SIZE_MAX && quote + 2 < before.n)
                return 1;
        }
        return 0;
    }
    return 0;
}

/* To user@domain, envelope sender ...domain.user@... */
static double check_ratware_envelope_from(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    struct span to = header_scalar(c, "To:addr"), from = header_scalar(c, "EnvelopeFrom:addr");
    if (span_istarts(from, SPAN("SRS")) && from.n > 4 && ascii_isdigit(from.p[3]) &&
        strchr("=+-", from.p[4]))
        return 0;
    size_t at = span_find(to, '@');
    if (!from.n || at == SIZE_MAX || at == 0 || at + 1 == to.n)
        return 0;
    struct span user = span_sub(to, 0, at), dom = ctx_registered_domain(c, span_from(to, at + 1));
    if (!ctx_domain_valid(c, dom))
        return 0;
    for (size_t i = 0; i + dom.n + 1 + user.n < from.n; i++) {
        struct span rest = span_from(from, i);
        bool word = i == 0 || !(ascii_isalnum(from.p[i - 1]) || from.p[i - 1] == '_');
        if (word && span_istarts(rest, dom) && rest.p[dom.n] != '\n' &&
            span_istarts(span_from(rest, dom.n + 1), user) && rest.p[dom.n + 1 + user.n] == '@')
            return 1;
    }
    return 0;
}

/* What stands behind the last @, reduced to its last two labels. */
static struct span last_labels(struct span addr)
{
    size_t at = span_rfind(addr, '@');
    if (at == SIZE_MAX)
        return SPAN("");
    struct span host = span_from(addr, at + 1);
    size_t dot = span_rfind(host, '.');
    size_t second = dot == SIZE_MAX ? SIZE_MAX : span_rfind(span_sub(host, 0, dot), '.');
    bool full = second != SIZE_MAX && second > 0 && dot + 1 < host.n && second + 1 < dot;
    return full ? span_from(host, second + 1) : host;
}

static double check_equal_from_domains(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    struct span a = last_labels(header_scalar(c, "From:addr"));
    struct span b = last_labels(header_scalar(c, "EnvelopeFrom:addr"));
    return a.n && b.n && !span_ieq(a, b);
}

static double check_for_matching_env_and_hdr_from(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return span_ieq(header_scalar(c, "EnvelopeFrom:addr"), header_scalar(c, "From:addr"));
}

static int prepare_encoded_word(struct arena *a, const struct conf *conf, struct eval_call *call,
                                struct err *e)
{
    (void)conf;
    call->prepared = regex_new(a, SPAN("=\\?(.+?)\\?.\\?.*?\\?="), SPAN_NONE, e);
    return call->prepared ? 0 : -1;
}

static double check_for_faraway_charset_in_headers(struct rules_ctx *c,
                                                   const struct eval_call *call)
{
    static const char *const headers[] = {"From:raw", "Subject:raw"};
    struct span ok = c->conf->ok_locales;
    if (locales_all(ok))
        return 0;
    for (size_t h = 0; h < 2; h++) {
        size_t n;
        const struct span *v = header_list(c, headers[h], &n);
        for (size_t i = 0; i < n; i++) {
            struct regex_match m = {0};
            while (regex_exec(call->prepared, v[i], m.end, &m) == 1)
                if (!locales_charset_ok(ok, span_sub(v[i], m.group[1].start, m.group[1].end)))
                    return 1;
        }
    }
    return 0;
}

/* No longer used by any rule file; SpamAssassin keeps it and it never hits. */
static double check_for_unique_subject_id(struct rules_ctx *c, const struct eval_call *call)
{
    (void)c;
    (void)call;
    return 0;
}

/* Mailing lists and gateways that rewrite Message-Id. */
static double check_messageid_not_usable(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    struct span list = span_trim(header_scalar(c, "List-Unsubscribe"));
    struct template_match m = {.line = list, .arena = c->a, .memory = c->templates, .icase = true};
    if (template_search(&m, "<mailto:{leave-$W|$W-unsubscribe}@$W>$.", NULL, NULL) ||
        received_headers_removed(c))
        return 1;
    struct span r = header_scalar(c, "Received");
    return span_search(r, SPAN("/CWT/DCE)")) != SIZE_MAX ||
           span_search(r, SPAN("iPlanet Messaging Server")) != SIZE_MAX;
}

#define ROW(fn)                                                                                    \
    {                                                                                              \
#fn, "HeaderEval", fn, .types = EVAL_HEAD                                                  \
    }
const struct eval_fn_def eval_header[] = {
    ROW(check_illegal_chars),
    ROW(sorted_recipients),
    ROW(similar_recipients),
    ROW(check_for_missing_to_header),
    ROW(subject_is_all_caps),
    ROW(check_for_to_in_subject),
    ROW(check_header_count_range),
    ROW(check_unresolved_template),
    ROW(check_ratware_name_id),
    ROW(check_ratware_envelope_from),
    ROW(check_equal_from_domains),
    ROW(check_for_matching_env_and_hdr_from),
    {"check_for_faraway_charset_in_headers", "HeaderEval", check_for_faraway_charset_in_headers,
     prepare_encoded_word, EVAL_HEAD},
    ROW(check_for_unique_subject_id),
    ROW(check_messageid_not_usable),
    {NULL},
};
