#include "action/action_private.h"

static void add(struct buf *b, struct span s, size_t max, bool lines)
{
    for (size_t i = 0; i < s.n && i < max; i++) {
        bool fine = (s.p[i] >= ' ' && s.p[i] <= '~') || (lines && s.p[i] == '\n');
        buf_char(b, fine ? s.p[i] : '?');
    }
}

void add_plain(struct buf *b, struct span s, size_t max)
{
    add(b, s, max, false);
}

void add_plain_lines(struct buf *b, struct span s, size_t max)
{
    add(b, s, max, true);
}
