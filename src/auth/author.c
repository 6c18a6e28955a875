#include "auth/author.h"

#include "auth/name.h"
#include "mime/header_edit.h"

enum { VALUE_MAX = 65536 }; /* bytes of a From field that are looked at */

/* --- the strict reading: RFC 5322 section 3.4 --- */

struct reader {
    struct span s;
    size_t at;
};

static bool more(const struct reader *r)
{
    return r->at < r->s.n;
}

static char here(const struct reader *r)
{
    return more(r) ? r->s.p[r->at] : '\0';
}

static bool take(struct reader *r, char c)
{
    if (!more(r) || r->s.p[r->at] != c)
        return false;
    r->at++;
    return true;
}

/* Behind a comment that opens here; false when it does not close. */
static bool skip_comment(struct reader *r)
{
    unsigned depth = 0;
    for (; more(r); r->at++) {
        char c = here(r);
        if (c == '\\')
            r->at++;
        else if (c == '(' && ++depth > AUTHOR_COMMENT_DEPTH)
            return false;
        else if (c == ')' && --depth == 0) {
            r->at++;
            return true;
        }
    }
    return false;
}

static bool skip_cfws(struct reader *r)
{
    while (more(r)) {
        if (ascii_isspace(here(r)))
            r->at++;
        else if (here(r) != '(')
            return true;
        else if (!skip_comment(r))
            return false;
    }
    return true;
}

static void skip_space(struct reader *r)
{
    while (more(r) && ascii_isspace(here(r)))
        r->at++;
}

static bool is_atext(char c)
{
    return ascii_isalnum(c) || (unsigned char)c >= 0x80 || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool dot_atom(struct reader *r)
{
    size_t start = r->at;
    while (more(r) && (is_atext(here(r)) || here(r) == '.'))
        r->at++;
    return r->at > start;
}

static bool quoted_string(struct reader *r)
{
    if (!take(r, '"'))
        return false;
    for (; more(r); r->at++) {
        if (here(r) == '\\')
            r->at++;
        else if (take(r, '"'))
            return true;
    }
    return false;
}

/* What programs may decode, split or cut before they take it for an address. */
static bool plain_local(struct span local)
{
    if (span_search(local, SPAN("=?")) != SIZE_MAX)
        return false;
    for (size_t i = 1; local.p[0] == '"' && i + 1 < local.n; i++)
        if (strchr("@<>\\", local.p[i]))
            return false;
    return true;
}

/* Without CFWS inside. */
static bool addr_spec(struct reader *r, struct span *out)
{
    size_t start = r->at;
    if (!(here(r) == '"' ? quoted_string(r) : dot_atom(r)))
        return false;
    struct span local = span_sub(r->s, start, r->at);
    if (!take(r, '@'))
        return false;
    if (take(r, '[')) {
        while (more(r) && here(r) != ']' && here(r) != '[')
            r->at++;
        if (!take(r, ']'))
            return false;
    } else if (!dot_atom(r)) {
        return false;
    }
    *out = span_sub(r->s, start, r->at);
    return plain_local(local);
}

/* Words before "<"; dots and colons stand in many names in the wild, and mislead nobody. */
static bool phrase(struct reader *r)
{
    while (more(r) && here(r) != '<') {
        if (here(r) == '"' ? !quoted_string(r) : !(dot_atom(r) || take(r, ':')))
            return false;
        if (!skip_cfws(r))
            return false;
    }
    return more(r);
}

static bool mailbox(struct reader *r, struct span *out)
{
    if (!skip_cfws(r))
        return false;
    size_t start = r->at;
    if (here(r) != '<' && addr_spec(r, out) && skip_cfws(r) && (!more(r) || here(r) == ','))
        return true;
    r->at = start;
    if (!phrase(r) || !take(r, '<'))
        return false;
    skip_space(r);
    if (!addr_spec(r, out))
        return false;
    skip_space(r);
    return take(r, '>') && skip_cfws(r);
}

bool author_list(struct span value, struct span *v, size_t max, size_t *n)
{
    struct reader r = {value, 0};
    *n = 0;
    for (;;) {
        if (*n == max || !mailbox(&r, &v[*n]))
            return false;
        ++*n;
        if (!more(&r))
            return true;
        if (!take(&r, ','))
            return false;
    }
}

/* --- all readings --- */

static void unsure(struct authors *out, const char *why)
{
    if (!out->bad)
        out->why = why;
    out->bad = true;
}

static bool host_name(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isalnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '.' && s.p[i] != '_')
            return false;
    return span_find(s, '.') != SIZE_MAX;
}

/* false when it is no name of the DNS that mail could come from. */
static bool add_domain(struct arena *a, struct span domain, struct authors *out)
{
    struct span name;
    if (!name_canonical(a, domain, &name) || !host_name(name))
        return false;
    for (size_t i = 0; i < out->n; i++)
        if (span_eq(out->domains[i], name))
            return true;
    if (out->n == AUTHOR_DOMAINS_MAX)
        unsure(out, "more addresses than anybody has");
    else
        out->domains[out->n++] = name;
    return true;
}

/* root@localhost, user@[192.0.2.1]: nobody publishes a policy for these, and nobody is misled. */
static bool local_domain(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isalnum(s.p[i]) && s.p[i] != '-' && s.p[0] != '[')
            return false;
    return true;
}

static bool domain_byte(char c)
{
    return ascii_isalnum(c) || c == '-' || c == '.' || c == '_' || (unsigned char)c >= 0x80;
}

/* Everything that stands behind an '@' and looks like a domain. */
static void add_any(struct arena *a, struct span text, struct authors *out)
{
    for (size_t i = 0; i < text.n && out->n < AUTHOR_DOMAINS_MAX; i++) {
        if (text.p[i] != '@')
            continue;
        size_t end = i + 1;
        while (end < text.n && domain_byte(text.p[end]))
            end++;
        while (end > i + 1 && text.p[end - 1] == '.')
            end--;
        if (end > i + 1 && add_domain(a, span_sub(text, i + 1, end), out))
            out->count++;
        i = end - 1;
    }
}

static bool has_controls(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < ' ' && !ascii_isspace((char)c)) || c == 0x7f)
            return true;
    }
    return false;
}

/* An encoded name that could be taken apart as addresses once it is decoded. */
static bool decodes_to_addresses(struct span value, struct span decoded)
{
    if (span_search(value, SPAN("=?")) == SIZE_MAX)
        return false;
    size_t signs = 0, angles = 0;
    for (size_t i = 0; i < decoded.n; i++) {
        signs += decoded.p[i] == '@';
        angles += decoded.p[i] == '<' || decoded.p[i] == '>';
    }
    return signs > 1 && (angles > 2 || has_controls(decoded));
}

static void read_field(struct arena *a, struct span value, struct authors *out)
{
    struct span v[AUTHOR_DOMAINS_MAX], decoded = mime_decode_text(a, value);
    size_t n, before = out->n;
    bool fine = !has_controls(value) && !decodes_to_addresses(value, decoded) &&
                author_list(value, v, AUTHOR_DOMAINS_MAX, &n);
    for (size_t i = 0; fine && i < n; i++) {
        struct span domain = span_from(v[i], span_rfind(v[i], '@') + 1);
        fine = local_domain(domain) || add_domain(a, domain, out);
    }
    if (fine) {
        out->count += (unsigned)n;
        return;
    }
    add_any(a, value, out);
    add_any(a, decoded, out);
    if (has_controls(value))
        unsure(out, "control characters in the From field");
    else if (out->n == before)
        unsure(out, "no address in the From field");
    else if (out->n > before + 1)
        unsure(out, "the From field can be read as different addresses");
}

static bool is_from(struct span name)
{
    return span_ieq(span_trim(name), SPAN("From"));
}

/* A message that begins with "From", a line end and " : x@y": no field to us (mime/mime.h takes the
 * line for an mbox separator), a From field to programs that unfold first. */
static struct span folded_from(struct span raw)
{
    size_t i = 4;
    bool fold = false;
    if (!span_istarts(raw, SPAN("From")))
        return SPAN_NONE;
    for (; i < raw.n && ascii_isspace(raw.p[i]); i++)
        fold = fold || raw.p[i] == '\n';
    if (!fold || i == raw.n || raw.p[i] != ':')
        return SPAN_NONE;
    size_t end = ++i;
    while (end < raw.n &&
           (raw.p[end] != '\n' || (end + 1 < raw.n && strchr(" \t", raw.p[end + 1]))))
        end++;
    return span_sub(raw, i, end);
}

static bool is_author(struct span name)
{
    return is_from(name) || span_ieq(span_trim(name), SPAN("Sender"));
}

void authors_find(struct arena *a, struct span raw, struct authors *out)
{
    struct mime *h = mime_header(a, raw, is_author);
    const struct mime_fields *fields = &h->root->fields;
    struct span folded = folded_from(raw);
    size_t froms = folded.p != NULL;
    *out = (struct authors){0};
    for (size_t i = 0; i < fields->n; i++)
        froms += is_from(fields->v[i].name);
    if (froms != 1)
        unsure(out, froms ? "several From fields" : "no From field");
    if (folded.p)
        read_field(a, span_trim(span_sub(folded, 0, VALUE_MAX)), out);
    /* Without From some programs show Sender. */
    for (size_t i = 0; i < fields->n; i++)
        if ((froms == 0 || is_from(fields->v[i].name)) && out->n < AUTHOR_DOMAINS_MAX)
            read_field(a, span_trim(span_sub(header_value(h, &fields->v[i]), 0, VALUE_MAX)), out);
}
