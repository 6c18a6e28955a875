/* ValiMail's suite of ARC chains, where it is at hand (GATEHOUSE_SHARED or ../shared): every chain
 * must have the result that the suite gives it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <yaml.h>

#include "mailcheck.h"

enum { SUITE_CASES = 175, NOW = 1500000000 };

static struct span scalar(const yaml_node_t *n)
{
    return n && n->type == YAML_SCALAR_NODE
               ? span_of((const char *)n->data.scalar.value, n->data.scalar.length)
               : SPAN_NONE;
}

static yaml_node_t *at(yaml_document_t *d, int i)
{
    return yaml_document_get_node(d, i);
}

static yaml_node_t *member(yaml_document_t *d, const yaml_node_t *map, const char *key)
{
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++)
        if (span_eq(scalar(at(d, p->key)), span_str(key)))
            return at(d, p->value);
    return NULL;
}

/* The suite leaves the word out where a seal says that the chain was broken before. */
static enum arc_result expected(struct span cv)
{
    return span_eq(cv, SPAN("Pass")) ? ARC_PASS : span_eq(cv, SPAN("None")) ? ARC_NONE : ARC_FAIL;
}

static int run_document(yaml_document_t *d, bool later, int *wrong)
{
    struct mailcheck c;
    yaml_node_t *root = yaml_document_get_root_node(d), *tests = member(d, root, "tests");
    yaml_node_t *keys = member(d, root, "txt-records");
    int n = 0;
    mailcheck_open(&c);
    c.zone.later = later;
    for (yaml_node_pair_t *p = keys->data.mapping.pairs.start; p < keys->data.mapping.pairs.top;
         p++)
        zone_txt_span(&c.zone, scalar(at(d, p->key)), scalar(at(d, p->value)));
    for (yaml_node_pair_t *p = tests->data.mapping.pairs.start; p < tests->data.mapping.pairs.top;
         p++, n++) {
        yaml_node_t *t = at(d, p->value);
        const struct auth_facts *f = mailcheck(&c, scalar(member(d, t, "message")), NOW);
        assert_int_equal(c.done, 1);
        if (f->arc.result == expected(scalar(member(d, t, "cv"))))
            continue;
        ++*wrong;
        print_error("%.*s: %s (%.*s)\n", SPAN_ARG(scalar(at(d, p->key))),
                    arc_result_name(f->arc.result), SPAN_ARG(f->arc.why));
    }
    mailcheck_close(&c);
    return n;
}

static FILE *suite_file(void)
{
    char path[4096];
    const char *shared = getenv("GATEHOUSE_SHARED"), *source = getenv("GATEHOUSE_SOURCE");
    if (shared)
        snprintf(path, sizeof path, "%s/conformance/arc-draft-validation-tests.yml", shared);
    else
        snprintf(path, sizeof path, "%s/../shared/conformance/arc-draft-validation-tests.yml",
                 source ? source : ".");
    FILE *f = fopen(path, "rb");
    if (!f)
        print_message("%s is not there\n", path);
    return f;
}

static void suite(void **state)
{
    (void)state;
    FILE *f = suite_file();
    int cases = 0, wrong = 0;
    if (!f)
        skip();
    for (int later = 0; later < 2; later++) {
        yaml_parser_t parser;
        rewind(f);
        assert_true(yaml_parser_initialize(&parser));
        yaml_parser_set_input_file(&parser, f);
        for (bool end = false; !end;) {
            yaml_document_t d;
            assert_true(yaml_parser_load(&parser, &d));
            yaml_node_t *root = yaml_document_get_root_node(&d);
            end = !root;
            if (root && root->type == YAML_MAPPING_NODE)
                cases += run_document(&d, later, &wrong);
            yaml_document_delete(&d);
        }
        yaml_parser_delete(&parser);
    }
    fclose(f);
    assert_int_equal(wrong, 0);
    assert_int_equal(cases, 2 * SUITE_CASES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(suite)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
