/* FreeMail (semantics 8.4): senders at free mail providers. */
#include "rules/eval_state.h"

#include "rules/email_pattern.h"
#include "rules/eval.h"

/* Found in the body. */
struct freemail {
    bool skip; /* more addresses than freemail_max_body_... */
    struct map emails;
};

enum { ANCHORS_MAX = 20, BODY_MAX = 40 };

static bool is_hex(struct span s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (i >= s.n || ascii_hex(s.p[i]) < 0)
            return false;
    return true;
}

/* 8 hex digits, then ".8" or "-4-4-4-12". */
static bool is_message_id(struct span local)
{
    if (!is_hex(local, 8))
        return false;
    struct span rest = span_from(local, 8);
    if (rest.n == 9)
        return rest.p[0] == '.' && is_hex(span_from(rest, 1), 8);
    static const size_t at[] = {0, 5, 10, 15}, n[] = {4, 4, 4, 12};
    for (size_t i = 0; i < 4; i++)
        if (at[i] >= rest.n || rest.p[at[i]] != '-' || !is_hex(span_from(rest, at[i] + 1), n[i]))
            return false;
    return rest.n == 28;
}

/* .+=.+=.+ */
static bool is_forwarded(struct span s)
{
    size_t first = s.n ? span_find(span_from(s, 1), '=') : SIZE_MAX;
    if (first == SIZE_MAX)
        return false;
    struct span rest = span_from(s, first + 3);
    size_t second = first + 2 < s.n ? span_find(rest, '=') : SIZE_MAX;
    return second != SIZE_MAX && second + 1 < rest.n;
}

/* Local parts that are no persons. */
static bool is_role(struct span email)
{
    static const struct span roles[] = {
        {"abuse", 5},       {"support", 7},       {"sales", 5},   {"info", 4},
        {"helpdesk", 8},    {"contact", 7},       {"kontakt", 7}, {"postmaster", 10},
        {"hostmaster", 10}, {"domainmaster", 12}, {"bounce-", 7}, {"bounced-", 8}};
    struct span local = span_sub(email, 0, span_find(email, '@'));
    size_t last = span_rfind(email, '@');
    if (last == SIZE_MAX)
        return false;
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (span_ieq(local, roles[i]))
            return true;
    if (span_istarts(email, SPAN("undisclosed")) || is_forwarded(span_sub(email, 0, last)))
        return true;
    return (span_istarts(local, SPAN("request-")) && local.n == 24 &&
            is_hex(span_from(local, 8), 16)) ||
           is_message_id(local);
}

/* * is [^.]*, ? is any character; anchored behind the @ and at the end. */
static bool wildcard(struct span pattern, struct span s)
{
    size_t p = 0, i = 0, star = SIZE_MAX, from = 0;
    while (i < s.n || p < pattern.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            from = i;
        } else if (p < pattern.n && i < s.n && (pattern.p[p] == '?' || pattern.p[p] == s.p[i])) {
            p++;
            i++;
        } else if (star != SIZE_MAX && from < s.n && s.p[from] != '.') {
            p = star + 1;
            i = ++from;
        } else {
            return false;
        }
    }
    return true;
}

/* Most patterns fail at their first byte. */
static bool may_start(struct span pattern, struct span s)
{
    char first = pattern.n ? pattern.p[0] : '*';
    return first == '*' || first == '?' || (s.n && first == s.p[0]);
}

static bool judge_email(const struct conf *conf, struct span email)
{
    const struct conf_freemail *f = &conf->freemail;
    size_t at = span_rfind(email, '@');
    struct span domain = at == SIZE_MAX ? email : span_from(email, at + 1);
    if (!email.n || map_get(&f->welcome, email) || map_get(&f->welcome, domain) || is_role(email))
        return false;
    if ((f->import_welcome_auth && globs_match(&conf->lists.welcome_auth[LIST_OWN], email)) ||
        (f->import_def_welcome_auth && globs_match(&conf->lists.welcome_auth[LIST_DEF], email)))
        return false;
    if (map_get(&f->domains, domain))
        return true;
    for (size_t i = 0; at != SIZE_MAX && i < f->nwildcards; i++)
        if (may_start(f->wildcards[i], domain) && wildcard(f->wildcards[i], domain))
            return true;
    return false;
}

/* The same few addresses are asked about again and again. */
enum { SEEN_MAX = 8 };
struct freemail_seen {
    struct span email[SEEN_MAX];
    bool freemail[SEEN_MAX];
    size_t n;
};

static bool is_freemail(struct rules_ctx *c, struct span email)
{
    struct eval_state *s = eval_state(c);
    if (!s->freemails)
        s->freemails = ARENA_NEW(c->a, struct freemail_seen);
    struct freemail_seen *seen = s->freemails;
    for (size_t i = 0; i < seen->n; i++)
        if (span_eq(seen->email[i], email))
            return seen->freemail[i];
    bool freemail = judge_email(c->conf, email);
    if (seen->n < SEEN_MAX) {
        seen->email[seen->n] = email;
        seen->freemail[seen->n++] = freemail;
    }
    return freemail;
}

static bool available(const struct rules_ctx *c)
{
    return c->conf->freemail.domains.n + c->conf->freemail.nwildcards > 0;
}

/* --- the body --- */

struct found {
    struct map seen;
};

static void add_email(struct rules_ctx *c, struct found *f, struct span email)
{
    *map_at(&f->seen, arena_lower(c->a, email)) = c;
}

static bool has_type(const struct uri *u, const char *type)
{
    for (size_t i = 0; i < u->ntypes; i++)
        if (strcmp(u->types[i], type) == 0)
            return true;
    return false;
}

/* <a href="mailto:...">: not in the rendered text. */
static void find_anchors(struct rules_ctx *c, struct found *f)
{
    const struct uris *uris = &c->text->uris;
    for (size_t i = 0; i < uris->n && f->seen.n < ANCHORS_MAX; i++) {
        const struct uri *u = &uris->v[i];
        struct email_place at;
        if (span_istarts(u->key, SPAN("mailto:")) && has_type(u, "a") && !has_type(u, "parsed") &&
            email_find(&c->conf->uri, u->key, 7, &at) && at.start == 7)
            add_email(c, f, span_sub(u->key, at.start, at.end));
    }
}

/* As in SpamAssassin, what is stripped here is gone for all body rules that run afterwards. */
static void find_in_body(struct rules_ctx *c, struct found *f)
{
    for (size_t i = 0; i < c->text->body.n; i++) {
        struct span *line = &c->text->body.v[i];
        if (span_find(*line, '@') == SIZE_MAX && span_search(*line, SPAN("%40")) == SIZE_MAX)
            continue;
        *line = email_strip_uris(c->a, *line);
        *line = email_strip_quoted(&c->conf->uri, c->a, *line);
        struct email_place at;
        for (size_t from = 0; email_find(&c->conf->uri, *line, from, &at); from = at.end) {
            add_email(c, f, span_sub(*line, at.start, at.end));
            if (f->seen.n >= BODY_MAX)
                return;
        }
    }
}

static void keep_freemails(struct rules_ctx *c, struct freemail *m, const struct found *f)
{
    const struct conf_freemail *conf = &c->conf->freemail;
    unsigned all = 0, free_ones = 0;
    for (size_t i = 0; i < f->seen.n; i++) {
        struct span email = f->seen.entries[i].key;
        m->skip = ++all == conf->max_body_emails && conf->skip_when_over_max;
        if (!m->skip && is_freemail(c, email)) {
            m->skip = ++free_ones == conf->max_body_freemails && conf->skip_when_over_max;
            if (!m->skip)
                *map_at(&m->emails, email) = c;
        }
        if (m->skip)
            return;
    }
}

/* NULL when there are too many. */
static const struct freemail *body_freemails(struct rules_ctx *c)
{
    struct eval_state *s = eval_state(c);
    if (!s->freemail) {
        s->freemail = ARENA_NEW(c->a, struct freemail);
        s->freemail->emails = map_in(c->a);
        struct found f = {map_in(c->a)};
        find_anchors(c, &f);
        find_in_body(c, &f);
        keep_freemails(c, s->freemail, &f);
    }
    return s->freemail->skip ? NULL : s->freemail;
}

/* --- the functions --- */

static int prepare_pattern(struct arena *a, struct eval_call *call, size_t arg, struct err *e)
{
    if (arg >= call->nargs)
        return 0;
    call->prepared = regex_new(a, eval_arg(call, arg), SPAN_NONE, e);
    return call->prepared ? 0 : -1;
}

static int prepare_header(struct arena *a, const struct conf *conf, struct eval_call *call,
                          struct err *e)
{
    (void)conf;
    if (call->nargs < 1)
        return err_set(e, "check_freemail_header needs a header");
    return prepare_pattern(a, call, 1, e);
}

static int prepare_first(struct arena *a, const struct conf *conf, struct eval_call *call,
                         struct err *e)
{
    (void)conf;
    return prepare_pattern(a, call, 0, e);
}

static bool wanted(struct rules_ctx *c, const struct eval_call *call, struct span email)
{
    return is_freemail(c, email) && (!call->prepared || regex_hit(call->prepared, email));
}

static double check_freemail_header(struct rules_ctx *c, const struct eval_call *call)
{
    size_t n = 0;
    struct span *v = NULL;
    const struct span request[] = {eval_arg(call, 0), SPAN(":addr")};
    if (available(c))
        v = header_list_of(c, header_key(arena_concat(c->a, request, 2)), &n);
    for (size_t i = 0; i < n; i++)
        if (wanted(c, call, arena_lower(c->a, v[i])))
            return 1;
    return 0;
}

static double check_freemail_from(struct rules_ctx *c, const struct eval_call *call)
{
    size_t n = 0;
    const struct span *v = available(c) ? header_lower_from(c, &n) : NULL;
    for (size_t i = 0; i < n; i++)
        if (wanted(c, call, v[i]))
            return 1;
    return 0;
}

static double check_freemail_body(struct rules_ctx *c, const struct eval_call *call)
{
    const struct freemail *m = available(c) ? body_freemails(c) : NULL;
    for (size_t i = 0; m && i < m->emails.n; i++)
        if (!call->prepared || regex_hit(call->prepared, m->emails.entries[i].key))
            return 1;
    return 0;
}

/* Envelope senders of lists and robots; the range _-t is SpamAssassin's. */
static int prepare_replyto(struct arena *a, const struct conf *conf, struct eval_call *call,
                           struct err *e)
{
    (void)conf;
    struct span what = eval_arg(call, 0);
    if (call->nargs && !span_eq(what, SPAN("replyto")) && !span_eq(what, SPAN("reply")))
        return err_set(e, "check_freemail_replyto takes 'replyto' or 'reply'");
    call->prepared = regex_new(
        a,
        SPAN("(?:^(?:post|host|domain)master|^double-bounce|^(?:sentto|owner|return|(?:gr)?"
             "bounced?)-.+|-(?:request|bounces?|admin|owner)|\\b(?:do[._-t]?)?no[._-t]?repl"
             "(?:y|ies)|.+=.+)\\@"),
        SPAN("i"), e);
    return call->prepared ? 0 : -1;
}

/* In front of the last @, which the pattern ends with, there must be one of these. */
static bool may_be_robot(struct span sender)
{
    struct span local = span_sub(sender, 0, span_rfind(sender, '@'));
    return local.n < sender.n &&
           (span_find(local, '-') != SIZE_MAX || span_find(local, '=') != SIZE_MAX ||
            span_isearch(local, SPAN("repl")) != SIZE_MAX ||
            span_isearch(local, SPAN("master")) != SIZE_MAX);
}

struct addresses {
    struct span *v;
    size_t n;
    bool free_ones;
};

static struct addresses addresses(struct rules_ctx *c, const char *request)
{
    struct addresses r = {0};
    struct span *v = header_list(c, request, &r.n);
    r.v = arena_array(c->a, r.n + 1, sizeof *r.v);
    for (size_t i = 0; i < r.n; i++) {
        r.v[i] = arena_lower(c->a, v[i]);
        r.free_ones = r.free_ones || is_freemail(c, r.v[i]);
    }
    return r;
}

static bool share(struct rules_ctx *c, const struct addresses *a, const struct addresses *b)
{
    struct map in_b = map_in(c->a);
    for (size_t i = 0; i < b->n; i++)
        *map_at(&in_b, b->v[i]) = c;
    for (size_t i = 0; i < a->n; i++)
        if (map_get(&in_b, a->v[i]))
            return true;
    return false;
}

static bool differs(const struct freemail *m, const struct addresses *reply)
{
    for (size_t i = 0; m && i < m->emails.n; i++)
        for (size_t k = 0; k < reply->n; k++)
            if (!span_eq(m->emails.entries[i].key, reply->v[k]))
                return true;
    return false;
}

static double check_freemail_replyto(struct rules_ctx *c, const struct eval_call *call)
{
    if (!available(c))
        return 0;
    struct span sender = header_scalar_or_none(c, "EnvelopeFrom");
    if (c->conf->freemail.skip_bulk_envfrom && may_be_robot(sender) &&
        regex_hit(call->prepared, sender))
        return 0;
    struct addresses from = addresses(c, "From:addr"), reply = addresses(c, "Reply-To:addr");
    if (from.free_ones && reply.free_ones && !share(c, &from, &reply))
        return 1;
    bool replyto = !span_eq(eval_arg(call, 0), SPAN("reply"));
    if (replyto ? !reply.free_ones : (reply.n && !reply.free_ones) || !from.free_ones)
        return 0;
    return differs(body_freemails(c), replyto || reply.free_ones ? &reply : &from);
}

#define PREPARED(fn, how)                                                                          \
    {                                                                                              \
#fn, "FreeMail", fn, .types = EVAL_HEAD, .prepare = how                                    \
    }
const struct eval_fn_def eval_freemail[] = {
    PREPARED(check_freemail_from, prepare_first),
    PREPARED(check_freemail_header, prepare_header),
    PREPARED(check_freemail_replyto, prepare_replyto),
    PREPARED(check_freemail_body, prepare_first),
    {NULL},
};
