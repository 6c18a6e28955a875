/* One Received line into one relay: preparation, what can be picked out of any line, the templates
 * of the known programs in their order, clean-up (semantics 6.7). */
#include "base/sixteen.h"
#include "relays/ip_pattern.h"
#include "relays/received_templates.h"
#include "relays/relays_private.h"

struct parse {
    struct template_match *m;
    struct arena *a;
    struct relay *r;
    struct received_carry *carry;
};

static bool is_line_space(char c)
{
    return c >= '\t' && c <= '\r';
}

/* White space other than single spaces between others. */
static bool needs_squeezing(struct span s)
{
    size_t i = 0;
    if (s.n && (s.p[0] == ' ' || is_line_space(s.p[s.n - 1])))
        return true;
    for (; i + SIXTEEN < s.n; i += SIXTEEN) {
        sixteen v = sixteen_at(s.p + i), next = sixteen_at(s.p + i + 1);
        if (sixteen_any(sixteen_within(v, '\t', '\r') |
                        (sixteen_is(v, ' ') & sixteen_is(next, ' '))))
            return true;
    }
    for (; i + 1 < s.n; i++)
        if (is_line_space(s.p[i]) || (s.p[i] == ' ' && s.p[i + 1] == ' '))
            return true;
    return false;
}

static struct span squeeze(struct arena *a, struct span in)
{
    const char *p = in.p;
    size_t n = in.n;
    if (needs_squeezing(in)) {
        char *out = arena_raw(a, in.n + 1);
        p = out;
        n = 0;
        for (size_t i = 0; i < in.n; i++) {
            if (!ascii_isspace(in.p[i]))
                out[n++] = in.p[i];
            else if (n > 0 && out[n - 1] != ' ')
                out[n++] = ' ';
        }
    }
    if (n > 0 && p[n - 1] == ' ')
        n--;
    while (n > 0 && p[n - 1] == ';') {
        n--;
        if (n > 0 && p[n - 1] == ' ')
            n--;
    }
    return span_of(p, n);
}

/* "from NAME by NAME;" tells nothing, unless NAME is an address. */
static bool says_nothing(struct template_match *m, struct span line)
{
    m->line = line;
    m->icase = true;
    bool hit = template_start(m, "from $tW by $4{ |};");
    m->icase = false;
    if (!hit)
        return false;
    struct span who = template_got(m, 't');
    if (who.n < 3 || who.p[0] != '[' || who.p[who.n - 1] != ']')
        return true;
    for (size_t i = 1; i + 1 < who.n; i++)
        if (!ascii_isdigit(who.p[i]) && who.p[i] != '.')
            return true;
    return false;
}

static bool all_digits(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isdigit(s.p[i]))
            return false;
    return s.n > 0;
}

/* Cuts the last word off, with the space before it. */
static struct span last_word(struct span *line)
{
    size_t at = span_rfind(*line, ' ');
    struct span word = at == SIZE_MAX ? SPAN_NONE : span_from(*line, at + 1);
    *line = at == SIZE_MAX ? SPAN_NONE : span_sub(*line, 0, at);
    return word;
}

/* "12:34" or "12:34:56" */
static bool is_time(struct span s)
{
    size_t first = span_find(s, ':');
    if (first == SIZE_MAX || !all_digits(span_sub(s, 0, first)))
        return false;
    struct span rest = span_from(s, first + 1);
    size_t second = span_find(rest, ':');
    return all_digits(span_sub(rest, 0, second)) &&
           (second == SIZE_MAX || all_digits(span_from(rest, second + 1)));
}

/* One of the names of three letters, which stand one after the other. */
static bool is_one_of(struct span s, const char *names)
{
    for (; s.n == 3 && *names; names += 3)
        if (memcmp(s.p, names, 3) == 0)
            return true;
    return false;
}

static bool end_byte(char c)
{
    return ascii_isspace(c) || c == ';';
}

/* "; Mon, 1 Jan 2024 12:34:56 +0000" at the end of a squeezed line, read from there: blanks or
 * semicolons, perhaps the day of the week, a date, a time, a word. */
static struct span without_date(struct span line)
{
    struct span rest = line;
    bool date = last_word(&rest).n && is_time(last_word(&rest)) && all_digits(last_word(&rest)) &&
                is_one_of(last_word(&rest), "JanFebMarAprMayJunJulAugSepOctNovDec");
    size_t at = rest.n;
    while (at && ascii_isdigit(rest.p[at - 1]))
        at--;
    if (!date || at == rest.n || at == 0 || !end_byte(rest.p[at - 1]))
        return line;
    if (at > 5 && memcmp(rest.p + at - 2, ", ", 2) == 0 && end_byte(rest.p[at - 6]) &&
        is_one_of(span_sub(rest, at - 5, at - 2), "MonTueWedThuFriSatSun"))
        at -= 5;
    while (at && end_byte(rest.p[at - 1]))
        at--;
    return span_sub(line, 0, at);
}

/* ")by " without its space. */
static struct span split_by(struct arena *a, struct span line)
{
    size_t at = span_search(line, SPAN(")by "));
    if (at == SIZE_MAX)
        return line;
    return arena_printf(a, "%.*s) by %.*s", (int)at, line.p, SPAN_ARG(span_from(line, at + 4)));
}

static void prescan(struct parse *p, struct span line)
{
    struct template_match *m = p->m;
    static const char *const helos[] = {"$_helo=$hV", "$_{HE|EH}LO $hV", NULL};
    if (received_search(m, line, " id {<|}$nT"))
        p->r->id = template_got(m, 'n');
    uint64_t may = template_which(m, line, helos, sizeof *helos);
    for (; may && !p->r->helo.p; may &= may - 1)
        if (received_search(m, line, helos[__builtin_ctzll(may)]))
            p->r->helo = template_got(m, 'h');
    if (received_search(m, line, " by $bW{$R|$.}"))
        p->r->by = template_got(m, 'b');
}

/* Fields that the template stored; the others keep what they have. */
static void take(struct parse *p)
{
    const struct template_match *m = p->m;
    struct {
        char letter;
        struct span *field;
    } to[] = {{'h', &p->r->helo},  {'r', &p->r->rdns},    {'i', &p->r->ip}, {'b', &p->r->by},
              {'d', &p->r->ident}, {'e', &p->r->envfrom}, {'n', &p->r->id}};
    for (size_t i = 0; i < sizeof to / sizeof *to; i++) {
        struct span got = template_got(m, to[i].letter);
        if (got.p)
            *to[i].field = got;
    }
}

/* "helo=X" and "ident=Y" in a comment; helo is taken out before ident is looked for. */
static void take_from_comment(struct parse *p, struct span comment)
{
    size_t at, end;
    p->m->line = comment;
    if (template_search(p->m, "helo=$hW", &at, &end)) {
        p->r->helo = template_got(p->m, 'h');
        comment =
            arena_printf(p->a, "%.*s%.*s", (int)at, comment.p, SPAN_ARG(span_from(comment, end)));
    }
    if (received_search(p->m, comment, "ident=$dQ"))
        p->r->ident = template_got(p->m, 'd');
}

static void cut_ident(struct relay *r)
{
    if (span_starts(r->rdns, SPAN("IDENT:"))) {
        size_t at = span_find(r->rdns, '@');
        if (at != SIZE_MAX) {
            r->ident = span_sub(r->rdns, 6, at);
            r->rdns = span_from(r->rdns, at + 1);
        }
    }
    size_t at = span_find(r->rdns, '@');
    if (at != SIZE_MAX) {
        r->ident = span_sub(r->rdns, 0, at);
        r->rdns = span_from(r->rdns, at + 1);
    }
}

static void after(struct parse *p, const struct received_template *t)
{
    struct relay *r = p->r;
    if (t->marks & LOOKS_UP)
        r->no_reverse_dns = true;
    if (t->marks & UNKNOWN_IS_NONE && span_eq(r->rdns, SPAN("unknown")))
        r->rdns = SPAN("");
    if (t->marks & SOFTDNSERR && span_eq(r->rdns, SPAN("softdnserr"))) {
        r->rdns = SPAN("");
        r->no_reverse_dns = false;
    }
    if (t->marks & UNVERIFIED_IS_NONE && span_eq(r->rdns, SPAN("unverified")))
        r->rdns = SPAN("");
    if (t->marks & LOOKS_UP_UNLESS_UNKNOWN)
        r->no_reverse_dns = !span_eq(r->rdns, SPAN("UNKNOWN"));
    if (t->marks & IDENT_IN_RDNS)
        cut_ident(r);
    if (t->marks & HELO_IS_RDNS)
        r->helo = r->rdns;
    if (t->marks & NO_ID)
        r->id = SPAN("");
    if (t->marks & COMMENT)
        take_from_comment(p, template_got(p->m, 's'));
}

static bool apply(struct parse *p, struct span line, const struct received_template *t)
{
    p->m->line = line;
    p->m->icase = false;
    bool hit = t->marks & ANYWHERE ? template_search(p->m, t->template, NULL, NULL)
                                   : template_start(p->m, t->template);
    if (!hit)
        return false;
    if (t->marks & RESETS_IDENT)
        p->r->ident = SPAN("");
    if (t->marks & RESETS_HELO)
        p->r->helo = SPAN("");
    take(p);
    after(p, t);
    return true;
}

/* The many older forms of Exim: bits of them are enough when there is an address. */
static bool exim_bits(struct parse *p, struct span line)
{
    struct template_match *m = p->m;
    m->line = line;
    if (template_start(m, "$rW "))
        p->r->rdns = template_got(m, 'r');
    if (received_search(m, line, " ($hW) "))
        p->r->helo = template_got(m, 'h');
    if (received_search(m, line, " [$iI{.$N|}] "))
        p->r->ip = template_got(m, 'i');
    if (!received_search(m, line, "by $bW "))
        return false;
    p->r->by = template_got(m, 'b');
    return p->r->ip.n > 0;
}

/* qmail in its many patched forms: the gate decides, one of the four inner forms fills in. */
static void qmail(struct parse *p, struct span line)
{
    for (const struct received_template *t = received_qmail; t->template; t++)
        if (apply(p, line, t))
            break;
    if (span_eq(p->r->rdns, SPAN("unknown")))
        p->r->rdns = SPAN("");
    else
        p->r->no_reverse_dns = true;
}

static void hotmail_http(struct parse *p, struct span line)
{
    p->m->line = line;
    if (template_start(p->m, "$iI "))
        p->r->ip = template_got(p->m, 'i');
}

static bool unclean(char c)
{
    static const bool bytes[128] = {
        ['\0'] = true, ['\t'] = true, ['\n'] = true, ['\v'] = true, ['\f'] = true,
        ['\r'] = true, [' '] = true,  ['#'] = true,  ['['] = true,  [']'] = true,
        ['('] = true,  [')'] = true,  ['<'] = true,  ['>'] = true,  ['|'] = true};
    return (unsigned char)c < 128 && bytes[(unsigned char)c];
}

static struct span clean(struct arena *a, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!unclean(s.p[i]))
            continue;
        struct span copy = arena_dup(a, s);
        char *p = (char *)copy.p;
        for (; i < s.n; i++)
            if (unclean(p[i]))
                p[i] = '!';
        return copy;
    }
    return s;
}

static struct span clean_sender(struct arena *a, struct span s)
{
    while (s.n && ascii_isspace(s.p[0]))
        s = span_from(s, 1);
    while (s.n && s.p[0] == '<')
        s = span_from(s, 1);
    while (s.n && ascii_isspace(s.p[s.n - 1]))
        s.n--;
    while (s.n && s.p[s.n - 1] == '>')
        s.n--;
    return clean(a, s);
}

/* One step of the chain; the verdict of the line in *result when true. */
static bool step(struct parse *p, struct span line, const struct received_template *t,
                 enum received_result *result)
{
    if (t->guard && !received_search(p->m, line, t->guard))
        return false;
    if (t->unless && received_search(p->m, line, t->unless))
        return false;
    *result = t->result;
    switch (t->special) {
    case SPECIAL_NONE:
        return apply(p, line, t);
    case SPECIAL_EXIM_BITS:
        return exim_bits(p, line);
    case SPECIAL_QMAIL:
        if (!apply(p, line, t))
            return false;
        qmail(p, line);
        return true;
    case SPECIAL_HOTMAIL:
        if (!apply(p, line, t))
            return false;
        hotmail_http(p, line);
        return true;
    case SPECIAL_XMAIL:
        if (!apply(p, line, t))
            return false;
        if (received_search(p->m, line, " id <$nW>"))
            take(p);
        if (received_search(p->m, line, " from <$eW>"))
            take(p);
        return true;
    case SPECIAL_SCANNER:
        if (!apply(p, line, t))
            return false;
        p->carry->envfrom = clean_sender(p->a, p->r->envfrom);
        return true;
    }
    return false;
}

static bool steps(struct parse *p, struct span line, const struct received_template *t,
                  enum received_result *result)
{
    uint64_t may = template_which(p->m, line, t, sizeof *t);
    for (; may; may &= may - 1)
        if (step(p, line, &t[__builtin_ctzll(may)], result))
            return true;
    return false;
}

/* The families that exclude each other: the first whose sign is in the line is the only one tried.
 */
static bool families(struct parse *p, struct span line, enum received_result *result)
{
    const struct received_family *f = received_families;
    uint64_t may = template_which(p->m, line, f, sizeof *f);
    for (; may; may &= may - 1) {
        size_t i = (size_t)__builtin_ctzll(may);
        if (received_search(p->m, line, f[i].sign))
            return steps(p, line, f[i].templates, result);
    }
    return false;
}

/* "0" is false in Perl, and so it is no address and no name. */
static bool is_true(struct span s)
{
    return s.n > 0 && !(s.n == 1 && s.p[0] == '0');
}

static bool from_line(struct parse *p, struct span line, enum received_result *result)
{
    bool told =
        template_maybe(p->m, line, "return-path") || template_maybe(p->m, line, "envelope-");
    if (told && received_isearch(p->m, line, "{return-path{:|} |envelope-{sender|from}{ |=}}$eW$_"))
        p->r->envfrom = template_got(p->m, 'e');
    if (steps(p, line, received_webmail, result) || families(p, line, result) ||
        steps(p, line, received_templates, result) || steps(p, line, received_ignored, result))
        return true;
    p->m->line = line;
    if (!is_true(p->r->helo) && template_start(p->m, "$hW$C"))
        p->r->helo = template_got(p->m, 'h');
    return false;
}

static enum received_result parse_line(struct parse *p, struct span line)
{
    enum received_result result = RECEIVED_RELAY;
    if (span_starts(line, SPAN("from "))) {
        line = span_from(line, 5);
        if (from_line(p, line, &result))
            return result;
    } else if (span_starts(line, SPAN("FROM "))) {
        line = span_from(line, 5);
        if (steps(p, line, received_simta, &result))
            return result;
    } else if (span_starts(line, SPAN("(from "))) {
        line = span_from(line, 6);
        if (steps(p, line, received_parenthesis, &result))
            return result;
    }
    if (!is_true(p->r->ip) && received_search(p->m, line, "[$iI]"))
        p->r->ip = template_got(p->m, 'i');
    return is_true(p->r->ip) && is_true(p->r->by) ? RECEIVED_RELAY : RECEIVED_UNPARSEABLE;
}

/* ::ffff:1.2.3.4 in any spelling with zeros is 1.2.3.4. */
static struct span unmap(struct span ip)
{
    size_t colon = span_rfind(ip, ':');
    if (colon == SIZE_MAX || !ip_pattern_is_v4(span_from(ip, colon + 1)) || colon < 6 ||
        !span_ieq(span_sub(ip, colon - 4, colon), SPAN("ffff")))
        return ip;
    for (size_t i = 0; i + 5 <= colon; i++)
        if (ip.p[i] != '0' && ip.p[i] != ':')
            return ip;
    return span_from(ip, colon + 1);
}

static struct span clean_ip(struct arena *a, struct span ip)
{
    if (span_istarts(ip, SPAN("IPv6:")))
        ip = span_from(ip, 5);
    return clean(a, unmap(ip));
}

static void finish(struct parse *p)
{
    struct relay *r = p->r;
    while (r->rdns.n && r->rdns.p[r->rdns.n - 1] == '.')
        r->rdns.n--;
    if (span_ieq(r->rdns, SPAN("unknown")) || (r->rdns.n && r->rdns.p[0] == '['))
        r->rdns = SPAN("");
    r->ip = clean_ip(p->a, r->ip);
    if (r->by.n && r->by.p[r->by.n - 1] == ';')
        r->by.n--;
    r->rdns = clean(p->a, r->rdns);
    r->helo = clean(p->a, r->helo);
    r->by = clean(p->a, r->by);
    r->ident = clean(p->a, r->ident);
    r->envfrom = r->envfrom.p ? clean_sender(p->a, r->envfrom) : r->envfrom;
    r->no_reverse_dns = r->no_reverse_dns && r->rdns.n == 0;
    r->is_private = ip_pattern_private(r->ip);
}

enum received_result received_parse(struct template_match *m, struct span value, struct relay *out,
                                    struct received_carry *carry)
{
    struct span line = squeeze(m->arena, value);
    struct parse p = {m, m->arena, out, carry};
    memset(out, 0, sizeof *out);
    if (!span_istarts(line, SPAN("from ")) && !span_istarts(line, SPAN("(from ")))
        return RECEIVED_IGNORED;
    if (received_search(m, line, "$_with local for$_") || says_nothing(m, line))
        return RECEIVED_IGNORED;
    line = split_by(m->arena, without_date(line));
    prescan(&p, line);
    out->auth = received_auth(m, line);
    enum received_result result = parse_line(&p, line);
    if (result == RECEIVED_RELAY)
        finish(&p);
    return result;
}
