#include "learn/combine.h"

#include <math.h>

/* Robinson's f(w): belief x of an unknown token, and its strength s. */
static const double x = 0.538, s = 0.030;

double learn_probability(uint32_t spam, uint32_t ham, uint32_t nspam, uint32_t nham)
{
    double n = (double)spam + ham;
    if (n == 0)
        return 0.5;
    double p = ((double)spam * nham) / ((double)ham * nspam + (double)spam * nham);
    return (x * s + n * p) / (s + n);
}

/* The chi-squared distribution's upper tail for 2k degrees of freedom. */
static double chi2q(double x2, size_t k)
{
    double m = x2 / 2, term = exp(-m), sum = term;
    for (size_t i = 1; i < k; i++) {
        term *= m / (double)i;
        sum += term;
    }
    return sum < 1 ? sum : 1;
}

/* Products of many small numbers: the exponent is kept apart before it runs out. */
static double logarithm(double start, const double *v, size_t n, bool inverse)
{
    double product = start;
    long exponent = 0;
    for (size_t i = 0; i < n; i++) {
        product *= inverse ? 1.0 - v[i] : v[i];
        if (product < 1e-200) {
            int e;
            product = frexp(product, &e);
            exponent += e;
        }
    }
    return log(product) + (double)exponent * log(2);
}

double learn_combine(uint32_t nspam, uint32_t nham, const double *v, size_t n)
{
    double all = (double)nspam + nham;
    double spam = logarithm(nspam / all, v, n, true), ham = logarithm(nham / all, v, n, false);
    spam = 1.0 - chi2q(-2.0 * spam, n);
    ham = 1.0 - chi2q(-2.0 * ham, n);
    return ((spam - ham) + 1.0) / 2.0;
}

int learn_distance(uint32_t nspam, uint32_t nham, uint32_t spam, uint32_t ham, double p)
{
    if ((spam == 0 && ham == 0) || nspam == 0 || nham == 0 || fabs(p - 0.5) < LEARN_STRENGTH)
        return 0;
    bool spammy = p > 0.5;
    double Na = spammy ? nham : nspam, na = spammy ? ham : spam;
    double Nb = spammy ? nspam : nham, nb = spammy ? spam : ham;
    double edge = 0.5 - LEARN_STRENGTH, sx = s * x;
    double a = Nb * (1 - edge);
    double b = Nb * (sx + nb * (1 - edge) - edge * s) - edge * Na * nb;
    double c = Na * nb * (sx - edge * (s + nb));
    double d = b * b - 4 * a * c;
    double exact = (1.0 - 1e-6 + (-b + sqrt(d < 0 ? 0 : d)) / (2 * a)) - na;
    return exact < 1 ? 1 : exact > 1e9 ? 1000000000 : (int)exact;
}
