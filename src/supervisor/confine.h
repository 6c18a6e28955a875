/* The cage of a process: what it may reach in the file system and in the network (Landlock), and
 * what it may ask of the kernel at all (seccomp). Lists of what is allowed, made for each role from
 * the settings; everything else is refused with EACCES or EPERM, and what no role ever does (run a
 * program, trace, mount) ends the process.
 *
 *   role    reads                                     writes                   connects (TCP)
 *   door    files of settings, spool, state           spool, state, log        ports that settings
 * name, DNS scan    rules, cache, files of settings that      state, log               ports that
 * settings name, DNS are no keys, state spool   files of settings, spool, state, mail     spool,
 * state, run,       anywhere: that is its work directories of routes                     mail
 * directories, log virus   signatures, temporary files               temporary files, log nowhere
 *
 * All read the system's libraries, certificates and resolver files. Nobody binds a TCP port
 * (listeners come from the supervisor), sends signals outside (Landlock 6), or starts a program.
 * What Landlock can't name stays with the user's permissions: Unix sockets with a path, UDP. */
#ifndef GATEHOUSE_SUPERVISOR_CONFINE_H
#define GATEHOUSE_SUPERVISOR_CONFINE_H

#include "config/settings.h"
#include "ipc/frame.h"
#include "rules/ruleset.h"

/* How much of it this kernel has. */
struct confinement {
    int landlock; /* version of its interface; 0: none */
    bool seccomp;
};

/* Confines the calling process, which has one thread, for good. 0; or -1 with e: part of it could
 * not be done (what is missing in this kernel is no error: see *out). rules (or NULL) name the
 * database of preferences that scanners ask. */
int confine(enum role role, const struct settings *set, const struct ruleset *rules,
            struct confinement *out, struct err *e);

/* confine_files.c and confine_calls.c */
int confine_files(enum role role, const struct settings *set, const struct ruleset *rules,
                  int *version, struct err *e);
int confine_calls(enum role role, bool *done, struct err *e);

#endif
