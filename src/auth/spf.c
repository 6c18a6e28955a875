#include "auth/spf.h"

#include <stdlib.h>

#include "auth/name.h"
#include "base/xalloc.h"

/* check_host() (section 4) without recursion: records that are being evaluated stand on a stack, an
 * include pushes, a redirect replaces. At most one question is under way. */

enum { FRAMES_MAX = SPF_LOOKUPS_MAX + 1 };

struct frame {
    struct span domain;
    struct spf_record record;
    size_t next; /* term */
    bool redirected;
};

enum question {
    Q_RECORD,
    Q_ADDRESS,
    Q_MX,
    Q_MX_ADDRESS,
    Q_EXISTS,
    Q_PTR,
    Q_PTR_ADDRESS,
    Q_EXPLAIN
};

enum step { STEP_RECORD, STEP_TERM, STEP_MX, STEP_PTR, STEP_EXPLAIN, STEP_EXPLANATION, STEP_END };

struct spf {
    struct arena *a;
    const struct resolver *resolver;
    struct spf_query q;
    struct spf_macros macros;
    struct spf_fact *out;
    void (*done)(void *ctx);
    void *ctx;

    struct frame frames[FRAMES_MAX];
    size_t depth; /* frames in use; the last one is evaluated */
    enum step step;
    enum question question;
    struct span explanation; /* as its owner wrote it */
    bool waiting, running;
    unsigned lookups, voids;

    struct span hosts[SPF_MX_MAX > SPF_PTR_MAX ? SPF_MX_MAX : SPF_PTR_MAX]; /* of an mx term */
    size_t nhosts, host;
    /* The client's names: asked for once, when first needed (5.5). */
    bool names_known;
    enum step after_names; /* where they were needed */
    struct span names[SPF_PTR_MAX];
    size_t nnames;
};

static void advance(struct spf *s);

static struct frame *top(struct spf *s)
{
    return &s->frames[s->depth - 1];
}

/* --- results --- */

static void conclude(struct spf *s, enum spf_result r)
{
    s->out->result = r;
    s->step = r == SPF_FAIL && s->q.explain && top(s)->record.exp.p ? STEP_EXPLAIN : STEP_END;
}

static void failed(struct spf *s, enum spf_result r, struct span why)
{
    s->out->why = arena_printf(s->a, "%.*s: %.*s", SPAN_ARG(top(s)->domain), SPAN_ARG(why));
    s->out->result = r;
    s->step = STEP_END;
}

/* The record of the current frame gave a result: the end, or an include's answer (5.2). */
static void frame_result(struct spf *s, enum spf_result r, struct span mechanism)
{
    while (s->depth > 1) {
        s->depth--;
        struct spf_term *include = &top(s)->record.terms[top(s)->next - 1];
        if (r != SPF_PASS) {
            s->step = STEP_TERM; /* no match: the next term */
            return;
        }
        r = include->qualifier;
        mechanism = include->text;
    }
    s->out->mechanism = arena_dup(s->a, mechanism);
    conclude(s, r);
}

static void matched(struct spf *s)
{
    struct spf_term *t = &top(s)->record.terms[top(s)->next - 1];
    frame_result(s, t->qualifier, t->text);
}

/* --- questions --- */

static void on_answer(void *ctx, const struct dns_answer *answer);

static void ask(struct spf *s, enum question what, struct span name, enum dns_type type)
{
    if (span_ends(name, SPAN(".")))
        name.n--;
    s->question = what;
    s->waiting = true;
    if (name_fits(name)) {
        resolver_ask(s->resolver, name, type, on_answer, s);
    } else {
        const struct dns_answer none = {.status = DNS_NONE, .nxdomain = true};
        on_answer(s, &none);
    }
}

static enum dns_type address_type(const struct spf *s)
{
    return ip_is4(&s->q.ip) ? DNS_A : DNS_AAAA;
}

/* Whether an address of the answer lies in the client's network of that length. */
static bool has_client(const struct spf *s, const struct dns_answer *a, unsigned bits4,
                       unsigned bits6)
{
    bool four = ip_is4(&s->q.ip);
    for (size_t i = 0; i < a->n; i++) {
        struct cidr net = {.bits = four ? 96 + bits4 : bits6};
        if (a->rdata[i].n != (four ? 4 : 16))
            continue;
        if (four)
            net.net.b[10] = net.net.b[11] = 0xff;
        memcpy(net.net.b + (four ? 12 : 0), a->rdata[i].p, a->rdata[i].n);
        if (cidr_has(&net, &s->q.ip))
            return true;
    }
    return false;
}

/* A lookup that found nothing (4.6.4); true when that was one too many. */
static bool one_void_too_many(struct spf *s, const struct dns_answer *a)
{
    if (a->status != DNS_NONE || ++s->voids <= SPF_VOID_MAX)
        return false;
    failed(s, SPF_PERMERROR, SPAN("too many lookups without an answer"));
    return true;
}

/* --- answers --- */

static bool select_record(struct spf *s, const struct dns_answer *a, enum spf_scope scope,
                          struct span *record, unsigned *n)
{
    *n = 0;
    for (size_t i = 0; i < a->n; i++) {
        struct span txt;
        if (dns_txt_join(a->rdata[i], s->a, &txt) && spf_is_record(txt, scope)) {
            *record = txt;
            ++*n;
        }
    }
    return *n > 0;
}

/* No record: none for the domain itself, permerror behind include and redirect (5.2, 6.1). */
static void no_record(struct spf *s)
{
    if (s->depth > 1 || top(s)->redirected)
        failed(s, SPF_PERMERROR, SPAN("no SPF record"));
    else
        failed(s, SPF_NONE, SPAN("no SPF record"));
}

static void answer_record(struct spf *s, const struct dns_answer *a)
{
    struct span txt, why;
    unsigned n;
    if (a->status == DNS_TEMPFAIL) {
        failed(s, SPF_TEMPERROR, SPAN("no answer for its SPF record"));
        return;
    }
    if (!(s->q.scope == SPF_PRA && select_record(s, a, SPF_PRA, &txt, &n)) &&
        !select_record(s, a, SPF_MFROM, &txt, &n)) {
        no_record(s);
        return;
    }
    if (n > 1)
        failed(s, SPF_PERMERROR, SPAN("several SPF records"));
    else if (!spf_parse(s->a, txt, &top(s)->record, &why))
        failed(s, SPF_PERMERROR, why);
    else
        s->step = STEP_TERM;
}

static void answer_addresses(struct spf *s, const struct dns_answer *a)
{
    const struct spf_term *t = &top(s)->record.terms[top(s)->next - 1];
    if (a->status == DNS_TEMPFAIL)
        failed(s, SPF_TEMPERROR, SPAN("no answer for an address"));
    else if (one_void_too_many(s, a))
        return;
    else if (has_client(s, a, t->bits4, t->bits6))
        matched(s);
    else
        s->step = s->question == Q_MX_ADDRESS ? STEP_MX : STEP_TERM;
}

static void add_host(struct spf *s, struct span wire)
{
    if (name_from_wire(s->a, wire, &s->hosts[s->nhosts]))
        s->nhosts++;
}

static void answer_mx(struct spf *s, const struct dns_answer *a)
{
    if (a->status == DNS_TEMPFAIL) {
        failed(s, SPF_TEMPERROR, SPAN("no answer for its MX"));
        return;
    }
    if (one_void_too_many(s, a))
        return;
    if (a->n > SPF_MX_MAX) {
        failed(s, SPF_PERMERROR, SPAN("more than 10 MX hosts"));
        return;
    }
    s->nhosts = s->host = 0;
    for (size_t i = 0; i < a->n; i++)
        add_host(s, span_from(a->rdata[i], 2));
    s->step = STEP_MX;
}

static void answer_exists(struct spf *s, const struct dns_answer *a)
{
    if (a->status == DNS_TEMPFAIL)
        failed(s, SPF_TEMPERROR, SPAN("no answer for a name"));
    else if (one_void_too_many(s, a))
        return;
    else if (a->n)
        matched(s);
    else
        s->step = STEP_TERM;
}

static void answer_ptr(struct spf *s, const struct dns_answer *a)
{
    s->nhosts = s->host = s->nnames = 0;
    for (size_t i = 0; i < a->n && s->nhosts < SPF_PTR_MAX; i++)
        add_host(s, a->rdata[i]);
    s->step = STEP_PTR;
}

static void answer_ptr_address(struct spf *s, const struct dns_answer *a)
{
    if (has_client(s, a, 32, 128))
        s->names[s->nnames++] = s->hosts[s->host - 1];
    s->step = STEP_PTR;
}

/* Section 6.2: whatever goes wrong here, there is no explanation, and the result stays. */
static void answer_explain(struct spf *s, const struct dns_answer *a)
{
    bool fine = a->n == 1 && dns_txt_join(a->rdata[0], s->a, &s->explanation) &&
                s->explanation.n <= SPF_EXPANSION_MAX;
    s->step = fine ? STEP_EXPLANATION : STEP_END;
}

static void on_answer(void *ctx, const struct dns_answer *a)
{
    static void (*const answers[])(struct spf *, const struct dns_answer *) = {
        [Q_RECORD] = answer_record,           [Q_ADDRESS] = answer_addresses, [Q_MX] = answer_mx,
        [Q_MX_ADDRESS] = answer_addresses,    [Q_EXISTS] = answer_exists,     [Q_PTR] = answer_ptr,
        [Q_PTR_ADDRESS] = answer_ptr_address, [Q_EXPLAIN] = answer_explain,
    };
    struct spf *s = ctx;
    struct dns_answer none = *a;
    if (a->status != DNS_OK)
        none.n = 0;
    else if (a->n == 0)
        none.status = DNS_NONE;
    s->waiting = false;
    answers[s->question](s, &none);
    advance(s);
}

/* --- steps --- */

/* 5.5 and %{p}: names of the client that lead back to it. */
static void find_names(struct spf *s)
{
    char name[80];
    size_t n = 0;
    for (size_t i = 16; i-- > (ip_is4(&s->q.ip) ? 12u : 0u);) {
        unsigned char c = s->q.ip.b[i];
        if (ip_is4(&s->q.ip)) {
            if (c >= 100)
                name[n++] = (char)('0' + c / 100);
            if (c >= 10)
                name[n++] = (char)('0' + c / 10 % 10);
            name[n++] = (char)('0' + c % 10);
        } else {
            name[n++] = "0123456789abcdef"[c & 15];
            name[n++] = '.';
            name[n++] = "0123456789abcdef"[c >> 4];
        }
        name[n++] = '.';
    }
    struct span suffix = ip_is4(&s->q.ip) ? SPAN("in-addr.arpa") : SPAN("ip6.arpa");
    memcpy(name + n, suffix.p, suffix.n);
    s->names_known = true;
    s->after_names = s->step;
    ask(s, Q_PTR, span_of(name, n + suffix.n), DNS_PTR);
}

static void step_ptr(struct spf *s)
{
    if (s->host < s->nhosts)
        ask(s, Q_PTR_ADDRESS, s->hosts[s->host++], address_type(s));
    else
        s->step = s->after_names;
}

/* The domain itself, else one below it, else any (7.3). */
static struct span validated_name(const struct spf *s, struct span domain)
{
    for (size_t i = 0; i < s->nnames; i++)
        if (span_eq(s->names[i], domain))
            return s->names[i];
    for (size_t i = 0; i < s->nnames; i++)
        if (name_below(s->names[i], domain))
            return s->names[i];
    return s->nnames ? s->names[0] : SPAN_NONE;
}

static struct span expand_in_frame(struct spf *s, struct span text)
{
    s->macros.domain = top(s)->domain;
    s->macros.validated = validated_name(s, arena_lower(s->a, top(s)->domain));
    return spf_expand(s->a, &s->macros, text);
}

enum target { TARGET_OK, TARGET_WAIT, TARGET_BAD };

/* The domain a domain-spec means now; from the left, labels are dropped until it fits (7.3).
 * TARGET_WAIT: the client's names must be known first. */
static enum target expand(struct spf *s, struct span spec, struct span *out)
{
    bool uses_p;
    spf_macro_valid(spec, false, true, &uses_p);
    if (uses_p && !s->names_known) {
        find_names(s);
        return TARGET_WAIT;
    }
    struct span t = expand_in_frame(s, spec);
    if (!t.p)
        return TARGET_BAD;
    if (span_ends(t, SPAN(".")))
        t.n--;
    while (t.n > NAME_MAX_BYTES) {
        size_t dot = span_find(t, '.');
        if (dot == SIZE_MAX)
            break;
        t = span_from(t, dot + 1);
    }
    *out = t;
    return TARGET_OK;
}

/* A term that asks the DNS. False when it was one too many. */
static bool count_lookup(struct spf *s)
{
    s->out->lookups = ++s->lookups;
    if (s->lookups <= SPF_LOOKUPS_MAX)
        return true;
    failed(s, SPF_PERMERROR, SPAN("more than 10 DNS lookups"));
    return false;
}

/* Begins a record in the top frame. Every frame above the first was counted as a lookup, so that
 * there is always one left. */
static void enter(struct spf *s, struct span domain, bool redirected)
{
    *top(s) = (struct frame){.domain = domain, .redirected = redirected};
    s->step = STEP_RECORD;
}

static void include(struct spf *s, struct span domain)
{
    s->depth++;
    enter(s, domain, false);
}

static void match_ptr(struct spf *s, struct span target)
{
    target = arena_lower(s->a, target);
    for (size_t i = 0; i < s->nnames; i++)
        if (name_below(s->names[i], target)) {
            matched(s);
            return;
        }
}

/* A term with a name to look up; its argument is expanded before anything is counted, since finding
 * the client's names comes back here. */
static void ask_term(struct spf *s, const struct spf_term *t)
{
    struct span target = top(s)->domain;
    enum target got = TARGET_OK;
    if (t->mechanism == SPF_PTR && !s->names_known) {
        find_names(s);
        got = TARGET_WAIT;
    } else if (t->domain.p) {
        got = expand(s, t->domain, &target);
    }
    if (got == TARGET_WAIT)
        return;
    top(s)->next++;
    if (!count_lookup(s))
        return;
    if (got == TARGET_BAD)
        failed(s, SPF_PERMERROR, SPAN("a macro grows too long"));
    else if (t->mechanism == SPF_INCLUDE)
        include(s, target);
    else if (t->mechanism == SPF_A)
        ask(s, Q_ADDRESS, target, address_type(s));
    else if (t->mechanism == SPF_MX)
        ask(s, Q_MX, target, DNS_MX_RR);
    else if (t->mechanism == SPF_EXISTS)
        ask(s, Q_EXISTS, target, DNS_A);
    else
        match_ptr(s, target);
}

static void redirect(struct spf *s)
{
    struct span target;
    enum target got = expand(s, top(s)->record.redirect, &target);
    if (got == TARGET_WAIT)
        return;
    if (!count_lookup(s))
        return;
    if (got == TARGET_BAD)
        failed(s, SPF_PERMERROR, SPAN("a macro grows too long"));
    else
        enter(s, target, true);
}

static void step_term(struct spf *s)
{
    struct frame *f = top(s);
    if (f->next == f->record.n) {
        if (f->record.redirect.p)
            redirect(s);
        else
            frame_result(s, SPF_NEUTRAL, SPAN("default"));
        return;
    }
    const struct spf_term *t = &f->record.terms[f->next];
    if (t->mechanism != SPF_ALL && t->mechanism != SPF_IP4 && t->mechanism != SPF_IP6) {
        ask_term(s, t);
        return;
    }
    f->next++;
    bool four = ip_is4(&s->q.ip);
    if (t->mechanism == SPF_ALL ||
        ((t->mechanism == SPF_IP4) == four && cidr_has(&t->net, &s->q.ip)))
        matched(s);
}

static void step_mx(struct spf *s)
{
    if (s->host < s->nhosts)
        ask(s, Q_MX_ADDRESS, s->hosts[s->host++], address_type(s));
    else
        s->step = STEP_TERM;
}

static void step_explain(struct spf *s)
{
    struct span target;
    enum target got = expand(s, top(s)->record.exp, &target);
    if (got == TARGET_OK)
        ask(s, Q_EXPLAIN, target, DNS_TXT);
    else if (got == TARGET_BAD)
        s->step = STEP_END;
}

static void step_explanation(struct spf *s)
{
    bool uses_p;
    s->step = STEP_END;
    if (!spf_macro_valid(s->explanation, true, false, &uses_p))
        return;
    if (uses_p && !s->names_known) {
        s->step = STEP_EXPLANATION;
        find_names(s);
        return;
    }
    struct span text = expand_in_frame(s, s->explanation);
    if (!text.p || text.n > SPF_EXPLANATION_MAX)
        return;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < ' ' || text.p[i] > '~')
            return;
    s->out->explanation = text;
}

static void advance(struct spf *s)
{
    if (s->running)
        return;
    s->running = true;
    while (!s->waiting && s->step != STEP_END) {
        if (s->step == STEP_RECORD)
            ask(s, Q_RECORD, top(s)->domain, DNS_TXT);
        else if (s->step == STEP_TERM)
            step_term(s);
        else if (s->step == STEP_MX)
            step_mx(s);
        else if (s->step == STEP_PTR)
            step_ptr(s);
        else if (s->step == STEP_EXPLAIN)
            step_explain(s);
        else
            step_explanation(s);
    }
    s->running = false;
    if (!s->waiting) {
        void (*done)(void *ctx) = s->done;
        done(s->ctx);
    }
}

/* --- start --- */

/* Section 4.3: what is no name of a host in the DNS has no policy. */
static bool domain_usable(struct span d)
{
    return d.n && d.p[0] != '[' && name_fits(d) && span_find(d, '.') != SIZE_MAX &&
           !(span_ends(d, SPAN(".")) && name_labels(d) == 2);
}

static void set_sender(struct spf *s, struct span sender)
{
    size_t at = span_rfind(sender, '@');
    struct span local = at == SIZE_MAX ? SPAN("") : span_sub(sender, 0, at);
    struct span domain = at == SIZE_MAX ? s->q.domain : span_from(sender, at + 1);
    if (local.n == 0)
        local = SPAN("postmaster");
    s->macros.local = local;
    s->macros.sender_domain = domain;
    s->macros.sender = arena_printf(s->a, "%.*s@%.*s", SPAN_ARG(local), SPAN_ARG(domain));
    s->out->sender = s->macros.sender;
}

void spf_check(const struct spf_query *q, const struct resolver *r, struct arena *a,
               struct spf_fact *out, void (*done)(void *ctx), void *ctx)
{
    struct spf *s = ARENA_NEW(a, struct spf);
    struct span domain;
    *s = (struct spf){
        .a = a, .resolver = r, .q = *q, .out = out, .done = done, .ctx = ctx, .depth = 1};
    *out = (struct spf_fact){.domain = arena_dup(a, q->domain)};
    bool usable = domain_usable(q->domain) && name_canonical(a, q->domain, &domain);
    if (usable)
        out->domain = domain;
    set_sender(s, arena_dup(a, q->sender));
    s->macros.ip = q->ip;
    s->macros.helo = q->helo;
    s->macros.receiver = q->receiver;
    s->macros.now = q->now;
    s->frames[0].domain = out->domain;
    if (usable)
        s->step = STEP_RECORD;
    else
        failed(s, SPF_NONE, SPAN("not a domain name"));
    advance(s);
}
