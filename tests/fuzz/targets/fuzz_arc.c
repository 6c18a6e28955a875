/* ARC sets: chains of any shape over one good key. A chain that passes has all its sealers. */
#include "../../unit/auth/mailcheck.h"

#define KEY                                                                                        \
    "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR" \
    "6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5Qj" \
    "vHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mailcheck c;
    if (!c.dkim) {
        mailcheck_open(&c);
        zone_txt(&c.zone, "dummy._domainkey.example.org", KEY);
    }
    const struct auth_facts *f = mailcheck(&c, span_of((const char *)data, size), 1500000000);
    if (c.done != 1 || f->arc.nsealers > 50)
        __builtin_trap();
    if (f->arc.result == ARC_PASS && f->arc.nsealers != f->arc.instances)
        __builtin_trap();
    return 0;
}
