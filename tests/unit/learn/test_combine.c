#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "learn/combine.h"

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-9;
}

/* Numbers that SpamAssassin 4.0.1 computes (Bayes/CombineChi.pm, Plugin/Bayes.pm). */
static void tokens_become_probabilities(void **state)
{
    (void)state;
    assert_true(near(learn_probability(0, 0, 10, 10), 0.5));
    assert_true(near(learn_probability(1, 0, 200, 300), 0.9865436893203884));
    assert_true(near(learn_probability(0, 1, 200, 300), 0.01566990291262136));
    assert_true(near(learn_probability(3, 1, 200, 300), 0.8160960974509361));
    assert_true(near(learn_probability(4000000000u, 4000000000u, 4000000000u, 4000000000u), 0.5));
}

static void probabilities_become_one(void **state)
{
    (void)state;
    double spam[150], ham[150], both[2] = {0.99, 0.01};
    for (size_t i = 0; i < 150; i++) {
        spam[i] = 0.9995;
        ham[i] = 0.0005;
    }
    assert_true(learn_combine(200, 300, spam, 150) > 0.999999);
    assert_true(learn_combine(200, 300, ham, 150) < 0.000001);
    assert_true(near(learn_combine(300, 300, both, 2), 0.5));
    const double mixed[] = {0.97, 0.97, 0.97, 0.97, 0.97, 0.2, 0.2, 0.2};
    assert_true(near(learn_combine(200, 300, spam, 1), 0.79975));
    assert_true(near(learn_combine(200, 300, mixed, 8), 0.9045707277587546));
}

/* Far more products than a double has room for stay finite. */
static void long_products_stay_finite(void **state)
{
    (void)state;
    double v[150];
    for (size_t i = 0; i < 150; i++)
        v[i] = i % 2 ? 1e-9 : 1 - 1e-9;
    double p = learn_combine(1, 1000000, v, 150);
    assert_true(isfinite(p) && p >= 0 && p <= 1);
}

static void distance_is_told(void **state)
{
    (void)state;
    assert_int_equal(learn_distance(200, 300, 0, 0, 0.5), 0);
    assert_int_equal(learn_distance(200, 300, 5, 5, 0.6), 0);
    assert_int_equal(learn_distance(200, 300, 1, 0, learn_probability(1, 0, 200, 300)), 1);
    assert_true(learn_distance(200, 300, 100, 0, learn_probability(100, 0, 200, 300)) > 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_become_probabilities),
        cmocka_unit_test(probabilities_become_one),
        cmocka_unit_test(long_products_stay_finite),
        cmocka_unit_test(distance_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
