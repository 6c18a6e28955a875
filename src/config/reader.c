#include "config/reader_private.h"
#include "config/script.h"
#include "config/value.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

bool is_null(const yaml_node_t *n)
{
    if (n->type != YAML_SCALAR_NODE || n->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    struct span s = scalar(n);
    return s.n == 0 || span_eq(s, SPAN("~")) || span_ieq(s, SPAN("null"));
}

struct mark mark_at(const yaml_node_t *n)
{
    return (struct mark){(unsigned)n->start_mark.line + 1, (unsigned)n->start_mark.column + 1,
                         is_null(n)};
}

const char *kind(const yaml_node_t *n)
{
    if (n->type == YAML_SEQUENCE_NODE)
        return "a list";
    return n->type == YAML_MAPPING_NODE ? "a section" : "a single value";
}

struct mark *remember(struct reader *r, struct span name, const yaml_node_t *n)
{
    struct mark *m = ARENA_NEW(r->a, struct mark);
    *m = mark_at(n);
    *map_at(&r->marks->map, name) = m;
    return m;
}

/* The key of a pair; absent (and told) when it is not a scalar or was there before. */
struct span key_of(struct reader *r, const yaml_node_t *key, const yaml_node_t *value,
                   const char *mark)
{
    if (key->type != YAML_SCALAR_NODE) {
        PROBLEM(r, key, "expected a name, not %s", kind(key));
        return SPAN_NONE;
    }
    struct span name = scalar(key), full = arena_printf(r->a, "%s%.*s", mark, SPAN_ARG(name));
    const struct mark *first = map_get(&r->marks->map, full);
    if (first) {
        PROBLEM(r, key, "'%.*s' is set twice (first in line %u)", SPAN_ARG(name), first->line);
        return SPAN_NONE;
    }
    remember(r, full, key)->null = is_null(value);
    return name;
}

/* The names that may stand at this level. Returns how many. */
static size_t known_names(struct reader *r, const struct level *l, const char ***out)
{
    const char **v = NULL;
    size_t n = 0, cap = 0, skip = strlen(l->prefix);
    for (size_t i = 0; i < l->table->n; i++) {
        const char *name = l->table->rows[i].name;
        if (strncmp(name, l->prefix, skip) == 0 && !strchr(name + skip, '.'))
            *ARENA_PUSH(r->a, v, n, cap) = name + skip;
    }
    if (l->table == &settings_table && skip == 0) {
        for (const struct setting_section *s = setting_sections; s->name; s++)
            *ARENA_PUSH(r->a, v, n, cap) = s->name;
        *ARENA_PUSH(r->a, v, n, cap) = "listeners";
        *ARENA_PUSH(r->a, v, n, cap) = "policies";
        *ARENA_PUSH(r->a, v, n, cap) = "script";
    }
    *out = v;
    return n;
}

/* The section in which a setting of this name stands, for one written a level too high or too low.
 */
static const char *other_place(struct reader *r, const struct level *l, struct span name)
{
    if (l->table != &settings_table)
        return NULL;
    for (size_t i = 0; i < settings_table.n; i++) {
        const char *full = settings_table.rows[i].name, *dot = strchr(full, '.');
        if (dot && span_eq(span_str(dot + 1), name))
            return arena_printf(r->a, "it belongs under '%.*s'", (int)(dot - full), full).p;
        if (!dot && span_eq(span_str(full), name))
            return "it belongs to the top level";
    }
    return NULL;
}

static void unknown(struct reader *r, const struct level *l, const yaml_node_t *key)
{
    const char **names, *hint;
    struct span name = scalar(key);
    size_t n = known_names(r, l, &names);
    const char *where = l->section ? arena_printf(r->a, " in '%s'", l->section).p : "";
    if ((hint = nearest(name, names, n)))
        PROBLEM(r, key, "unknown %s '%.*s'%s (did you mean '%s'?)", l->table->what, SPAN_ARG(name),
                where, hint);
    else if ((hint = other_place(r, l, name)))
        PROBLEM(r, key, "unknown %s '%.*s'%s (%s)", l->table->what, SPAN_ARG(name), where, hint);
    else
        PROBLEM(r, key, "unknown %s '%.*s'%s", l->table->what, SPAN_ARG(name), where);
}

static void read_list(struct reader *r, const struct setting *row, const yaml_node_t *n, void *base,
                      const char *mark)
{
    struct err e;
    if (row->type == SET_PATTERNS && n->type == YAML_SCALAR_NODE) {
        value_clear(row, base);
        remember(r, arena_printf(r->a, "%s%s[0]", mark, row->name), n);
        if (value_add(row, scalar(n), r->dir, r->a, base, &e) != 0)
            PROBLEM(r, n, "'%s': %s", row->name, e.text);
        return;
    }
    if (n->type != YAML_SEQUENCE_NODE) {
        PROBLEM(r, n, "'%s': expected %s, not %s", row->name, setting_type_text(row->type),
                kind(n));
        return;
    }
    value_clear(row, base);
    size_t i = 0;
    for (yaml_node_item_t *it = n->data.sequence.items.start; it < n->data.sequence.items.top;
         it++, i++) {
        const yaml_node_t *item = yaml_document_get_node(&r->doc, *it);
        remember(r, arena_printf(r->a, "%s%s[%zu]", mark, row->name, i), item);
        if (item->type != YAML_SCALAR_NODE)
            PROBLEM(r, item, "'%s': expected a single value in the list, not %s", row->name,
                    kind(item));
        else if (value_add(row, scalar(item), r->dir, r->a, base, &e) != 0)
            PROBLEM(r, item, "'%s': %s", row->name, e.text);
    }
}

static void read_value(struct reader *r, const struct setting *row, const yaml_node_t *n,
                       void *base, const char *mark)
{
    struct err e;
    if (is_null(n)) {
        if (!setting_is_list(row->type) && row->type < SET_RANGE && !row->def_note)
            PROBLEM(r, n, "'%s': expected %s, not null", row->name, setting_type_text(row->type));
        else
            value_clear(row, base);
        return;
    }
    if (row->type >= SET_SECTION) {
        read_structure(r, row, n, base, mark);
        return;
    }
    if (setting_is_list(row->type)) {
        read_list(r, row, n, base, mark);
        return;
    }
    if (n->type != YAML_SCALAR_NODE)
        PROBLEM(r, n, "'%s': expected %s, not %s", row->name, setting_type_text(row->type),
                kind(n));
    else if (value_set(row, scalar(n), r->dir, r->a, base, &e) != 0)
        PROBLEM(r, n, "'%s': %s", row->name, e.text);
}

static void read_items(struct reader *r, const yaml_node_t *n, bool policies);

static bool is_section(struct span name)
{
    for (const struct setting_section *s = setting_sections; s->name; s++)
        if (span_eq(name, span_str(s->name)))
            return true;
    return false;
}

static void read_script(struct reader *r, const yaml_node_t *n)
{
    const struct level l = {&script_table, r->marks->script, "", "script.", "script"};
    if (n->type == YAML_MAPPING_NODE)
        read_level(r, &l, n);
    else if (!is_null(n))
        PROBLEM(r, n, "'script': expected a section, not %s", kind(n));
}

static void read_pair(struct reader *r, const struct level *l, const yaml_node_t *key,
                      const yaml_node_t *value)
{
    struct span name = key_of(r, key, value, l->mark);
    if (!name.p)
        return;
    struct span full = arena_printf(r->a, "%s%.*s", l->prefix, SPAN_ARG(name));
    bool top = l->table == &settings_table && l->prefix[0] == '\0';
    const struct setting *row = setting_find(l->table, full);
    if (row && span_find(name, '.') == SIZE_MAX) {
        read_value(r, row, value, l->base, l->table == &settings_table ? "" : l->mark);
    } else if (top && span_eq(name, SPAN("script"))) {
        read_script(r, value);
    } else if (top && is_section(name)) {
        const char *prefix = arena_printf(r->a, "%.*s.", SPAN_ARG(name)).p;
        const struct level sub = {&settings_table, r->s, prefix, prefix, arena_cstr(r->a, name)};
        if (value->type == YAML_MAPPING_NODE)
            read_level(r, &sub, value);
        else if (!is_null(value))
            PROBLEM(r, value, "'%.*s': expected a section, not %s", SPAN_ARG(name), kind(value));
    } else if (top && (span_eq(name, SPAN("listeners")) || span_eq(name, SPAN("policies")))) {
        read_items(r, value, name.p[0] == 'p');
    } else {
        unknown(r, l, key);
    }
}

void read_level(struct reader *r, const struct level *l, const yaml_node_t *n)
{
    for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++)
        read_pair(r, l, yaml_document_get_node(&r->doc, p->key),
                  yaml_document_get_node(&r->doc, p->value));
}

/* The items of `listeners:` or `policies:`. */
static void read_items(struct reader *r, const yaml_node_t *n, bool policies)
{
    const char *what = policies ? "policies" : "listeners";
    const struct setting_table *table = policies ? &policy_table : &listener_table;
    size_t size = policies ? sizeof(struct policy) : sizeof(struct listener), count = 0;
    if (is_null(n))
        return;
    if (n->type != YAML_SEQUENCE_NODE) {
        PROBLEM(r, n, "'%s': expected a list of %s, each starting with '-', not %s", what, what,
                kind(n));
        return;
    }
    yaml_node_item_t *first = n->data.sequence.items.start, *top = n->data.sequence.items.top;
    char *v = arena_array(r->a, (size_t)(top - first) + 1, size); /* + 1: the default policy */
    for (yaml_node_item_t *it = first; it < top; it++) {
        const yaml_node_t *item = yaml_document_get_node(&r->doc, *it);
        void *base = v + count * size;
        struct span name = arena_printf(r->a, "%s[%zu]", what, count);
        for (size_t i = 0; i < table->n; i++)
            value_default(&table->rows[i], r->a, base);
        remember(r, name, item);
        const struct level l = {table, base, "", arena_printf(r->a, "%s.", name.p).p, NULL};
        if (item->type == YAML_MAPPING_NODE)
            read_level(r, &l, item);
        else
            PROBLEM(r, item, "'%s': expected settings such as 'name: x', not %s", what, kind(item));
        count++;
    }
    if (policies) {
        r->s->policies.v = (struct policy *)v;
        r->s->policies.n = count;
    } else {
        r->s->listeners.v = (struct listener *)v;
        r->s->listeners.n = count;
    }
}

/* The bytes of the file. -1 with errno. */
static int slurp(const char *file, struct buf *out)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;
    if (fd < 0)
        return -1;
    while (out->n <= CONFIG_FILE_MAX && (n = read(fd, buf_room(out, 65536), 65536)) > 0)
        out->n += (size_t)n;
    int sys = n < 0 ? errno : out->n > CONFIG_FILE_MAX ? EFBIG : 0;
    close(fd);
    errno = sys;
    return sys ? -1 : 0;
}

/* libyaml tells no line for bytes that are not UTF-8, only an offset. */
static struct mark mark_of_offset(struct span text, size_t offset)
{
    struct mark m = {1, 1};
    for (size_t i = 0; i < offset && i < text.n; i++) {
        m.column++;
        if (text.p[i] == '\n')
            m = (struct mark){m.line + 1, 1};
    }
    return m;
}

static void syntax_problem(struct reader *r, const yaml_parser_t *p, struct span text)
{
    struct mark m = {(unsigned)p->problem_mark.line + 1, (unsigned)p->problem_mark.column + 1};
    if (p->error == YAML_READER_ERROR)
        m = mark_of_offset(text, p->problem_offset);
    problem_at(r->out, r->s->file, m, "not YAML: %s%s%s",
               p->problem ? p->problem : "it can't be parsed", p->context ? ", " : "",
               p->context ? p->context : "");
}

static void read_document(struct reader *r, yaml_parser_t *p, struct span text)
{
    static const struct level top = {&settings_table, NULL, "", "", NULL};
    struct level l = top;
    l.base = r->s;
    const yaml_node_t *root = yaml_document_get_root_node(&r->doc);
    if (root && root->type == YAML_MAPPING_NODE)
        read_level(r, &l, root);
    else if (root && !is_null(root))
        PROBLEM(r, root, "expected settings such as 'hostname: mail.example.org', not %s",
                kind(root));
    yaml_document_t second;
    if (!root)
        return;
    if (!yaml_parser_load(p, &second)) {
        syntax_problem(r, p, text);
        return;
    }
    const yaml_node_t *other = yaml_document_get_root_node(&second);
    if (other)
        PROBLEM(r, other, "a second document; all settings stand in one");
    yaml_document_delete(&second);
}

void settings_read(struct settings *s, struct settings_problems *out)
{
    struct buf text = {0};
    struct reader r = {.s = s, .a = s->arena, .out = out};
    const char *slash = strrchr(s->file, '/');
    r.dir = slash == s->file ? "/" : arena_cstr(r.a, span_of(s->file, (size_t)(slash - s->file)));
    r.marks = ARENA_NEW(r.a, struct marks);
    r.marks->map = map_in(r.a);
    r.marks->script = ARENA_NEW(r.a, struct script_settings);
    for (size_t i = 0; i < script_table.n; i++)
        value_default(&script_table.rows[i], r.a, r.marks->script);
    s->marks = r.marks;
    if (slurp(s->file, &text) != 0) {
        problem_at(out, s->file, (struct mark){0}, "it can't be read: %s", strerror(errno));
        buf_free(&text);
        return;
    }
    yaml_parser_t p;
    yaml_parser_initialize(&p);
    yaml_parser_set_input_string(&p, (const unsigned char *)buf_span(&text).p, text.n);
    if (yaml_parser_load(&p, &r.doc)) {
        read_document(&r, &p, buf_span(&text));
        yaml_document_delete(&r.doc);
    } else {
        syntax_problem(&r, &p, buf_span(&text));
    }
    yaml_parser_delete(&p);
    buf_free(&text);
}
