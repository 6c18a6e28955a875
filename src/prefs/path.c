/* From a user's name to the path of its file. */
#include "prefs/prefs_private.h"

static bool file_byte(char c)
{
    return ascii_isalnum(c) || (c && strchr("-+_.,@=", c));
}

/* As spamd makes names safe; beyond it, no component may begin with a dot. */
static struct span safe_name(struct arena *a, struct span s)
{
    s = span_sub(s, 0, PREFS_USER_MAX);
    char *p = arena_raw(a, s.n + 1);
    for (size_t i = 0; i < s.n; i++)
        p[i] = file_byte(s.p[i]) && !(i == 0 && s.p[i] == '.') ? s.p[i] : '_';
    p[s.n] = '\0';
    return span_of(p, s.n);
}

struct name_parts {
    struct span whole, local, domain;
};

/* A user without a domain has neither local part nor domain, as in spamd. */
static struct name_parts parts_of(struct arena *a, struct span user)
{
    size_t at = span_rfind(user, '@');
    struct name_parts n = {safe_name(a, user), SPAN(""), SPAN("")};
    if (at != SIZE_MAX) {
        n.local = safe_name(a, span_sub(user, 0, at));
        n.domain = safe_name(a, span_from(user, at + 1));
    }
    return n;
}

/* false: something that the pattern asks for is missing. */
static bool fill(struct buf *b, const char *pattern, const struct name_parts *n, struct span x)
{
    for (const char *p = pattern; *p; p++) {
        struct span with = p[0] != '%'   ? SPAN_NONE
                           : p[1] == 'u' ? n->whole
                           : p[1] == 'l' ? n->local
                           : p[1] == 'd' ? n->domain
                           : p[1] == 'x' ? x
                                         : SPAN_NONE;
        if (with.p) {
            if (!with.n)
                return false;
            buf_add(b, with);
            p++;
        } else {
            buf_char(b, *p);
            p += p[0] == '%' && p[1] == '%';
        }
    }
    return true;
}

struct span prefs_path(struct arena *a, const char *pattern, struct span user,
                       bool (*there)(const char *path))
{
    struct name_parts n = parts_of(a, user);
    struct span tries[] = {n.whole, n.domain}, out = SPAN_NONE;
    bool either = strstr(pattern, "%x") != NULL;
    for (size_t i = 0; i < 2 && !out.p; i++) {
        struct buf b = {0};
        if (fill(&b, pattern, &n, tries[i])) {
            buf_char(&b, '\0');
            if (!either || i == 1 || there(b.p))
                out = arena_dup(a, span_of(b.p, b.n - 1));
        }
        buf_free(&b);
        if (!either)
            break;
    }
    return out;
}
