/* One decoder at a time; the first byte says which. For charsets a name stands before the first
 * NUL. */
#include "mime/mime.h"

static void check(bool holds)
{
    if (!holds)
        __builtin_trap();
}

static void charset(struct arena *a, struct span in, bool insist)
{
    size_t nul = span_find(in, '\0');
    struct span name = span_sub(in, 0, nul),
                bytes = span_from(in, nul == SIZE_MAX ? in.n : nul + 1);
    bool chars, again;
    struct span text = mime_normalise(a, bytes, name, insist, &chars);
    if (!chars)
        check(text.n <= bytes.n); /* UTF-7 and HZ write some signs with two */
    else if (!insist) {           /* what is UTF-8 once stays as it is */
        bool same = span_eq(mime_normalise(a, text, SPAN("utf-8"), false, &again), text);
        check(same || text.n == 0 || memmem(text.p, text.n, "\xef\xbf", 2) ||
              memmem(text.p, text.n, "\xef\xb7", 2));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct arena *a = arena_new(0);
    struct span in = span_of((const char *)data + 1, size - 1);
    bool junk;
    size_t n;
    switch (data[0] % 7) {
    case 0:
        check(mime_base64_decode(a, in, &junk).n <= in.n);
        break;
    case 1:
        check(mime_qp_decode(a, in).n <= in.n);
        break;
    case 2:
        mime_uudecode_all(a, in, &n);
        break;
    case 3:
        mime_decode_words(a, in);
        break;
    case 4:
        mime_ctype_parse(a, in);
        break;
    case 5:
        charset(a, in, false);
        break;
    default:
        charset(a, in, true);
        break;
    }
    arena_free(a);
    return 0;
}
