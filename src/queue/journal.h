/* The journal's bytes. Integers are little-endian, records start at multiples of 8.
 *
 *   segment = header(64) record*
 *   record  = magic u32, type u32, salt u64, meta_size u32, meta_crc u32, data_size u64, data_crc
 * u32, head_crc u32 (of the 36 bytes before), meta, data, zeros up to a multiple of 8
 *
 * The salt is drawn for each segment: nobody can send a message that looks like a record of ours
 * when a reader looks for the next whole record behind a damaged place. */
#ifndef GATEHOUSE_QUEUE_JOURNAL_H
#define GATEHOUSE_QUEUE_JOURNAL_H

#include "queue/queue.h"

enum { SEGMENT_HEADER = 64, RECORD_HEADER = 40 };
/* Sanity limits of what a header may claim. */
enum { RECORD_META_MAX = 64 << 20 };
#define RECORD_DATA_MAX ((uint64_t)1 << 40)

enum record_type {
    RECORD_MESSAGE = 1, /* meta: queue_meta and recipients' states; data: the message */
    RECORD_STATE,       /* meta: a list of changes */
    RECORD_SEAL         /* the segment ends here, in order */
};

struct record {
    enum record_type type;
    uint32_t meta_size, meta_crc, data_crc;
    uint64_t data_size;
};

uint32_t crc32c(uint32_t crc, const void *p, size_t n);

void segment_header_write(char out[SEGMENT_HEADER], uint64_t number, uint64_t salt, usec created);
bool segment_header_read(struct span in, uint64_t number, uint64_t *salt);

void record_header_write(char out[RECORD_HEADER], const struct record *r, uint64_t salt);
bool record_header_read(struct span in, uint64_t salt, struct record *r);
/* Header, meta, data and padding. */
uint64_t record_size(const struct record *r);

/* Meta of a message record. m (for its recipients' states) may be NULL: all wait, untried. */
void record_meta_encode(struct buf *b, const struct queue_meta *meta, const struct queue_msg *m);
/* Decodes into the arena; states may be NULL. *states gets env.nrcpts entries. */
bool record_meta_decode(struct span in, struct arena *a, struct queue_meta *meta,
                        struct queue_rcpt **states);

/* One change in a state record. rcpts: NULL with n == 0 means the whole message is finished. */
struct record_change {
    struct span id;
    uint32_t *rcpts;
    size_t n;
    struct queue_change c;
};
void record_change_encode(struct buf *b, struct span id, const uint32_t *rcpts, size_t n,
                          const struct queue_change *c);
/* The next change; false at the end (or, with in->failed, at junk). */
bool record_change_decode(struct cursor *in, struct arena *a, struct record_change *out);

#endif
