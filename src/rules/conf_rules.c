/* Directives that define rules (semantics 2.4). */
#include "rules/conf_private.h"

#include "relays/ip_pattern.h"

#include <stdlib.h>

#include "base/buf.h"
#include "rules/meta.h"
#include "pattern/pattern.h"

struct rule_def *conf_rule_at(struct conf *c, struct span name)
{
    void **slot = map_at(&c->by_name, name);
    if (*slot)
        return *slot;
    const struct rule_def *under = c->under ? conf_rule(c->under, name) : NULL;
    struct rule_def *r = ARENA_NEW(c->arena, struct rule_def);
    struct span copy = arena_dup(c->arena, name);
    *slot = r;
    c->by_name.entries[c->by_name.n - 1].key = copy;
    conf_own_rules(c);
    if (under) {
        *r = *under;
        c->rules[r->index] = r;
        return r;
    }
    r->name = copy.p;
    r->index = (uint32_t)c->nrules;
    *ARENA_PUSH(c->arena, c->rules, c->nrules, c->rules_cap) = r;
    return r;
}

/* Takes the name off the value. NULL (and e) when it is no legal name or nothing follows. */
static struct span definition(struct span value, struct span *rest, struct err *e)
{
    struct span name = conf_first_word(value, rest);
    if (!rule_name_valid(name)) {
        err_set(e, "'%.*s' is not a legal name of a rule (letters, digits, underscore)",
                SPAN_ARG(name));
        return SPAN_NONE;
    }
    if (name.n > RULE_NAME_MAX) {
        err_set(e, "the name of the rule is longer than %d bytes", RULE_NAME_MAX);
        return SPAN_NONE;
    }
    if (!rest->n) {
        err_set(e, "rule %.*s has no definition", SPAN_ARG(name));
        return SPAN_NONE;
    }
    return name;
}

/* A new definition replaces the old one but keeps score, description, flags and priority. */
static struct rule_def *define(struct conf_parser *p, struct span name, enum rule_kind kind,
                               struct span text)
{
    struct rule_def *r = conf_rule_at(p->c, name);
    struct rule_def fresh = {.name = r->name,
                             .index = r->index,
                             .kind = kind,
                             .text = text,
                             .at = p->at,
                             .scored = r->scored,
                             .score_at = r->score_at,
                             .describe = r->describe,
                             .subjprefix = r->subjprefix,
                             .tflags_text = r->tflags_text,
                             .tflags = r->tflags,
                             .maxhits = r->maxhits,
                             .range_from = r->range_from,
                             .range_to = r->range_to,
                             .priority = r->priority,
                             .priority_set = r->priority_set,
                             .shortcircuit = r->shortcircuit};
    memcpy(fresh.score, r->score, sizeof fresh.score);
    *r = fresh;
    return r;
}

/* Length of "%{NAME}" or "%{NAME(arg)}" at the start of s, 0 when it is none. */
static size_t template_length(struct span s)
{
    size_t i = 2;
    if (!span_starts(s, SPAN("%{")) || s.n < 4 || s.p[2] < 'A' || s.p[2] > 'Z')
        return 0;
    for (; i < s.n; i++) {
        bool upper = (s.p[i] >= 'A' && s.p[i] <= 'Z') || ascii_isdigit(s.p[i]);
        if (!upper && !(s.p[i] == '_' && s.p[i - 1] != '_'))
            break;
    }
    if (s.p[i - 1] == '_')
        return 0;
    if (i < s.n && s.p[i] == '(') {
        while (i < s.n && s.p[i] != ')' && s.p[i] != '}')
            i++;
        i++;
    }
    return i < s.n && s.p[i] == '}' ? i + 1 : 0;
}

/* Escapes the braces of %{NAME} so that the pattern is a valid one, and notes what the rule does
 * with captures. */
static struct span note_captures(struct conf *c, struct rule_def *r, struct span pattern)
{
    static const char *const opens[] = {"(?<", "(?P<", "(?'", "(?P'"};
    for (size_t i = 0; i < 4; i++)
        for (size_t at = 0, found;
             (found = span_search(span_from(pattern, at), span_str(opens[i]))) != SIZE_MAX;) {
            at += found + strlen(opens[i]);
            if (at < pattern.n && pattern.p[at] >= 'A' && pattern.p[at] <= 'Z')
                r->captures = true;
        }
    if (r->captures) {
        r->priority = -10000;
        r->priority_set = true;
    }
    if (span_search(pattern, SPAN("%{")) == SIZE_MAX)
        return pattern;
    struct buf b = {0};
    for (size_t at = 0; at < pattern.n;) {
        struct span rest = span_from(pattern, at);
        bool escaped = at && pattern.p[at - 1] == '\\';
        size_t n = escaped ? 0 : template_length(rest);
        if (n) {
            buf_str(&b, "%\\{");
            buf_add(&b, span_sub(rest, 2, n - 1));
            buf_str(&b, "\\}");
            r->is_template = true;
            at += n;
        } else {
            buf_char(&b, pattern.p[at++]);
        }
    }
    struct span out = arena_dup(c->arena, buf_span(&b));
    buf_free(&b);
    return out;
}

/* Splits off " [if-unset: VALUE]" at the end. */
static struct span take_if_unset(struct span *text)
{
    if (!span_ends(*text, SPAN("]")))
        return SPAN_NONE;
    for (size_t at = 0, found;
         (found = span_search(span_from(*text, at), SPAN("[if-unset:"))) != SIZE_MAX;) {
        at += found;
        struct span value = span_trim(span_sub(*text, at + 10, text->n - 1));
        if (at && ascii_isspace(text->p[at - 1]) && value.n) {
            *text = span_trim(span_sub(*text, 0, at));
            return value;
        }
        at++;
    }
    return SPAN_NONE;
}

static int check_pattern(struct span pattern, struct span mods, struct err *e)
{
    struct arena *scratch = arena_new(0);
    struct regex *r = regex_new(scratch, pattern, mods, e);
    int rc = r ? regex_check(r, e) : -1;
    arena_free(scratch);
    return rc;
}

/* A redefinition that can't be compiled leaves the old definition in force; an old one that can't
 * be is told about, since nobody looks at it any more. */
static int check_if_redefined(struct conf *c, struct span name, struct span pattern,
                              struct span mods, struct err *e)
{
    const struct rule_def *old = conf_rule(c, name);
    struct err why;
    if (!old || old->kind == RULE_NONE)
        return 0;
    if (check_pattern(pattern, mods, e) != 0)
        return -1;
    if (!c->under && old->pattern.n && !old->is_template &&
        check_pattern(old->pattern, old->mods, &why) != 0)
        conf_problem(c, old->at, "rule %s: %s; this definition does not count, a later one does",
                     old->name, why.text);
    return 0;
}

static int define_regex(struct conf_parser *p, struct span name, enum rule_kind kind,
                        struct span text, struct span regex, struct rule_def **out, struct err *e)
{
    struct rule_def noted = {0};
    struct span pattern, mods;
    regex = note_captures(p->c, &noted, regex);
    if (pattern_split(regex, &pattern, &mods, e) != 0 ||
        check_if_redefined(p->c, name, pattern, mods, e) != 0)
        return err_prefix(e, "rule %.*s", SPAN_ARG(name));
    struct rule_def *r = define(p, name, kind, text);
    r->pattern = pattern;
    r->mods = mods;
    r->captures = noted.captures;
    r->is_template = noted.is_template;
    if (noted.priority_set) {
        r->priority = noted.priority;
        r->priority_set = true;
    }
    *out = r;
    return 0;
}

static bool header_char(char c)
{
    return ascii_isalnum(c) || c == '_' || c == '.' || c == '-';
}

/* "NAME" with at most two ":mod"; its length, a bare trailing colon included. 0: not a header. */
static size_t header_length(struct span s)
{
    size_t i = 0;
    while (i < s.n && header_char(s.p[i]))
        i++;
    if (i == 0)
        return 0;
    for (int mods = 0; mods < 2 && i < s.n && s.p[i] == ':'; mods++) {
        size_t j = i + 1;
        while (j < s.n && s.p[j] >= 'a' && s.p[j] <= 'z')
            j++;
        if (j == i + 1)
            return mods ? i : i + 1;
        i = j;
    }
    return i;
}

static bool modifiers_known(struct span header)
{
    static const char *const known[] = {"raw", "addr",  "name",  "host", "domain",
                                        "ip",  "revip", "first", "last"};
    size_t colon = span_find(header, ':');
    struct span rest = colon == SIZE_MAX ? SPAN_NONE : span_from(header, colon + 1), mod;
    while ((mod = span_word(&rest, ":")).p) {
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found |= span_eq(mod, span_str(known[i]));
        if (!found)
            return false;
    }
    return true;
}

static struct span without_colon(struct span s)
{
    return s.n && s.p[s.n - 1] == ':' ? span_sub(s, 0, s.n - 1) : s;
}

static int define_exists(struct conf_parser *p, struct span name, struct span text, struct err *e)
{
    struct span header = span_from(text, 7);
    size_t n = 0;
    while (n < header.n && header_char(header.p[n]))
        n++;
    if (n == 0 || !(n == header.n || (n + 1 == header.n && header.p[n] == ':')))
        return err_set(e, "rule %.*s: '%.*s' is not the name of a header", SPAN_ARG(name),
                       SPAN_ARG(header));
    struct rule_def *r = define(p, name, RULE_HEADER, text);
    r->header = without_colon(header);
    r->exists = true;
    return 0;
}

/* Takes "HEADER =~" or "HEADER !~" off text; what is left is the pattern. */
static int take_operator(struct span *text, size_t header, bool *negate)
{
    struct span rest = span_trim(span_from(*text, header));
    if (!span_starts(rest, SPAN("=~")) && !span_starts(rest, SPAN("!~")))
        return -1;
    *negate = rest.p[0] == '!';
    *text = span_trim(span_from(rest, 2));
    return text->n ? 0 : -1;
}

static int define_header(struct conf_parser *p, struct span name, struct span text, struct err *e)
{
    if (span_starts(text, SPAN("exists:")))
        return define_exists(p, name, text, e);
    size_t n = header_length(text);
    struct span header = without_colon(span_sub(text, 0, n)), rest = text;
    bool negate;
    if (!n || take_operator(&rest, n, &negate) != 0)
        return err_set(e, "rule %.*s: expected 'HEADER =~ /regex/'", SPAN_ARG(name));
    if (!modifiers_known(header))
        return err_set(e, "rule %.*s: unknown modifier in '%.*s'", SPAN_ARG(name),
                       SPAN_ARG(header));
    struct span unset = take_if_unset(&rest);
    struct rule_def *r;
    if (define_regex(p, name, RULE_HEADER, text, rest, &r, e) != 0)
        return -1;
    r->header = header;
    r->negate = negate;
    r->if_unset = unset;
    return 0;
}

/* The next argument of an eval: quoted, or a bare run of [\d.:A-Za-z-]. */
static bool take_arg(struct span *rest, struct span *arg)
{
    *rest = span_trim(*rest);
    if (!rest->n)
        return false;
    size_t end;
    char quote = rest->p[0];
    if (quote == '\'' || quote == '"') {
        end = span_find(span_from(*rest, 1), quote);
        if (end == SIZE_MAX)
            return false;
        *arg = span_sub(*rest, 1, end + 1);
        *rest = span_trim(span_from(*rest, end + 2));
    } else {
        for (end = 0;
             end < rest->n && (ascii_isalnum(rest->p[end]) || one_of(rest->p[end], ".:-"));)
            end++;
        if (!end)
            return false;
        *arg = span_sub(*rest, 0, end);
        *rest = span_trim(span_from(*rest, end));
    }
    if (!rest->n)
        return true;
    if (rest->p[0] != ',')
        return false;
    *rest = span_trim(span_from(*rest, 1));
    return true;
}

/* text: "name(args)". */
static int define_eval(struct conf_parser *p, struct span name, enum rule_kind kind,
                       struct span text, struct err *e)
{
    size_t open = span_find(text, '(');
    if (open == SIZE_MAX || open == 0 || !span_ends(text, SPAN(")")) ||
        !rule_name_valid(span_sub(text, 0, open)))
        return err_set(e, "rule %.*s: expected 'eval:function(arguments)'", SPAN_ARG(name));
    struct span fn = span_sub(text, 0, open);
    struct span rest = span_trim(span_sub(text, open + 1, text.n - 1));
    struct span *args = NULL, arg;
    size_t nargs = 0, cap = 0;
    while (rest.n) {
        if (!take_arg(&rest, &arg))
            return err_set(e, "rule %.*s: arguments of %.*s not understood", SPAN_ARG(name),
                           SPAN_ARG(fn));
        *ARENA_PUSH(p->c->arena, args, nargs, cap) = arena_dup(p->c->arena, arg);
    }
    if (kind == RULE_HEADER_EVAL &&
        (span_starts(fn, SPAN("check_rbl")) || span_starts(fn, SPAN("check_dns"))))
        kind = RULE_DNS_EVAL;
    struct rule_def *r = define(p, name, kind, text);
    r->fn = fn;
    r->args = args;
    r->nargs = nargs;
    return 0;
}

READER(conf_rule_header)
{
    (void)d;
    struct span rest, name = definition(value, &rest, e);
    if (!name.p)
        return -1;
    if (span_starts(rest, SPAN("eval:")))
        return define_eval(p, name, RULE_HEADER_EVAL, span_from(rest, 5), e);
    if (span_starts(rest, SPAN("rbleval:")))
        return define_eval(p, name, RULE_HEADER_EVAL, span_from(rest, 8), e);
    return define_header(p, name, rest, e);
}

READER(conf_rule_body)
{
    struct span rest, name = definition(value, &rest, e);
    if (!name.p)
        return -1;
    enum rule_kind kind = (enum rule_kind)d->arg;
    if (kind != RULE_URI && span_starts(rest, SPAN("eval:"))) {
        enum rule_kind eval = kind == RULE_BODY      ? RULE_BODY_EVAL
                              : kind == RULE_RAWBODY ? RULE_RAWBODY_EVAL
                                                     : RULE_FULL_EVAL;
        return define_eval(p, name, eval, span_from(rest, 5), e);
    }
    struct rule_def *r;
    return define_regex(p, name, kind, rest, rest, &r, e);
}

/* Replaces each rules_matching(GLOB) by `with`. */
static struct span replace_globs(struct arena *a, struct span text, struct span with)
{
    struct buf b = {0};
    for (size_t found; (found = span_search(text, SPAN("rules_matching("))) != SIZE_MAX;) {
        size_t close = span_find(span_from(text, found), ')');
        if (close == SIZE_MAX)
            break;
        buf_add(&b, span_sub(text, 0, found));
        buf_add(&b, with);
        text = span_from(text, found + close + 1);
    }
    buf_add(&b, text);
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}

READER(conf_rule_meta)
{
    (void)d;
    struct span rest, name = definition(value, &rest, e);
    if (!name.p)
        return -1;
    for (size_t i = 0; i < rest.n; i++) {
        size_t j = i + 1;
        while (j < rest.n && ascii_isspace(rest.p[j]))
            j++;
        if (rest.p[i] == '*' && j < rest.n && rest.p[j] == '*')
            return err_set(e, "rule %.*s: '**' is no operator", SPAN_ARG(name));
    }
    struct span checked = rest;
    if (span_search(rest, SPAN("rules_matching(")) != SIZE_MAX)
        checked = replace_globs(p->c->arena, rest, SPAN(" 0 "));
    struct meta m;
    if (meta_compile(p->c->arena, checked, p->c->state->local_only, &m, e) != 0)
        return err_prefix(e, "rule %.*s", SPAN_ARG(name));
    struct rule_def *r = define(p, name, RULE_META, rest);
    r->expr = rest;
    r->sides_known = false;
    return 0;
}

READER(conf_rule_mimeheader)
{
    (void)d;
    struct span text, name = definition(value, &text, e);
    if (!name.p)
        return -1;
    size_t n = 0;
    while (n < text.n && text.p[n] != ':' && !ascii_isspace(text.p[n]) && text.p[n] != '=' &&
           text.p[n] != '!')
        n++;
    size_t end = n;
    if (span_starts(span_from(text, n), SPAN(":raw")))
        end = n + 4;
    else if (n < text.n && text.p[n] == ':')
        end = n + 1;
    struct span rest = text;
    bool negate;
    if (!n || take_operator(&rest, end, &negate) != 0)
        return err_set(e, "rule %.*s: expected 'HEADER =~ /regex/'", SPAN_ARG(name));
    struct span unset = take_if_unset(&rest);
    struct rule_def *r;
    if (define_regex(p, name, RULE_MIMEHEADER, text, rest, &r, e) != 0)
        return -1;
    r->header = without_colon(span_sub(text, 0, end));
    r->negate = negate;
    r->if_unset = unset.p ? unset : SPAN("");
    return 0;
}

/* One "key =~ /regex/" of a uri_detail rule off *rest. */
static int take_detail(struct conf_parser *p, struct span *rest, struct detail_test *t,
                       struct err *e)
{
    static const char *const keys[] = {"raw", "type", "cleaned", "text", "domain", "host"};
    size_t n = 0;
    while (n < rest->n && (ascii_isalnum(rest->p[n]) || rest->p[n] == '_'))
        n++;
    t->key = span_sub(*rest, 0, n);
    bool known = false;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        known |= span_eq(t->key, span_str(keys[i]));
    if (!known || take_operator(rest, n, &t->negate) != 0)
        return err_set(e,
                       "expected 'key =~ /regex/' with raw, type, cleaned, text, domain or host");
    bool m = rest->p[0] == 'm' && rest->n > 1;
    char delim = m ? rest->p[1] : rest->p[0];
    for (size_t i = m ? 2 : 1; i < rest->n; i++) {
        if (rest->p[i] != delim)
            continue;
        size_t end = i + 1;
        while (end < rest->n && one_of(rest->p[end], "imsx"))
            end++;
        if (end < rest->n && !ascii_isspace(rest->p[end]))
            continue;
        struct span text = arena_dup(p->c->arena, span_sub(*rest, 0, end));
        *rest = span_trim(span_from(*rest, end));
        return pattern_split(text, &t->pattern, &t->mods, e);
    }
    return err_set(e, "regular expression of '%.*s' has no end", SPAN_ARG(t->key));
}

READER(conf_rule_uri_detail)
{
    (void)d;
    struct span rest, name = definition(value, &rest, e);
    if (!name.p)
        return -1;
    struct span text = rest;
    struct detail_test *tests = NULL;
    size_t n = 0, cap = 0;
    while (rest.n) {
        struct detail_test t = {0};
        if (take_detail(p, &rest, &t, e) != 0)
            return err_prefix(e, "rule %.*s", SPAN_ARG(name));
        *ARENA_PUSH(p->c->arena, tests, n, cap) = t;
    }
    struct rule_def *r = define(p, name, RULE_URI_DETAIL, text);
    r->details = tests;
    r->ndetails = n;
    return 0;
}

/* askdns, reuse: a name with a score that never hits here. reuse does not replace a definition. */
READER(conf_rule_empty)
{
    struct span rest, name = conf_first_word(value, &rest);
    if (!rule_name_valid(name))
        return err_set(e, "'%.*s' is not a legal name of a rule", SPAN_ARG(name));
    const struct rule_def *old = conf_rule(p->c, name);
    if (!(d->arg && old && old->kind != RULE_NONE)) {
        struct rule_def *r = define(p, name, RULE_EMPTY, rest);
        if (!d->arg) { /* askdns: run as an eval function of that name */
            r->fn = SPAN("askdns");
            r->args = &r->text;
            r->nargs = 1;
        }
    }
    return conf_keep_line(p, d, value, e);
}

/* What the words of uri_block_cc and uri_block_cont may be: two letters, with ! in front of all or
 * of none. */
static int country_codes(const struct conf_directive *d, struct span words, struct err *e)
{
    bool country = strcmp(d->name, "uri_block_cc") == 0, no = false, yes = false;
    struct span word;
    if (!country && strcmp(d->name, "uri_block_cont") != 0)
        return 0;
    while ((word = span_word(&words, " \t")).p) {
        bool negated = word.p[0] == '!';
        struct span code = span_from(word, negated);
        no |= negated;
        yes |= !negated;
        if (code.n != 2 || !ascii_isalpha(code.p[0]) ||
            !(ascii_isalpha(code.p[1]) || (country && ascii_isdigit(code.p[1]))))
            return err_set(e, "'%.*s' is no code of two letters", SPAN_ARG(word));
    }
    return no && yes ? err_set(e, "codes with and without ! can't be mixed") : 0;
}

/* Whole addresses, perhaps with a length; nothing shorter, no ranges. */
static int networks(const struct conf_directive *d, struct span words, struct err *e)
{
    struct span word;
    if (strcmp(d->name, "uri_block_cidr") != 0)
        return 0;
    while ((word = span_word(&words, " \t")).p) {
        size_t slash = span_find(word, '/'), digits = 0;
        struct span length = slash == SIZE_MAX ? SPAN("0") : span_from(word, slash + 1);
        while (digits < length.n && ascii_isdigit(length.p[digits]))
            digits++;
        if (!ip_pattern_is(span_sub(word, 0, slash)) || digits < 1 || digits > 3 ||
            digits < length.n)
            return err_set(e, "'%.*s' is no address with a length", SPAN_ARG(word));
    }
    return 0;
}

READER(conf_uri_block)
{
    struct span rest, name = definition(value, &rest, e);
    if (!name.p || country_codes(d, rest, e) != 0 || networks(d, rest, e) != 0)
        return -1;
    if (define_eval(p, name, RULE_BODY_EVAL, SPAN("check_uri_local_bl()"), e) != 0)
        return -1;
    struct rule_def *r = conf_rule_at(p->c, name);
    r->priority = -100;
    r->priority_set = true;
    return conf_keep_line(p, d, value, e);
}

/* "1.5", "-2", "(0.5)" */
static bool score_number(struct span s, double *out, bool *relative)
{
    struct span t = s;
    bool paren = s.n > 2 && s.p[0] == '(' && s.p[s.n - 1] == ')';
    if (paren)
        t = span_sub(s, 1, s.n - 1);
    *relative |= paren;
    size_t i = t.n && t.p[0] == '-', whole = i;
    while (i < t.n && ascii_isdigit(t.p[i]))
        i++;
    if (i == whole || t.n > 64)
        return false;
    if (i < t.n) {
        size_t dot = i++;
        while (i < t.n && ascii_isdigit(t.p[i]))
            i++;
        if (t.p[dot] != '.' || i == dot + 1)
            return false;
    }
    char text[80];
    memcpy(text, t.p, t.n);
    text[t.n] = '\0';
    *out = strtod(text, NULL);
    return i == t.n;
}

READER(conf_score)
{
    (void)d;
    struct span rest, name = conf_first_word(value, &rest), word;
    double v[SCORE_SETS];
    size_t n = 0;
    bool relative = false;
    while ((word = span_word(&rest, " \t\v\f\r")).p) {
        if (n == SCORE_SETS || !score_number(word, &v[n++], &relative))
            return err_set(e, "'%.*s': a score is a number; one or four are wanted",
                           SPAN_ARG(name));
    }
    if (!rule_name_valid(name) || (n != 1 && n != SCORE_SETS))
        return err_set(e, "a name and one or four scores are wanted");
    struct rule_def *r = conf_rule_at(p->c, name);
    if (relative && !r->scored)
        return err_set(e, "relative score for %.*s, which has no score yet", SPAN_ARG(name));
    for (size_t i = 0; i < SCORE_SETS; i++) {
        double s = v[n == 1 ? 0 : i];
        r->score[i] = relative ? r->score[i] + s : s;
    }
    r->scored = true;
    r->score_at = p->at;
    return 0;
}

static struct rule_def *key_value(struct conf_parser *p, struct span value, struct span *rest,
                                  struct err *e)
{
    struct span name = conf_first_word(value, rest);
    if (!rest->n) {
        err_set(e, "a name and a value are wanted");
        return NULL;
    }
    if (!rule_name_valid(name)) {
        err_set(e, "'%.*s' is not a legal name of a rule", SPAN_ARG(name));
        return NULL;
    }
    return conf_rule_at(p->c, name);
}

READER(conf_describe)
{
    (void)d;
    struct span rest;
    struct rule_def *r = key_value(p, value, &rest, e);
    if (!r)
        return -1;
    r->describe = arena_cstr(p->c->arena, rest);
    return 0;
}

READER(conf_subjprefix)
{
    (void)d;
    struct span rest;
    struct rule_def *r = key_value(p, value, &rest, e);
    if (!r)
        return -1;
    r->subjprefix = rest;
    return 0;
}

static void set_flag(struct rule_def *r, struct span word)
{
    static const struct {
        const char *name;
        unsigned flag;
    } flags[] = {
        {"net", TFLAG_NET},
        {"nice", TFLAG_NICE},
        {"learn", TFLAG_LEARN},
        {"userconf", TFLAG_USERCONF},
        {"noautolearn", TFLAG_NOAUTOLEARN},
        {"multiple", TFLAG_MULTIPLE},
        {"nosubject", TFLAG_NOSUBJECT},
        {"concat", TFLAG_CONCAT},
        {"autolearn_body", TFLAG_AUTOLEARN_BODY},
        {"autolearn_header", TFLAG_AUTOLEARN_HEADER},
        {"autolearn_force", TFLAG_AUTOLEARN_FORCE},
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (span_eq(word, span_str(flags[i].name)))
            r->tflags |= flags[i].flag;
    uint64_t n;
    if (span_starts(word, SPAN("maxhits=")) && span_u64(span_from(word, 8), &n) && n < UINT32_MAX)
        r->maxhits = (unsigned)n;
    if (span_starts(word, SPAN("range="))) {
        struct span range = span_from(word, 6);
        size_t dash = span_find(range, '-');
        uint64_t to = 0;
        if (span_u64(span_sub(range, 0, dash), &n) && n < UINT32_MAX &&
            (dash == SIZE_MAX || (span_u64(span_from(range, dash + 1), &to) && to < UINT32_MAX))) {
            r->range_from = (unsigned)n;
            r->range_to = dash == SIZE_MAX ? (unsigned)n : (unsigned)to;
        }
    }
}

READER(conf_tflags)
{
    (void)d;
    struct span rest, word;
    struct rule_def *r = key_value(p, value, &rest, e);
    if (!r)
        return -1;
    r->tflags_text = rest;
    r->tflags = r->maxhits = r->range_from = r->range_to = 0;
    while ((word = span_word(&rest, " \t,")).p)
        set_flag(r, word);
    return 0;
}

READER(conf_priority)
{
    (void)d;
    struct span rest, name = conf_first_word(value, &rest);
    bool negative = span_starts(rest, SPAN("-"));
    uint64_t n;
    if (!rule_name_valid(name) || !span_u64(span_from(rest, negative), &n) || n > 1000000000)
        return err_set(e, "a name and a whole number are wanted");
    struct rule_def *r = conf_rule_at(p->c, name);
    r->priority = negative ? -(int)n : (int)n;
    r->priority_set = true;
    return 0;
}

/* NAME on|off|ham|spam */
READER(conf_shortcircuit)
{
    (void)d;
    struct span rest;
    struct rule_def *r = key_value(p, value, &rest, e);
    if (!r)
        return -1;
    bool ham = span_eq(rest, SPAN("ham")), spam = span_eq(rest, SPAN("spam"));
    if (span_eq(rest, SPAN("off")))
        r->shortcircuit = SHORTCIRCUIT_NO;
    else if (span_eq(rest, SPAN("on")))
        r->shortcircuit = SHORTCIRCUIT_ON;
    else if (!ham && !spam)
        return err_set(e, "'%.*s' is none of on, off, ham, spam", SPAN_ARG(rest));
    if (!ham && !spam)
        return 0;
    r->shortcircuit = ham ? SHORTCIRCUIT_HAM : SHORTCIRCUIT_SPAM;
    r->tflags |= TFLAG_NOAUTOLEARN | (ham ? TFLAG_NICE : 0);
    if (!r->priority) {
        r->priority = -200;
        r->priority_set = true;
    }
    return 0;
}
