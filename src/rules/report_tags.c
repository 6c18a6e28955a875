/* The _TAGS_ of templates (semantics 10.2). */
#include "rules/eval_state.h"
#include "rules/report_private.h"

#include "base/ip.h"

#include <stdlib.h>

/* A template being filled in. What a tag needs of the message beyond the facts (headers, relays) is
 * worked out when such a tag comes up. */
struct expansion {
    const struct report_on *r;
    struct arena *a;
    struct message m;
    struct rules_ctx *ctx;
};

static struct rules_ctx *context(struct expansion *e)
{
    if (e->ctx)
        return e->ctx;
    e->m = *e->r->m;
    struct rules_ctx *c = e->ctx = ARENA_NEW(e->a, struct rules_ctx);
    struct mime_limits limits = MIME_LIMITS_DEFAULT;
    *c = (struct rules_ctx){.conf = e->r->conf, .m = &e->m, .a = e->a};
    c->mime = mime_parse(e->a, e->m.raw, &limits);
    c->relays = relays_parse(c->mime, &e->r->conf->relays, NULL);
    return c;
}

typedef struct span tag_fn(struct expansion *e, struct span arg);

static struct span tag_yesno(struct expansion *e, struct span arg)
{
    if (!arg.p)
        return e->r->spam ? SPAN("Yes") : SPAN("No");
    size_t comma = span_find(arg, ',');
    if (e->r->spam)
        return span_sub(arg, 0, comma);
    return comma == SIZE_MAX ? SPAN("No") : span_from(arg, comma + 1);
}

static struct span tag_yesnocaps(struct expansion *e, struct span arg)
{
    struct span s = arena_dup(e->a, tag_yesno(e, arg));
    for (size_t i = 0; i < s.n; i++)
        ((char *)s.p)[i] = ascii_upper(s.p[i]);
    return s;
}

/* _SCORE(00)_, _SCORE(  )_: padded on the left. */
static struct span tag_score(struct expansion *e, struct span arg)
{
    struct span score = report_score(e->r);
    size_t width = arg.n + 3;
    for (size_t i = 0; i < arg.n; i++)
        if (arg.p[i] != arg.p[0] || (arg.p[i] != '0' && arg.p[i] != ' '))
            return score;
    if (width <= score.n)
        return score;
    size_t pad = width - score.n < arg.n ? width - score.n : arg.n;
    return arena_printf(e->a, "%.*s%.*s", (int)pad, arg.p, SPAN_ARG(score));
}

static struct span tag_reqd(struct expansion *e, struct span arg)
{
    (void)arg;
    return arena_printf(e->a, "%.1f", e->r->required);
}

static struct span tag_version(struct expansion *e, struct span arg)
{
    (void)e;
    (void)arg;
    return SPAN(SA_VERSION);
}

static struct span tag_subversion(struct expansion *e, struct span arg)
{
    (void)e;
    (void)arg;
    return SPAN(SA_SUB_VERSION);
}

static struct span tag_rulesversion(struct expansion *e, struct span arg)
{
    (void)arg;
    return e->r->conf->version_tags;
}

static struct span tag_hostname(struct expansion *e, struct span arg)
{
    (void)arg;
    return report_host(e->r);
}

static struct span tag_remotehostname(struct expansion *e, struct span arg)
{
    (void)arg;
    return e->r->m->peer.name.n ? e->r->m->peer.name : SPAN("localhost");
}

static struct span tag_remotehostaddr(struct expansion *e, struct span arg)
{
    (void)arg;
    char text[IP_TEXT_SIZE];
    if (!e->r->m->peer.has_ip)
        return SPAN("127.0.0.1");
    return arena_dup(e->a, span_str(ip_text(&e->r->m->peer.ip, text)));
}

static const struct relay *first_trusted(struct expansion *e)
{
    const struct relays *r = context(e)->relays;
    return r->ntrusted ? r->trusted[r->ntrusted - 1] : NULL;
}

static const struct relay *last_external(struct expansion *e)
{
    const struct relays *r = context(e)->relays;
    return r->nexternal ? r->external[0] : NULL;
}

static struct span reversed(struct expansion *e, const struct relay *r)
{
    return r ? header_ip_of(context(e), r->ip, true) : SPAN("");
}

static struct span tag_firsttrustedip(struct expansion *e, struct span arg)
{
    (void)arg;
    const struct relay *r = first_trusted(e);
    return r ? r->ip : SPAN("");
}

static struct span tag_firsttrustedrevip(struct expansion *e, struct span arg)
{
    (void)arg;
    return reversed(e, first_trusted(e));
}

static struct span tag_lastexternalip(struct expansion *e, struct span arg)
{
    (void)arg;
    const struct relay *r = last_external(e);
    return r ? r->ip : SPAN("");
}

static struct span tag_lastexternalrevip(struct expansion *e, struct span arg)
{
    (void)arg;
    return reversed(e, last_external(e));
}

static struct span tag_lastexternalrdns(struct expansion *e, struct span arg)
{
    (void)arg;
    const struct relay *r = last_external(e);
    return r ? r->rdns : SPAN("");
}

static struct span tag_lastexternalhelo(struct expansion *e, struct span arg)
{
    (void)arg;
    const struct relay *r = last_external(e);
    return r ? r->helo : SPAN("");
}

static struct span tag_contactaddress(struct expansion *e, struct span arg)
{
    (void)arg;
    return e->r->conf->report.contact;
}

static struct span tag_bayes(struct expansion *e, struct span arg)
{
    (void)arg;
    const struct facts *f = &e->r->m->facts;
    for (size_t i = 0; i < f->nfacts; i++)
        if (strcmp(f->facts[i].name, "tag.BAYES") == 0)
            return f->facts[i].value;
    return SPAN("0.5"); /* no opinion */
}

static struct span tag_date(struct expansion *e, struct span arg)
{
    (void)arg;
    char text[CLOCK_RFC5322_SIZE];
    usec when = e->r->m->received ? e->r->m->received : clock_wall();
    return arena_dup(e->a, span_str(clock_rfc5322(when, text)));
}

static struct span or_default(struct span arg, struct span dflt)
{
    return arg.n && !span_eq(arg, SPAN("0")) ? arg : dflt;
}

static struct span tag_stars(struct expansion *e, struct span arg)
{
    struct span star = or_default(arg, SPAN("*"));
    struct buf b = {0};
    for (size_t n = report_level(e->r).n; n > 0; n--)
        buf_add(&b, star);
    return report_take(e->a, &b);
}

static struct span tag_autolearn(struct expansion *e, struct span arg)
{
    (void)arg;
    const char *s = e->r->facts->autolearn;
    return s ? span_str(s) : SPAN("unavailable");
}

static struct span tag_tests(struct expansion *e, struct span arg)
{
    return report_names(e->r, or_default(arg, SPAN(",")), true, false);
}

static struct span tag_testsscores(struct expansion *e, struct span arg)
{
    return report_names(e->r, or_default(arg, SPAN(",")), true, true);
}

static struct span tag_subtests(struct expansion *e, struct span arg)
{
    const struct rules_facts *f = e->r->facts;
    struct buf b = {0};
    for (size_t i = 0; i < f->nsubrules; i++) {
        if (i > 0)
            buf_add(&b, or_default(arg, SPAN(",")));
        buf_str(&b, f->subrules[i]);
    }
    return b.n ? report_take(e->a, &b) : SPAN("none");
}

static struct span tag_preview(struct expansion *e, struct span arg)
{
    (void)arg;
    const struct rules_facts *f = e->r->facts;
    return f->nbody ? report_preview(e->a, f->body, f->nbody) : SPAN("");
}

static struct span tag_report(struct expansion *e, struct span arg)
{
    (void)arg;
    return arena_printf(e->a, "\n%.*s", SPAN_ARG(report_lines(e->r)));
}

static struct span tag_summary(struct expansion *e, struct span arg)
{
    (void)arg;
    return report_summary(e->r);
}

static struct span tag_empty(struct expansion *e, struct span arg)
{
    (void)e;
    (void)arg;
    return SPAN("");
}

static struct span tag_subjprefix(struct expansion *e, struct span arg)
{
    (void)arg;
    struct span s = e->r->m->facts.rules.subject_prefix;
    return s.p ? s : SPAN("");
}

static struct span tag_header(struct expansion *e, struct span arg)
{
    return arg.n ? header_scalar(context(e), arena_cstr(e->a, arg)) : SPAN("");
}

static struct span header_if_any(struct expansion *e, const char *name)
{
    return header_scalar_or_none(context(e), name); /* absent: the tag stays as it is */
}

static struct span tag_senderdomain(struct expansion *e, struct span arg)
{
    (void)arg;
    return header_if_any(e, "X-SenderDomain");
}

static struct span tag_authordomain(struct expansion *e, struct span arg)
{
    (void)arg;
    return header_if_any(e, "X-AuthorDomain");
}

static struct span tag_relaystrusted(struct expansion *e, struct span arg)
{
    (void)arg;
    return context(e)->relays->trusted_text;
}

static struct span tag_relaysuntrusted(struct expansion *e, struct span arg)
{
    (void)arg;
    return context(e)->relays->untrusted_text;
}

static struct span tag_relaysinternal(struct expansion *e, struct span arg)
{
    (void)arg;
    return context(e)->relays->internal_text;
}

static struct span tag_relaysexternal(struct expansion *e, struct span arg)
{
    (void)arg;
    return context(e)->relays->external_text;
}

static const struct {
    const char *name;
    tag_fn *fn;
} tags[] = {
    {"YESNO", tag_yesno},
    {"YESNOCAPS", tag_yesnocaps},
    {"SCORE", tag_score},
    {"HITS", tag_score},
    {"REQD", tag_reqd},
    {"VERSION", tag_version},
    {"SUBVERSION", tag_subversion},
    {"RULESVERSION", tag_rulesversion},
    {"HOSTNAME", tag_hostname},
    {"REMOTEHOSTNAME", tag_remotehostname},
    {"REMOTEHOSTADDR", tag_remotehostaddr},
    {"FIRSTTRUSTEDIP", tag_firsttrustedip},
    {"FIRSTTRUSTEDREVIP", tag_firsttrustedrevip},
    {"LASTEXTERNALIP", tag_lastexternalip},
    {"LASTEXTERNALREVIP", tag_lastexternalrevip},
    {"LASTEXTERNALRDNS", tag_lastexternalrdns},
    {"LASTEXTERNALHELO", tag_lastexternalhelo},
    {"CONTACTADDRESS", tag_contactaddress},
    {"BAYES", tag_bayes},
    {"DATE", tag_date},
    {"STARS", tag_stars},
    {"AUTOLEARN", tag_autolearn},
    {"TESTS", tag_tests},
    {"SUBTESTS", tag_subtests},
    {"SUBTESTSCOLLAPSED", tag_subtests},
    {"TESTSSCORES", tag_testsscores},
    {"PREVIEW", tag_preview},
    {"REPORT", tag_report},
    {"SUMMARY", tag_summary},
    {"SUBJPREFIX", tag_subjprefix},
    {"HEADER", tag_header},
    {"TIMING", tag_empty},
    {"SENDERDOMAIN", tag_senderdomain},
    {"AUTHORDOMAIN", tag_authordomain},
    {"RELAYSTRUSTED", tag_relaystrusted},
    {"RELAYSUNTRUSTED", tag_relaysuntrusted},
    {"RELAYSINTERNAL", tag_relaysinternal},
    {"RELAYSEXTERNAL", tag_relaysexternal},
};

static bool is_part(char c)
{
    return (c >= 'A' && c <= 'Z') || ascii_isdigit(c);
}

/* A tag that starts at the underscore at `at`: NAME, then perhaps (arg), then an underscore. The
 * longest name counts. Returns where it ends, or 0. */
static size_t parse_tag(struct span s, size_t at, struct span *name, struct span *arg)
{
    size_t end = at + 1;
    if (end >= s.n || s.p[end] < 'A' || s.p[end] > 'Z')
        return 0;
    while (end < s.n &&
           (is_part(s.p[end]) || (s.p[end] == '_' && end + 1 < s.n && is_part(s.p[end + 1]))))
        end++;
    for (; end > at + 1; end--) {
        *name = span_sub(s, at + 1, end);
        *arg = SPAN_NONE;
        if (end < s.n && s.p[end] == '(') {
            struct span rest = span_from(s, end + 1);
            size_t close = span_search(span_sub(rest, 0, span_find(rest, '\n')), SPAN(")_"));
            if (close != SIZE_MAX) {
                *arg = span_sub(rest, 0, close);
                return end + 1 + close + 2;
            }
        }
        if (end < s.n && s.p[end] == '_')
            return end + 1;
    }
    return 0;
}

static struct span value_of(struct expansion *e, struct span name, struct span arg)
{
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (span_eq(name, span_str(tags[i].name)))
            return tags[i].fn(e, arg);
    const struct facts *f = &e->r->m->facts; /* of plugins, see rules/plugin.h */
    for (size_t i = 0; i < f->nfacts; i++)
        if (strncmp(f->facts[i].name, "tag.", 4) == 0 &&
            span_eq(name, span_str(f->facts[i].name + 4)))
            return f->facts[i].value;
    return SPAN_NONE;
}

struct span report_expand(const struct report_on *r, struct span template)
{
    struct expansion e = {.r = r, .a = r->arena};
    struct buf b = {0};
    for (size_t i = 0; i < template.n;) {
        struct span name, arg, value = SPAN_NONE;
        size_t end = template.p[i] == '_' ? parse_tag(template, i, &name, &arg) : 0;
        if (end)
            value = value_of(&e, name, arg);
        else
            end = i + 1;
        buf_add(&b, value.p ? value : span_sub(template, i, end));
        i = end;
    }
    return report_take(r->arena, &b);
}
