/* Addresses of strangers: as recipients that may be reverse-paths of ours, and as senders that go
 * there and back. What was made here is an address, and comes back as what it was. */
#include "auth/srs.h"
#include "smtp/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void sound(struct span address)
{
    struct smtp_path path;
    if (address.n > SRS_ADDRESS_MAX || mailbox_parse(address, true, &path) != PATH_OK ||
        path.at == path.n || !span_eq(path_addr(&path), address))
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const secrets[] = {"new", "old"};
    static const usec now = 1790000000 * USEC_PER_SEC;
    const struct srs s = {secrets, 2, "fwd.example", 21 * 86400 * USEC_PER_SEC};
    struct span text = span_of((const char *)data, size), made, back;
    struct smtp_path path;
    if (mailbox_parse(text, true, &path) != PATH_OK || path.at == path.n)
        return 0;
    struct arena *a = arena_new((size_t)64 << 20);
    struct span address = path_addr(&path);
    if (srs_reverse(&s, a, address, now, &back) == SRS_OK)
        sound(back);
    if (batv_verify(&s, a, address, now, &back) != SRS_NONE)
        sound(back);
    if (srs_forward(&s, a, address, now, &made) && !span_eq(made, address)) {
        sound(made);
        bool again = span_istarts(address, SPAN("SRS")) || span_istarts(address, SPAN("\"SRS"));
        if (!again && srs_reverse(&s, a, made, now, &back) != SRS_OK)
            __builtin_trap();
        if (!again && !span_eq(back, address))
            __builtin_trap();
    }
    if (batv_sign(&s, a, address, now, &made) && !span_eq(made, address)) {
        sound(made);
        if (batv_verify(&s, a, made, now, &back) != SRS_OK || !span_eq(back, address))
            __builtin_trap();
    }
    arena_free(a);
    return 0;
}
