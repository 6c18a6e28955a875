/* Reading YAML, as far as more than one file does it. Room-private. */
#ifndef GATEHOUSE_CONFIG_READER_PRIVATE_H
#define GATEHOUSE_CONFIG_READER_PRIVATE_H

#include <yaml.h>

#include "config/load_private.h"

struct reader {
    struct settings *s;
    struct arena *a;
    const char *dir; /* of the file */
    struct marks *marks;
    struct settings_problems *out;
    yaml_document_t doc;
};

/* One level of the file: a table, where its values go, and what to call it. */
struct level {
    const struct setting_table *table;
    void *base;
    const char *prefix;  /* in the table: "limits." or "" */
    const char *mark;    /* in the marks: "limits.", "listeners[0]." */
    const char *section; /* "limits", or NULL */
};

static inline struct span scalar(const yaml_node_t *n)
{
    return span_of((const char *)n->data.scalar.value, n->data.scalar.length);
}

#define PROBLEM(r, node, ...) problem_at((r)->out, (r)->s->file, mark_at(node), __VA_ARGS__)

bool is_null(const yaml_node_t *n);
struct mark mark_at(const yaml_node_t *n);
/* "a list", "a section", "a single value" */
const char *kind(const yaml_node_t *n);
struct mark *remember(struct reader *r, struct span name, const yaml_node_t *n);
/* The key of a pair; absent (and told) when it is not a scalar or was there before. */
struct span key_of(struct reader *r, const yaml_node_t *key, const yaml_node_t *value,
                   const char *mark);
/* All pairs of a mapping. */
void read_level(struct reader *r, const struct level *l, const yaml_node_t *n);
/* policy_reader.c: what is neither a value nor a list of values. */
void read_structure(struct reader *r, const struct setting *row, const yaml_node_t *n, void *base,
                    const char *mark);

#endif
