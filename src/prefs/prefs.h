/* Whose preferences are where: files by user and domain (spamd's --virtual-config-dir), and the
 * database that user_scores_dsn of the rule files names (SpamAssassin's Conf::SQL).
 *
 * Preferences are read when a message asks for them and kept as long as their text is the same:
 * files are looked at (stat) each time, answers of the database are kept for preferences.sql_keep.
 * Users with the same text share one. What is kept is bounded by preferences.memory.
 *
 * One struct prefs for each scanner process. */
#ifndef GATEHOUSE_PREFS_PREFS_H
#define GATEHOUSE_PREFS_PREFS_H

#include "config/settings.h"
#include "rules/prefs.h"

struct prefs;

/* Bytes of one user's preferences, files and rows together; what is longer is a failure. */
enum { PREFS_TEXT_MAX = 256 * 1024, PREFS_USER_MAX = 320 };

/* NULL when the settings name no place where preferences could be. rs and set must outlive it. */
struct prefs *prefs_new(const struct settings *set, const struct ruleset *rs);
void prefs_free(struct prefs *p);

enum prefs_answer {
    PREFS_NONE,   /* the user has none: what the rule files say counts */
    PREFS_FOUND,  /* *out */
    PREFS_FAILED, /* could not be read; *why (in a): what the rule files say counts */
    PREFS_REFUSED /* the same, and user_scores_fallback_to_global is 0: without them no answer */
};
/* user: an address, or a name (spamd). *out stays valid until a is reset. */
enum prefs_answer prefs_for(struct prefs *p, struct span user, struct arena *a,
                            const struct rules_prefs **out, struct span *why);

/* One file that somebody names (`scan --prefs`), as preferences; NULL and e when it can't be read.
 * Free with rules_prefs_free. */
struct rules_prefs *prefs_file(const struct ruleset *rs, const char *path, struct err *e);

/* Where the preferences of a user are looked for: %u, %l, %d and %% of the pattern as in spamd's
 * --virtual-config-dir; %x: the whole address when `there` finds such a file, else the domain.
 * Bytes that have no place in file names become '_', and so does a leading dot. Absent when the
 * pattern asks for a domain and the user has none. */
struct span prefs_path(struct arena *a, const char *pattern, struct span user,
                       bool (*there)(const char *path));

/* user_scores_dsn is one that can be asked: 0, or -1 and what is wrong in e. For `check`. */
int prefs_dsn_check(struct span dsn, struct err *e);

#endif
