/* HashBL: lists of hashes of mail addresses, web addresses, words of the body, tags and files. */
#include "rules/eval_state.h"
#include "rules/net.h"
#include "rules/plugin.h"

#include <openssl/evp.h>

#include "dns/dns.h"
#include "relays/ip_pattern.h"
#include "rules/email_pattern.h"
#include "rules/eval.h"

enum { VALUES_MAX = 1000, DEFAULT_MAX = 10 };

struct hashbl {
    struct span zone;
    const EVP_MD *digest; /* NULL: the value itself */
    bool base32;
    bool notag, nodot, nouri, noquote, host, domain, user, keep_case, digits; /* num */
    bool ip, ipv4, ipv6, revip, fqdn, tld, trim;
    size_t max, minsize;
    struct span from, tag;
    struct regex *pattern; /* of words in the body */
    struct regex *test;    /* of the answer; NULL: 127/8 */
    bool has_acl;
    struct map acl;
};

/* Known when the rules are loaded. */
struct hashbl_conf {
    struct map ignore, alias;
    struct regex *email, *welcome; /* email NULL: the usual pattern */
};

struct found {
    struct span *v;
    size_t n, cap;
};

static void add(struct rules_ctx *c, struct found *f, struct span s)
{
    for (size_t i = 0; i < f->n; i++)
        if (span_eq(f->v[i], s))
            return;
    if (s.n && f->n < VALUES_MAX)
        *ARENA_PUSH(c->a, f->v, f->n, f->cap) = s;
}

/* --- one value --- */

static struct span base32(struct arena *a, const unsigned char *p, size_t n)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
    char *out = arena_raw(a, (n * 8 + 4) / 5 + 1);
    size_t w = 0;
    for (size_t bit = 0; bit < n * 8; bit += 5) {
        unsigned v = (unsigned)p[bit / 8] << 8 | (bit / 8 + 1 < n ? p[bit / 8 + 1] : 0);
        out[w++] = digits[v >> (11 - bit % 8) & 31];
    }
    return span_of(out, w);
}

static struct span hashed(struct rules_ctx *c, const struct hashbl *h, struct span value)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (!h->digest)
        return value;
    if (EVP_Digest(value.p ? value.p : "", value.n, sum, &n, h->digest, NULL) != 1)
        return SPAN_NONE;
    if (h->base32)
        return base32(c->a, sum, n);
    char *hex = arena_raw(c->a, 2 * n + 1);
    for (unsigned i = 0; i < n; i++) {
        hex[2 * i] = "0123456789abcdef"[sum[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[sum[i] & 15];
    }
    return span_of(hex, 2 * n);
}

static bool ignored(struct rules_ctx *c, struct span s)
{
    const struct hashbl_conf *conf = plugin_has(c->conf, "HashBL");
    return map_get(&conf->ignore, arena_lower(c->a, s)) != NULL;
}

static bool ask_hash(struct rules_ctx *c, const struct hashbl *h, struct span hash)
{
    if (!hash.n || ignored(c, hash))
        return false;
    const struct net_answer *a = net_ask(c, net_join(c->a, hash, h->zone), DNS_A, false);
    for (size_t i = 0; a && i < a->n; i++)
        if (h->test ? regex_hit(h->test, a->text[i]) : span_starts(a->text[i], SPAN("127.")))
            return true;
    return false;
}

static double ask_all(struct rules_ctx *c, const struct hashbl *h, const struct found *f)
{
    bool hit = false;
    for (size_t i = 0; i < f->n && i < h->max; i++)
        if (!ignored(c, f->v[i]))
            hit |= ask_hash(c, h, hashed(c, h, f->v[i]));
    return hit;
}

/* --- mail addresses --- */

static void find_emails(struct rules_ctx *c, struct found *out, struct span text)
{
    const struct hashbl_conf *conf = plugin_has(c->conf, "HashBL");
    struct regex_match m;
    struct email_place e;
    if (conf->email) {
        for (size_t at = 0; regex_exec(conf->email, text, at, &m) == 1;
             at = m.end > at ? m.end : at + 1)
            add(c, out, span_sub(text, m.start, m.end));
        return;
    }
    for (size_t at = 0; email_find(&c->conf->uri, text, at, &e); at = e.end)
        add(c, out, span_sub(text, e.start, e.end));
}

/* Links to mail addresses do not show in the text. */
static void find_in_body(struct rules_ctx *c, const struct hashbl *h, struct found *out)
{
    const struct uris *u = &c->text->uris;
    for (size_t i = 0; i < u->n; i++)
        if (span_istarts(u->v[i].key, SPAN("mailto:")) && uri_has_type(&u->v[i], "a") &&
            !uri_has_type(&u->v[i], "parsed"))
            find_emails(c, out, span_from(u->v[i].key, 7));
    struct buf b = {0};
    for (size_t i = 0; i < c->text->body.n; i++)
        buf_add(&b, c->text->body.v[i]);
    struct span body = arena_dup(c->a, buf_span(&b));
    buf_free(&b);
    if (h->nouri)
        body = email_strip_uris(c->a, body);
    if (h->noquote)
        body = email_strip_quoted(&c->conf->uri, c->a, body);
    find_emails(c, out, body);
}

static void find_in(struct rules_ctx *c, const struct hashbl *h, struct span source,
                    struct found *out)
{
    size_t n;
    if (span_eq(source, SPAN("ALLFROM"))) {
        struct span *v = header_all_from(c, &n);
        for (size_t i = 0; i < n; i++)
            add(c, out, v[i]);
    } else if (span_eq(source, SPAN("body"))) {
        find_in_body(c, h, out);
    } else if (span_eq(source, SPAN("ALL"))) {
        find_emails(c, out, header_all(c));
    } else {
        find_emails(c, out, header_scalar(c, arena_cstr(c->a, source)));
    }
}

/* Recipients of this message, and names that everybody has. */
static bool welcome(struct rules_ctx *c, struct span email)
{
    static const char *const ours[] = {"X-Original-To:addr", "Apparently-To:addr",
                                       "Delivered-To:addr", "Envelope-To:addr"};
    const struct hashbl_conf *conf = plugin_has(c->conf, "HashBL");
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (span_eq(arena_lower(c->a, header_scalar(c, ours[i])), email))
            return true;
    return conf->welcome && regex_hit(conf->welcome, email);
}

static struct span without(struct rules_ctx *c, struct span s, char drop)
{
    char *out = arena_raw(c->a, s.n + 1);
    size_t w = 0;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != drop)
            out[w++] = s.p[i];
    return span_of(out, w);
}

/* What of an address is looked up; absent: nothing. */
static struct span email_key(struct rules_ctx *c, const struct hashbl *h, struct span email)
{
    const struct hashbl_conf *conf = plugin_has(c->conf, "HashBL");
    size_t at = span_rfind(email, '@');
    if (at == SIZE_MAX || at + 1 == email.n)
        return SPAN_NONE;
    struct span local = span_sub(email, 0, at), domain = span_from(email, at + 1);
    const struct span *alias = map_get(&conf->alias, arena_lower(c->a, domain));
    if (alias)
        domain = *alias;
    if (h->has_acl && !map_get(&h->acl, domain))
        return SPAN_NONE;
    if (welcome(c, arena_printf(c->a, "%.*s@%.*s", SPAN_ARG(local), SPAN_ARG(domain))))
        return SPAN_NONE;
    struct span registered = ctx_registered_domain(c, domain);
    if (!h->has_acl && (uridnsbl_skipped(c, arena_lower(c->a, domain)) ||
                        uridnsbl_skipped(c, arena_lower(c->a, registered))))
        return SPAN_NONE;
    if (h->nodot)
        local = without(c, local, '.');
    if (h->notag)
        local = span_sub(local, 0, span_find(local, '+'));
    struct span key = h->domain ? registered
                      : h->host ? domain
                      : h->user
                          ? local
                          : arena_printf(c->a, "%.*s@%.*s", SPAN_ARG(local), SPAN_ARG(domain));
    return h->keep_case ? key : arena_lower(c->a, key);
}

static double check_hashbl_emails(struct rules_ctx *c, const struct eval_call *call)
{
    const struct hashbl *h = call->prepared;
    struct span rest = h->from, source;
    struct found emails = {0}, keys = {0};
    if (!c->net)
        return 0;
    while ((source = span_word(&rest, "/")).p)
        find_in(c, h, span_trim(source), &emails);
    for (size_t i = 0; i < emails.n; i++)
        add(c, &keys, email_key(c, h, emails.v[i]));
    return ask_all(c, h, &keys);
}

/* --- web addresses, words, tags, files --- */

static bool uri_wanted(struct rules_ctx *c, const struct uri *u)
{
    if (span_istarts(u->key, SPAN("mailto:")) || !u->nhosts || !u->ncleaned ||
        !(uri_has_type(u, "a") || uri_has_type(u, "parsed")))
        return false;
    for (size_t i = 0; i < u->nhosts; i++)
        if (uridnsbl_skipped(c, u->hosts[i]) || uridnsbl_skipped(c, u->domains[i]))
            return false;
    return true;
}

static double check_hashbl_uris(struct rules_ctx *c, const struct eval_call *call)
{
    const struct hashbl *h = call->prepared;
    struct found f = {0};
    for (size_t i = 0; c->net && i < c->text->uris.n; i++) {
        const struct uri *u = &c->text->uris.v[i];
        for (size_t k = 0; uri_wanted(c, u) && k < u->ncleaned; k++)
            add(c, &f, h->keep_case ? u->cleaned[k] : arena_lower(c->a, u->cleaned[k]));
    }
    return c->net ? ask_all(c, h, &f) : 0;
}

static struct span digits_of(struct rules_ctx *c, struct span s)
{
    char *out = arena_raw(c->a, s.n + 1);
    size_t w = 0;
    for (size_t i = 0; i < s.n; i++)
        if (ascii_isdigit(s.p[i]))
            out[w++] = s.p[i];
    return span_of(out, w);
}

static void find_words(struct rules_ctx *c, const struct hashbl *h, struct span text,
                       struct found *out)
{
    struct regex_match m;
    for (size_t at = 0; at <= text.n && regex_exec(h->pattern, text, at, &m) == 1;
         at = m.end > at ? m.end : at + 1) {
        if (m.group[1].start == SIZE_MAX)
            continue;
        struct span s = span_sub(text, m.group[1].start, m.group[1].end);
        if (!h->keep_case)
            s = arena_lower(c->a, s);
        add(c, out, h->digits ? digits_of(c, s) : s);
    }
}

static double check_hashbl_bodyre(struct rules_ctx *c, const struct eval_call *call)
{
    const struct hashbl *h = call->prepared;
    struct found f = {0};
    if (!c->net)
        return 0;
    if (call->type == EVAL_FULL) {
        find_words(c, h, c->m->raw, &f);
    } else {
        const struct lines *l = call->type == EVAL_RAWBODY ? &c->text->rawbody : &c->text->body;
        for (size_t i = 0; i < l->n; i++)
            find_words(c, h, l->v[i], &f);
    }
    return ask_all(c, h, &f);
}

/* What of a tag's value is looked up; absent: nothing. */
static struct span tag_key(struct rules_ctx *c, const struct hashbl *h, struct span value)
{
    bool v4 = ip_pattern_is_v4(value), ip = v4 || ip_pattern_is(value);
    if ((h->ip && !ip) || (h->ipv4 && !v4) || (h->ipv6 && (!ip || v4)))
        return SPAN_NONE;
    if (ip)
        return h->revip ? net_reversed(c->a, value) : value;
    bool valid = uri_fqdn_valid(value);
    struct span registered = valid ? ctx_registered_domain(c, value) : SPAN_NONE;
    if ((h->fqdn && !valid) || (h->tld && !ctx_domain_valid(c, value)))
        return SPAN_NONE;
    if (valid && (uridnsbl_skipped(c, arena_lower(c->a, value)) ||
                  uridnsbl_skipped(c, arena_lower(c->a, registered))))
        return SPAN_NONE;
    return h->trim && registered.n ? registered : value;
}

static double check_hashbl_tag(struct rules_ctx *c, const struct eval_call *call)
{
    const struct hashbl *h = call->prepared;
    struct found f = {0};
    size_t n = 0;
    const struct span *v = c->net ? net_tag(c, h->tag, &n) : NULL;
    for (size_t i = 0; v && i < n; i++)
        add(c, &f, tag_key(c, h, h->keep_case ? v[i] : arena_lower(c->a, v[i])));
    return c->net ? ask_all(c, h, &f) : 0;
}

static double check_hashbl_attachments(struct rules_ctx *c, const struct eval_call *call)
{
    const struct hashbl *h = call->prepared;
    bool hit = false;
    struct found hashes = {0};
    for (struct mime_part *p = c->mime->root; c->net && p; p = mime_next(p)) {
        if (p->child)
            continue;
        struct span body = mime_body(c->mime, p);
        if (body.n && body.n >= h->minsize && !ignored(c, p->type) && !ignored(c, p->name))
            add(c, &hashes, hashed(c, h, body));
    }
    for (size_t i = 0; i < hashes.n && i < h->max; i++)
        hit |= ask_hash(c, h, hashes.v[i]);
    return hit;
}

/* --- load --- */

static void read_option(struct hashbl *h, struct span name, struct span value)
{
    uint64_t n = 0;
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {
        {"notag", &h->notag},     {"nodot", &h->nodot},    {"nouri", &h->nouri},
        {"noquote", &h->noquote}, {"host", &h->host},      {"domain", &h->domain},
        {"user", &h->user},       {"case", &h->keep_case}, {"num", &h->digits},
        {"ip", &h->ip},           {"ipv4", &h->ipv4},      {"ipv6", &h->ipv6},
        {"revip", &h->revip},     {"fqdn", &h->fqdn},      {"tld", &h->tld},
        {"trim", &h->trim},
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (span_eq(name, span_str(flags[i].name)))
            *flags[i].flag = true;
    if (span_eq(name, SPAN("max")) && span_u64(value, &n) && n)
        h->max = (size_t)n;
    else if (span_eq(name, SPAN("minsize")) && span_u64(value, &n))
        h->minsize = (size_t)n;
}

/* sha256 wins over sha1, sha1 over md5, as in SpamAssassin. */
static void read_options(struct arena *a, struct hashbl *h, struct span text)
{
    bool sha256 = false, sha1 = false, md5 = false;
    struct span option;
    text = arena_lower(a, text);
    h->max = DEFAULT_MAX;
    while ((option = span_word(&text, "/")).p) {
        size_t eq = span_find(option, '=');
        struct span name = span_trim(span_sub(option, 0, eq));
        sha256 |= span_eq(name, SPAN("sha256"));
        sha1 |= span_eq(name, SPAN("sha1"));
        md5 |= span_eq(name, SPAN("md5"));
        read_option(h, name, eq == SIZE_MAX ? SPAN_NONE : span_trim(span_from(option, eq + 1)));
    }
    h->base32 = sha256;
    h->digest = sha256 ? EVP_sha256() : sha1 ? EVP_sha1() : md5 ? EVP_md5() : NULL;
    h->fqdn |= h->trim;
    h->tld |= h->trim;
}

static int read_conf(struct arena *a, const struct conf *conf, struct hashbl_conf *h, struct err *e)
{
    static const char usual[] =
        "^(?:abuse|support|sales|info|helpdesk|contact|kontakt|(?:post|host|domain)master"
        "|undisclosed.*|request-[a-f0-9]{16}|bounced?-"
        "|[a-f0-9]{8}(?:\\.[a-f0-9]{8}|-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12})"
        "|.+=.+=.+)@";
    const struct conf_lines *l = conf_lines(conf, "hashbl_ignore");
    struct span word,
        welcome_text = conf_value(conf, "hashbl_email_welcomelist",
                                  conf_value(conf, "hashbl_email_whitelist", SPAN_NONE));
    h->ignore = map_in(a);
    h->alias = map_in(a);
    for (size_t i = 0; l && i < l->n; i++)
        for (struct span rest = l->v[i].value; (word = span_word(&rest, " \t")).p;)
            *map_at(&h->ignore, arena_lower(a, word)) = h;
    l = conf_lines(conf, "hashbl_email_domain_alias");
    for (size_t i = 0; l && i < l->n; i++) {
        struct span rest = arena_lower(a, l->v[i].value), *target = ARENA_NEW(a, struct span);
        *target = span_word(&rest, " \t");
        while ((word = span_word(&rest, " \t")).p)
            *map_at(&h->alias, word) = target;
    }
    struct span email = conf_value(conf, "hashbl_email_regex", SPAN_NONE);
    if (email.p && !(h->email = regex_new(a, email, SPAN(""), e)))
        return -1;
    h->welcome = welcome_text.p ? regex_new(a, welcome_text, SPAN(""), e)
                                : regex_new(a, span_str(usual), SPAN("i"), e);
    return h->welcome ? 0 : -1;
}

/* hashbl_acl_NAME: domains, "!" in front of those that are not meant, which wins. */
static int read_acl(struct arena *a, const struct conf *conf, struct hashbl *h, struct span name,
                    struct err *e)
{
    if (span_eq(name, SPAN("all")) || !name.n)
        return 0;
    const struct conf_lines *l =
        conf_lines(conf, arena_printf(a, "hashbl_acl_%.*s", SPAN_ARG(arena_lower(a, name))).p);
    if (!l)
        return err_set(e, "there is no hashbl_acl_%.*s", SPAN_ARG(name));
    struct map denied = map_in(a);
    struct span word;
    h->acl = map_in(a);
    h->has_acl = true;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < l->n; i++)
            for (struct span rest = arena_lower(a, l->v[i].value);
                 (word = span_word(&rest, " \t")).p;) {
                bool no = word.p[0] == '!';
                if (pass == 0 && no)
                    *map_at(&denied, span_from(word, 1)) = h;
                else if (pass == 1 && !no && !map_get(&denied, word))
                    *map_at(&h->acl, word) = h;
            }
    return 0;
}

static bool is(const struct eval_call *call, const char *name)
{
    return strcmp(call->def->name, name) == 0;
}

static int prepare(struct arena *a, const struct conf *conf, struct eval_call *call, struct err *e)
{
    struct hashbl *h = call->prepared = ARENA_NEW(a, struct hashbl);
    bool emails = is(call, "check_hashbl_emails"), words = is(call, "check_hashbl_bodyre");
    bool tags = is(call, "check_hashbl_tag");
    struct span third = eval_arg(call, 2);
    struct span test = eval_arg(call, emails || words || tags ? 3 : 2);
    void **made = plugin_made(conf, "HashBL");
    if (!*made) {
        struct hashbl_conf *hc = ARENA_NEW(a, struct hashbl_conf);
        if (read_conf(a, conf, hc, e) != 0)
            return -1;
        *made = hc;
    }
    h->zone = eval_arg(call, 0);
    if (!h->zone.n)
        return err_set(e, "a list is wanted");
    read_options(a, h,
                 eval_arg(call, 1).n ? eval_arg(call, 1)
                 : emails            ? SPAN("sha1/notag/noquote/max=10/shuffle")
                                     : SPAN("sha1/max=10/shuffle"));
    if (emails)
        h->from = third.n ? third : SPAN("ALLFROM/Reply-To/body");
    if (tags && third.n > 2 && third.p[0] == '_' && third.p[third.n - 1] == '_')
        third = span_sub(third, 1, third.n - 1);
    h->tag = third;
    if (words && (!third.n || !(h->pattern = regex_new(a, third, SPAN(""), e))))
        return third.n ? -1 : err_set(e, "a regular expression is wanted");
    if (test.n && !(h->test = regex_new(a, test, SPAN(""), e)))
        return -1;
    return emails && call->nargs > 4 ? read_acl(a, conf, h, call->args[4], e) : 0;
}

#define ASKS(fn, kinds)                                                                            \
    {                                                                                              \
#fn, "HashBL", fn, prepare, .types = kinds, .net = true, .asks = true                      \
    }
const struct eval_fn_def eval_hashbl[] = {
    ASKS(check_hashbl_emails, EVAL_HEAD),
    ASKS(check_hashbl_uris, EVAL_HEAD),
    ASKS(check_hashbl_tag, EVAL_HEAD),
    ASKS(check_hashbl_bodyre, EVAL_BODIES | 1 << EVAL_FULL),
    ASKS(check_hashbl_attachments, EVAL_BODIES | 1 << EVAL_FULL),
    {NULL},
};
