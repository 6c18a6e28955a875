/* Address lists as SpamAssassin's internal parser reads them (semantics 6.4).
 *
 * It is a regular expression there, with all the backtracking of one; here each place where more
 * than one way is open tries the ways in the same order:
 *
 *     round   = *WSP (enclosed / mailbox / phrase) [*WSP comment] *WSP ("," / ";" / end)
 *     enclosed = [phrase] "<" ... ">" *("<" ... ">")     ; the further ones are ignored
 *     mailbox = (quoted / 1*(no "@<>()[],:;" or WSP)) "@" (1*(no "<>()[],:; or WSP) / "[" IP "]")
 *     phrase  = 1*(quoted / 1*(none of ",;<))
 *     comment = "(" *(no "()\" / "\" any) ")"
 */
#include "mime/mime_private.h"

/* More of a value is not looked at: it is what a header field can have. */
enum { ADDRESS_INPUT_MAX = MIME_VALUE_MAX };

struct reader {
    struct arena *a;
    struct span s;
    size_t at;
    unsigned char *dead; /* bit i: no way to go on from an enclosed address that ends before i */
};

/* What one round found; positions, SIZE_MAX when absent. */
struct found {
    struct span phrase, enclosed, mailbox, comment; /* absent when not there */
    size_t end;
};

static bool has(struct span s, size_t i, char c)
{
    return i < s.n && s.p[i] == c;
}

static bool is_space(struct span s, size_t i)
{
    return i < s.n && ascii_isspace(s.p[i]);
}

static size_t skip_space(struct span s, size_t i)
{
    while (is_space(s, i))
        i++;
    return i;
}

/* Behind the closing character of what begins at i with `open`, backslash escapes; SIZE_MAX if
 * there is none. Neither `open` nor `close` may stand inside. */
static size_t skip_delimited(struct span s, size_t i, char open, char close)
{
    if (!has(s, i, open))
        return SIZE_MAX;
    for (i++; i < s.n; i++) {
        if (s.p[i] == close)
            return i + 1;
        if (s.p[i] == open)
            return SIZE_MAX;
        if (s.p[i] == '\\' && (++i == s.n || s.p[i] == '\n'))
            return SIZE_MAX;
    }
    return SIZE_MAX;
}

static size_t skip_quoted(struct span s, size_t i)
{
    return skip_delimited(s, i, '"', '"');
}

/* Sets of bytes that end something. */
enum set {
    SET_SPACE = 1 << 0,
    SET_DOMAIN = 1 << 1, /* "<>()[],:; */
    SET_USER = 1 << 2,   /* @<>()[],:; */
    SET_ANGLE = 1 << 3,  /* >@ */
    SET_PHRASE = 1 << 4, /* ",;< */
    SET_QUOTE = 1 << 5,  /* " */
    SET_HEAD = 1 << 6,   /* "()<> */
};
enum { SET_BOTH = SET_DOMAIN | SET_USER };

static const uint8_t sets_of[256] = {
    [' '] = SET_SPACE,
    ['\t'] = SET_SPACE,
    ['\n'] = SET_SPACE,
    ['\v'] = SET_SPACE,
    ['\f'] = SET_SPACE,
    ['\r'] = SET_SPACE,
    ['"'] = SET_DOMAIN | SET_PHRASE | SET_QUOTE | SET_HEAD,
    ['<'] = SET_BOTH | SET_PHRASE | SET_HEAD,
    ['>'] = SET_BOTH | SET_ANGLE | SET_HEAD,
    ['('] = SET_BOTH | SET_HEAD,
    [')'] = SET_BOTH | SET_HEAD,
    ['['] = SET_BOTH,
    [']'] = SET_BOTH,
    [','] = SET_BOTH | SET_PHRASE,
    [':'] = SET_BOTH,
    [';'] = SET_BOTH | SET_PHRASE,
    ['@'] = SET_USER | SET_ANGLE,
};

static size_t skip_none_of(struct span s, size_t i, unsigned sets)
{
    while (i < s.n && !(sets_of[(unsigned char)s.p[i]] & sets))
        i++;
    return i;
}

/* Behind the domain of a mailbox, or SIZE_MAX. */
static size_t skip_domain(struct span s, size_t i)
{
    size_t end = skip_none_of(s, i, SET_DOMAIN | SET_SPACE);
    if (end > i)
        return end;
    if (!has(s, i, '['))
        return SIZE_MAX;
    end = i + 1;
    while (end < s.n && (ascii_isdigit(s.p[end]) || s.p[end] == ':' || s.p[end] == '.'))
        end++;
    return end > i + 1 && has(s, end, ']') ? end + 1 : SIZE_MAX;
}

static size_t skip_mailbox(struct span s, size_t i)
{
    size_t user = skip_quoted(s, i);
    if (user == SIZE_MAX || !has(s, user, '@'))
        user = skip_none_of(s, i, SET_USER | SET_SPACE);
    return user > i && has(s, user, '@') ? skip_domain(s, user + 1) : SIZE_MAX;
}

static bool is_mailbox(struct span s)
{
    return s.n && skip_mailbox(s, 0) == s.n;
}

/* An optional comment and the end of a round at i. */
static bool round_ends(struct span s, size_t i, struct found *f)
{
    i = skip_space(s, i);
    f->comment = SPAN_NONE;
    size_t end = skip_delimited(s, i, '(', ')');
    if (end != SIZE_MAX) {
        f->comment = span_sub(s, i + 1, end - 1);
        i = skip_space(s, end);
    }
    if (i < s.n && s.p[i] != ',' && s.p[i] != ';')
        return false;
    f->end = i < s.n ? i + 1 : i;
    return true;
}

static bool after_enclosed(struct reader *r, size_t i, struct found *f);

/* The ways in which an angle that opened may close: the text begins at `from`, the part of it that
 * must be free of space at `run`. Tries behind the run first, then each '>' in it from the last. */
static bool close_angle(struct reader *r, size_t from, size_t run, struct found *f, bool keep)
{
    size_t run_end = skip_none_of(r->s, run, SET_SPACE);
    if (run_end == run)
        return false;
    size_t behind = skip_space(r->s, run_end);
    if (has(r->s, behind, '>') && after_enclosed(r, behind + 1, f)) {
        if (keep)
            f->enclosed = span_sub(r->s, from, run_end);
        return true;
    }
    for (size_t q = run_end; q-- > run + 1;) {
        if (r->s.p[q] != '>' || !after_enclosed(r, q + 1, f))
            continue;
        if (keep)
            f->enclosed = span_sub(r->s, from, q);
        return true;
    }
    return false;
}

/* A further "<...>" at i. */
static bool further_angle(struct reader *r, size_t i, struct found *f)
{
    size_t from = skip_space(r->s, i + 1);
    size_t quoted = skip_quoted(r->s, from);
    if (quoted != SIZE_MAX && close_angle(r, from, quoted, f, false))
        return true;
    if (close_angle(r, from, from, f, false))
        return true;
    return has(r->s, from, '>') && after_enclosed(r, from + 1, f);
}

static bool after_enclosed(struct reader *r, size_t i, struct found *f)
{
    if (r->dead[i / 8] & 1u << i % 8)
        return false;
    size_t next = skip_space(r->s, i);
    if (has(r->s, next, '<') ? further_angle(r, next, f) : round_ends(r->s, i, f))
        return true;
    r->dead[i / 8] |= (unsigned char)(1u << i % 8);
    return false;
}

/* "<" at i: anything without '>' and '@', then something free of space, then ">". */
static bool enclosed(struct reader *r, size_t i, struct found *f)
{
    size_t from = skip_space(r->s, i + 1);
    size_t stop = skip_none_of(r->s, from, SET_ANGLE);
    if (stop < r->s.n && close_angle(r, from, stop, f, true))
        return true;
    if (!has(r->s, stop, '>') || !after_enclosed(r, stop + 1, f))
        return false;
    size_t end = stop;
    while (end > from && ascii_isspace(r->s.p[end - 1]))
        end--;
    f->enclosed = span_sub(r->s, from, end);
    return true;
}

static size_t skip_phrase_unit(struct span s, size_t i)
{
    size_t end = skip_quoted(s, i);
    if (end != SIZE_MAX)
        return end;
    end = skip_none_of(s, i, SET_PHRASE);
    return end > i ? end : SIZE_MAX;
}

/* A phrase alone: as long as possible, then unit by unit shorter. */
static bool bare_phrase(struct reader *r, size_t from, size_t longest, struct found *f)
{
    if (longest > from && round_ends(r->s, longest, f)) {
        f->phrase = span_sub(r->s, from, longest);
        return true;
    }
    size_t best = SIZE_MAX;
    struct found best_found = *f, try = *f;
    for (size_t i = from; i < longest; i = skip_phrase_unit(r->s, i)) {
        if (i > from && is_space(r->s, i) + has(r->s, i, '(') > 0 && round_ends(r->s, i, &try)) {
            best = i;
            best_found = try;
        }
    }
    if (best == SIZE_MAX)
        return false;
    *f = best_found;
    f->phrase = span_sub(r->s, from, best);
    return true;
}

static bool next_round(struct reader *r, struct found *f)
{
    *f = (struct found){0};
    size_t from = skip_space(r->s, r->at), longest = from;
    for (size_t i = from; (i = skip_phrase_unit(r->s, i)) != SIZE_MAX;)
        longest = i;
    size_t angle = skip_space(r->s, longest);
    if (has(r->s, angle, '<') && enclosed(r, angle, f)) {
        if (longest > from)
            f->phrase = span_sub(r->s, from, longest);
        return true;
    }
    size_t end = skip_mailbox(r->s, from);
    if (end != SIZE_MAX && round_ends(r->s, end, f)) {
        f->mailbox = span_sub(r->s, from, end);
        return true;
    }
    if (bare_phrase(r, from, longest, f))
        return true;
    /* white space in front of a comma is a phrase, too */
    bool comma = has(r->s, from, ',') || has(r->s, from, ';');
    return comma && from > r->at && bare_phrase(r, from - 1, from, f);
}

/* --- What a round means --- */

static struct span without_comments(struct arena *a, struct span s)
{
    if (!s.n || !memchr(s.p, '(', s.n))
        return s;
    char *out = arena_raw(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        size_t end = skip_delimited(s, i, '(', ')');
        if (end != SIZE_MAX)
            i = end;
        else
            out[n++] = s.p[i++];
    }
    return span_of(out, n);
}

/* Quoted parts without quotes and backslashes, the others without comments. */
static struct span phrase_text(struct arena *a, struct span s)
{
    char *out = arena_raw(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        size_t end = skip_quoted(s, i);
        if (end != SIZE_MAX) {
            for (size_t k = i + 1; k < end - 1; k++)
                if (s.p[k] != '\\')
                    out[n++] = s.p[k];
        } else {
            end = skip_none_of(s, i, SET_QUOTE);
            struct span plain = without_comments(a, span_sub(s, i, end));
            if (plain.n)
                memcpy(out + n, plain.p, plain.n);
            n += plain.n;
            if (end == i)
                end = i + 1; /* a lone quote */
        }
        i = end;
    }
    return span_of(out, n);
}

static bool is_valid_address(struct span s)
{
    size_t quotes = 0;
    for (size_t i = 0; i < s.n; i++)
        quotes += s.p[i] == '"';
    return !span_starts(s, SPAN("\"\"@")) && quotes != 1;
}

static bool is_valid_label(struct span s, bool underscore)
{
    if (s.n < 1 || s.n > 63 || s.p[0] == '-' || s.p[s.n - 1] == '-')
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isalnum(s.p[i]) && s.p[i] != '-' && !(s.p[i] == '_' && underscore))
            return false;
    return true;
}

/* At least two labels; underscores only before the last two. */
static bool is_valid_host(struct span host)
{
    while (host.n && host.p[host.n - 1] == '.')
        host.n--;
    if (host.n > 253)
        return false;
    size_t labels = 0;
    while (host.n) {
        size_t dot = span_rfind(host, '.');
        size_t from = dot == SIZE_MAX ? 0 : dot + 1;
        if (!is_valid_label(span_from(host, from), ++labels > 2))
            return false;
        if (dot == 0)
            return false;
        host.n = dot == SIZE_MAX ? 0 : dot;
    }
    return labels > 1;
}

/* Up to a second '@'. */
static struct span cut_address(struct span s)
{
    size_t at = span_find(s, '@');
    if (at == SIZE_MAX)
        return s;
    size_t second = span_find(span_from(s, at + 1), '@');
    return second == SIZE_MAX ? s : span_sub(s, 0, at + 1 + second);
}

static bool phrase_is_address(struct span phrase)
{
    if (!is_mailbox(phrase) || !is_valid_address(phrase))
        return false;
    struct span host = span_from(phrase, span_find(phrase, '@') + 1);
    return is_valid_host(span_sub(host, 0, span_find(host, '@')));
}

static struct mime_address understand(struct arena *a, const struct found *f)
{
    struct span addr = f->mailbox, name = SPAN_NONE;
    if (f->enclosed.p) {
        addr = without_comments(a, f->enclosed);
        if (!is_mailbox(addr))
            addr = SPAN_NONE;
    }
    if (addr.p && !is_valid_address(addr))
        addr = SPAN_NONE;
    if (f->phrase.p) {
        name = phrase_text(a, f->phrase);
        if (!addr.p && phrase_is_address(name)) {
            addr = name;
            name = SPAN_NONE;
        } else if (name.n == 0 || (addr.p && span_eq(name, addr))) {
            name = SPAN_NONE;
        }
    }
    if (!name.p)
        name = f->comment;
    return (struct mime_address){addr.p ? cut_address(addr) : addr, name};
}

/* --- Before and after --- */

/* Without white space at the end, without doubled backslashes, without the name of a group (also
 * "mailto:"). A ';' right behind that name ends it all. */
static struct span prepared(struct arena *a, struct span s)
{
    s = span_sub(s, 0, ADDRESS_INPUT_MAX);
    while (s.n && ascii_isspace(s.p[s.n - 1]))
        s.n--;
    char *out = arena_raw(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && has(s, i + 1, '\\'))
            i++;
        else
            out[n++] = s.p[i];
    }
    s = span_of(out, n);
    size_t head = skip_none_of(s, 0, SET_HEAD), colon = head;
    while (colon > 0 && s.p[colon - 1] != ':')
        colon--;
    if (colon < 2)
        return s;
    s = span_from(s, skip_space(s, colon));
    return has(s, 0, ';') ? span_sub(s, 0, 0) : s;
}

/* Every "<mailbox>" in what could not be read. */
static void last_resort(struct arena *a, struct span s, struct mime_addresses *list)
{
    for (size_t i = 0, hit; (hit = span_find(span_from(s, i), '<')) != SIZE_MAX;) {
        i += hit + 1;
        size_t end = skip_mailbox(s, i);
        if (end == SIZE_MAX || !has(s, end, '>'))
            continue;
        struct span addr = span_sub(s, i, end);
        i = end + 1;
        if (is_valid_address(addr))
            *ARENA_PUSH(a, list->v, list->n, list->cap) =
                (struct mime_address){cut_address(addr), SPAN_NONE};
    }
}

/* --- As nearly all mail has it --- */

static size_t skip_plain(struct span s, size_t i)
{
    while (i < s.n && (ascii_isalnum(s.p[i]) || (s.p[i] && strchr("._+=-", s.p[i]))))
        i++;
    return i;
}

/* user@host at i: where it ends; SIZE_MAX: something else. */
static size_t plain_mailbox(struct span s, size_t i)
{
    size_t user = skip_plain(s, i), end = user + 1;
    if (user == i || !has(s, user, '@'))
        return SIZE_MAX;
    end = skip_plain(s, end);
    return end > user + 1 ? end : SIZE_MAX;
}

/* `user@host`, `Name <user@host>` and `"Name" <user@host>` without anything that is special in
 * names: the answer can be only one. */
static bool parse_plain(struct arena *a, struct span s, struct mime_addresses *list)
{
    while (s.n && ascii_isspace(s.p[s.n - 1]))
        s.n--;
    size_t from = skip_space(s, 0), end = plain_mailbox(s, from), quotes = 0;
    struct span name = SPAN_NONE;
    if (end != s.n) {
        size_t angle = from;
        quotes = has(s, from, '"');
        if (quotes)
            angle = skip_quoted(s, from);
        while (angle < s.n && !(sets_of[(unsigned char)s.p[angle]] & SET_USER) &&
               s.p[angle] != '"' && s.p[angle] != '\\')
            angle++;
        end = has(s, angle, '<') ? plain_mailbox(s, angle + 1) : SIZE_MAX;
        if (end == SIZE_MAX || end + 1 != s.n || s.p[end] != '>')
            return false;
        name = span_sub(s, from, angle);
        from = angle + 1;
    }
    if (quotes && span_find(name, '\\') != SIZE_MAX)
        return false;
    struct span addr = arena_dup(a, span_sub(s, from, end));
    if (name.n)
        name = phrase_text(a, name);
    if (name.n == 0 || span_eq(name, addr))
        name = SPAN_NONE;
    *ARENA_PUSH(a, list->v, list->n, list->cap) = (struct mime_address){addr, name};
    return true;
}

struct mime_addresses mime_addresses_parse(struct arena *a, struct span raw)
{
    struct mime_addresses list = {0};
    if (raw.n && raw.n <= ADDRESS_INPUT_MAX && parse_plain(a, raw, &list))
        return list;
    struct reader r = {.a = a, .s = prepared(a, raw.p ? raw : SPAN(""))};
    if (span_trim(r.s).n == 0)
        return list;
    r.dead = arena_alloc(a, r.s.n / 8 + 1);
    struct found f;
    while (r.at < r.s.n && next_round(&r, &f)) {
        *ARENA_PUSH(a, list.v, list.n, list.cap) = understand(a, &f);
        r.at = f.end;
    }
    struct span rest = span_from(r.s, r.at);
    if (span_find(rest, '@') != SIZE_MAX)
        last_resort(a, rest, &list);
    return list;
}
