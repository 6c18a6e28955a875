/* The tables of settings: one row per setting. The reader, the built-in defaults, `gatehouse check
 * --print-defaults` and the manual page are all made from these rows. */
#ifndef GATEHOUSE_CONFIG_TABLE_H
#define GATEHOUSE_CONFIG_TABLE_H

#include "config/settings.h"

enum setting_type {
    SET_BOOL,      /* bool */
    SET_INT,       /* uint64_t */
    SET_SIZE,      /* uint64_t, bytes */
    SET_DURATION,  /* usec */
    SET_NUMBER,    /* double */
    SET_STRING,    /* const char *, one of `choices` when these are given */
    SET_TEXT,      /* const char *, of any number of lines */
    SET_PATH,      /* const char *, made absolute against the directory of the file */
    SET_ENUM,      /* an enum whose values number `choices` from 0 */
    SET_STRINGS,   /* struct strings */
    SET_PATHS,     /* struct strings, each made absolute */
    SET_CIDRS,     /* struct cidrs */
    SET_DURATIONS, /* struct usecs */
    SET_PATTERNS,  /* struct strings, see config/policy.h; a single one needs no list */
    SET_RANGE,     /* struct range */
    SET_SIZES,     /* struct range, bytes */
    SET_SECTION,   /* a struct of its own with the rows of `section` */
    SET_HEADERS,   /* struct header_tests */
    SET_ACTIONS,   /* struct policy_actions */
};

struct setting {
    const char *name; /* as written in the file, sections joined by dots */
    enum setting_type type;
    size_t offset;              /* in struct settings, listener or policy */
    const char *const *choices; /* ends with NULL */
    double min, max;            /* of numbers, in base units; max 0: no bound of our own */
    const char *def;            /* as one would write it; lists: separated by ", "; NULL: null */
    const char *def_note;       /* what null means, for the manual; or NULL */
    const char *help;           /* one sentence */
    const struct setting_table *section;
};

struct setting_table {
    const char *what; /* "setting", "listener setting", "policy setting" */
    const struct setting *rows;
    size_t n;
};

extern const struct setting_table settings_table; /* offsets in struct settings */
extern const struct setting_table listener_table; /* offsets in struct listener */
extern const struct setting_table script_table;   /* section script: struct script_settings */
extern const struct setting_table policy_table;   /* offsets in struct policy */

/* Rows of policy_table before this one are conditions and actions, the others consequences, which
 * the default policy lends. */
extern const size_t policy_conditions;

/* What an action takes. */
enum action_takes {
    TAKES_NOTHING,
    TAKES_REPLY,     /* nothing, a text, or a whole SMTP reply */
    TAKES_FIELDS,    /* names with values, or one per item */
    TAKES_NAMES,     /* a name, or a list of them */
    TAKES_TEXT,      /* a text, or nothing where there is a default */
    TAKES_ADDRESSES, /* an address, or a list of them */
    TAKES_SECTION
};

struct action_row {
    const char *name;
    enum action_takes takes;
    const char *def;                     /* the text when none is given; NULL: one is needed */
    const struct setting_table *section; /* offsets in struct policy_action */
    const char *help;                    /* one sentence */
};
extern const struct action_row action_table[ACTION_KINDS];

/* Sections ("limits") and what stands in them, one sentence each, in the order of the manual. */
struct setting_section {
    const char *name;
    const char *help;
};
extern const struct setting_section setting_sections[]; /* ends with a NULL name */

/* What a value of this type looks like, for errors and the manual: "a size such as 20MiB". */
const char *setting_type_text(enum setting_type t);
bool setting_is_list(enum setting_type t);

/* The row of a name, or NULL. */
const struct setting *setting_find(const struct setting_table *t, struct span name);

#endif
