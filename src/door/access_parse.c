/* One line of the access map: tag, key, value. */
#include "door/access_private.h"

#include <stdio.h>

#include "smtp/reply.h"
#include "smtp/textmap.h"

static const char *const tags[] = {
    [TAG_ALL] = "",
    [TAG_CONNECT] = "connect:",
    [TAG_FROM] = "from:",
    [TAG_TO] = "to:",
    [TAG_SPAM] = "spam:",
    [TAG_GREET_PAUSE] = "greetpause:",
    [TAG_CLIENT_RATE] = "clientrate:",
    [TAG_CLIENT_CONN] = "clientconn:",
};

/* Sendmail's other tags: known, so that it can be said that they do nothing here. */
static const char *const foreign_tags[] = {
    "srv_features:", "clt_features:", "try_tls:",    "tls_srv:",    "tls_clt:",
    "tls_rcpt:",     "authinfo:",     "certissuer:", "certsubject:"};

const char *access_tag_text(enum access_tag tag)
{
    return tags[tag];
}

enum access_tag access_take_tag(struct span *key)
{
    for (size_t i = 1; i < sizeof tags / sizeof *tags; i++) {
        struct span tag = span_str(tags[i]);
        if (span_istarts(*key, tag)) {
            *key = span_from(*key, tag.n);
            return (enum access_tag)i;
        }
    }
    return TAG_ALL;
}

static bool tag_has_number(enum access_tag tag)
{
    return tag == TAG_GREET_PAUSE || tag == TAG_CLIENT_RATE || tag == TAG_CLIENT_CONN;
}

bool access_tag_of_clients(enum access_tag tag)
{
    return tag == TAG_ALL || tag == TAG_CONNECT || tag_has_number(tag);
}

/* ---- keys ---- */

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

bool access_network_parse(struct span s, struct cidr *out)
{
    if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
        s = span_sub(s, 1, s.n - 1);
    return groups_parse(s, out) || cidr_parse(s, out);
}

static bool key_sound(enum access_tag tag, struct span key)
{
    struct cidr net;
    if (access_tag_of_clients(tag) && access_network_parse(key, &net))
        return true;
    if (tag_has_number(tag) && key.n == 0) /* for all others */
        return true;
    if ((tag == TAG_ALL || tag == TAG_FROM) && span_eq(key, SPAN("<>")))
        return true;
    size_t at = span_rfind(key, '@');
    struct span domain = at == SIZE_MAX ? key : span_from(key, at + 1);
    if (at != SIZE_MAX && (tag == TAG_CONNECT || tag_has_number(tag)))
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

static int key_check(enum access_tag tag, struct span key, struct span whole, struct err *why)
{
    for (size_t i = 0; i < sizeof foreign_tags / sizeof *foreign_tags; i++)
        if (span_istarts(whole, span_str(foreign_tags[i])))
            return err_set(why, "Sendmail's tag '%s' has no meaning here", foreign_tags[i]);
    if (key_sound(tag, key))
        return 0;
    return err_set(why,
                   "'%.*s' is neither an address, a domain nor a network with one of the tags "
                   "Connect:, From:, To:, Spam:, GreetPause:, ClientRate:, ClientConn: or none",
                   (int)(whole.n > 200 ? 200 : whole.n), whole.p);
}

/* ---- values ---- */

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

static int parse_number(struct span value, struct access_entry *out, struct err *why)
{
    uint64_t n;
    if (!span_u64(value, &n) || n > ACCESS_NUMBER_MAX)
        return err_set(why, "a number from 0 to %u is wanted, not '%.*s'", ACCESS_NUMBER_MAX,
                       (int)(value.n > 200 ? 200 : value.n), value.p ? value.p : "");
    out->number = (unsigned)n;
    return 0;
}

static int parse_taste(struct span value, struct access_entry *out, struct err *why)
{
    out->friend = span_ieq(value, SPAN("FRIEND"));
    out->hater = span_ieq(value, SPAN("HATER"));
    return out->friend || out->hater ? 0 : err_set(why, "Spam: wants FRIEND or HATER");
}

/* QUARANTINE:reason; the reason goes into the quarantine's list and the record. */
static int parse_quarantine(struct arena *arena, struct span reason, struct access_rule *rule,
                            struct err *why)
{
    reason = span_trim(reason);
    if (reason.n >= 2 && reason.p[0] == '"' && reason.p[reason.n - 1] == '"')
        reason = span_sub(reason, 1, reason.n - 1);
    if (reason.n == 0)
        return err_set(why, "QUARANTINE: wants a reason, as in QUARANTINE:looked at by hand");
    for (size_t i = 0; i < reason.n; i++)
        if ((unsigned char)reason.p[i] < ' ' || reason.p[i] == 0x7f)
            return err_set(why, "a control character in the reason");
    rule->verb = ACCESS_QUARANTINE;
    rule->reply = arena_dup(arena, reason);
    return 0;
}

static int parse_verb(struct arena *arena, struct span value, struct access_rule *rule,
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
    if (span_istarts(value, SPAN("QUARANTINE:")))
        return parse_quarantine(arena, span_from(value, 11), rule, why);
    if (value.n > 0 && (ascii_isdigit(value.p[0]) || value.p[0] == '"'))
        return parse_error(arena, value, rule, why);
    return err_set(why,
                   "'%.*s' is none of OK, RELAY, REJECT, DISCARD, SKIP, QUARANTINE:reason, "
                   "ERROR:\"550 text\"",
                   (int)(value.n > 200 ? 200 : value.n), value.p ? value.p : "");
}

int access_line(void *ctx, struct arena *arena, struct textmap_entry *e, struct err *why)
{
    (void)ctx;
    struct span key = e->key;
    enum access_tag tag = access_take_tag(&key);
    struct access_entry *out = ARENA_NEW(arena, struct access_entry);
    e->parsed = out;
    if (key_check(tag, key, e->key, why) != 0)
        return -1;
    if (tag_has_number(tag))
        return parse_number(e->value, out, why);
    return tag == TAG_SPAM ? parse_taste(e->value, out, why)
                           : parse_verb(arena, e->value, &out->rule, why);
}
