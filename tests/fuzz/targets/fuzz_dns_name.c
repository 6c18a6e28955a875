/* Names in wire form, as they come from a hostile name server. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "dns/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char out[DNS_NAME_MAX];
    size_t used = 0;
    if (dns_name_decode(data, size, out, &used) && (used > size || strlen(out) >= sizeof out))
        abort();
    return 0;
}
