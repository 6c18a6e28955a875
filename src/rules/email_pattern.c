#include "rules/email_pattern.h"

enum {
    LOCAL_MAX = 64,
    LABEL_MAX = 61,
    LABELS_MAX = 5, /* with the top-level domain */
    TLD_MAX = 63,
    NEAR_MAX = 255 /* between a web address's scheme and the @ in it, and after that */
};

static bool is_atom(char c)
{
    return ascii_isalnum(c) || (c && strchr("!#$%&'*+/=?^_`{|}~-", c));
}

static bool known_tld(const struct uri_tables *t, struct span label)
{
    char lower[TLD_MAX];
    if (label.n > sizeof lower)
        return false;
    for (size_t i = 0; i < label.n; i++)
        lower[i] = ascii_lower(label.p[i]);
    return map_get(&t->tld, span_of(lower, label.n)) != NULL;
}

/* The domain that starts at `at`: its end, or 0. The host must end with its top-level domain. */
static size_t domain_end(const struct uri_tables *t, struct span s, size_t at)
{
    for (unsigned labels = 1; labels <= LABELS_MAX; labels++) {
        size_t end = at;
        while (end < s.n && (ascii_isalnum(s.p[end]) || s.p[end] == '-'))
            end++;
        struct span label = span_sub(s, at, end);
        bool more = end + 1 < s.n && s.p[end] == '.' && ascii_isalnum(s.p[end + 1]);
        if (!more)
            return labels > 1 && known_tld(t, label) ? end : 0;
        if (!label.n || label.n > LABEL_MAX || label.p[0] == '-' || label.p[label.n - 1] == '-')
            return 0;
        at = end + 1;
    }
    return 0;
}

/* Where the local part in front of the @ at `mail` may start: the leftmost place at or after `from`
 * that is no more than LOCAL_MAX bytes away; SIZE_MAX when there is none. */
static size_t local_start(struct span s, size_t mail, size_t from)
{
    size_t best = SIZE_MAX, at = mail;
    while (at > 0 && is_atom(s.p[at - 1])) {
        while (at > 0 && is_atom(s.p[at - 1]))
            at--;
        if (at < from || mail - at > LOCAL_MAX)
            break;
        best = at;
        if (at == 0 || s.p[at - 1] != '.')
            break;
        at--;
    }
    return best;
}

/* The start after `start` in the same local part; SIZE_MAX when there is none. */
static size_t next_start(struct span s, size_t start, size_t mail)
{
    size_t dot = span_find(span_sub(s, start, mail), '.');
    return dot == SIZE_MAX ? SIZE_MAX : start + dot + 1;
}

bool email_find(const struct uri_tables *t, struct span s, size_t from, struct email_place *out)
{
    for (size_t at = from; at < s.n; at++) {
        size_t mail = span_find(span_from(s, at), '@');
        if (mail == SIZE_MAX)
            return false;
        at += mail;
        size_t start = local_start(s, at, from);
        size_t end = start == SIZE_MAX ? 0 : domain_end(t, s, at + 1);
        if (end) {
            *out = (struct email_place){start, end};
            return true;
        }
    }
    return false;
}

/* --- taking out --- */

struct cutter {
    struct arena *arena;
    struct span in;
    char *out; /* NULL until something is taken out */
    size_t n, done;
};

static void cut(struct cutter *c, size_t from, size_t to)
{
    if (!c->out)
        c->out = arena_raw(c->arena, c->in.n + 1);
    memcpy(c->out + c->n, c->in.p + c->done, from - c->done);
    c->n += from - c->done;
    c->out[c->n++] = ' ';
    c->done = to;
}

static struct span cut_rest(struct cutter *c)
{
    if (!c->out)
        return c->in;
    memcpy(c->out + c->n, c->in.p + c->done, c->in.n - c->done);
    return span_of(c->out, c->n + c->in.n - c->done);
}

/* "http://" or "https://" at `at`: its length, or 0. */
static size_t scheme_at(struct span s, size_t at)
{
    struct span rest = span_from(s, at);
    if (span_istarts(rest, SPAN("https://")))
        return 8;
    return span_istarts(rest, SPAN("http://")) ? 7 : 0;
}

/* Behind the last @ or %40 of the NEAR_MAX bytes at `at` without white space; 0: none. */
static size_t behind_at_sign(struct span s, size_t at)
{
    size_t found = 0;
    for (size_t i = at; i < s.n && i <= at + NEAR_MAX && !ascii_isspace(s.p[i]); i++) {
        if (s.p[i] == '@')
            found = i + 1;
        else if (s.p[i] == '%' && span_starts(span_from(s, i), SPAN("%40")))
            found = i + 3;
    }
    return found;
}

struct span email_strip_uris(struct arena *a, struct span s)
{
    struct cutter c = {.arena = a, .in = s};
    for (size_t i = 0; i < s.n; i++) {
        if (ascii_lower(s.p[i]) != 'h')
            continue;
        size_t scheme = scheme_at(s, i);
        size_t end = scheme ? behind_at_sign(s, i + scheme) : 0;
        if (!end)
            continue;
        for (size_t n = 0; n < NEAR_MAX && end < s.n && !ascii_isspace(s.p[end]); n++)
            end++;
        bool bracket = i > c.done && s.p[i - 1] == '<';
        cut(&c, i - bracket, end);
        i = end - 1;
    }
    return cut_rest(&c);
}

/* fax, facsi..., tel..., phone..., mail..., email..., e-mail... */
static bool names_contact(struct span s)
{
    static const char *const words[] = {"fax", "facsi", "tel", "phone", "mail", "email", "e-mail"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (span_istarts(s, span_str(words[i])))
            return true;
    return false;
}

/* What must follow a quoted address: ">", or white space, a word of 2 to 11 letters and a colon.
 * Its end, or 0. */
static size_t quote_end(struct span s, size_t at)
{
    if (at < s.n && s.p[at] == '>')
        return at + 1;
    size_t word = at;
    while (word < s.n && word < at + 10 && ascii_isspace(s.p[word]))
        word++;
    if (word == at || names_contact(span_from(s, word)))
        return 0;
    size_t end = word;
    while (end < s.n && end < word + 11 && ascii_isalpha(s.p[end]))
        end++;
    return end >= word + 2 && end < s.n && s.p[end] == ':' ? end + 1 : 0;
}

static bool after_mailto(struct span s, size_t at)
{
    return at >= 7 && span_ieq(span_sub(s, at - 7, at), SPAN("mailto:"));
}

struct span email_strip_quoted(const struct uri_tables *t, struct arena *a, struct span s)
{
    struct cutter c = {.arena = a, .in = s};
    for (size_t at = 0; at < s.n; at++) {
        size_t mail = span_find(span_from(s, at), '@');
        if (mail == SIZE_MAX)
            break;
        at += mail;
        size_t start = local_start(s, at, c.done);
        size_t end = start == SIZE_MAX ? 0 : domain_end(t, s, at + 1);
        size_t quote = end ? quote_end(s, end) : 0;
        while (quote && start != SIZE_MAX && after_mailto(s, start))
            start = next_start(s, start, at);
        if (!quote || start == SIZE_MAX)
            continue;
        bool bracket = start > c.done && s.p[start - 1] == '<';
        cut(&c, start - bracket, quote);
        at = quote - 1;
    }
    return cut_rest(&c);
}
