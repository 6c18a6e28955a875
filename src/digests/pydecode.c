/* Transfer codings as Python's binascii undoes them. */
#include "digests/base64.h"
#include "digests/pymail.h"

/* What is no base64 is passed over; the first complete padding ends it. One character too many: the
 * text as it stands, in one line (email's decode_b gives up). */
static struct span from_base64(struct arena *a, struct span in)
{
    char *out = arena_raw(a, in.n + 1);
    size_t n = 0;
    unsigned quad = 0, pads = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < in.n; i++) {
        if (in.p[i] == '=') {
            if (quad >= 2 && quad + ++pads >= 4)
                return span_of(out, n);
            continue;
        }
        int v = base64_value(in.p[i]);
        if (v < 0)
            continue;
        pads = 0;
        bits = bits << 6 | (uint32_t)v;
        quad = (quad + 1) & 3;
        if (quad != 1)
            out[n++] = (char)(bits >> (quad == 2 ? 4 : quad == 3 ? 2 : 0));
    }
    if (quad != 1)
        return span_of(out, n);
    n = 0;
    for (size_t i = 0; i < in.n; i++)
        if (in.p[i] != '\n' && in.p[i] != '\r')
            out[n++] = in.p[i];
    return span_of(out, n);
}

static struct span from_qp(struct arena *a, struct span in)
{
    char *out = arena_raw(a, in.n + 1);
    size_t n = 0, i = 0;
    while (i < in.n) {
        if (in.p[i] != '=') {
            out[n++] = in.p[i++];
            continue;
        }
        if (++i >= in.n)
            break;
        if (in.p[i] == '\n' || in.p[i] == '\r') {
            while (i < in.n && in.p[i] != '\n')
                i++;
            i += i < in.n;
        } else if (in.p[i] == '=') {
            out[n++] = in.p[i++];
        } else if (i + 1 < in.n && ascii_hex(in.p[i]) >= 0 && ascii_hex(in.p[i + 1]) >= 0) {
            out[n++] = (char)(ascii_hex(in.p[i]) << 4 | ascii_hex(in.p[i + 1]));
            i += 2;
        } else {
            out[n++] = '=';
        }
    }
    return span_of(out, n);
}

/* One line of uuencode; false: it is none. Lines that are short are filled up with zeros, as those
 * of encoders that cut blanks at the end. */
static void uu_line(struct span line, char *out, size_t *n)
{
    size_t want = (size_t)(line.p[0] - ' ') & 63, had = *n;
    uint32_t bits = 0;
    for (size_t i = 1; *n - had < want && i <= 4 * ((want + 2) / 3); i++) {
        char c = i < line.n ? line.p[i] : ' ';
        bits = bits << 6 | ((uint32_t)(c - ' ') & 63);
        if (i % 4 == 0)
            for (int shift = 16; shift >= 0 && *n - had < want; shift -= 8)
                out[(*n)++] = (char)(bits >> shift);
    }
}

static bool uu_begin(struct span line)
{
    if (!span_starts(line, SPAN("begin ")))
        return false;
    struct span mode = span_from(line, 6);
    mode = span_trim(span_sub(mode, 0, span_find(mode, ' ')));
    for (size_t i = 0; i < mode.n; i++)
        if (mode.p[i] < '0' || mode.p[i] > '7')
            return false;
    return mode.n > 0;
}

static struct span from_uu(struct arena *a, struct span in)
{
    char *out = arena_raw(a, in.n + 64);
    size_t n = 0;
    struct span rest = in, line;
    bool begun = false;
    while (!begun && pymail_line(&rest, &line))
        begun = uu_begin(line);
    while (pymail_line(&rest, &line) && span_trim(line).n) {
        if (span_eq(span_trim(line), SPAN("end")))
            break;
        size_t end = line.n;
        while (end && (line.p[end - 1] == '\n' || line.p[end - 1] == '\r'))
            end--;
        line = span_sub(line, 0, end);
        if (line.n && n + 64 < in.n + 64)
            uu_line(line, out, &n);
    }
    return begun ? span_of(out, n) : in;
}

struct span pymail_decoded(struct arena *a, const struct pymail_part *p)
{
    if (span_eq(p->encoding, SPAN("quoted-printable")))
        return from_qp(a, p->payload);
    if (span_eq(p->encoding, SPAN("base64")))
        return from_base64(a, p->payload);
    static const char *const uu[] = {"x-uuencode", "uuencode", "uue", "x-uue"};
    for (size_t i = 0; i < sizeof uu / sizeof *uu; i++)
        if (span_eq(p->encoding, span_str(uu[i])))
            return from_uu(a, p->payload);
    return p->payload;
}
