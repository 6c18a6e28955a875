/* Scores, names, summaries and headers (semantics 10.2). */
#include "rules/report_private.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

enum { HEADER_WIDTH = 79, STARS_MAX = 50, SUMMARY_INDENT = 28 };

static struct report_on on_facts(const struct conf *conf, const struct message *m,
                                 const struct rules_facts *f, struct arena *a)
{
    return (struct report_on){.conf = conf,
                              .m = m,
                              .facts = f,
                              .arena = a,
                              .score = f->score,
                              .required = f->required,
                              .spam = f->score >= f->required};
}

struct report_on report_on(const struct conf *conf, const struct message *m, struct arena *a)
{
    return on_facts(conf, m, &m->facts.rules, a);
}

struct report_on report_on_opinion(const struct opinion *o, const struct message *m,
                                   struct arena *a)
{
    return on_facts(o->conf, o->message ? o->message : m, &o->rules, a);
}

struct span report_take(struct arena *a, struct buf *b)
{
    struct span out = arena_dup(a, buf_span(b));
    buf_free(b);
    return out;
}

struct span report_host(const struct report_on *r)
{
    char name[256];
    if (r->hostname)
        return span_str(r->hostname);
    if (r->conf->report.hostname.n)
        return r->conf->report.hostname;
    if (gethostname(name, sizeof name) != 0)
        return SPAN("localhost");
    name[sizeof name - 1] = '\0';
    return arena_dup(r->arena, span_str(name));
}

/* --- single values --- */

static double tenths(double v)
{
    char text[64];
    snprintf(text, sizeof text, "%.1f", v);
    return strtod(text, NULL);
}

struct span report_score(const struct report_on *r)
{
    double score = tenths(r->score), required = tenths(r->required);
    if (!r->spam && score >= required)
        score = required - 0.1;
    return arena_printf(r->arena, "%.1f", score);
}

struct span report_level(const struct report_on *r)
{
    int n = r->score >= STARS_MAX ? STARS_MAX : r->score > 0 ? (int)r->score : 0;
    return arena_printf(r->arena, "%.*s", n, "**************************************************");
}

static int by_name(const void *x, const void *y)
{
    const struct rule_hit *const *a = x, *const *b = y;
    return strcmp((*a)->name, (*b)->name);
}

struct span report_names(const struct report_on *r, struct span sep, bool sorted, bool scores)
{
    const struct rules_facts *f = r->facts;
    if (f->nhits == 0)
        return SPAN("none");
    const struct rule_hit **v = arena_array(r->arena, f->nhits, sizeof(struct rule_hit *));
    for (size_t i = 0; i < f->nhits; i++)
        v[i] = &f->hits[i];
    if (sorted)
        qsort(v, f->nhits, sizeof *v, by_name);
    struct buf b = {0};
    for (size_t i = 0; i < f->nhits; i++) {
        unsigned count = v[i]->count ? v[i]->count : 1;
        for (unsigned k = 0; k < count; k++) {
            if (b.n)
                buf_add(&b, sep);
            buf_str(&b, v[i]->name);
            if (scores)
                buf_printf(&b, "=%.15g", v[i]->score / count);
        }
    }
    return report_take(r->arena, &b);
}

struct span report_status(const struct report_on *r)
{
    const struct rules_facts *f = r->facts;
    return arena_printf(r->arena, "%s, score=%.*s required=%.1f tests=%.*s autolearn=%s version=%s",
                        r->spam ? "Yes" : "No", SPAN_ARG(report_score(r)), r->required,
                        SPAN_ARG(report_names(r, SPAN(","), true, false)),
                        f->autolearn ? f->autolearn : "unavailable", SA_VERSION);
}

struct span report_mimedefang(const struct report_on *r)
{
    return arena_printf(r->arena, "%.15g (%.*s) %.*s", round(r->score * 1000) / 1000,
                        SPAN_ARG(report_level(r)),
                        SPAN_ARG(report_names(r, SPAN(","), false, false)));
}

/* --- the table of points --- */

/* One line a hit: score, name, area, description; wrapped under the description. */
static void add_line(struct buf *b, const struct report_on *r, const struct rule_hit *h, bool terse)
{
    double score = h->score / (h->count ? h->count : 1);
    struct span points =
        arena_printf(r->arena, score >= 10 || score <= -10 ? "%4.0f" : "%4.1f", score);
    const char *area = h->area ? h->area : "";
    size_t used = strlen(h->name) + points.n + strlen(area) + (terse ? 4 : 3);
    char *blanks = arena_raw(r->arena, used + 1);
    memset(blanks, ' ', used);
    blanks[used] = '\0';
    struct wrap w = {.first = blanks,
                     .prefix = terse ? "*      " : "                            ",
                     .width = r->conf->report.wrap_width};
    struct span text = wrap_text(r->arena, span_str(h->describe), &w);
    while (text.n && ascii_isspace(text.p[0]))
        text = span_from(text, 1);
    if (terse)
        buf_printf(b, "* %.*s %s %s%.*s\n", SPAN_ARG(points), h->name, area, SPAN_ARG(text));
    else
        buf_printf(b, "%.*s %-22s %s%.*s\n", SPAN_ARG(points), h->name, area, SPAN_ARG(text));
    if (h->log.n) /* short: SpamAssassin breaks only those beyond 30 characters */
        buf_printf(b, "%s[%.*s]\n", terse ? "*      " : w.prefix, SPAN_ARG(h->log));
}

static struct span lines(const struct report_on *r, bool terse)
{
    const struct rules_facts *f = r->facts;
    struct buf b = {0};
    for (size_t i = 0; i < f->nhits; i++)
        for (unsigned k = 0; k < (f->hits[i].count ? f->hits[i].count : 1); k++)
            add_line(&b, r, &f->hits[i], terse);
    return report_take(r->arena, &b);
}

struct span report_summary(const struct report_on *r)
{
    return lines(r, false);
}

struct span report_lines(const struct report_on *r)
{
    return lines(r, true);
}

struct span report_text(const struct report_on *r)
{
    struct span template = r->conf->report.report, text;
    text = report_expand(r, template.n ? template : SPAN("(no report template found)"));
    while (text.n && text.p[text.n - 1] == '\n')
        text.n--;
    return arena_printf(r->arena, "%.*s\n\n", SPAN_ARG(text));
}

/* --- headers --- */

/* Lines that hold nothing but white space are no lines of a header. */
static struct span without_blank_lines(struct arena *a, struct span s)
{
    char *p = arena_raw(a, s.n + 1);
    size_t n = 0;
    while (s.n) {
        size_t lf = span_find(s, '\n'), end = lf == SIZE_MAX ? s.n : lf + 1;
        if (lf == SIZE_MAX || span_trim(span_sub(s, 0, end)).n) {
            memcpy(p + n, s.p, end);
            n += end;
        }
        s = span_from(s, end);
    }
    return span_of(p, n);
}

struct span report_fold(struct arena *a, struct span name, struct span value)
{
    /* two characters stand for ": ", so that no line is broken right there */
    struct span all = arena_printf(a, "%.*s!!%.*s", SPAN_ARG(name), SPAN_ARG(value));
    struct wrap w = {.first = "", .prefix = "\t", .width = HEADER_WIDTH, .commas = true};
    struct span text = without_blank_lines(a, wrap_text(a, all, &w));
    return span_from(text, name.n + 2);
}

/* Lines of its own, each behind a tab. */
static struct span keep_lines(struct arena *a, struct span s)
{
    struct buf b = {0};
    for (size_t i = 0; i < s.n;) {
        size_t end = i;
        while (end < s.n && ascii_isspace(s.p[end]))
            end++;
        if (end > i && memchr(s.p + i, '\n', end - i)) {
            buf_str(&b, "\n\t");
            i = end;
        } else {
            buf_char(&b, s.p[i++]);
        }
    }
    return report_take(a, &b);
}

struct span report_header_value(const struct report_on *r, struct span name, struct span text)
{
    struct span v = report_expand(r, text);
    while (v.n && v.p[v.n - 1] == '\n')
        v.n -= v.n > 1 && v.p[v.n - 2] == '\r' ? 2 : 1;
    if (!r->conf->report.fold_headers) {
        char *p = (char *)arena_dup(r->arena, v).p;
        for (size_t i = 0; i < v.n; i++)
            p[i] = p[i] == '\n' ? ' ' : p[i];
        return span_of(p, v.n);
    }
    return span_find(v, '\n') == SIZE_MAX ? report_fold(r->arena, name, v)
                                          : keep_lines(r->arena, v);
}

static const struct {
    unsigned when;
    const char *name, *text;
} default_headers[] = {
    {HEADERS_SPAM | HEADERS_HAM, "Checker-Version",
     "SpamAssassin _VERSION_ (_SUBVERSION_) on _HOSTNAME_"},
    {HEADERS_SPAM, "Flag", "_YESNOCAPS_"},
    {HEADERS_SPAM | HEADERS_HAM, "Level", "_STARS(*)_"},
    {HEADERS_SPAM | HEADERS_HAM, "Status",
     "_YESNO_, score=_SCORE_ required=_REQD_ tests=_TESTS_ autolearn=_AUTOLEARN_ "
     "version=_VERSION_"},
};
enum { DEFAULT_HEADERS = sizeof default_headers / sizeof *default_headers };

struct report_header *report_headers(const struct report_on *r, size_t *n)
{
    const struct conf_report *c = &r->conf->report;
    unsigned wanted = r->spam ? HEADERS_SPAM : HEADERS_HAM;
    struct report_header *out = arena_array(r->arena, c->nheaders + DEFAULT_HEADERS, sizeof *out);
    *n = 0;
    for (size_t i = 0; i < (c->nheaders ? c->nheaders : DEFAULT_HEADERS); i++) {
        unsigned when = c->nheaders ? c->headers[i].when : default_headers[i].when;
        struct span last = c->nheaders ? c->headers[i].name : span_str(default_headers[i].name);
        struct span text = c->nheaders ? c->headers[i].text : span_str(default_headers[i].text);
        struct span name = arena_printf(r->arena, "X-Spam-%.*s", SPAN_ARG(last));
        if (when & wanted)
            out[(*n)++] = (struct report_header){name, report_header_value(r, name, text)};
    }
    return out;
}

struct span report_header_text(const struct report_on *r)
{
    size_t n;
    struct report_header *v = report_headers(r, &n);
    struct buf b = {0};
    for (size_t i = 0; i < n; i++)
        buf_printf(&b, "%.*s: %.*s\n", SPAN_ARG(v[i].name), SPAN_ARG(v[i].value));
    return report_take(r->arena, &b);
}

/* A template filled in, on one line. */
static struct span one_line(const struct report_on *r, struct span template)
{
    struct span s = arena_dup(r->arena, report_expand(r, template));
    char *p = (char *)(uintptr_t)s.p;
    for (size_t i = 0; i < s.n; i++)
        if (p[i] == '\n' || p[i] == '\r')
            p[i] = ' ';
    return s;
}

struct span report_subject_tag(const struct report_on *r)
{
    struct span t = r->conf->report.rewrite_subject;
    return t.n ? arena_printf(r->arena, "%.*s ", SPAN_ARG(one_line(r, t))) : SPAN_NONE;
}

struct span report_subject_prefix(const struct report_on *r)
{
    struct span t = r->m->facts.rules.subject_prefix;
    return t.n ? arena_printf(r->arena, "%.*s ", SPAN_ARG(span_trim(one_line(r, t)))) : SPAN_NONE;
}

struct span report_comment(const struct report_on *r, struct span field)
{
    const struct conf_report *c = &r->conf->report;
    struct span template = span_ieq(field, SPAN("From")) ? c->rewrite_from : c->rewrite_to;
    if (!r->spam || !template.n)
        return SPAN_NONE;
    struct span s = one_line(r, template);
    char *p = (char *)(uintptr_t)s.p;
    for (size_t i = 0; i < s.n; i++)
        p[i] = p[i] == '(' ? '[' : p[i] == ')' ? ']' : p[i] == '\\' ? '/' : p[i];
    return arena_printf(r->arena, "(%.*s)", SPAN_ARG(s));
}

/* --- preview --- */

enum { PREVIEW_BYTES = 200, PREVIEW_ELEMENTS = 3, RUN_MIN = 10 };

static void add_preview_line(struct buf *b, struct span line)
{
    if (line.n > PREVIEW_BYTES) {
        buf_add(b, span_sub(line, 0, PREVIEW_BYTES));
        buf_str(b, " [...]");
        return;
    }
    size_t quoted = span_search(line, SPAN("-----Original Message-----"));
    buf_add(b, span_sub(line, 0, quoted));
}

/* Without "This is a multi-part..." and runs of ten or more of -_*. ; white space squeezed. */
static void tidy(struct buf *out, struct span s)
{
    struct span notice = SPAN("This is a multi-part message in MIME format.");
    for (size_t i = 0; i < s.n;) {
        size_t run = i;
        while (run < s.n && strchr("-_*.", s.p[run] ? s.p[run] : ' '))
            run++;
        if (run - i >= RUN_MIN) {
            i = run;
        } else if (span_starts(span_from(s, i), notice)) {
            i += notice.n;
        } else if (ascii_isspace(s.p[i])) {
            if (!out->n || out->p[out->n - 1] != ' ')
                buf_char(out, ' ');
            i++;
        } else {
            buf_char(out, s.p[i++]);
        }
    }
}

struct span report_preview(struct arena *a, const struct span *body, size_t n)
{
    struct buf raw = {0}, cut = {0}, out = {0};
    for (size_t i = 1; i < n && i <= PREVIEW_ELEMENTS && raw.n < PREVIEW_BYTES; i++)
        buf_add(&raw, body[i]);
    struct span rest = buf_span(&raw), line;
    while (span_line(&rest, &line)) {
        add_preview_line(&cut, line);
        buf_char(&cut, '\n');
    }
    tidy(&out, cut.n ? buf_span(&cut) : SPAN("\n"));
    struct wrap w = {.first = "Content preview:  ", .prefix = "  ", .width = 75, .overflow = true};
    struct span text = wrap_text(a, buf_span(&out), &w);
    text = span_from(text, sizeof "Content preview:" - 1);
    while (text.n && ascii_isspace(text.p[0]))
        text = span_from(text, 1);
    buf_free(&raw);
    buf_free(&cut);
    buf_free(&out);
    return text;
}
