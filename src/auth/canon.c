#include "auth/canon.h"

void auth_digests_open(struct auth_digests *d)
{
    d->md[AUTH_SHA256] = EVP_MD_fetch(NULL, "SHA256", NULL);
    d->md[AUTH_SHA1] = EVP_MD_fetch(NULL, "SHA1", NULL);
}

void auth_digests_close(struct auth_digests *d)
{
    for (size_t i = 0; i < AUTH_HASHES; i++)
        EVP_MD_free(d->md[i]);
}

size_t auth_hash_size(enum auth_hash h)
{
    return h == AUTH_SHA1 ? 20 : 32;
}

/* --- fields --- */

static void add_lower(struct buf *out, struct span s)
{
    char *to = buf_room(out, s.n);
    for (size_t i = 0; i < s.n; i++)
        to[i] = ascii_lower(s.p[i]);
    out->n += s.n;
}

/* Section 3.4.2: unfolded, white space as one space, none at the ends. */
static void add_relaxed(struct buf *out, struct span value)
{
    char *to = buf_room(out, value.n);
    size_t n = 0;
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c == '\n' || (c == '\r' && i + 1 < value.n && value.p[i + 1] == '\n'))
            continue;
        if (!is_wsp(c))
            to[n++] = c;
        else if (n && to[n - 1] != ' ')
            to[n++] = ' ';
    }
    while (n && to[n - 1] == ' ')
        n--;
    out->n += n;
}

static void add_simple(struct buf *out, struct span whole)
{
    struct span line;
    bool first = true;
    while (span_line(&whole, &line)) {
        if (!first)
            buf_add(out, SPAN("\r\n"));
        buf_add(out, line);
        first = false;
    }
}

/* RFC 4870: all white space of the field goes, the colon stays. */
static void add_nofws(struct buf *out, struct span s)
{
    char *to = buf_room(out, s.n);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        if (!is_wsp(s.p[i]) && s.p[i] != '\r' && s.p[i] != '\n')
            to[n++] = s.p[i];
    out->n += n;
}

void canon_field(struct buf *out, enum canon form, struct span whole)
{
    size_t colon = span_find(whole, ':');
    struct span name = span_sub(whole, 0, colon);
    switch (form) {
    case CANON_SIMPLE:
    case CANON_DK_SIMPLE:
        add_simple(out, whole);
        break;
    case CANON_RELAXED:
        while (name.n && is_wsp(name.p[name.n - 1]))
            name.n--;
        add_lower(out, name);
        buf_char(out, ':');
        add_relaxed(out, span_from(whole, colon == SIZE_MAX ? whole.n : colon + 1));
        break;
    case CANON_DK_NOFWS:
        add_nofws(out, whole);
        break;
    }
}
