/* One value of a setting: from text to its typed place. */
#ifndef GATEHOUSE_CONFIG_VALUE_H
#define GATEHOUSE_CONFIG_VALUE_H

#include "config/table.h"

/* "50MiB", "1.5GiB", "20MB", "4711". -1: not a size. */
int parse_size(struct span s, uint64_t *out);
/* "5m", "1h30m", "250ms", "1.5s", "0"; units us, ms, s, m, h, d, w. -1: not a duration. */
int parse_duration(struct span s, usec *out);
/* "yes", "no", "true", "false", "on", "off". */
int parse_bool(struct span s, bool *out);
/* A comparison as struct range tells it; size: of bytes with units. -1: it is none. */
int parse_range(struct span s, bool size, struct range *out);

/* Where relative paths start; NULL leaves them. Result in the arena, without "." and "..". */
const char *resolve_path(struct arena *a, const char *dir, struct span path);

/* Writes the value of `text` into its place in base (scalar types). Returns -1 with what was
 * expected in e: "expected a size such as 20MiB, not 'big'". */
int value_set(const struct setting *row, struct span text, const char *dir, struct arena *a,
              void *base, struct err *e);
/* Appends one element to a list type. The list must have been emptied first (value_clear). */
int value_add(const struct setting *row, struct span text, const char *dir, struct arena *a,
              void *base, struct err *e);
/* NULL for strings and paths, empty for lists. -1 for types that can't be null. */
int value_clear(const struct setting *row, void *base);
/* The default of the row. */
void value_default(const struct setting *row, struct arena *a, void *base);

/* The candidate nearest to name by edit distance, or NULL when none is near. */
const char *nearest(struct span name, const char *const *candidates, size_t n);

#endif
