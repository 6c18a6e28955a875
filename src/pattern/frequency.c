#include "pattern/frequency.h"

#include "pattern/mail_trigrams.h"
#include "pattern/mail_words.h"

enum { LETTERS = 26 };

/* By letter: the items that it fits, as bits. Items that are capitals only are rare in words. */
static void note_letters(const struct byteset_table *sets, const struct run *r,
                         uint32_t items[LETTERS])
{
    for (unsigned c = 0; c < LETTERS; c++)
        for (size_t i = 0; i < r->n; i++)
            if (byteset_has(&sets->v[r->set[i]], (unsigned char)('a' + c)))
                items[c] |= 1u << i;
}

/* Counts how long the stretches are that begin with each item, at all places of the word. */
static void add_word(const struct mail_word *w, const uint32_t items[LETTERS],
                     double count[][RUN_ITEMS + 2])
{
    uint8_t row[2][RUN_ITEMS + 1] = {{0}};
    for (size_t k = w->length; k-- > 0;) {
        uint8_t *here = row[k & 1], *next = row[~k & 1];
        memset(here, 0, RUN_ITEMS + 1);
        for (uint32_t bits = items[w->text[k] - 'a']; bits; bits &= bits - 1) {
            unsigned i = (unsigned)__builtin_ctz(bits);
            here[i] = (uint8_t)(1 + next[i + 1]);
            count[i][here[i]] += w->often;
        }
    }
}

/* count[i][k]: how often items [i, i + k) stand in the words of a kilobyte; k is 1 at least. */
static void count_words(const uint32_t items[LETTERS], size_t n, double count[][RUN_ITEMS + 2])
{
    for (size_t i = 0; i < sizeof mail_words / sizeof *mail_words; i++)
        add_word(&mail_words[i], items, count);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = n; k-- > 0;)
            count[i][k] += count[i][k + 1];
        for (size_t k = 0; k <= n; k++)
            count[i][k] /= 1000;
    }
}

static bool has_letters(const struct byteset *s)
{
    return (s->w['a' >> 6] >> ('a' & 63) & ((1u << LETTERS) - 1)) != 0;
}

static void work_out(const struct byteset_table *sets, const struct run *r, struct frequency *out)
{
    uint32_t items[LETTERS] = {0};
    double count[RUN_ITEMS][RUN_ITEMS + 2] = {{0}};
    note_letters(sets, r, items);
    count_words(items, r->n, count);
    for (size_t from = 0; from < r->n; from++) {
        double before = 1000, chance = 1; /* of what stands before the word; of its letters */
        float *rate = out->rate + from * (out->n + 1);
        size_t word = from; /* where it begins */
        rate[from] = 1000;
        for (size_t to = from + 1; to <= r->n; to++) {
            double share = sets->share[r->set[to - 1]];
            if (to - 1 > from && r->loop[to - 2])
                before *= 1 + 4 * sets->share[r->loop[to - 2]];
            chance *= share;
            if (has_letters(&sets->v[r->set[to - 1]])) {
                double known = count[word][to - word] / 1000;
                rate[to] = (float)(before * (known > chance ? known : chance));
                continue;
            }
            before = (double)rate[to - 1] * share;
            rate[to] = (float)before;
            chance = 1;
            word = to;
        }
    }
}

const struct frequency *frequency_of(struct byteset_table *sets, const struct run *r)
{
    struct span key = span_of((const char *)r, offsetof(struct run, lead));
    struct frequency *f = map_get(&sets->frequencies, key);
    if (f)
        return f;
    f = arena_alloc(sets->arena, sizeof *f + r->n * (r->n + 1u) * sizeof *f->rate);
    f->n = r->n;
    work_out(sets, r, f);
    *map_at(&sets->frequencies, arena_dup(sets->arena, key)) = f;
    return f;
}

double frequency_of_set(const struct byteset *s)
{
    double often = 0;
    for (unsigned c = 0; c < 128; c++)
        if (byteset_has(s, (unsigned char)c))
            often += mail_bytes[c];
    return often;
}

double frequency_of_three(uint32_t folded)
{
    size_t low = 0, high = sizeof mail_trigrams / sizeof *mail_trigrams;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const unsigned char *t = (const unsigned char *)mail_trigrams[middle].text;
        uint32_t here = (t[0] | (uint32_t)t[1] << 8 | (uint32_t)t[2] << 16) & 0xdfdfdf;
        if (here == folded)
            return mail_trigrams[middle].often / 1000.0;
        if (here < folded)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}
