/* Programs of the refuter, between the file that makes and the one that runs them. */
#ifndef GATEHOUSE_PATTERN_REFUTE_PRIVATE_H
#define GATEHOUSE_PATTERN_REFUTE_PRIVATE_H

#include "pattern/byteclass.h"
#include "pattern/firstbytes.h"
#include "pattern/refute.h"

/* One byte each, operands behind it; numbers of two bytes are little-endian. `to` is counted from
 * the operation's own beginning, forward (OP_AGAIN: backward). */
enum op {
    OP_MATCH,
    OP_BYTE,       /* mask, value: the byte with the mask's bits set is the value */
    OP_TEXT,       /* n, then n times mask, value */
    OP_SET,        /* set16 */
    OP_LOOP,       /* set16 min16 max16 next16: bytes of the set; then one of `next`, or the end */
    OP_RUN,        /* set16 min16 max16: as many as there are, and no fewer */
    OP_LINES,      /* byte max16 next16: any number of lines of 1 to max bytes, each with as many
                      ends `byte` as there are; then one of `next` */
    OP_SPLIT,      /* to16: go on; when that fails, there */
    OP_TRY,        /* to16 set16: the same if the byte is of the set, else there */
    OP_IF,         /* to16 set16: go on if the byte is of the set, else there */
    OP_TRY_BYTE,   /* to16 mask value */
    OP_IF_BYTE,    /* to16 mask value */
    OP_JUMP,       /* to16 */
    OP_AGAIN,      /* to16 */
    OP_NEXT,       /* set16: there is a byte of it, which is not consumed */
    OP_NOT_NEXT,   /* set16 */
    OP_BEHIND,     /* set16 */
    OP_NOT_BEHIND, /* set16 */
    OP_LOOK,       /* to16: the program behind this, up to OP_MATCH, matches; go on there */
    OP_NOT_LOOK,   /* to16 */
    OP_BACK,       /* n16: so many bytes back */
    OP_OPEN,       /* n8: the text of the capture begins here */
    OP_CLOSE,      /* n8: and ends here */
    OP_SAME,       /* n8: that text again */
    OP_SAME_TEXT,  /* n8: whatever the case */
    OP_START,
    OP_LINE_START,
    OP_LAST_LINE,
    OP_LINE_END,
    OP_END,
    OP_EDGE,
    OP_NO_EDGE,
    OP_COUNT
};

enum { NO_BOUND = 0xffff };
/* Conditions in conditions; captures of a program. */
enum { REFUTE_LOOKS = 3, REFUTE_CAPTURES = 9 };

/* Where a match may begin. */
enum begin {
    BEGIN_ANYWHERE,
    BEGIN_START, /* of the string */
    BEGIN_LINE   /* start of a line */
};

/* In front of the program; struct firstbytes stands between, with offsets below `shortest`. */
struct head {
    uint8_t begin;     /* enum begin */
    uint8_t exact;     /* it matches what the pattern does and nothing else */
    uint16_t size;     /* of the program */
    uint16_t shortest; /* match of it */
    uint16_t later;    /* that may begin so much later than one of the pattern; NO_BOUND: or more */
    uint16_t captures; /* their numbers are lower */
};

struct refuter {
    uint32_t *at; /* by number: where its head is in code, 0: it has no program */
    size_t n;
    uint8_t *code;
    size_t size;
    struct byteclass *sets;
    size_t nsets;
};

static inline uint16_t refute_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

/* Bytes of an operation; 0: it is none, or `left` does not hold enough to tell. */
size_t refute_size(const uint8_t *op, size_t left);

/* What may stand where a match begins, at offsets below `shortest`. */
struct firstbytes refute_first_bytes(const uint8_t *program, const struct byteset *sets,
                                     size_t shortest);

#endif
