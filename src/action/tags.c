#include "action/tags.h"

#include <time.h>

#include "base/buf.h"
#include "mime/header_edit.h"

enum { TAG_VALUE_MAX = 1000, TAG_NAME_MAX = 20, RECIPIENTS_SHOWN = 10 };

static void add_clean(struct buf *b, struct span s)
{
    for (size_t i = 0; i < s.n && i < TAG_VALUE_MAX; i++) {
        unsigned char c = (unsigned char)s.p[i];
        buf_char(b, c < ' ' || c == 0x7f ? ' ' : (char)c);
    }
}

static void id(const struct tags_on *on, struct buf *b)
{
    buf_str(b, on->m->id);
}

static void policy(const struct tags_on *on, struct buf *b)
{
    buf_str(b, on->policy->name);
}

static void name(const struct tags_on *on, struct buf *b)
{
    struct span s = on->part ? part_name_shown(on->part) : SPAN("");
    add_clean(b, s.n ? s : SPAN("unnamed"));
}

static void type(const struct tags_on *on, struct buf *b)
{
    if (on->part)
        add_clean(b, on->part->types[0]);
}

static void sender(const struct tags_on *on, struct buf *b)
{
    add_clean(b, on->m->env.from.n ? on->m->env.from : SPAN("<>"));
}

static void recipient(const struct tags_on *on, struct buf *b)
{
    for (size_t i = 0; i < on->d->nrcpts; i++) {
        if (i == RECIPIENTS_SHOWN) {
            buf_printf(b, " and %zu more", on->d->nrcpts - i);
            break;
        }
        buf_str(b, i ? ", " : "");
        add_clean(b, on->m->env.rcpts[on->d->rcpts[i]].addr);
    }
}

static bool is_subject(struct span field)
{
    return span_ieq(span_trim(field), SPAN("Subject"));
}

static void subject(const struct tags_on *on, struct buf *b)
{
    struct mime *h = mime_header(on->m->arena, on->m->raw, is_subject);
    struct mime_field *f = mime_last(&h->root->fields, SPAN("Subject"));
    if (f)
        add_clean(b, mime_decoded(h, f));
}

static void score(const struct tags_on *on, struct buf *b)
{
    buf_printf(b, "%.1f", on->m->facts.rules.score);
}

static void required(const struct tags_on *on, struct buf *b)
{
    buf_printf(b, "%.1f", on->d->required);
}

static void client(const struct tags_on *on, struct buf *b)
{
    char ip[IP_TEXT_SIZE];
    if (on->m->peer.has_ip)
        buf_str(b, ip_text(&on->m->peer.ip, ip));
}

static void helo(const struct tags_on *on, struct buf *b)
{
    add_clean(b, on->m->peer.helo);
}

static void hostname(const struct tags_on *on, struct buf *b)
{
    if (on->set && on->set->hostname)
        buf_str(b, on->set->hostname);
}

static void date(const struct tags_on *on, struct buf *b)
{
    char text[CLOCK_RFC5322_SIZE];
    buf_str(b, clock_rfc5322(on->m->received, text));
}

static void virus(const struct tags_on *on, struct buf *b)
{
    const struct virus_facts *v = &on->m->facts.virus;
    struct span found = v->state == VIRUS_FOUND ? v->name : SPAN("");
    for (size_t i = 0; on->part && i < v->nparts; i++)
        if (v->parts[i].number == on->part->number)
            found = v->parts[i].name;
    add_clean(b, found);
}

static void outcome(const struct tags_on *on, struct buf *b)
{
    buf_str(b, outcome_name(on->d->outcome));
}

static void part(const struct tags_on *on, struct buf *b)
{
    if (on->part)
        buf_printf(b, "%u", on->part->number);
}

static void url(const struct tags_on *on, struct buf *b);

static const struct {
    const char *name;
    void (*fill)(const struct tags_on *on, struct buf *b);
} tags[] = {
    {"ID", id},         {"POLICY", policy},   {"NAME", name},           {"TYPE", type},
    {"SENDER", sender}, {"SUBJECT", subject}, {"RECIPIENT", recipient}, {"SCORE", score},
    {"REQD", required}, {"CLIENT", client},   {"HELO", helo},           {"HOSTNAME", hostname},
    {"DATE", date},     {"VIRUS", virus},     {"OUTCOME", outcome},     {"PART", part},
    {"URL", url},
};

/* "_NAME_" at the start of s: its length, when there is such a tag. */
static size_t fill(const struct tags_on *on, struct span s, struct buf *b)
{
    size_t end = span_find(span_sub(s, 1, TAG_NAME_MAX), '_');
    if (end == SIZE_MAX)
        return 0;
    struct span word = span_sub(s, 1, 1 + end);
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        if (!span_eq(word, span_str(tags[i].name)))
            continue;
        tags[i].fill(on, b);
        return end + 2;
    }
    return 0;
}

struct span tags_expand(const struct tags_on *on, struct span text, struct arena *a)
{
    struct buf b = {0};
    for (size_t i = 0; i < text.n;) {
        size_t n = text.p[i] == '_' ? fill(on, span_from(text, i), &b) : 0;
        if (n == 0)
            buf_char(&b, text.p[i]);
        i += n ? n : 1;
    }
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}

/* RFC 3986 section 2.3: unreserved characters stand as they are. */
static void add_percented(struct buf *b, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (ascii_isalnum(s.p[i]) || strchr("-._~", s.p[i]))
            buf_char(b, s.p[i]);
        else
            buf_printf(b, "%%%02X", (unsigned char)s.p[i]);
    }
}

/* quarantine.link_url, or where to ask instead. What is filled in can't change what it points to.
 */
static void url(const struct tags_on *on, struct buf *b)
{
    const char *link = on->set ? on->set->quarantine.link_url : NULL;
    if (!link) {
        buf_printf(b, "ask your postmaster for message %s", on->m->id);
        return;
    }
    for (struct span rest = span_str(link); rest.n;) {
        struct buf value = {0};
        bool itself = span_starts(rest, SPAN("_URL_"));
        size_t n = rest.p[0] == '_' && !itself ? fill(on, rest, &value) : 0;
        if (n)
            add_percented(b, buf_span(&value));
        else
            buf_char(b, rest.p[0]);
        buf_free(&value);
        rest = span_from(rest, n ? n : 1);
    }
}
