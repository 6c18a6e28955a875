/* Milter packets: uint32 length (big-endian, of command and data), one command byte, data.
 *
 * The protocol has no standard; what is written here was agreed upon by Sendmail's libmilter and
 * Postfix (version 6, and 2 to 5 as subsets of it). */
#ifndef GATEHOUSE_MILTER_PACKET_H
#define GATEHOUSE_MILTER_PACKET_H

#include "base/buf.h"

enum {
    MILTER_PACKET_MAX = 1 << 20, /* bytes of one packet; MTAs send at most 65536 unless asked */
    MILTER_CHUNK = 65535         /* data of one packet that we send */
};

/* What the MTA says. */
enum milter_command {
    MILTER_ABORT = 'A',
    MILTER_BODY = 'B',
    MILTER_CONNECT = 'C',
    MILTER_MACRO = 'D',
    MILTER_END = 'E',
    MILTER_HELO = 'H',
    MILTER_QUIT_NC = 'K', /* quit, a new connection follows on the same socket */
    MILTER_HEADER = 'L',
    MILTER_MAIL = 'M',
    MILTER_EOH = 'N',
    MILTER_OPTNEG = 'O',
    MILTER_QUIT = 'Q',
    MILTER_RCPT = 'R',
    MILTER_DATA = 'T',
    MILTER_UNKNOWN = 'U'
};

/* Reads packets from a stream; zeroed: ready. It holds no memory between packets. */
struct milter_reader {
    unsigned char head[5];
    unsigned nhead;
    uint32_t left;   /* data bytes of the packet that are still to come */
    struct buf hold; /* a packet that came in pieces */
    bool given;      /* what is held was handed out */
};

enum milter_read {
    MILTER_MORE,   /* everything was taken; nothing complete yet */
    MILTER_PACKET, /* a packet: cmd and all of its data */
    MILTER_PIECE,  /* some bytes of a body packet; reader->left tells how many follow */
    MILTER_BAD     /* length 0 or above MILTER_PACKET_MAX: nothing sensible can follow */
};

/* Takes the next packet off *in. Body packets come in pieces as they arrive, all others whole; data
 * is valid until the next call and as long as the input. */
enum milter_read milter_read(struct milter_reader *r, struct span *in, unsigned char *cmd,
                             struct span *data);
void milter_reader_free(struct milter_reader *r);

/* Integers of the wire. */
uint32_t milter_u32(const char *p);
void milter_add_u32(struct buf *b, uint32_t v);

/* Cuts a NUL-terminated string off *data; a missing NUL ends it with the data. false: nothing left.
 */
bool milter_string(struct span *data, struct span *out);

/* Appends a packet. data.n is at most MILTER_PACKET_MAX - 1. */
void milter_packet(struct buf *b, char cmd, struct span data);

#endif
