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
        CHARSET_1252,
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

/* Tables by Encode's names; the list ends with a NULL name. */
struct charset_table_row {
    const char *name;
    struct charset_table table;
};
extern const struct charset_table_row charset_tables[];

#endif
