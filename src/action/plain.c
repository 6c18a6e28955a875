#include "action/action_private.h"

void add_plain(struct buf *b, struct span s, size_t max)
{
    for (size_t i = 0; i < s.n && i < max; i++)
        buf_char(b, s.p[i] >= ' ' && s.p[i] <= '~' ? s.p[i] : '?');
}
