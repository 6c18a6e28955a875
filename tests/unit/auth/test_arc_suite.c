/* ValiMail's suite of ARC chains, where it is at hand (GATEHOUSE_SHARED or ../shared): every chain
 * must have the result that the suite gives it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "mailcheck.h"
#include "suite.h"

enum { SUITE_CASES = 175, NOW = 1500000000 };

/* The suite leaves the word out where a seal says that the chain was broken before. */
static enum arc_result expected(struct span cv)
{
    return span_eq(cv, SPAN("Pass")) ? ARC_PASS : span_eq(cv, SPAN("None")) ? ARC_NONE : ARC_FAIL;
}

static int run_document(struct suite *u, yaml_node_t *root, bool later, int *wrong)
{
    struct mailcheck c;
    yaml_node_t *tests = suite_member(u, root, "tests");
    int n = 0;
    mailcheck_open(&c);
    c.zone.later = later;
    suite_keys(u, root, &c.zone);
    for (yaml_node_pair_t *p = tests->data.mapping.pairs.start; p < tests->data.mapping.pairs.top;
         p++, n++) {
        yaml_node_t *t = suite_at(u, p->value);
        const struct auth_facts *f = mailcheck(&c, suite_text(u, t, "message"), NOW);
        assert_int_equal(c.done, 1);
        if (f->arc.result == expected(suite_text(u, t, "cv")))
            continue;
        ++*wrong;
        print_error("%.*s: %s (%.*s)\n", SPAN_ARG(suite_scalar(suite_at(u, p->key))),
                    arc_result_name(f->arc.result), SPAN_ARG(f->arc.why));
    }
    mailcheck_close(&c);
    return n;
}

static void suite(void **state)
{
    (void)state;
    int cases = 0, wrong = 0;
    for (int later = 0; later < 2; later++) {
        struct suite u;
        if (!suite_open(&u, "arc-draft-validation-tests.yml"))
            skip();
        for (yaml_node_t *root; (root = suite_next(&u));)
            cases += run_document(&u, root, later, &wrong);
        suite_close(&u);
    }
    assert_int_equal(wrong, 0);
    assert_int_equal(cases, 2 * SUITE_CASES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(suite)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
