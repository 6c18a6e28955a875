/* FromNameSpoof: a mail address in the display name of From that is not the sender's own.
 *
 * Everything is worked out once a message. The owner of an address is the list that names it
 * (fns_add_addrlist), else the first label of its registered domain. */
#include "rules/eval_state.h"

#include "rules/eval.h"
#include "rules/plugin.h"

enum { CHECK_ADDRESS, CHECK_OWNER, CHECK_DOMAIN };

struct fromname {
    bool address_differs, owner_differs, domain_differs;
    bool has_email, equals_to, equals_replyto;
};

struct spoof_settings {
    const struct regex *email;
    double extra_chars; /* fns_extrachars: how much besides the address the name may hold */
    int check;          /* fns_check */
};

static int prepare(struct arena *a, const struct conf *conf, struct eval_call *call, struct err *e)
{
    void **slot = plugin_made(conf, "fromname");
    struct spoof_settings *s = *slot;
    if (!s) {
        s = ARENA_NEW(a, struct spoof_settings);
        s->email = regex_new(a, SPAN("\\b([\\w.!#$%&'*+/=?^`{|}~-]+@\\w[\\w-]*\\.\\w[\\w.-]++)\\b"),
                             SPAN_NONE, e);
        if (!s->email)
            return -1;
        s->extra_chars = conf_number(conf, "fns_extrachars", 50);
        s->check = (int)conf_number(conf, "fns_check", CHECK_OWNER);
        *slot = s;
    }
    call->prepared = s;
    return 0;
}

static struct span domain_of(struct rules_ctx *c, struct span address)
{
    struct span host, domain;
    struct span uri = arena_printf(c->a, "mailto:%.*s", SPAN_ARG(address));
    return uri_host_domain(&c->conf->uri, c->a, uri, &host, &domain) ? domain : SPAN_NONE;
}

static struct span listed_owner(struct rules_ctx *c, struct span address)
{
    const struct map *lists = &c->conf->lists.addrlists;
    for (size_t i = 0; i < lists->n; i++)
        if (span_starts(lists->entries[i].key, SPAN("FNS_")) &&
            globs_match(lists->entries[i].value, address))
            return span_from(lists->entries[i].key, 4);
    return SPAN_NONE;
}

/* A list may name the address as it is or with its registered domain alone. */
static struct span owner_of(struct rules_ctx *c, struct span address, struct span domain)
{
    struct span owner = listed_owner(c, address);
    size_t at = span_find(address, '@');
    if (!owner.p && at != SIZE_MAX && at > 0 && at + 1 < address.n &&
        !span_eq(span_from(address, at + 1), domain))
        owner =
            listed_owner(c, arena_printf(c->a, "%.*s@%.*s", (int)at, address.p, SPAN_ARG(domain)));
    if (owner.p)
        return owner;
    size_t dot = span_find(domain, '.');
    return dot == SIZE_MAX || dot == 0 ? domain : span_sub(domain, 0, dot);
}

static bool ignored_header(struct rules_ctx *c)
{
    const struct conf_lines *lines = conf_lines(c->conf, "fns_ignore_headers");
    for (size_t i = 0; lines && i < lines->n; i++) {
        struct span rest = lines->v[i].value, name;
        while ((name = span_word(&rest, " \t")).p) {
            struct span s = header_scalar(c, arena_cstr(c->a, name));
            if (s.n && !span_eq(s, SPAN("0")))
                return true;
        }
    }
    return false;
}

static double others(struct span s)
{
    double n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += !ascii_isdigit(s.p[i]) && !(s.p[i] >= 'a' && s.p[i] <= 'z');
    return n;
}

static void set_tags(struct rules_ctx *c, const struct span name[3], const struct span from[3])
{
    static const char *const tags[2][3] = {{"FNSFNAMEADDR", "FNSFNAMEDOMAIN", "FNSFNAMEOWNER"},
                                           {"FNSFADDRADDR", "FNSFADDRDOMAIN", "FNSFADDROWNER"}};
    for (int i = 0; i < 3; i++) {
        plugin_tag(c, tags[0][i], name[i]);
        plugin_tag(c, tags[1][i], from[i]);
    }
}

/* name, from: address, domain, owner of both. */
static void compare(struct rules_ctx *c, struct fromname *f, const struct span name[3],
                    const struct span from[3])
{
    f->address_differs = !span_eq(name[0], from[0]);
    f->domain_differs = !span_eq(name[1], from[1]);
    f->owner_differs = !span_eq(name[2], from[2]);
    f->equals_replyto = span_eq(name[0], arena_lower(c->a, header_scalar(c, "Reply-To:addr")));
    size_t n;
    const struct span *to = header_all_to(c, &n);
    for (size_t i = 0; i < n; i++)
        f->equals_to |= span_eq(name[0], to[i]);
    if (f->address_differs || f->owner_differs)
        set_tags(c, name, from);
}

static void examine(struct rules_ctx *c, const struct spoof_settings *s, struct fromname *f)
{
    struct regex_match m;
    if (ignored_header(c))
        return;
    struct span from = arena_lower(c->a, header_scalar(c, "From:addr"));
    struct span from_domain = domain_of(c, from);
    struct span name = arena_lower(c->a, header_scalar(c, "From:name"));
    if (!from_domain.p || regex_exec(s->email, name, 0, &m) != 1)
        return;
    struct span address = span_sub(name, m.group[1].start, m.group[1].end);
    struct span domain = domain_of(c, address);
    if (!domain.p)
        return;
    f->has_email = true;
    double distance = (double)name.n - (double)address.n + others(name) - others(address);
    if (distance > s->extra_chars)
        return;
    const struct span in_name[3] = {address, domain, owner_of(c, address, domain)};
    const struct span in_from[3] = {from, from_domain, owner_of(c, from, from_domain)};
    compare(c, f, in_name, in_from);
}

static const struct fromname *fromname(struct rules_ctx *c, const struct eval_call *call)
{
    struct eval_state *s = eval_state(c);
    if (!s->fromname) {
        s->fromname = ARENA_NEW(c->a, struct fromname);
        examine(c, call->prepared, s->fromname);
    }
    return s->fromname;
}

static double check_fromname_spoof(struct rules_ctx *c, const struct eval_call *call)
{
    const struct fromname *f = fromname(c, call);
    int check = ((const struct spoof_settings *)call->prepared)->check;
    struct span level = eval_arg(call, 0);
    if (level.n == 1 && level.p[0] >= '0' && level.p[0] <= '2')
        check = level.p[0] - '0';
    return f->address_differs && (check == CHECK_ADDRESS ||
                                  (check == CHECK_OWNER ? f->owner_differs : f->domain_differs));
}

#define TEST(name, member)                                                                         \
    static double name(struct rules_ctx *c, const struct eval_call *call)                          \
    {                                                                                              \
        return fromname(c, call)->member;                                                          \
    }
TEST(check_fromname_different, address_differs)
TEST(check_fromname_domain_differ, domain_differs)
TEST(check_fromname_contains_email, has_email)
TEST(check_fromname_equals_to, equals_to)
TEST(check_fromname_owners_differ, owner_differs)
TEST(check_fromname_equals_replyto, equals_replyto)

#define ROW(fn)                                                                                    \
    {                                                                                              \
#fn, "FromNameSpoof", fn, .types = EVAL_HEAD, .prepare = prepare                           \
    }
const struct eval_fn_def eval_fromname[] = {
    ROW(check_fromname_spoof),          ROW(check_fromname_different),
    ROW(check_fromname_domain_differ),  ROW(check_fromname_contains_email),
    ROW(check_fromname_equals_to),      ROW(check_fromname_owners_differ),
    ROW(check_fromname_equals_replyto), {NULL},
};
