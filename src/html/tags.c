/* The elements that the state machine knows (semantics 4.5), and a perfect hash over their names.
 */
#include "html/html_private.h"

/* clang-format off */
static const struct html_tag tags[T_COUNT] = {
    [T_OTHER] = {"", 0, 0, NULL},
#define X(id, name, flags, space) [id] = {name, sizeof(name) - 1, flags, space},
    HTML_TAGS(X)
#undef X
};

/* slots[(first eight bytes, little endian) * MULTIPLIER >> 55] is the only tag that can match. Found
 * by trying multipliers until no two names met; the unit test looks every name up. */
#define MULTIPLIER 0xe2905e62d61ed503u
static const uint8_t slots[512] = {
    0, 0, 0, 72, 0, 0, 0, 0, 0, 0, 15, 0, 0, 0, 0, 0,
    21, 0, 0, 77, 0, 0, 0, 0, 0, 10, 83, 0, 86, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 20, 93, 0, 0, 0, 0, 0, 0, 0,
    61, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 17, 63, 68, 18,
    0, 0, 0, 0, 36, 0, 0, 4, 65, 0, 0, 0, 0, 0, 59, 0,
    0, 0, 0, 0, 96, 0, 0, 78, 0, 0, 0, 0, 0, 0, 22, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 33, 0, 0, 62, 0,
    0, 27, 0, 0, 0, 0, 0, 0, 0, 0, 38, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 2, 0, 47, 0, 0, 0, 0, 0, 0, 0, 24, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 89,
    0, 0, 66, 0, 0, 76, 0, 0, 0, 44, 0, 0, 0, 0, 0, 45,
    0, 0, 0, 0, 0, 64, 16, 0, 50, 0, 0, 40, 0, 43, 48, 0,
    0, 0, 0, 0, 0, 0, 11, 0, 0, 0, 0, 9, 0, 0, 0, 0,
    28, 0, 0, 0, 0, 0, 0, 0, 79, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 5, 49, 0, 95, 0, 0, 0, 0, 58, 0, 0, 0,
    0, 0, 69, 0, 0, 0, 0, 0, 0, 0, 80, 0, 0, 42, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 13, 94, 0, 0, 0, 0, 0, 54, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 25, 0, 0, 0, 0, 0, 0, 19,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 51, 0, 0, 0, 31,
    0, 0, 0, 0, 0, 0, 0, 90, 0, 60, 0, 0, 71, 0, 0, 0,
    0, 0, 0, 56, 0, 85, 0, 84, 0, 37, 0, 0, 0, 0, 0, 87,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 53, 0, 0, 26, 0,
    70, 0, 57, 0, 0, 0, 0, 98, 0, 0, 0, 0, 0, 73, 0, 0,
    0, 0, 0, 0, 0, 0, 67, 55, 0, 0, 39, 0, 0, 0, 0, 0,
    0, 0, 91, 0, 0, 6, 75, 8, 0, 0, 52, 0, 3, 0, 0, 0,
    0, 1, 0, 0, 0, 0, 30, 0, 0, 0, 0, 0, 0, 97, 0, 0,
    0, 0, 0, 0, 35, 0, 0, 82, 0, 0, 23, 0, 0, 0, 0, 0,
    74, 0, 0, 0, 14, 0, 29, 12, 0, 0, 46, 0, 41, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 92, 0, 0, 0, 0, 0, 0, 0, 99, 0,
    0, 0, 0, 0, 0, 81, 0, 34, 0, 88, 0, 0, 0, 0, 0, 0,
};
/* clang-format on */

const struct html_tag *html_tag(enum html_tag_id id)
{
    return &tags[id];
}

enum html_tag_id html_tag_find(struct span name)
{
    if (name.n == 0 || name.n > HTML_TAG_NAME_MAX)
        return T_OTHER;
    uint64_t key = 0;
    for (size_t i = 0; i < name.n && i < 8; i++)
        key |= (uint64_t)(unsigned char)name.p[i] << (8 * i);
    enum html_tag_id id = slots[key * MULTIPLIER >> 55];
    return tags[id].n == name.n && memcmp(tags[id].name, name.p, name.n) == 0 ? id : T_OTHER;
}
