/* ValiMail's suites of ARC: YAML documents, each with tests and the records of its keys. */
#ifndef GATEHOUSE_TESTS_AUTH_SUITE_H
#define GATEHOUSE_TESTS_AUTH_SUITE_H

#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "zone.h"

struct suite {
    FILE *f;
    yaml_parser_t parser;
    yaml_document_t doc;
    bool open;
};

/* The file in GATEHOUSE_SHARED or ../shared; false, and said so, when it is not there. */
static inline bool suite_open(struct suite *u, const char *file)
{
    char path[4096];
    const char *shared = getenv("GATEHOUSE_SHARED"), *source = getenv("GATEHOUSE_SOURCE");
    memset(u, 0, sizeof *u);
    if (shared)
        snprintf(path, sizeof path, "%s/conformance/%s", shared, file);
    else
        snprintf(path, sizeof path, "%s/../shared/conformance/%s", source ? source : ".", file);
    u->f = fopen(path, "rb");
    if (!u->f) {
        print_message("%s is not there\n", path);
        return false;
    }
    assert_true(yaml_parser_initialize(&u->parser));
    yaml_parser_set_input_file(&u->parser, u->f);
    return true;
}

/* The next document that has tests; NULL at the end. */
static inline yaml_node_t *suite_next(struct suite *u)
{
    for (;;) {
        if (u->open)
            yaml_document_delete(&u->doc);
        assert_true(yaml_parser_load(&u->parser, &u->doc));
        u->open = true;
        yaml_node_t *root = yaml_document_get_root_node(&u->doc);
        if (!root || root->type == YAML_MAPPING_NODE)
            return root;
    }
}

static inline void suite_close(struct suite *u)
{
    yaml_document_delete(&u->doc);
    yaml_parser_delete(&u->parser);
    fclose(u->f);
}

static inline struct span suite_scalar(const yaml_node_t *n)
{
    return n && n->type == YAML_SCALAR_NODE
               ? span_of((const char *)n->data.scalar.value, n->data.scalar.length)
               : SPAN_NONE;
}

static inline yaml_node_t *suite_at(struct suite *u, int i)
{
    return yaml_document_get_node(&u->doc, i);
}

static inline yaml_node_t *suite_member(struct suite *u, const yaml_node_t *map, const char *key)
{
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++)
        if (span_eq(suite_scalar(suite_at(u, p->key)), span_str(key)))
            return suite_at(u, p->value);
    return NULL;
}

static inline struct span suite_text(struct suite *u, const yaml_node_t *map, const char *key)
{
    return suite_scalar(suite_member(u, map, key));
}

static inline void suite_keys(struct suite *u, const yaml_node_t *root, struct zone *z)
{
    yaml_node_t *keys = suite_member(u, root, "txt-records");
    for (yaml_node_pair_t *p = keys->data.mapping.pairs.start; p < keys->data.mapping.pairs.top;
         p++)
        zone_txt_span(z, suite_scalar(suite_at(u, p->key)), suite_scalar(suite_at(u, p->value)));
}

#endif
