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
    QUIRK_THREE = 8        /* 0x8F begins three bytes; fewer at the end are dropped */
};

/* `n` codes from `first` on, and what they mean: as many characters, or the first of as many that
 * follow each other, or one text when n is 1. An empty text: nothing. Runs are sorted. */
struct charset_run {
    uint32_t first;
    uint32_t n;
    const char *text;
};
struct charset_runs {
    const struct charset_run *v;
    size_t n;
};
extern const struct charset_runs charset_runs_euc_jp, charset_runs_shiftjis, charset_runs_euc_kr,
    charset_runs_gb2312, charset_runs_big5;

/* Tables by Encode's names in small letters; the lists end with a NULL name. Each that knows the
 * code 1 knows 0 if it does not say otherwise. */
struct charset_runs_row {
    const char *name;
    struct charset_runs runs;
};
extern const struct charset_runs_row charset_single[], charset_china[], charset_hongkong[],
    charset_japan[], charset_korea[];

/* The run with this code, or NULL. */
const struct charset_run *charset_run_of(const struct charset_runs *runs, uint32_t code);
/* What a code of the run means; buf may be used for it. */
struct span charset_run_text(const struct charset_run *run, uint32_t code, char buf[4]);

/* A form of Unicode in units of 2 or 4 bytes. */
struct charset_unicode {
    size_t size;
    enum { UNICODE_MARKED, UNICODE_BIG, UNICODE_LITTLE } order;
    bool no_pairs; /* UCS-2: surrogates make no characters */
};

/* A charset that ICU decodes. */
struct charset_icu {
    const char *converter;
    unsigned quirks;
    const char *bad_leads; /* bytes that begin no character, or NULL */
    struct {
        unsigned char byte;
        uint16_t c;
    } odd[6]; /* single bytes that Encode maps otherwise, or ICU not at all */
    const struct charset_runs *runs; /* longer codes of which the same is true, or NULL */
};

struct charset {
    enum {
        CHARSET_UNKNOWN,
        CHARSET_ASCII,
        CHARSET_UTF8,
        CHARSET_UTF7,
        CHARSET_TABLE,
        CHARSET_ICU,
        CHARSET_CODES,
        CHARSET_RAW, /* EUC without its high bits: icu */
        CHARSET_GSM,
        CHARSET_NULL, /* no byte means anything */
        CHARSET_UNICODE,
        CHARSET_2022_JP, /* by way of EUC: icu */
        CHARSET_2022_KR,
        CHARSET_HZ
    } kind;
    const struct charset_table *table;
    const struct charset_icu *icu;
    const struct charset_runs *runs;
    const struct charset_unicode *unicode;
};

/* The charset that a label means to Perl's Encode (semantics 3.5). */
struct charset charset_declared(struct arena *a, struct span label);
/* One that Encode has without looking for it: no rule about labels stands in front. */
struct charset charset_at_hand(struct span name);
/* The charset with this name of Encode's. */
struct charset charset_named(struct span name);

/* What becomes of a byte that means nothing. */
enum charset_on_error {
    ON_ERROR_FAIL,
    ON_ERROR_REPLACE, /* U+FFFD */
    ON_ERROR_SPELL    /* \xHH */
};

/* The bytes as UTF-8; SPAN_NONE when strict and some mean nothing. */
struct span charset_decode(struct arena *a, struct span s, struct charset cs, bool strict);
struct span charset_by_icu(struct arena *a, struct span s, const struct charset_icu *cs,
                           enum charset_on_error on_error);
struct span charset_by_codes(struct arena *a, struct span s, const struct charset_runs *runs,
                             bool strict);
struct span charset_by_raised(struct arena *a, struct span s, const struct charset *euc,
                              bool strict);
/* *chars: whether any is beyond Latin-1; if not, a strict result is Latin-1. */
struct span charset_by_gsm(struct arena *a, struct span s, const struct charset_runs *runs,
                           bool strict, bool *chars);
struct span charset_by_unicode(struct arena *a, struct span s, const struct charset_unicode *form,
                               bool strict);
struct span charset_by_2022(struct arena *a, struct span s, const struct charset *cs);
/* *wide: whether it spoke of any character beyond ASCII. */
struct span charset_by_hz(struct arena *a, struct span s, const struct charset *cs, bool strict,
                          bool *wide);
bool is_utf8(struct span s);
/* Whether UTF-7 speaks of characters beyond bytes: a "+" with base64 behind it. */
bool utf7_has_wide(struct span s);
/* Writes one code point, at most four bytes. Returns how many. */
size_t put_utf8(char *out, uint32_t c);

/* Tables by Encode's names; the list ends with a NULL name. */
struct charset_table_row {
    const char *name;
    struct charset_table table;
};
extern const struct charset_table_row charset_tables[];

#endif
