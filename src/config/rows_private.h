/* How rows of settings are written down. Room-private. */
#ifndef GATEHOUSE_CONFIG_ROWS_PRIVATE_H
#define GATEHOUSE_CONFIG_ROWS_PRIVATE_H

#include "config/table.h"

/* The name of a row is the name of its field; a field of the wrong C type does not compile. */
#define CHECKED(base, field, ctype)                                                                \
    (offsetof(base, field) +                                                                       \
     0 * sizeof(char[1 - 2 * !__builtin_types_compatible_p(__typeof__(((const base *)0)->field),   \
                                                           ctype)]))
#define ROW(base, kind, ctype, field, ...)                                                         \
    {                                                                                              \
        .name = #field, .type = kind, .offset = CHECKED(base, field, ctype), __VA_ARGS__           \
    }
#define BOOL_(b, f, ...)    ROW(b, SET_BOOL, bool, f, __VA_ARGS__)
#define INT_(b, f, ...)     ROW(b, SET_INT, uint64_t, f, __VA_ARGS__)
#define SIZE_(b, f, ...)    ROW(b, SET_SIZE, uint64_t, f, __VA_ARGS__)
#define TIME_(b, f, ...)    ROW(b, SET_DURATION, usec, f, __VA_ARGS__)
#define NUM_(b, f, ...)     ROW(b, SET_NUMBER, double, f, __VA_ARGS__)
#define STR_(b, f, ...)     ROW(b, SET_STRING, const char *, f, __VA_ARGS__)
#define TEXT_(b, f, ...)    ROW(b, SET_TEXT, const char *, f, __VA_ARGS__)
#define PATH_(b, f, ...)    ROW(b, SET_PATH, const char *, f, __VA_ARGS__)
#define ENUM_(b, t, f, ...) ROW(b, SET_ENUM, enum t, f, __VA_ARGS__)
#define STRS_(b, f, ...)    ROW(b, SET_STRINGS, struct strings, f, __VA_ARGS__)
#define PATHS_(b, f, ...)   ROW(b, SET_PATHS, struct strings, f, __VA_ARGS__)
#define CIDRS_(b, f, ...)   ROW(b, SET_CIDRS, struct cidrs, f, __VA_ARGS__)
#define TIMES_(b, f, ...)   ROW(b, SET_DURATIONS, struct usecs, f, __VA_ARGS__)
#define PATS_(b, f, ...)    ROW(b, SET_PATTERNS, struct strings, f, __VA_ARGS__)
#define RANGE_(b, f, ...)   ROW(b, SET_RANGE, struct range, f, __VA_ARGS__)
#define SIZES_(b, f, ...)   ROW(b, SET_SIZES, struct range, f, __VA_ARGS__)

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#endif
