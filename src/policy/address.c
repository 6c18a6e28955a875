#include "policy/address.h"

/* Going back to the last star alone is enough, so time is at most glob * text. */
bool glob_matches(struct span glob, struct span text)
{
    size_t g = 0, t = 0, star = SIZE_MAX, resume = 0;
    while (t < text.n) {
        if (g < glob.n && glob.p[g] == '*') {
            star = g++;
            resume = t;
        } else if (g < glob.n &&
                   (glob.p[g] == '?' || ascii_lower(glob.p[g]) == ascii_lower(text.p[t]))) {
            g++;
            t++;
        } else if (star != SIZE_MAX) {
            g = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (g < glob.n && glob.p[g] == '*')
        g++;
    return g == glob.n;
}

bool address_matches(const char *pattern, struct span addr)
{
    struct span p = span_str(pattern);
    if (span_find(p, '*') != SIZE_MAX || span_find(p, '?') != SIZE_MAX)
        return glob_matches(p, addr);
    if (p.n == 0 || span_eq(p, SPAN("<>")))
        return addr.n == 0;
    size_t at = span_rfind(addr, '@');
    struct span domain = at == SIZE_MAX ? SPAN_NONE : span_from(addr, at + 1);
    if (p.p[0] == '@')
        return span_ieq(span_from(p, 1), domain);
    if (p.p[0] == '.')
        return span_ieq(span_from(p, 1), domain) || span_iends(domain, p);
    if (p.p[p.n - 1] == '@')
        return at != SIZE_MAX && span_ieq(span_sub(p, 0, p.n - 1), span_sub(addr, 0, at));
    return span_ieq(p, addr) || (span_find(p, '@') == SIZE_MAX && span_ieq(p, domain));
}
