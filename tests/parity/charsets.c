/* What mime_normalise makes of each line "label, insist, bytes" (label and bytes in hexadecimal,
 * tab separated): "chars bytes", as charsets.pl writes it for SpamAssassin. Built by
 * tests/parity/charsets. */
#include "base/arena.h"
#include "mime/mime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct span unhex(struct arena *a, const char *s, size_t n)
{
    char *out = arena_raw(a, n / 2 + 1);
    for (size_t i = 0; i + 1 < n; i += 2) {
        char pair[] = {s[i], s[i + 1], 0};
        out[i / 2] = (char)strtoul(pair, NULL, 16);
    }
    return span_of(out, n / 2);
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    struct arena *a = arena_new(0);
    while (getline(&line, &cap, stdin) > 0) {
        size_t label = strcspn(line, "\t"), bytes = label + 3, end = strcspn(line, "\n");
        bool insist = line[label + 1] == '1', chars;
        struct span got = mime_normalise(a, unhex(a, line + bytes, end - bytes),
                                         unhex(a, line, label), insist, &chars);
        printf("%d ", chars && !insist);
        for (size_t i = 0; i < got.n; i++)
            printf("%02x", (unsigned char)got.p[i]);
        putchar('\n');
        arena_reset(a);
    }
    free(line);
    arena_free(a);
}
