/* How a charset is decoded, and which one a label means. */
#ifndef GATEHOUSE_MIME_CHARSET_PRIVATE_H
#define GATEHOUSE_MIME_CHARSET_PRIVATE_H

#include "base/arena.h"

/* A single-byte charset: bytes below `from` are themselves, the others are looked up; U+FFFD where
 * there is no character. */
struct charset_table {
    unsigned char from;
    const uint16_t *chars;
};

/* In what Encode differs from ICU. */
enum charset_quirk {
    QUIRK_ASCII = 1,       /* a byte below 0x80 that begins a character is ASCII */
    QUIRK_NO_CONTROLS = 2, /* U+0080 to U+009F are no characters of it */
    QUIRK_NO_PRIVATE = 4,  /* nor is the private use area */
    QUIRK_STOPS = 8        /* the first error ends the text, which is no failure */
};

/* A charset that ICU decodes. */
struct charset_icu {
    const char *converter;
    unsigned quirks;
    const char *bad_leads; /* bytes that begin no character, or NULL */
    struct {
        unsigned char byte;
        uint16_t c;
    } odd[6]; /* single bytes that Encode maps and ICU does not */
};

struct charset {
    enum {
        CHARSET_UNKNOWN,
        CHARSET_ASCII,
        CHARSET_UTF8,
        CHARSET_UTF7,
        CHARSET_TABLE,
        CHARSET_ICU
    } kind;
    const struct charset_table *table;
    const struct charset_icu *icu;
};

/* The charset that a label means to Perl's Encode (semantics 3.5). */
struct charset charset_declared(struct arena *a, struct span label);
/* The charset with this name of Encode's. */
struct charset charset_named(struct span name);

/* The bytes as UTF-8; SPAN_NONE when strict and some mean nothing. */
struct span charset_decode(struct arena *a, struct span s, struct charset cs, bool strict);
struct span charset_by_icu(struct arena *a, struct span s, const struct charset_icu *cs,
                           bool strict);
bool is_utf8(struct span s);
/* Writes one code point, at most four bytes. Returns how many. */
size_t put_utf8(char *out, uint32_t c);

/* Tables by Encode's names; the list ends with a NULL name. */
struct charset_table_row {
    const char *name;
    struct charset_table table;
};
extern const struct charset_table_row charset_tables[];

#endif
