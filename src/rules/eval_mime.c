/* MIMEEval (semantics 8.2): one scan over all parts answers most of it. */
#include "rules/eval_state.h"
#include "rules/locales.h"

#include "rules/eval.h"

struct mime_scan {
    unsigned html, text, base64, qp, attachment, multipart_alternative, ascii_illegal;
    bool base64_text, bad_iso, qp_long;
    size_t qp_bytes, qp_escapes;
    size_t plain_bytes, entities;
    double qp_ratio, unicode_ratio, multipart_ratio;
    size_t base64_length;
    struct span *charsets;
    size_t ncharsets, charsets_cap;
    /* bytes of the last text and html leaf that is no attachment */
    size_t text_bytes, html_bytes;
    bool has_text, has_html;
};

struct part {
    struct mime_part *p;
    struct mime_ctype type;
    struct span cte, cd, charset;
};

static struct span last_value(struct rules_ctx *c, const struct mime_part *p, struct span name)
{
    struct mime_field *f = mime_last(&p->fields, name);
    return f ? mime_decoded(c->mime, f) : SPAN("");
}

static bool has(struct span s, const char *text)
{
    return span_search(s, span_str(text)) != SIZE_MAX;
}

static struct part look_at(struct rules_ctx *c, struct mime_part *p)
{
    struct part v = {.p = p};
    v.type = mime_ctype_parse(c->a, last_value(c, p, SPAN("Content-Type")));
    v.cte = arena_lower(c->a, last_value(c, p, SPAN("Content-Transfer-Encoding")));
    v.cd = arena_lower(c->a, last_value(c, p, SPAN("Content-Disposition")));
    v.charset = v.type.charset.p ? arena_lower(c->a, v.type.charset) : SPAN_NONE;
    return v;
}

/* --- header of a part --- */

/* "us" and the others match anywhere in the name. */
static bool ascii_charset(struct span s)
{
    static const char *const names[] = {
        "us",    "ansi_x3.4-1968", "iso-ir-6", "ansi_x3.4-1986", "iso_646.irv:1991",
        "ascii", "ibm367",         "cp367"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (has(s, names[i]))
            return true;
    return false;
}

static bool word_byte(char ch)
{
    return ascii_isalnum(ch) || ch == '_';
}

static bool starts_at(struct span s, size_t at, const char *text)
{
    return span_starts(span_from(s, at), span_str(text));
}

/* "iso-8859-1" to "iso-8859-99", "iso-2022-jp" and "iso-2022-kr", as a word. */
static bool good_iso(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        size_t end = 0;
        if (starts_at(s, i, "iso-8859-")) {
            end = i + 9;
            while (end < s.n && end < i + 11 && ascii_isdigit(s.p[end]))
                end++;
            if (end == i + 9)
                continue;
        } else if (starts_at(s, i, "iso-2022-jp") || starts_at(s, i, "iso-2022-kr")) {
            end = i + 11;
        }
        if (end && (end == s.n || !word_byte(s.p[end])))
            return true;
    }
    return false;
}

/* "iso-X-Y" with a word character somewhere after the second hyphen, without white space. */
static bool some_iso(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!starts_at(s, i, "iso-"))
            continue;
        bool hyphen = false;
        for (size_t k = i + 5; k < s.n && !ascii_isspace(s.p[k]); k++) {
            if (hyphen && word_byte(s.p[k]))
                return true;
            if (s.p[k] == '-')
                hyphen = true;
        }
    }
    return false;
}

static bool has_letter(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (ascii_isalpha(s.p[i]))
            return true;
    return false;
}

static void scan_header(struct rules_ctx *c, struct mime_scan *m, const struct part *v)
{
    bool text = span_starts(v->type.type, SPAN("text")), base64 = has(v->cte, "base64");
    if (span_eq(v->type.type, SPAN("text/html")))
        m->html++;
    else if (text)
        m->text++;
    if (base64)
        m->base64++;
    else if (has(v->cte, "quoted-printable"))
        m->qp++;
    if (has(v->cd, "attachment"))
        m->attachment++;
    bool shown = span_starts(v->cd, SPAN("attachment")) || span_starts(v->cd, SPAN("inline"));
    if (text && base64 && (!v->charset.n || ascii_charset(v->charset)) && !shown)
        m->base64_text = true;
    if (some_iso(v->charset) && !good_iso(v->charset))
        m->bad_iso = true;
    if (has_letter(v->charset))
        *ARENA_PUSH(c->a, m->charsets, m->ncharsets, m->charsets_cap) = v->charset;
}

/* --- raw lines of a leaf --- */

static bool is_needless_escape(struct span s, size_t i)
{
    if (i + 2 >= s.n || s.p[i] != '=')
        return false;
    char a = s.p[i + 1], b = s.p[i + 2];
    bool hex = ascii_isdigit(b) || (b >= 'A' && b <= 'F');
    switch (a) {
    case '0':
        return b == '9';
    case '2':
    case '4':
    case '5':
    case '6':
        return hex;
    case '3':
        return hex && b != 'D';
    case '7':
        return hex && b != 'F';
    default:
        return false;
    }
}

static size_t trailing_blanks(struct span line)
{
    while (line.n && ascii_isspace(line.p[line.n - 1]))
        line.n--;
    size_t n = 0;
    while (line.n >= 3 && (span_ends(line, SPAN("=09")) || span_ends(line, SPAN("=20")))) {
        line.n -= 3;
        n++;
    }
    return n;
}

static void scan_qp_line(struct mime_scan *m, struct span line)
{
    if (span_starts(line, SPAN("SPAM: ")))
        return;
    if (line.n > 79) /* with its LF; RFC 5322 allows 78 */
        m->qp_long = true;
    m->qp_bytes += line.n;
    size_t escapes = 0;
    for (size_t at = 0, mark; (mark = span_find(span_from(line, at), '=')) != SIZE_MAX;) {
        bool hit = is_needless_escape(line, at + mark);
        escapes += hit;
        at += mark + (hit ? 3 : 1);
    }
    if (escapes)
        m->qp_escapes += escapes - trailing_blanks(line);
}

/* Without a way out of the loop, so that compilers make vectors of it. */
static bool illegal_in_ascii(struct span s)
{
    uint8_t found = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t b = (uint8_t)s.p[i];
        found = (uint8_t)(found | (b & 0x80) | (b == 0) | (b == '\r'));
    }
    return found != 0;
}

/* "&#x263A;": four upper-case digits. */
static bool is_entity(struct span s, size_t i)
{
    if (i + 8 > s.n || memcmp(s.p + i, "&#x", 3) != 0 || s.p[i + 7] != ';')
        return false;
    for (size_t k = i + 3; k < i + 7; k++)
        if (!ascii_isdigit(s.p[k]) && !(s.p[k] >= 'A' && s.p[k] <= 'F'))
            return false;
    return true;
}

/* No entity goes over a line end. */
static void count_entities(struct mime_scan *m, struct span text)
{
    enum { SIZE = 8 };
    size_t n = 0;
    for (size_t at; (at = span_find(text, '&')) != SIZE_MAX;) {
        bool entity = is_entity(text, at);
        n += entity;
        m->plain_bytes += at + !entity;
        text = span_from(text, at + (entity ? SIZE : 1));
    }
    m->plain_bytes += text.n;
    m->entities += n;
}

static bool next_line(struct span *rest, struct span *line)
{
    if (!rest->n)
        return false;
    size_t lf = span_find(*rest, '\n'), end = lf == SIZE_MAX ? rest->n : lf + 1;
    *line = span_sub(*rest, 0, end);
    *rest = span_from(*rest, end);
    return true;
}

static void scan_leaf(struct mime_scan *m, const struct part *v)
{
    bool plain = span_eq(v->type.type, SPAN("text/plain"));
    bool html = span_eq(v->type.type, SPAN("text/html"));
    bool qp = span_eq(v->cte, SPAN("quoted-printable"));
    bool base64 =
        span_eq(v->cte, SPAN("base64")) && !span_eq(v->type.type, SPAN("application/ics"));
    bool ascii = plain && (!v->charset.p || span_eq(v->charset, SPAN("us-ascii")));
    bool bare =
        plain && (!v->cte.n || span_eq(v->cte, SPAN("7bit")) || span_eq(v->cte, SPAN("8bit")));
    struct span rest = v->p->body, line;
    ascii = ascii && illegal_in_ascii(rest);
    if (bare)
        count_entities(m, rest);
    while ((qp || ascii || base64) && next_line(&rest, &line)) {
        if (qp)
            scan_qp_line(m, line);
        if (ascii && illegal_in_ascii(line))
            m->ascii_illegal++;
        if (base64 && line.n > m->base64_length)
            m->base64_length = line.n;
    }
    if (has(v->cd, "attachment"))
        return;
    size_t bytes = m->multipart_alternative ? v->p->body.n : 0;
    if (html) {
        m->html_bytes = bytes;
        m->has_html = true;
    } else if (plain) {
        m->text_bytes = bytes;
        m->has_text = true;
    }
}

static struct mime_scan *scan(struct rules_ctx *c)
{
    struct eval_state *s = eval_state(c);
    if (s->mime)
        return s->mime;
    struct mime_scan *m = s->mime = ARENA_NEW(c->a, struct mime_scan);
    m->multipart_ratio = 1;
    for (struct mime_part *p = c->mime->root; p; p = mime_next(p)) {
        if (!p->type.n)
            continue;
        struct part v = look_at(c, p);
        if (span_eq(v.type.type, SPAN("multipart/alternative")))
            m->multipart_alternative = 1;
        scan_header(c, m, &v);
        if (p->leaf)
            scan_leaf(m, &v);
    }
    if (m->qp_bytes) {
        m->qp_ratio = (double)m->qp_escapes / (double)m->qp_bytes;
        m->qp = (unsigned)m->qp_escapes; /* as SpamAssassin: the counter changes its meaning */
    }
    if (m->plain_bytes)
        m->unicode_ratio = (double)m->entities / (double)m->plain_bytes;
    if (m->multipart_alternative && m->has_text && m->has_html && m->html_bytes)
        m->multipart_ratio = (double)m->text_bytes / (double)m->html_bytes;
    return m;
}

const struct span *mime_charsets(struct rules_ctx *c, size_t *n)
{
    const struct mime_scan *m = scan(c);
    *n = m->ncharsets;
    return m->charsets;
}

/* --- the functions --- */

static bool faraway_part(struct rules_ctx *c);

/* What check_for_mime may be asked for, in the order of its answers; FARAWAY is not one of them. */
static const char *const mime_flags[] = {
    "mime_base64_count",       "mime_base64_encoded_text",
    "mime_body_html_count",    "mime_body_text_count",
    "mime_attachment",         "mime_bad_iso_charset",
    "mime_missing_boundary",   "mime_multipart_alternative",
    "mime_multipart_ratio",    "mime_qp_count",
    "mime_qp_long_line",       "mime_qp_ratio",
    "mime_qp_bytes",           "mime_ascii_text_illegal",
    "mime_text_unicode_ratio",
};
enum { FLAGS = sizeof mime_flags / sizeof *mime_flags, FARAWAY = FLAGS, UNKNOWN };

static int prepare_flag(struct arena *a, const struct conf *conf, struct eval_call *call,
                        struct err *e)
{
    struct span name = eval_arg(call, 0);
    size_t *flag = call->prepared = ARENA_NEW(a, size_t);
    (void)conf, (void)e;
    while (*flag < FLAGS && !span_eq(name, span_str(mime_flags[*flag])))
        ++*flag;
    if (*flag == FLAGS)
        *flag = span_eq(name, SPAN("mime_faraway_charset")) ? FARAWAY : UNKNOWN;
    return 0;
}

static double check_for_mime(struct rules_ctx *c, const struct eval_call *call)
{
    size_t flag = *(const size_t *)call->prepared;
    if (flag >= FLAGS)
        return flag == FARAWAY && faraway_part(c);
    const struct mime_scan *m = scan(c);
    const bool answers[FLAGS] = {m->base64 > 0,
                                 m->base64_text,
                                 m->html > 0,
                                 m->text > 0,
                                 m->attachment > 0,
                                 m->bad_iso,
                                 (c->mime->flags & MIME_UNBALANCED_BOUNDARY) != 0,
                                 m->multipart_alternative > 0,
                                 m->multipart_ratio != 0,
                                 m->qp > 0,
                                 m->qp_long,
                                 m->qp_ratio != 0,
                                 m->qp_bytes > 0,
                                 m->ascii_illegal > 0,
                                 m->unicode_ratio != 0};
    return answers[flag];
}

static double check_for_mime_html(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return span_istarts(header_scalar(c, "Content-Type"), SPAN("text/html")) || scan(c)->html > 0;
}

static double check_for_mime_html_only(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    if (span_istarts(header_scalar(c, "Content-Type"), SPAN("text/html")))
        return 1;
    return scan(c)->html > 0 && scan(c)->text == 0;
}

static double check_mime_multipart_ratio(struct rules_ctx *c, const struct eval_call *call)
{
    double v = scan(c)->multipart_ratio;
    return v >= eval_number(call, 0, 0) && v < eval_number(call, 1, 0);
}

static double check_for_ascii_text_illegal(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return scan(c)->ascii_illegal > 0;
}

static double check_abundant_unicode_ratio(struct rules_ctx *c, const struct eval_call *call)
{
    return scan(c)->unicode_ratio >= eval_number(call, 0, 0);
}

static int prepare_ratio(struct arena *a, const struct conf *conf, struct eval_call *call,
                         struct err *e)
{
    (void)a;
    (void)conf;
    return span_find(eval_arg(call, 0), '.') == SIZE_MAX ? err_set(e, "needs a ratio") : 0;
}

static double check_qp_ratio(struct rules_ctx *c, const struct eval_call *call)
{
    return scan(c)->qp_ratio >= eval_number(call, 0, 0);
}

static double check_base64_length(struct rules_ctx *c, const struct eval_call *call)
{
    double v = (double)scan(c)->base64_length;
    return v >= eval_number(call, 0, 0) && (call->nargs < 2 || v <= eval_number(call, 1, 0));
}

static bool faraway_part(struct rules_ctx *c)
{
    const struct mime_scan *m = scan(c);
    if (locales_all(c->conf->ok_locales))
        return false;
    for (size_t i = 0; i < m->ncharsets; i++)
        if (!locales_charset_ok(c->conf->ok_locales, m->charsets[i]))
            return true;
    return false;
}

static double check_for_faraway_charset(struct rules_ctx *c, const struct eval_call *call)
{
    struct span ok = c->conf->ok_locales;
    (void)call;
    if (locales_all(ok))
        return 0;
    struct span type = header_scalar(c, "Content-Type"), charset = content_type_charset(type);
    if (!charset.p || locales_charset_ok(ok, charset))
        return 0;
    /* Some of these charsets hold ASCII too: only text that is mostly 8-bit counts. */
    size_t high = 0, all = c->text->body.n ? c->text->body.n - 1 : 0;
    for (size_t i = 0; i < c->text->body.n; i++) {
        struct span line = c->text->body.v[i];
        all += line.n;
        for (size_t k = 0; k < line.n; k++)
            high += (unsigned char)line.p[k] >= 0x80;
    }
    return high > 3 && all - high <= high;
}

static double check_msg_parse_flags(struct rules_ctx *c, const struct eval_call *call)
{
    static const struct {
        const char *name;
        unsigned flag;
    } flags[] = {
        {"missing_head_body_separator", MIME_MISSING_HEAD_BODY_SEPARATOR},
        {"missing_mime_head_body_separator", MIME_MISSING_MIME_HEAD_BODY_SEPARATOR},
        {"missing_mime_headers", MIME_MISSING_MIME_HEADERS},
        {"mime_epilogue_exists", MIME_EPILOGUE_EXISTS},
        {"truncated_header", MIME_TRUNCATED_HEADER},
    };
    struct span name = eval_arg(call, 0);
    if (span_eq(name, SPAN("truncated_header")) && c->fetched_all && eval_state(c)->all_truncated)
        return 1;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (span_eq(name, span_str(flags[i].name)))
            return (c->mime->flags & flags[i].flag) != 0;
    return 0;
}

static double check_ma_non_text(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    for (struct mime_part *p = c->mime->root; p; p = mime_next(p)) {
        if (!span_eq(p->type, SPAN("multipart/alternative")))
            continue;
        if (p->leaf)
            return 1;
        for (struct mime_part *k = p->child; k; k = k->next)
            if (k->leaf && k->type.n && !span_ieq(k->type, SPAN("multipart/related")) &&
                !span_ieq(k->type, SPAN("application/rtf")) &&
                !span_istarts(k->type, SPAN("text/")))
                return 1;
    }
    return 0;
}

#define ROW(fn)                                                                                    \
    {                                                                                              \
#fn, "MIMEEval", fn, .types = EVAL_BODIES                                                  \
    }
#define PREPARED(fn, how)                                                                          \
    {                                                                                              \
#fn, "MIMEEval", fn, .types = EVAL_BODIES, .prepare = how                                  \
    }
const struct eval_fn_def eval_mime[] = {
    PREPARED(check_for_mime, prepare_flag),
    ROW(check_for_mime_html),
    ROW(check_for_mime_html_only),
    ROW(check_mime_multipart_ratio),
    {"check_for_uppercase", "MIMEEval", check_for_uppercase, .types = EVAL_BODIES},
    {"check_msg_parse_flags", "MIMEEval", check_msg_parse_flags, .types = EVAL_HEAD},
    ROW(check_for_ascii_text_illegal),
    PREPARED(check_abundant_unicode_ratio, prepare_ratio),
    ROW(check_qp_ratio),
    ROW(check_for_faraway_charset),
    ROW(check_ma_non_text),
    ROW(check_base64_length),
    {NULL},
};
