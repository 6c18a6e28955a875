/* user_scores_dsn, the question that is asked, and names as literals: a first line is the DSN, a
 * second the query, the rest the user. */
#include <stdint.h>
#include <stdlib.h>

#include "prefs/prefs_private.h"
#include "store/pg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A literal ends at its last byte and not before. */
static void check_literal(const char *s)
{
    bool escapes = s[0] == 'E';
    size_t n = strlen(s), i = escapes ? 2 : 1;
    if (strcmp(s, "NULL") == 0)
        return;
    while (i < n && s[i] != '\'')
        i += escapes && s[i] == '\\' ? 2 : 1;
    while (i + 1 < n && s[i + 1] == '\'')
        for (i += 2; i < n && s[i] != '\'';)
            i += escapes && s[i] == '\\' ? 2 : 1;
    if (i + 1 != n || (!escapes && strchr(s, '\\')))
        abort();
}

static char *quote(struct span value)
{
    char *s = pg_quote(value);
    check_literal(s);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct span rest = span_of((const char *)data, n), dsn = SPAN_NONE, query = SPAN_NONE;
    struct arena *a = arena_new(0);
    struct err e = {0};
    struct dsn d;
    span_line(&rest, &dsn);
    span_line(&rest, &query);
    if (dsn_parse(a, dsn, &d, &e) == 0 ? !d.rest.n : !e.text[0])
        abort();
    struct buf b = {0};
    sql_fill(&b, query, rest, quote);
    buf_free(&b);
    arena_free(a);
    return 0;
}
