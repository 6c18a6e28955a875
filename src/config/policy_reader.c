/* The parts of a policy that are neither values nor lists of values: sections, tests of header
 * fields, actions. */
#include "config/reader_private.h"
#include "config/value.h"

#include "base/buf.h"

static const yaml_node_t *node_at(struct reader *r, int id)
{
    return yaml_document_get_node(&r->doc, id);
}

static void read_section(struct reader *r, const struct setting *row, const yaml_node_t *n,
                         void *at, const char *mark)
{
    const char *prefix = arena_printf(r->a, "%s%s.", mark, row->name).p;
    const struct level l = {row->section, at, "", prefix, row->name};
    if (n->type != YAML_MAPPING_NODE) {
        PROBLEM(r, n, "'%s': expected a section, not %s", row->name, kind(n));
        return;
    }
    if (n->data.mapping.pairs.start == n->data.mapping.pairs.top)
        return;
    read_level(r, &l, n);
    if (strcmp(row->name, "parts") == 0)
        ((struct part_test *)at)->given = true;
}

/* --- names of header fields --- */

/* RFC 5322 section 2.2: printable ASCII without the colon. */
static bool field_name_ok(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == ':')
            return false;
    return s.n > 0 && s.n <= 76;
}

static const char *field_name(struct reader *r, const yaml_node_t *n)
{
    if (n->type == YAML_SCALAR_NODE && field_name_ok(scalar(n)))
        return arena_cstr(r->a, scalar(n));
    PROBLEM(r, n, "expected the name of a header field such as X-Mailer, not %s%.*s%s",
            n->type == YAML_SCALAR_NODE ? "'" : "",
            n->type == YAML_SCALAR_NODE ? (int)scalar(n).n : (int)strlen(kind(n)),
            n->type == YAML_SCALAR_NODE ? scalar(n).p : kind(n),
            n->type == YAML_SCALAR_NODE ? "'" : "");
    return NULL;
}

/* --- header: {NAME: pattern | [patterns] | true | false} --- */

static void read_header_test(struct reader *r, const yaml_node_t *key, const yaml_node_t *value,
                             struct header_test *t, const char *mark)
{
    static const struct setting row = {.name = "header", .type = SET_PATTERNS};
    struct err e;
    bool there;
    t->name = field_name(r, key);
    bool plain =
        value->type == YAML_SCALAR_NODE && value->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (plain && parse_bool(scalar(value), &there) == 0) {
        t->present = there ? WHETHER_YES : WHETHER_NO;
        return;
    }
    if (value->type == YAML_MAPPING_NODE || is_null(value)) {
        PROBLEM(r, value, "'%s': expected a pattern, a list of them, true or false, not %s", mark,
                is_null(value) ? "null" : kind(value));
        return;
    }
    bool list = value->type == YAML_SEQUENCE_NODE;
    size_t count =
        list ? (size_t)(value->data.sequence.items.top - value->data.sequence.items.start) : 1;
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *item = list ? node_at(r, value->data.sequence.items.start[i]) : value;
        if (item->type != YAML_SCALAR_NODE)
            PROBLEM(r, item, "'header': expected a pattern, not %s", kind(item));
        else if (value_add(&row, scalar(item), r->dir, r->a, &t->patterns, &e) != 0)
            PROBLEM(r, item, "'header': %s", e.text);
    }
}

static void read_headers(struct reader *r, const yaml_node_t *n, struct header_tests *out,
                         const char *mark)
{
    if (n->type != YAML_MAPPING_NODE) {
        PROBLEM(r, n, "'header': expected names of fields with patterns, not %s", kind(n));
        return;
    }
    yaml_node_pair_t *first = n->data.mapping.pairs.start, *top = n->data.mapping.pairs.top;
    const char *prefix = arena_printf(r->a, "%sheader.", mark).p;
    out->v = arena_array(r->a, (size_t)(top - first) + 1, sizeof *out->v);
    for (yaml_node_pair_t *p = first; p < top; p++) {
        const yaml_node_t *key = node_at(r, p->key), *value = node_at(r, p->value);
        struct span name = key_of(r, key, value, prefix);
        if (name.p)
            read_header_test(r, key, value, &out->v[out->n++], arena_cstr(r->a, name));
    }
}

/* --- do --- */

/* An SMTP reply: "550 5.7.1 text", or the text alone behind the code of `def`. */
static const char *reply_of(struct reader *r, const yaml_node_t *n, const char *def)
{
    enum { REPLY_TEXT_MAX = 400, REPLY_LINES_MAX = 10 };
    struct span s = scalar(n);
    size_t lines = 1;
    while (s.n && s.p[s.n - 1] == '\n') /* a block of YAML ends with one */
        s.n--;
    bool coded = s.n >= 4 && ascii_isdigit(s.p[0]) && ascii_isdigit(s.p[1]) &&
                 ascii_isdigit(s.p[2]) && s.p[3] == ' ';
    for (size_t i = 0; i < s.n; i++) {
        lines += s.p[i] == '\n';
        if (((s.p[i] < ' ' || s.p[i] > '~') && s.p[i] != '\n') || s.n > REPLY_TEXT_MAX ||
            lines > REPLY_LINES_MAX) {
            PROBLEM(r, n, "expected a reply of printable ASCII, at most %d lines and %d characters",
                    REPLY_LINES_MAX, REPLY_TEXT_MAX);
            return def;
        }
    }
    if (!coded)
        return arena_printf(r->a, "%.10s%.*s", def, SPAN_ARG(s)).p;
    bool enhanced = s.n >= 10 && s.p[4] == s.p[0] && s.p[5] == '.' && ascii_isdigit(s.p[6]) &&
                    span_find(span_from(s, 7), '.') != SIZE_MAX;
    if (s.p[0] != def[0] || !enhanced) {
        PROBLEM(r, n, "expected a text, or a reply such as '%s', not '%.*s'", def, SPAN_ARG(s));
        return def;
    }
    return arena_cstr(r->a, s);
}

static struct policy_action *new_action(struct reader *r, struct policy_actions *out,
                                        enum action_kind kind, size_t *cap)
{
    struct policy_action *a = ARENA_PUSH(r->a, out->v, out->n, *cap);
    a->kind = kind;
    return a;
}

struct action_reader {
    struct reader *r;
    struct policy_actions *out;
    size_t cap;
    const char *mark;
};

static bool text_ok(struct action_reader *ar, const yaml_node_t *n, bool lines)
{
    if (n->type != YAML_SCALAR_NODE) {
        PROBLEM(ar->r, n, "expected a text, not %s", kind(n));
        return false;
    }
    struct span s = scalar(n);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == 0x7f || (c < ' ' && c != '\t' && !(lines && c == '\n'))) {
            PROBLEM(ar->r, n, "expected a text%s without control characters",
                    lines ? "" : " of one line");
            return false;
        }
    }
    return true;
}

/* {X-One: text, X-Two: text} */
static void read_fields(struct action_reader *ar, enum action_kind kind_, const yaml_node_t *n)
{
    struct reader *r = ar->r;
    if (n->type != YAML_MAPPING_NODE) {
        PROBLEM(r, n, "'%s': expected names of fields with their values, such as {X-Seen: yes}",
                action_name(kind_));
        return;
    }
    for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = node_at(r, p->key), *value = node_at(r, p->value);
        const char *name = field_name(r, key);
        if (!text_ok(ar, value, false) || !name)
            continue;
        struct policy_action *a = new_action(r, ar->out, kind_, &ar->cap);
        a->name = name;
        a->text = arena_cstr(r->a, scalar(value));
    }
}

static bool address_fine(struct span s)
{
    size_t at = span_rfind(s, '@');
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] == 0x7f || s.p[i] == '<' || s.p[i] == '>' || s.p[i] == ',')
            return false;
    return at != SIZE_MAX && at > 0 && at + 1 < s.n && s.n <= 320;
}

/* A name or a list of names; of addresses when `addresses`. */
static void read_words(struct action_reader *ar, enum action_kind kind_, const yaml_node_t *n,
                       bool addresses)
{
    struct reader *r = ar->r;
    struct policy_action *a = NULL;
    bool list = n->type == YAML_SEQUENCE_NODE;
    if (!list && n->type != YAML_SCALAR_NODE) {
        PROBLEM(r, n, "'%s': expected %s or a list of them, not %s", action_name(kind_),
                addresses ? "an address" : "a name", kind(n));
        return;
    }
    size_t count = list ? (size_t)(n->data.sequence.items.top - n->data.sequence.items.start) : 1;
    const char **v = arena_array(r->a, count, sizeof *v);
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *item = list ? node_at(r, n->data.sequence.items.start[i]) : n;
        if (!addresses) {
            const char *name = field_name(r, item);
            a = new_action(r, ar->out, kind_, &ar->cap);
            a->name = name ? name : "";
        } else if (item->type != YAML_SCALAR_NODE || !address_fine(scalar(item))) {
            PROBLEM(r, item, "'%s': expected an address such as archive@example.org",
                    action_name(kind_));
        } else {
            v[i] = arena_cstr(r->a, scalar(item));
        }
    }
    if (count == 0)
        PROBLEM(r, n, "'%s': an empty list does nothing", action_name(kind_));
    if (!addresses || count == 0)
        return;
    a = new_action(r, ar->out, kind_, &ar->cap);
    a->to = (struct strings){v, count};
}

static void check_notice(struct action_reader *ar, const struct policy_action *a,
                         const yaml_node_t *n)
{
    if (a->to.n == 0)
        PROBLEM(ar->r, n, "'notify': to whom? Give it 'to', an address, sender or recipients");
    for (size_t i = 0; i < a->to.n; i++)
        if (strcmp(a->to.v[i], "sender") != 0 && strcmp(a->to.v[i], "recipients") != 0 &&
            !address_fine(span_str(a->to.v[i])))
            PROBLEM(ar->r, n, "'notify': expected an address, sender or recipients, not '%s'",
                    a->to.v[i]);
}

static void read_action_section(struct action_reader *ar, enum action_kind kind_,
                                const yaml_node_t *n)
{
    const struct action_row *row = &action_table[kind_];
    struct policy_action *a = new_action(ar->r, ar->out, kind_, &ar->cap);
    if (kind_ == ACTION_ADD_DISCLAIMER && n->type == YAML_SCALAR_NODE && text_ok(ar, n, true)) {
        a->text = arena_cstr(ar->r->a, scalar(n));
        return;
    }
    if (kind_ == ACTION_NOTIFY && n->type != YAML_MAPPING_NODE) {
        ar->out->n--;
        read_words(ar, kind_, n, true);
        return;
    }
    if (n->type != YAML_MAPPING_NODE) {
        PROBLEM(ar->r, n, "'%s': expected a section, not %s", row->name, kind(n));
        return;
    }
    const struct level l = {row->section, a, "",
                            arena_printf(ar->r->a, "%s%s.", ar->mark, row->name).p, row->name};
    size_t before = ar->r->out->n;
    /* a is looked at again after the section was read: read_level adds no action */
    read_level(ar->r, &l, n);
    if (kind_ == ACTION_NOTIFY && ar->r->out->n == before)
        check_notice(ar, a, n);
    if (kind_ == ACTION_ADD_DISCLAIMER && !a->text)
        PROBLEM(ar->r, n, "'add_disclaimer': it needs a text");
}

static void read_text(struct action_reader *ar, enum action_kind kind_, const yaml_node_t *n)
{
    bool lines = kind_ == ACTION_REPLACE_PART || kind_ == ACTION_LINK_PART ||
                 kind_ == ACTION_QUARANTINE_PART || kind_ == ACTION_CLEAN;
    if (!text_ok(ar, n, lines))
        return;
    struct span s = scalar(n);
    bool null_sender = kind_ == ACTION_CHANGE_SENDER && span_eq(s, SPAN("<>"));
    if (kind_ == ACTION_CHANGE_SENDER && !null_sender && !address_fine(s)) {
        PROBLEM(ar->r, n, "'change_sender': expected an address or '<>', not '%.*s'", SPAN_ARG(s));
        return;
    }
    if (s.n == 0) {
        PROBLEM(ar->r, n, "'%s': expected a text that is not empty", action_name(kind_));
        return;
    }
    new_action(ar->r, ar->out, kind_, &ar->cap)->text = null_sender ? "" : arena_cstr(ar->r->a, s);
}

static void read_argument(struct action_reader *ar, enum action_kind kind_, const yaml_node_t *n)
{
    const struct action_row *row = &action_table[kind_];
    bool none = !n || is_null(n);
    if (none && row->takes != TAKES_NOTHING && !row->def) {
        PROBLEM(ar->r, n, "'%s' needs to be told what; see docs/policies.md", row->name);
        return;
    }
    if (none) {
        new_action(ar->r, ar->out, kind_, &ar->cap)->text = row->def;
        return;
    }
    switch (row->takes) {
    case TAKES_NOTHING:
        PROBLEM(ar->r, n, "'%s' takes nothing more", row->name);
        break;
    case TAKES_REPLY:
        if (n->type == YAML_SCALAR_NODE)
            new_action(ar->r, ar->out, kind_, &ar->cap)->text = reply_of(ar->r, n, row->def);
        else
            PROBLEM(ar->r, n, "'%s': expected a text, not %s", row->name, kind(n));
        break;
    case TAKES_FIELDS:
        read_fields(ar, kind_, n);
        break;
    case TAKES_NAMES:
    case TAKES_ADDRESSES:
        read_words(ar, kind_, n, row->takes == TAKES_ADDRESSES);
        break;
    case TAKES_TEXT:
        read_text(ar, kind_, n);
        break;
    case TAKES_SECTION:
        read_action_section(ar, kind_, n);
        break;
    }
}

static enum action_kind kind_of(struct action_reader *ar, const yaml_node_t *n)
{
    const char *names[ACTION_KINDS];
    for (size_t k = 0; k < ACTION_KINDS; k++) {
        names[k] = action_table[k].name;
        if (n->type == YAML_SCALAR_NODE && span_eq(scalar(n), span_str(names[k])))
            return (enum action_kind)k;
    }
    const char *near = n->type == YAML_SCALAR_NODE ? nearest(scalar(n), names, ACTION_KINDS) : NULL;
    struct span shown = n->type == YAML_SCALAR_NODE ? scalar(n) : span_str(kind(n));
    PROBLEM(ar->r, n, "unknown action '%.*s'%s%s%s", SPAN_ARG(shown),
            near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
    return ACTION_KINDS;
}

static void read_action(struct action_reader *ar, const yaml_node_t *n)
{
    enum action_kind k;
    if (n->type != YAML_MAPPING_NODE) {
        if ((k = kind_of(ar, n)) == ACTION_KINDS)
            return;
        if (action_table[k].takes != TAKES_NOTHING && !action_table[k].def)
            PROBLEM(ar->r, n, "'%s' needs to be told what; write '%s: ...'", action_name(k),
                    action_name(k));
        else
            read_argument(ar, k, NULL);
        return;
    }
    for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++)
        if ((k = kind_of(ar, node_at(ar->r, p->key))) != ACTION_KINDS)
            read_argument(ar, k, node_at(ar->r, p->value));
}

static void read_actions(struct reader *r, const yaml_node_t *n, struct policy_actions *out,
                         const char *mark)
{
    struct action_reader ar = {r, out, 0, NULL};
    bool list = n->type == YAML_SEQUENCE_NODE;
    size_t count = list ? (size_t)(n->data.sequence.items.top - n->data.sequence.items.start) : 1;
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *item = list ? node_at(r, n->data.sequence.items.start[i]) : n;
        struct span name = arena_printf(r->a, "%sdo[%zu]", mark, i);
        remember(r, name, item);
        ar.mark = arena_printf(r->a, "%.*s.", SPAN_ARG(name)).p;
        read_action(&ar, item);
    }
}

void read_structure(struct reader *r, const struct setting *row, const yaml_node_t *n, void *base,
                    const char *mark)
{
    void *at = (char *)base + row->offset;
    if (row->type == SET_SECTION)
        read_section(r, row, n, at, mark);
    else if (row->type == SET_HEADERS)
        read_headers(r, n, at, mark);
    else
        read_actions(r, n, at, mark);
}
