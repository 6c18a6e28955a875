/* Directives about what is written on or about a message. */
#include "rules/conf_private.h"

#include "base/buf.h"

static struct span unquoted(struct span s)
{
    return s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"' ? span_sub(s, 1, s.n - 1) : s;
}

READER(conf_template)
{
    (void)e;
    struct span *t = (struct span *)((char *)p->c + d->field);
    *t = arena_printf(p->c->arena, "%.*s%.*s\n", SPAN_ARG(*t), SPAN_ARG(unquoted(value)));
    return 0;
}

READER(conf_template_clear)
{
    struct span *t = (struct span *)((char *)p->c + d->field);
    if (value.n)
        return err_set(e, "takes no value");
    *t = SPAN("");
    return 0;
}

static void drop_header(struct conf_report *r, struct span name, unsigned when)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->nheaders; i++) {
        struct conf_header h = r->headers[i];
        if (span_ieq(h.name, name))
            h.when = (enum header_when)((unsigned)h.when & ~when);
        if (h.when)
            r->headers[kept++] = h;
    }
    r->nheaders = kept;
}

static unsigned take_when(struct span *value)
{
    struct span word = conf_first_word(*value, value);
    if (span_eq(word, SPAN("all")))
        return HEADERS_SPAM | HEADERS_HAM;
    return span_eq(word, SPAN("spam"))  ? HEADERS_SPAM
           : span_eq(word, SPAN("ham")) ? HEADERS_HAM
                                        : 0;
}

static bool header_name(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isalnum(s.p[i]) && s.p[i] != '_' && s.p[i] != '-')
            return false;
    return s.n > 0;
}

/* \t, \n and \\; other escapes vanish. */
static struct span unescaped(struct arena *a, struct span s)
{
    struct buf b = {0};
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '\\') {
            buf_char(&b, s.p[i]);
            continue;
        }
        if (++i == s.n)
            break;
        if (s.p[i] == 't' || s.p[i] == 'n')
            buf_char(&b, s.p[i] == 't' ? '\t' : '\n');
        else if (s.p[i] == '\\')
            buf_char(&b, '\\');
    }
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}

READER(conf_add_header)
{
    (void)d;
    unsigned when = take_when(&value);
    struct span text, name = conf_first_word(value, &text);
    if (!when || !header_name(name) || !text.n)
        return err_set(e, "'ham|spam|all NAME TEXT' wanted");
    struct conf_report *r = &p->c->report;
    drop_header(r, name, when);
    *ARENA_PUSH(p->c->arena, r->headers, r->nheaders, r->headers_cap) =
        (struct conf_header){(enum header_when)when, name, unescaped(p->c->arena, unquoted(text))};
    return 0;
}

READER(conf_remove_header)
{
    (void)d;
    unsigned when = take_when(&value);
    struct span rest, name = conf_first_word(value, &rest);
    if (!when || !header_name(name) || rest.n)
        return err_set(e, "'ham|spam|all NAME' wanted");
    if (!span_eq(name, SPAN("Checker-Version")))
        drop_header(&p->c->report, name, when);
    return 0;
}

/* Keeps Checker-Version, as SpamAssassin does. */
READER(conf_clear_headers)
{
    (void)d;
    if (value.n)
        return err_set(e, "takes no value");
    struct conf_report *r = &p->c->report;
    size_t kept = 0;
    for (size_t i = 0; i < r->nheaders; i++)
        if (span_ieq(r->headers[i].name, SPAN("Checker-Version")))
            r->headers[kept++] = r->headers[i];
    r->nheaders = kept;
    return 0;
}

READER(conf_rewrite)
{
    (void)d;
    struct conf_report *r = &p->c->report;
    struct span text, name = conf_first_word(value, &text);
    struct span *to = span_ieq(name, SPAN("Subject")) ? &r->rewrite_subject
                      : span_ieq(name, SPAN("From"))  ? &r->rewrite_from
                      : span_ieq(name, SPAN("To"))    ? &r->rewrite_to
                                                      : NULL;
    if (!to)
        return err_set(e, "only Subject, From and To can be rewritten");
    *to = text.n ? arena_dup(p->c->arena, text) : SPAN_NONE;
    char *bytes = (char *)(uintptr_t)to->p;
    for (size_t i = 0; to != &r->rewrite_subject && i < to->n; i++)
        bytes[i] = bytes[i] == '(' ? '[' : bytes[i] == ')' ? ']' : bytes[i];
    return 0;
}

READER(conf_safe_copy)
{
    (void)d;
    struct conf_report *r = &p->c->report;
    struct span word;
    if (!value.n)
        return err_set(e, "a value is missing");
    while ((word = span_word(&value, " \t")).p) {
        size_t n = r->nsafe_copy++;
        r->safe_copy_headers = arena_grow(p->c->arena, r->safe_copy_headers,
                                          n * sizeof(struct span), (n + 1) * sizeof(struct span));
        r->safe_copy_headers[n] = word;
    }
    return 0;
}

/* Spam that is not wrapped carries its report in a header, unless one is asked for already. */
READER(conf_report_safe)
{
    struct conf_report *r = &p->c->report;
    bool report = false;
    (void)d;
    if (value.n != 1 || value.p[0] < '0' || value.p[0] > '2')
        return err_set(e, "'%.*s' is not one of 0, 1, 2", SPAN_ARG(value));
    r->report_safe = value.p[0] - '0';
    for (size_t i = 0; i < r->nheaders; i++)
        report |=
            (r->headers[i].when & HEADERS_SPAM) && span_ieq(r->headers[i].name, SPAN("Report"));
    if (!r->report_safe && !report)
        *ARENA_PUSH(p->c->arena, r->headers, r->nheaders, r->headers_cap) =
            (struct conf_header){HEADERS_SPAM, SPAN("Report"), SPAN("_REPORT_")};
    return 0;
}
