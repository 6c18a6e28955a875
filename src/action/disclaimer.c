/* Texts at the end of the message's own text and HTML: by an insertion where the encoding allows
 * it, else by encoding that one body again. */
#include "action/part_plan.h"

#include <unicode/ucnv.h>

#include "mime/compose.h"

struct body {
    const struct part_plan *plan;
    const struct part_facts *part;
    struct header_plan *header;
    struct splices *out;
    bool html;
};

static bool is_ascii(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

/* What HTML can't say in the charset of the part it says by number. */
static struct span as_entities(struct arena *a, struct span utf8)
{
    struct buf b = {0};
    for (size_t i = 0; i < utf8.n;) {
        unsigned char c = (unsigned char)utf8.p[i];
        size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        uint32_t v = n == 1 ? c : c & (0x7fu >> n);
        for (size_t k = 1; k < n && i + k < utf8.n; k++)
            v = v << 6 | ((unsigned char)utf8.p[i + k] & 0x3f);
        if (n == 1)
            buf_char(&b, (char)c);
        else
            buf_printf(&b, "&#%u;", v);
        i += n;
    }
    struct span s = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return s;
}

/* In the charset of the part; what that can't say becomes '?'. */
static struct span in_charset(struct arena *a, struct span utf8, struct span charset)
{
    UErrorCode code = U_ZERO_ERROR;
    size_t room = utf8.n * 4 + 64;
    char *out = arena_raw(a, room);
    int32_t n = ucnv_convert(arena_cstr(a, charset), "UTF-8", out, (int32_t)room, utf8.p,
                             (int32_t)utf8.n, &code);
    return U_FAILURE(code) ? as_entities(a, utf8) : span_of(out, (size_t)n);
}

/* Plain text as HTML. */
static struct span html_of(struct arena *a, struct span text)
{
    struct buf b = {0};
    buf_str(&b, "<p>");
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '<' || c == '>' || c == '&')
            buf_printf(&b, "&#%d;", c);
        else if (c == '\n')
            buf_str(&b, "<br>\n");
        else
            buf_char(&b, c);
    }
    buf_str(&b, "</p>\n");
    struct span s = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return s;
}

static struct span encoding_of(const struct body *b)
{
    struct mime_field *f = mime_last(&b->part->part->fields, SPAN("Content-Transfer-Encoding"));
    struct arena *a = b->plan->arena;
    return f ? arena_lower(a, span_trim(mime_decoded(b->plan->parts->mime, f))) : SPAN("");
}

/* Where it goes: in front of the last </body or </html, else at the end. */
static size_t place_in(struct span s, bool html)
{
    static const char *const tags[] = {"</body", "</html"};
    for (size_t k = 0; html && k < 2; k++) {
        size_t found = SIZE_MAX;
        for (size_t at = 0, hit;
             (hit = span_isearch(span_from(s, at), span_str(tags[k]))) != SIZE_MAX; at += hit + 1)
            found = at + hit;
        if (found != SIZE_MAX)
            return found;
    }
    return s.n;
}

static void insert(const struct body *b, size_t at, struct span bytes)
{
    splices_add(b->out, b->plan->arena, b->part->part->body_at + at, 0, bytes);
}

/* The whole body anew: decoded, with the text, encoded. */
static void encode_again(const struct body *b, struct span decoded, struct span text, bool base64)
{
    struct arena *a = b->plan->arena;
    struct buf joined = {0}, coded = {0};
    size_t at = place_in(decoded, b->html);
    buf_add(&joined, span_sub(decoded, 0, at));
    if (at == decoded.n && at > 0 && decoded.p[at - 1] != '\n')
        buf_str(&joined, "\r\n");
    buf_add(&joined, text);
    buf_add(&joined, span_from(decoded, at));
    if (base64)
        compose_base64(&coded, buf_span(&joined));
    else
        compose_qp(&coded, buf_span(&joined));
    struct span raw = part_raw_body(b->plan, b->part);
    splices_add(b->out, a, b->part->part->body_at, raw.n, part_lines(b->plan, buf_span(&coded)));
    buf_free(&joined);
    buf_free(&coded);
}

static struct span as_qp(const struct body *b, struct span text, bool middle)
{
    struct buf q = {0};
    buf_str(&q, middle ? "=\r\n" : "");
    compose_qp(&q, text);
    struct span s = part_lines(b->plan, buf_span(&q));
    buf_free(&q);
    return s;
}

/* text: in the charset of the part, CRLF line ends, ends with one. */
static void append(const struct body *b, struct span text, bool new_charset)
{
    struct span raw = part_raw_body(b->plan, b->part), coding = encoding_of(b);
    struct arena *a = b->plan->arena;
    size_t at = place_in(raw, b->html);
    struct span eol = b->plan->parts->mime->crlf ? SPAN("\r\n") : SPAN("\n");
    if (at == raw.n && raw.n && raw.p[raw.n - 1] == '\n')
        eol = SPAN("");
    if (span_eq(coding, SPAN("base64"))) {
        bool junk;
        encode_again(b, mime_base64_decode(a, raw, &junk), text, true);
    } else if (span_eq(coding, SPAN("quoted-printable"))) {
        bool middle = at < raw.n;
        insert(b, at,
               middle
                   ? as_qp(b, text, true)
                   : arena_printf(a, "%.*s%.*s", SPAN_ARG(eol), SPAN_ARG(as_qp(b, text, false))));
    } else if (is_ascii(text) || span_eq(coding, SPAN("8bit")) || span_eq(coding, SPAN("binary"))) {
        struct span lines = part_lines(b->plan, text);
        insert(b, at,
               at < raw.n ? lines : arena_printf(a, "%.*s%.*s", SPAN_ARG(eol), SPAN_ARG(lines)));
    } else {
        encode_again(b, raw, text, false);
        part_set_header(b->plan, b->part, "Content-Transfer-Encoding", SPAN("quoted-printable"),
                        b->header, b->out);
    }
    if (new_charset)
        part_set_header(b->plan, b->part, "Content-Type",
                        b->html ? SPAN("text/html; charset=utf-8")
                                : SPAN("text/plain; charset=utf-8"),
                        b->header, b->out);
}

/* One policy's. */
struct disclaimer {
    bool touch_signed;
    struct span text, html;
};

struct wanted {
    const struct part_plan *plan;
    struct header_plan *header;
    struct splices *out;
    struct disclaimer *v;
    size_t n, cap;
    bool met; /* there is a text to append to, even if it must not be touched */
};

static struct span crlf(struct arena *a, struct span text)
{
    struct buf b = {0};
    struct span line;
    while (span_line(&text, &line)) {
        buf_add(&b, line);
        buf_str(&b, "\r\n");
    }
    struct span s = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return s;
}

/* Those that a part gets, one below the other. */
static struct span texts_for(const struct wanted *w, bool sealed, bool html)
{
    struct buf b = {0};
    for (size_t i = 0; i < w->n; i++)
        if (!sealed || w->v[i].touch_signed)
            buf_add(&b, crlf(w->plan->arena, html ? w->v[i].html : w->v[i].text));
    struct span s = arena_dup(w->plan->arena, buf_span(&b));
    buf_free(&b);
    return s;
}

static void append_to(struct wanted *w, struct part_facts *part)
{
    struct arena *a = w->plan->arena;
    bool html = span_eq(part->types[0], SPAN("text/html"));
    struct span text = texts_for(w, part->sealed, html), charset = part->part->charset;
    w->met = true;
    if (text.n == 0)
        return;
    const struct body b = {w->plan, part, w->header, w->out, html};
    bool narrow = charset.n == 0 || span_ieq(charset, SPAN("us-ascii"));
    bool utf8 = span_ieq(charset, SPAN("utf-8"));
    bool plain = is_ascii(text);
    if (!plain && html && !utf8)
        text = as_entities(a, text);
    else if (!narrow && !utf8 && !span_istarts(charset, SPAN("iso-8859-")) &&
             !span_istarts(charset, SPAN("windows-")))
        text = in_charset(a, text, charset);
    else if (!plain && !narrow && !utf8)
        text = in_charset(a, text, charset);
    append(&b, text, !plain && !html && narrow);
}

/* The body a reader sees first: of a multipart the first part, of alternatives all of them. */
static void each_text(struct wanted *w, const struct mime_part *x)
{
    const struct part_plan *p = w->plan;
    struct part_facts *f = NULL;
    for (size_t i = 0; i < p->parts->n; i++)
        if (p->parts->v[i].part == x)
            f = &p->parts->v[i];
    if (!f)
        return;
    if (p->v[f - p->parts->v].kind != PART_STAYS) {
        w->met = true; /* what is put there is a text */
        return;
    }
    if (!f->container) {
        struct mime_field *d = mime_last(&x->fields, SPAN("Content-Disposition"));
        bool attached = d && span_istarts(mime_decoded(p->parts->mime, d), SPAN("attachment"));
        bool text =
            span_eq(f->types[0], SPAN("text/plain")) || span_eq(f->types[0], SPAN("text/html"));
        if (!x->child && text && !attached)
            append_to(w, f);
        return;
    }
    bool all = span_eq(f->types[0], SPAN("multipart/alternative"));
    for (const struct mime_part *c = x->child; c; c = all ? c->next : NULL)
        each_text(w, c);
}

/* Whether a part around the whole message would break a signature, or stand outside of it. */
static bool container_sealed(const struct part_plan *p)
{
    for (size_t i = 0; i < p->parts->n; i++)
        if (p->parts->v[i].sealed && p->parts->v[i].part->parent == p->parts->mime->root)
            return true;
    return false;
}

static void want(struct wanted *w, const struct policy *policy, const struct policy_action *x)
{
    struct arena *a = w->plan->arena;
    struct tags_on on = *w->plan->on;
    on.policy = policy;
    struct disclaimer d = {policy->touch_signed, tags_expand(&on, span_str(x->text), a), SPAN_NONE};
    d.html = x->html ? tags_expand(&on, span_str(x->html), a) : html_of(a, d.text);
    for (size_t i = 0; i < w->n; i++) {
        if (span_eq(w->v[i].text, d.text) && span_eq(w->v[i].html, d.html)) {
            w->v[i].touch_signed |= d.touch_signed;
            return;
        }
    }
    *ARENA_PUSH(a, w->v, w->n, w->cap) = d;
}

void disclaimers(const struct part_plan *p, struct header_plan *header, struct splices *out)
{
    const struct decision *d = p->on->d;
    struct wanted w = {.plan = p, .header = header, .out = out};
    for (size_t i = 0; i < d->napplied; i++)
        for (size_t k = 0; k < d->applied[i].policy->actions.n; k++)
            if (d->applied[i].policy->actions.v[k].kind == ACTION_ADD_DISCLAIMER)
                want(&w, d->applied[i].policy, &d->applied[i].policy->actions.v[k]);
    if (w.n == 0)
        return;
    each_text(&w, p->parts->mime->root);
    struct span text = texts_for(&w, p->parts->v[0].sealed || container_sealed(p), false);
    if (!w.met && text.n)
        part_add_text(p, text, header, out);
}
