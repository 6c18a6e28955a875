/* A DNS answer: whatever the packet holds, the records that come out lie in it and are bounded. The
 * first byte is the type that was asked for. */
#include "dns/dns_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dns_result r = {0};
    struct span v[DNS_ANSWERS_MAX];
    if (size == 0)
        return 0;
    dns_packet_read(span_of((const char *)data + 1, size - 1), data[0], &r);
    size_t n = dns_result_records(&r, v), sane = 0;
    for (size_t i = 0; i < n; i++)
        sane += dns_rdata_sane(v[i], (enum dns_type)data[0]);
    if (n > DNS_ANSWERS_MAX || sane > n)
        __builtin_trap();
    buf_free(&r.bytes);
    return 0;
}
