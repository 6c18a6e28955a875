/* The six bits of a base64 digit, -1 for what is none (RFC 4648 section 4). The services' programs
 * each have their own idea of what is around them. Room-private. */
#ifndef GATEHOUSE_DIGESTS_BASE64_H
#define GATEHOUSE_DIGESTS_BASE64_H

static inline int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

#endif
