/* IP addresses inside text, exactly as SpamAssassin's patterns see them (semantics 6.6): IPv4
 * without leading zeros, every form of IPv6 with an optional "IPv6:" in front. Positions are byte
 * offsets. */
#ifndef GATEHOUSE_RELAYS_IP_PATTERN_H
#define GATEHOUSE_RELAYS_IP_PATTERN_H

#include "base/span.h"

/* Length of the address that starts at `at` (its "IPv6:" prefix included), 0 when there is none. */
size_t ip_pattern_at(struct span s, size_t at);
/* The same for IPv4 alone. */
size_t ip_pattern_v4_at(struct span s, size_t at);
/* The first address at or after `from`; false when there is none. */
bool ip_pattern_find(struct span s, size_t from, struct span *out);
/* The whole of s is an address. */
bool ip_pattern_is(struct span s);
bool ip_pattern_is_v4(struct span s);
/* 10/8, 127/8, 169.254/16, 172.16/12, 192.168/16, 100.64/10, these mapped, ::1 and fe80::/10. */
bool ip_pattern_private(struct span s);
/* Length of "localhost", "localhost.localdomain" or a loopback address at `at`; a second, shorter
 * reading ("localhost" of "localhost.localdomain") in *shorter, else 0 there. */
size_t ip_pattern_localhost_at(struct span s, size_t at, size_t *shorter);

/* \w of Perl over bytes. */
static inline bool is_word_byte(char c)
{
    return ascii_isalnum(c) || c == '_';
}
/* \b at offset `at`. */
static inline bool word_boundary(struct span s, size_t at)
{
    bool before = at > 0 && at <= s.n && is_word_byte(s.p[at - 1]);
    bool after = at < s.n && is_word_byte(s.p[at]);
    return before != after;
}

#endif
