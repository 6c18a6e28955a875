#include "milter/macros.h"

/* Postfix sends those of EOH before each header field too, and those of the end before each piece
 * of the body. */
static int stage_of(char cmd)
{
    switch (cmd) {
    case MILTER_CONNECT:
        return 0;
    case MILTER_HELO:
        return 1;
    case MILTER_MAIL:
        return 2;
    case MILTER_RCPT:
        return 3;
    case MILTER_DATA:
        return 4;
    case MILTER_HEADER:
    case MILTER_EOH:
        return 5;
    case MILTER_BODY:
    case MILTER_END:
        return 6;
    case MILTER_UNKNOWN:
        return 7;
    default:
        return -1;
    }
}

enum { FIRST_OF_MESSAGE = 2 };

bool milter_macros_set(struct milter_macros *m, struct span data)
{
    int at = data.n ? stage_of(data.p[0]) : -1;
    if (at < 0 || data.n > MILTER_MACROS_MAX)
        return false;
    struct buf *b = &m->stage[at];
    data = span_from(data, 1);
    if (span_eq(buf_span(b), data))
        return true;
    buf_free(b); /* not cleared: the memory of thousands of idle sessions counts */
    if (data.n)
        buf_add(b, data);
    return true;
}

static struct span bare(struct span name)
{
    if (name.n >= 2 && name.p[0] == '{' && name.p[name.n - 1] == '}')
        return span_sub(name, 1, name.n - 1);
    return name;
}

struct span milter_macros_get(const struct milter_macros *m, const char *name)
{
    for (int i = MILTER_STAGES - 1; i >= 0; i--) {
        struct span rest = buf_span(&m->stage[i]), key, value;
        while (milter_string(&rest, &key) && milter_string(&rest, &value))
            if (span_eq(bare(key), span_str(name)))
                return value;
    }
    return SPAN_NONE;
}

void milter_macros_end_message(struct milter_macros *m)
{
    for (int i = FIRST_OF_MESSAGE; i < MILTER_STAGES; i++)
        buf_free(&m->stage[i]);
}

void milter_macros_free(struct milter_macros *m)
{
    for (int i = 0; i < MILTER_STAGES; i++)
        buf_free(&m->stage[i]);
}
