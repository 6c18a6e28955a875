#include "door/access.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/map.h"
#include "base/xalloc.h"
#include "smtp/reply.h"
#include "smtp/textmap.h"

enum { PREFIX_KEY = 18, PREFIX_BITS = 129 };

struct access {
    struct textmap *file;
    /* Networks by {tag, bits, masked address}; rebuilt when the file was read. */
    struct arena *arena;
    struct map networks;
    bool bits_used[PREFIX_BITS];
};

/* ---- reading ---- */

static const char *const tags[] = {"connect:", "from:", "to:"};

/* Cuts a tag off the key; '\0' when there is none. */
static char take_tag(struct span *key)
{
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        struct span tag = span_str(tags[i]);
        if (span_istarts(*key, tag)) {
            *key = span_from(*key, tag.n);
            return tag.p[0];
        }
    }
    return '\0';
}

/* "IPv6:2001:db8" as Sendmail writes IPv6 networks: whole groups from the left. */
static bool groups_parse(struct span s, struct cidr *out)
{
    char text[IP_TEXT_SIZE];
    unsigned groups = 1;
    if (!span_istarts(s, SPAN("IPv6:")))
        return false;
    s = span_from(s, 5);
    if (s.n > 0 && s.p[s.n - 1] == ':' && span_search(s, SPAN("::")) == SIZE_MAX)
        s.n--;
    if (s.n == 0 || s.n > 39 || span_search(s, SPAN("::")) != SIZE_MAX)
        return cidr_parse(s, out);
    for (size_t i = 0; i < s.n; i++)
        groups += s.p[i] == ':';
    if (groups > 8)
        return false;
    snprintf(text, sizeof text, "%.*s%s", SPAN_ARG(s), groups < 8 ? "::" : "");
    if (!ip_parse(span_str(text), &out->net))
        return false;
    out->bits = 16 * groups;
    return true;
}

static bool network_parse(struct span s, struct cidr *out)
{
    if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
        s = span_sub(s, 1, s.n - 1);
    return groups_parse(s, out) || cidr_parse(s, out);
}

/* ERROR:5.7.1:"550 text", ERROR:"550 text", ERROR:550 text, "550 text" -> "550 5.7.1 text" */
static int parse_error(struct arena *arena, struct span text, struct access_rule *rule,
                       struct err *why)
{
    unsigned char dsn[3] = {0};
    unsigned detail = 0, code;
    struct span number = SPAN_NONE;
    size_t colon = span_find(text, ':');
    if (colon != SIZE_MAX && reply_dsn(span_sub(text, 0, colon), dsn, &detail)) {
        number = span_sub(text, 0, colon);
        text = span_trim(span_from(text, colon + 1));
    }
    if (text.n >= 2 && text.p[0] == '"' && text.p[text.n - 1] == '"')
        text = span_sub(text, 1, text.n - 1);
    text = span_trim(text);
    if (!reply_valid(text, &code) || code < 400)
        return err_set(why, "a reply such as 550 text is wanted, not '%.*s'",
                       (int)(text.n > 200 ? 200 : text.n), text.p ? text.p : "");
    struct span rest = span_from(text, 4);
    if (reply_dsn(rest, dsn, &detail) || !number.p) {
        bool own = reply_dsn(rest, dsn, &detail);
        rule->reply = own ? arena_dup(arena, text)
                          : arena_printf(arena, "%u %u.7.1 %.*s", code, code / 100, SPAN_ARG(rest));
    } else {
        if (number.p[0] != text.p[0])
            return err_set(why, "%.*s does not go with %u", SPAN_ARG(number), code);
        rule->reply = arena_printf(arena, "%u %.*s %.*s", code, SPAN_ARG(number), SPAN_ARG(rest));
    }
    rule->verb = ACCESS_ERROR;
    return 0;
}

static int parse_value(struct arena *arena, struct span value, struct access_rule *rule,
                       struct err *why)
{
    static const struct {
        const char *word;
        enum access_verb verb;
    } words[] = {{"OK", ACCESS_OK},
                 {"RELAY", ACCESS_RELAY},
                 {"REJECT", ACCESS_REJECT},
                 {"DISCARD", ACCESS_DISCARD},
                 {"SKIP", ACCESS_NONE}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (span_ieq(value, span_str(words[i].word))) {
            rule->verb = words[i].verb;
            return 0;
        }
    }
    if (span_istarts(value, SPAN("ERROR:")))
        return parse_error(arena, span_trim(span_from(value, 6)), rule, why);
    if (value.n > 0 && (ascii_isdigit(value.p[0]) || value.p[0] == '"'))
        return parse_error(arena, value, rule, why);
    return err_set(why, "'%.*s' is none of OK, RELAY, REJECT, DISCARD, SKIP, ERROR:\"550 text\"",
                   (int)(value.n > 200 ? 200 : value.n), value.p ? value.p : "");
}

static bool key_sound(char tag, struct span key)
{
    struct cidr net;
    if ((tag == 'c' || tag == '\0') && network_parse(key, &net))
        return true;
    if (tag != 'c' && tag != 't' && span_eq(key, SPAN("<>")))
        return true;
    size_t at = span_rfind(key, '@');
    struct span domain = at == SIZE_MAX ? key : span_from(key, at + 1);
    if (at != SIZE_MAX && tag == 'c')
        return false;
    if (at != SIZE_MAX && domain.n == 0)
        return at > 0 && span_find(key, '@') == at; /* "user@" */
    if (domain.n > 0 && domain.p[0] == '.')
        domain = span_from(domain, 1);
    /* No top-level domain is a number: that was meant to be an address. */
    struct span top = span_from(domain, span_rfind(domain, '.') + 1);
    uint64_t number;
    if (span_u64(top, &number))
        return false;
    return domain_valid(domain, true) || literal_valid(domain, NULL);
}

int access_line(void *ctx, struct arena *arena, struct textmap_entry *e, struct err *why)
{
    (void)ctx;
    struct span key = e->key;
    char tag = take_tag(&key);
    if (!key_sound(tag, key))
        return err_set(why,
                       "'%.*s' is neither an address, a domain nor a network with one of the "
                       "tags Connect:, From:, To: or none",
                       (int)(e->key.n > 200 ? 200 : e->key.n), e->key.p);
    struct access_rule *rule = ARENA_NEW(arena, struct access_rule);
    if (parse_value(arena, e->value, rule, why) != 0)
        return -1;
    e->parsed = rule;
    return 0;
}

/* ---- networks ---- */

static void prefix_key(char tag, unsigned bits, const struct ip *ip, char out[PREFIX_KEY])
{
    out[0] = tag;
    out[1] = (char)bits;
    for (unsigned i = 0; i < 16; i++) {
        unsigned left = bits > 8 * i ? bits - 8 * i : 0;
        unsigned mask = left >= 8 ? 0xff : 0xff & ~(0xffu >> left);
        out[2 + i] = (char)(ip->b[i] & mask);
    }
}

static void index_networks(struct access *a)
{
    arena_free(a->arena);
    a->arena = arena_new(0);
    a->networks = map_in(a->arena);
    memset(a->bits_used, 0, sizeof a->bits_used);
    for (size_t i = 0; a->file && i < textmap_count(a->file); i++) {
        const struct textmap_entry *e = textmap_at(a->file, i);
        struct span key = e->key;
        struct cidr net;
        char tag = take_tag(&key), bytes[PREFIX_KEY];
        if ((tag != 'c' && tag != '\0') || !network_parse(key, &net))
            continue;
        prefix_key(tag, net.bits, &net.net, bytes);
        *map_at(&a->networks, arena_dup(a->arena, span_of(bytes, sizeof bytes))) = e->parsed;
        a->bits_used[net.bits] = true;
    }
}

static const struct access_rule *find_network(const struct access *a, const struct ip *ip)
{
    for (int bits = PREFIX_BITS - 1; bits >= 0; bits--) {
        if (!a->bits_used[bits])
            continue;
        for (const char *tag = "c"; tag; tag = *tag ? "" : NULL) {
            char key[PREFIX_KEY];
            prefix_key(*tag, (unsigned)bits, ip, key);
            const struct access_rule *r = map_get(&a->networks, span_of(key, sizeof key));
            if (r)
                return r;
        }
    }
    return NULL;
}

/* ---- lookups ---- */

static const struct access_rule *find_key(const struct access *a, const char *tag, struct span key,
                                          const char *suffix)
{
    char text[SMTP_ADDR_MAX + 300];
    for (int tagged = 1; tagged >= 0; tagged--) {
        int n = snprintf(text, sizeof text, "%s%.*s%s", tagged ? tag : "", SPAN_ARG(key), suffix);
        if (n < 0 || (size_t)n >= sizeof text)
            return NULL;
        const struct textmap_entry *e = textmap_get(a->file, span_of(text, (size_t)n));
        if (e)
            return e->parsed;
    }
    return NULL;
}

static const struct access_rule *find_domain(const struct access *a, const char *tag,
                                             struct span domain)
{
    while (domain.n > 0) {
        const struct access_rule *r = find_key(a, tag, domain, "");
        if (r)
            return r;
        size_t dot = span_find(domain, '.');
        if (dot == SIZE_MAX || domain.p[0] == '[')
            break;
        /* ".example.org": below it alone */
        r = find_key(a, tag, span_from(domain, dot), "");
        if (r)
            return r;
        domain = span_from(domain, dot + 1);
    }
    return NULL;
}

static const struct access_rule *find_address(const struct access *a, const char *tag,
                                              const struct lookup *l)
{
    if (l->n == 0)
        return find_key(a, tag, SPAN("<>"), "");
    struct span local = span_of(l->key, l->at), domain = lookup_domain(l);
    const struct access_rule *r = find_key(a, tag, lookup_addr(l), "");
    size_t plus = span_find(local, '+');
    if (!r && plus != SIZE_MAX && plus > 0) {
        char bare[SMTP_ADDR_MAX + 300];
        int n = snprintf(bare, sizeof bare, "%.*s@%.*s", (int)plus, local.p, SPAN_ARG(domain));
        if (n > 0 && (size_t)n < sizeof bare)
            r = find_key(a, tag, span_of(bare, (size_t)n), "");
    }
    if (!r)
        r = find_key(a, tag, local, "@");
    return r ? r : find_domain(a, tag, domain);
}

static struct access_rule found(const struct access_rule *r)
{
    return r ? *r : (struct access_rule){ACCESS_NONE, SPAN_NONE};
}

struct access_rule access_client(const struct access *a, const struct ip *ip, struct span name)
{
    if (!a->file)
        return found(NULL);
    const struct access_rule *r = find_network(a, ip);
    char key[DOMAIN_KEY_SIZE];
    size_t n = domain_key(name, key);
    if (!r && n > 0)
        r = find_domain(a, "connect:", span_of(key, n));
    return found(r);
}

struct access_rule access_sender(const struct access *a, const struct lookup *from)
{
    return found(a->file ? find_address(a, "from:", from) : NULL);
}

struct access_rule access_recipient(const struct access *a, const struct lookup *to)
{
    return found(a->file ? find_address(a, "to:", to) : NULL);
}

/* ---- life ---- */

struct access *access_open(const char *path)
{
    struct access *a = xcalloc(1, sizeof *a);
    struct textmap_rules rules = {access_line, map_report, NULL};
    if (path)
        a->file = textmap_open(path, &rules);
    index_networks(a);
    return a;
}

struct access *access_read(struct span text, const char *name,
                           void (*report)(void *ctx, const char *text), void *ctx)
{
    struct access *a = xcalloc(1, sizeof *a);
    struct textmap_rules rules = {access_line, report, ctx};
    a->file = textmap_read(text, name, &rules);
    index_networks(a);
    return a;
}

void access_free(struct access *a)
{
    textmap_free(a->file);
    arena_free(a->arena);
    free(a);
}

void access_refresh(struct access *a)
{
    if (!a->file || !textmap_refresh(a->file))
        return;
    index_networks(a);
    log_event(LOG_NOTE, NULL, "map-read", F_STR("map", "access_file"),
              F_INT("entries", textmap_count(a->file)), F_INT("bad", textmap_bad(a->file)));
}

bool access_ok(const struct access *a)
{
    return !a->file || textmap_ok(a->file);
}
