#include "smtp/path.h"

/* Length of the UTF-8 sequence at s, or 0 when it is malformed. */
static size_t utf8_step(struct span s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    static const struct {
        unsigned char first_low, first_high, second_low, second_high;
        size_t n;
    } forms[] = {
        {0xc2, 0xc2, 0xa0, 0xbf, 2}, /* U+0080..U+009F are controls */
        {0xc3, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    if (p[0] < 0x80)
        return 1;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (p[0] < forms[i].first_low || p[0] > forms[i].first_high)
            continue;
        if (s.n < forms[i].n || p[1] < forms[i].second_low || p[1] > forms[i].second_high)
            return 0;
        for (size_t k = 2; k < forms[i].n; k++)
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        return forms[i].n;
    }
    return 0;
}

bool utf8_valid(struct span s)
{
    while (s.n > 0) {
        size_t n = utf8_step(s);
        if (n == 0)
            return false;
        s = span_from(s, n);
    }
    return true;
}

static bool is_atext(char c)
{
    return ascii_isalnum(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c)) || (unsigned char)c >= 0x80;
}

/* sub-domain = Let-dig [Ldh-str]; with utf8 also a U-label. */
static bool label_valid(struct span l, bool utf8)
{
    if (l.n == 0 || l.n > (utf8 ? SMTP_DOMAIN_MAX : SMTP_LABEL_MAX))
        return false;
    if (l.p[0] == '-' || l.p[l.n - 1] == '-')
        return false;
    bool ascii = true;
    for (size_t i = 0; i < l.n; i++) {
        char c = l.p[i];
        if ((unsigned char)c >= 0x80)
            ascii = false;
        else if (!ascii_isalnum(c) && c != '-' && c != '_')
            return false;
    }
    return ascii ? l.n <= SMTP_LABEL_MAX : utf8;
}

bool domain_valid(struct span s, bool utf8)
{
    if (s.n == 0 || s.n > SMTP_DOMAIN_MAX || (utf8 && !utf8_valid(s)))
        return false;
    for (;;) {
        size_t dot = span_find(s, '.');
        if (!label_valid(span_sub(s, 0, dot), utf8))
            return false;
        if (dot == SIZE_MAX)
            return true;
        s = span_from(s, dot + 1);
    }
}

bool literal_valid(struct span s, struct ip *ip)
{
    struct ip unused;
    if (s.n < 3 || s.p[0] != '[' || s.p[s.n - 1] != ']')
        return false;
    s = span_sub(s, 1, s.n - 1);
    bool six = span_istarts(s, SPAN("IPv6:"));
    if (six)
        s = span_from(s, 5);
    bool colon = span_find(s, ':') != SIZE_MAX;
    bool nested = span_find(s, '[') != SIZE_MAX || span_istarts(s, SPAN("IPv6:"));
    return colon == six && !nested && ip_parse(s, ip ? ip : &unused);
}

bool local_is_route(struct span local)
{
    for (size_t i = 0; i < local.n; i++)
        if (strchr("%!@:", local.p[i]) && local.p[i])
            return true;
    return false;
}

static bool add(struct smtp_path *out, size_t max, char c)
{
    if (out->n >= max)
        return false;
    out->addr[out->n++] = c;
    if ((unsigned char)c >= 0x80)
        out->non_ascii = true;
    return true;
}

/* Whether text is a Dot-string and needs no quotes. */
static bool is_dot_string(struct span text)
{
    if (text.n == 0 || text.p[0] == '.' || text.p[text.n - 1] == '.')
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '.' ? text.p[i - 1] == '.' : !is_atext(text.p[i]))
            return false;
    return true;
}

/* Quoted-string = DQUOTE *QcontentSMTP DQUOTE; written back with as few quotes as possible. */
static bool take_quoted(struct span *rest, struct smtp_path *out)
{
    char plain[SMTP_LOCAL_MAX];
    size_t n = 0, i = 1;
    for (;; i++) {
        if (i >= rest->n)
            return false;
        char c = rest->p[i];
        if (c == '"')
            break;
        if (c == '\\' && ++i < rest->n)
            c = rest->p[i];
        else if (c == '\\')
            return false;
        if ((unsigned char)c < ' ' || c == 0x7f || n == sizeof plain)
            return false;
        plain[n++] = c;
    }
    *rest = span_from(*rest, i + 1);
    bool bare = is_dot_string(span_of(plain, n));
    bool ok = bare || add(out, SMTP_ADDR_MAX, '"');
    for (i = 0; i < n; i++) {
        if (!bare && (plain[i] == '"' || plain[i] == '\\'))
            ok = ok && add(out, SMTP_ADDR_MAX, '\\');
        ok = ok && add(out, SMTP_ADDR_MAX, plain[i]);
    }
    return ok && (bare || add(out, SMTP_ADDR_MAX, '"'));
}

static bool take_local(struct span *rest, struct smtp_path *out)
{
    if (rest->n > 0 && rest->p[0] == '"')
        return take_quoted(rest, out);
    size_t n = 0;
    while (n < rest->n && (is_atext(rest->p[n]) || rest->p[n] == '.'))
        n++;
    if (n > SMTP_LOCAL_MAX || !is_dot_string(span_sub(*rest, 0, n)))
        return false;
    for (size_t i = 0; i < n; i++)
        add(out, SMTP_ADDR_MAX, rest->p[i]);
    *rest = span_from(*rest, n);
    return true;
}

/* Domain or address literal: everything up to '>' or the end. */
static bool take_domain(struct span *rest, bool utf8, struct smtp_path *out)
{
    size_t n = 0;
    while (n < rest->n && rest->p[n] != '>')
        n++;
    struct span d = span_sub(*rest, 0, n);
    out->literal = d.n > 0 && d.p[0] == '[';
    if (out->literal ? !literal_valid(d, NULL) : !domain_valid(d, utf8))
        return false;
    if (d.n > SMTP_DOMAIN_MAX)
        return false;
    add(out, SMTP_ADDR_MAX, '@');
    for (size_t i = 0; i < d.n; i++)
        if (!add(out, SMTP_ADDR_MAX, d.p[i]))
            return false;
    *rest = span_from(*rest, n);
    return true;
}

static bool take_mailbox(struct span *rest, bool utf8, struct smtp_path *out)
{
    if (!take_local(rest, out))
        return false;
    out->at = out->n;
    if (rest->n == 0 || rest->p[0] != '@')
        return true;
    *rest = span_from(*rest, 1);
    return take_domain(rest, utf8, out);
}

/* A-d-l ":" : "@one,@two:" is dropped. */
static bool skip_route(struct span *rest, bool utf8, struct smtp_path *out)
{
    if (rest->n == 0 || rest->p[0] != '@')
        return true;
    size_t close = span_find(*rest, '>');
    struct span text = span_sub(*rest, 0, close);
    /* The colon of "[IPv6:...]" does not end the route. */
    size_t end = 0;
    bool inside = false;
    for (; end < text.n && (inside || text.p[end] != ':'); end++)
        inside = text.p[end] == '[' || (inside && text.p[end] != ']');
    if (end == text.n || end > SMTP_ROUTE_MAX)
        return false;
    struct span route = span_sub(text, 0, end), hop;
    while ((hop = span_word(&route, ",")).p) {
        if (hop.p[0] != '@')
            return false;
        hop = span_from(hop, 1);
        if (!domain_valid(hop, utf8) && !literal_valid(hop, NULL))
            return false;
    }
    out->routed = true;
    *rest = span_from(*rest, end + 1);
    return true;
}

static enum path_error finish(struct smtp_path *out, bool good, bool utf8)
{
    if (!good || out->n > SMTP_ADDR_MAX)
        return PATH_SYNTAX;
    out->addr[out->n] = '\0';
    if (out->non_ascii && (!utf8 || !utf8_valid(path_addr(out))))
        return PATH_UTF8;
    return PATH_OK;
}

static bool any_non_ascii(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return true;
    return false;
}

enum path_error path_parse(struct span *rest, bool utf8, struct smtp_path *out)
{
    memset(out, 0, sizeof *out);
    if (rest->n < 2 || rest->p[0] != '<')
        return PATH_SYNTAX;
    if (!utf8 && any_non_ascii(span_sub(*rest, 0, span_find(*rest, '>'))))
        return PATH_UTF8;
    *rest = span_from(*rest, 1);
    if (rest->p[0] == '>') {
        out->null = true;
        *rest = span_from(*rest, 1);
        return PATH_OK;
    }
    bool good = skip_route(rest, utf8, out) && take_mailbox(rest, utf8, out) && rest->n > 0 &&
                rest->p[0] == '>';
    *rest = span_from(*rest, 1);
    return finish(out, good, utf8);
}

enum path_error mailbox_parse(struct span text, bool utf8, struct smtp_path *out)
{
    memset(out, 0, sizeof *out);
    bool good = take_mailbox(&text, utf8, out) && text.n == 0;
    return finish(out, good, utf8);
}
