/* Each literal is found wherever it stands: in small sets and large, alone in its text, at every
 * distance from the ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "pattern/prefilter.h"

enum { TEXT_MAX = 400, SETS = 24 };

static uint32_t seed = 20261122;

static unsigned next(unsigned n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static struct span word(struct arena *a, size_t length)
{
    char *p = arena_raw(a, length + 1);
    for (size_t i = 0; i < length; i++)
        p[i] = (char)('a' + next(20));
    p[length] = '\0';
    return span_of(p, length);
}

static bool is_candidate(const struct prefilter *f, struct prefilter_scratch *s, struct span text,
                         uint32_t id)
{
    size_t n;
    const struct candidate *v = prefilter_scan(f, s, &text, 1, &n);
    for (size_t i = 0; i < n; i++)
        if (v[i].id == id)
            return true;
    return false;
}

/* Each word in texts of every length, at a place that moves on. */
static void look_everywhere(const struct prefilter *f, const struct span *words, size_t n)
{
    static char room[TEXT_MAX + 64];
    struct prefilter_scratch *s = prefilter_scratch_new();
    prefilter_scratch_fit(s, f);
    for (size_t length = 8; length < TEXT_MAX; length++)
        for (size_t at = length % 3; at + 8 <= length; at += 3) {
            uint32_t id = next((unsigned)n);
            char *text = room + (at & 63);
            memset(text, "xyz"[at % 3], length);
            memcpy(text + at, words[id].p, words[id].n);
            if (!is_candidate(f, s, span_of(text, length), id))
                fail_msg("%.*s, one of %zu, lost at %zu of %zu", SPAN_ARG(words[id]), n, at,
                         length);
        }
    prefilter_scratch_free(s);
}

static void found_wherever_they_stand(void **state)
{
    (void)state;
    for (size_t set = 0; set < SETS; set++) {
        struct arena *a = arena_new(0);
        size_t n = 1 + set % 12, least = 3 + next(6);
        struct prefilter_pattern p[12];
        struct span words[12];
        for (size_t i = 0; i < n; i++) {
            words[i] = word(a, least + next((unsigned)(9 - least)));
            p[i] = (struct prefilter_pattern){
                (uint32_t)i, arena_printf(a, "%s%.*s", set & 1 ? "(?i)" : "", SPAN_ARG(words[i]))};
        }
        look_everywhere(prefilter_build(a, p, n), words, n);
        arena_free(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_wherever_they_stand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
