#include "base/id.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

char *id_new(char out[ID_SIZE])
{
    static uint32_t sequence;
    uint32_t random;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        abort();
    uint64_t time = (uint64_t)clock_wall() & ((1ull << 50) - 1);
    uint64_t low = (uint64_t)(sequence++ & 0xfff) << 18 | (random & 0x3ffff);
    for (int i = 9; i >= 0; i--, time >>= 5)
        out[i] = alphabet[time & 31];
    for (int i = 15; i >= 10; i--, low >>= 5)
        out[i] = alphabet[low & 31];
    out[ID_LEN] = '\0';
    return out;
}

bool id_valid(struct span s)
{
    if (s.n != ID_LEN)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!s.p[i] || !strchr(alphabet, s.p[i]))
            return false;
    return true;
}
