/* How a file becomes settings: reader.c (YAML to typed values), finish.c (values that follow from
 * others), check.c (what must fit together), files.c (what must exist). Room-private. */
#ifndef GATEHOUSE_CONFIG_LOAD_PRIVATE_H
#define GATEHOUSE_CONFIG_LOAD_PRIVATE_H

#include "base/map.h"
#include "config/table.h"

enum { CONFIG_FILE_MAX = 4 << 20, CONFIG_PROBLEMS_MAX = 200 };

struct mark {
    unsigned line, column; /* from 1; 0: not in the file */
    bool null;             /* set to null: the default stands */
};

/* Where each setting of the file stands: "limits.message_size", "listeners[0].tls",
 * "relay.domains[2]". */
struct script_settings;

struct marks {
    struct map map; /* to struct mark */
    struct script_settings *script;
};

/* Whether the file sets it (to something). */
bool setting_given(const struct settings *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds a problem at a mark, or at the setting of that name (or the nearest one around it). */
void problem_at(struct settings_problems *out, const char *file, struct mark m, const char *fmt,
                ...) __attribute__((format(printf, 4, 5)));
struct mark mark_of(const struct settings *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Fills s (which holds the defaults) from the file. Problems are added to out. */
void settings_read(struct settings *s, struct settings_problems *out);
void settings_finish(struct settings *s);
void settings_cross_check(const struct settings *s, struct settings_problems *out);
void settings_check_wall(const struct settings *s, struct settings_problems *out);

/* "unix:PATH", "HOST:PORT", "[V6]:PORT": whether the text has that form. */
bool address_ok(struct span s);
/* The path of "unix:/path", "lmtp:/path", "maildir:path", else absent. */
struct span path_after_scheme(const char *value);

#endif
