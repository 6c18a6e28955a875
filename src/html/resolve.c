/* Relative references made absolute: RFC 3986 section 5.2, non-strict, with SpamAssassin's help for
 * references that begin with "//www" or "//ftp" (semantics 5.2). */
#include "html/html_private.h"

struct parts {
    struct span scheme, authority, path, query, fragment; /* p == NULL: not defined */
};

/* The first byte of s that is one of stop (at most four), or the end. */
static size_t until(struct span s, const char *stop)
{
    char a = stop[0], b = stop[1] ? stop[1] : a;
    char c = b != a && stop[2] ? stop[2] : a, d = c != a && stop[3] ? stop[3] : a;
    size_t i = 0;
    while (i < s.n && s.p[i] != a && s.p[i] != b && s.p[i] != c && s.p[i] != d)
        i++;
    return i;
}

static struct parts split(struct span s)
{
    struct parts u = {0};
    size_t n = until(s, ":/?#");
    if (n && n < s.n && s.p[n] == ':') {
        u.scheme = span_sub(s, 0, n);
        s = span_from(s, n + 1);
    }
    if (s.n >= 2 && s.p[0] == '/' && s.p[1] == '/') {
        s = span_from(s, 2);
        n = until(s, "/?#");
        u.authority = span_sub(s, 0, n);
        s = span_from(s, n);
    }
    n = until(s, "?#");
    u.path = span_of(s.n ? s.p : "", n);
    s = span_from(s, n);
    if (s.n && s.p[0] == '?') {
        s = span_from(s, 1);
        n = until(s, "#");
        u.query = span_sub(s, 0, n);
        s = span_from(s, n);
    }
    if (s.n && s.p[0] == '#') {
        s = span_from(s, 1);
        u.fragment = span_sub(s, 0, until(s, "\n"));
    }
    return u;
}

/* Length of "/." or "/.." at the front, when a '/' or the end follows; 0 otherwise. */
static size_t dot_segment(struct span s, const char *segment)
{
    size_t n = strlen(segment);
    if (s.n < n || memcmp(s.p, segment, n) != 0)
        return 0;
    return s.n == n || s.p[n] == '/' || (s.p[n] == '\n' && s.n == n + 1) ? n : 0;
}

static struct span remove_dots(struct arena *a, struct span in)
{
    if (in.n && !memmem(in.p, in.n, "/.", 2) && in.p[0] != '.')
        return in.n == 1 && in.p[0] == '0' ? span_of("", 0) : in; /* Perl: "0" is false */
    char *out = arena_raw(a, in.n + 1);
    size_t n = 0;
    if (span_starts(in, SPAN("./")))
        in = span_from(in, 1);
    else if (span_starts(in, SPAN("../")))
        in = span_from(in, 2);
    while (in.n) {
        size_t dots;
        if ((dots = dot_segment(in, "/.")) != 0) {
            /* What is left begins with the '/', which may be the one that stands for the end. */
            if (in.n == dots || in.p[dots] != '/') {
                out[n++] = '/';
                if (in.n > dots)
                    out[n++] = '\n';
                break;
            }
            in = span_from(in, dots);
        } else if ((dots = dot_segment(in, "/..")) != 0) {
            while (n && out[n - 1] != '/')
                n--;
            if (n)
                n--;
            if (in.n == dots || in.p[dots] != '/') {
                out[n++] = '/';
                if (in.n > dots)
                    out[n++] = '\n';
                break;
            }
            in = span_from(in, dots);
        } else {
            size_t end = 1;
            while (end < in.n && in.p[end] != '/')
                end++;
            memcpy(out + n, in.p, end);
            n += end;
            in = span_from(in, end);
        }
    }
    return span_of(out, n);
}

static bool truthy(struct span s)
{
    return s.n > 1 || (s.n == 1 && s.p[0] != '0');
}

static struct span merge(struct arena *a, const struct parts *base, struct span path)
{
    if (base->authority.p && !truthy(base->path))
        return arena_printf(a, "/%.*s", SPAN_ARG(path));
    size_t slash = span_rfind(base->path, '/');
    if (slash == SIZE_MAX)
        return path;
    char *out = arena_raw(a, slash + 1 + path.n + 1);
    memcpy(out, base->path.p, slash + 1);
    memcpy(out + slash + 1, path.p, path.n);
    return span_of(out, slash + 1 + path.n);
}

static struct parts target_of(struct arena *a, const struct parts *base, struct parts r)
{
    struct parts t = r;
    if (r.scheme.p && base->scheme.p && span_eq(r.scheme, base->scheme))
        r.scheme = SPAN_NONE;
    if (r.scheme.p || r.authority.p) {
        t.path = remove_dots(a, r.path);
    } else {
        if (r.path.n == 0) {
            t.path = base->path;
            t.query = r.query.p ? r.query : base->query;
        } else if (r.path.p[0] == '/') {
            t.path = remove_dots(a, r.path);
        } else {
            t.path = remove_dots(a, merge(a, base, r.path));
        }
        t.authority = base->authority;
    }
    t.scheme = r.scheme.p ? r.scheme : base->scheme;
    return t;
}

/* "www", digits, a dot at the front of an authority. */
static bool begins_host(struct span s, struct span word)
{
    if (!span_istarts(s, word))
        return false;
    size_t i = word.n;
    while (i < s.n && ascii_isdigit(s.p[i]))
        i++;
    return i < s.n && s.p[i] == '.';
}

static char *add(char *t, struct span s)
{
    if (s.n)
        memcpy(t, s.p, s.n);
    return t + s.n;
}

struct span html_resolve(struct arena *a, struct span base_text, struct span ref)
{
    struct parts base = split(base_text), r = split(ref);
    struct parts t = target_of(a, &base, r);
    struct span scheme = SPAN_NONE;
    if (truthy(t.scheme))
        scheme = t.scheme;
    else if (t.authority.p && begins_host(t.authority, SPAN("www")))
        scheme = SPAN("http");
    else if (t.authority.p && begins_host(t.authority, SPAN("ftp")))
        scheme = SPAN("ftp");
    char *out = arena_raw(a, scheme.n + t.authority.n + t.path.n + t.query.n + t.fragment.n + 5);
    char *o = add(out, scheme);
    if (scheme.p)
        *o++ = ':';
    if (t.authority.p)
        o = add(add(o, SPAN("//")), t.authority);
    o = add(o, t.path);
    if (t.query.p)
        o = add(add(o, SPAN("?")), t.query);
    if (t.fragment.p)
        o = add(add(o, SPAN("#")), t.fragment);
    return span_of(out, (size_t)(o - out));
}
