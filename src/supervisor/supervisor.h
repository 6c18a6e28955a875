/* Privilege separation: the supervisor binds ports, makes directories, starts the processes with no
 * more rights than they need, connects them, restarts what dies, carries out reload and shutdown.
 * It reads nothing that comes from outside.
 *
 *     SIGHUP   new configuration: new door and scanners start beside the old ones, which finish
 * what they have; the spool hands over. A configuration that can't be used changes nothing. SIGTERM
 * drain: no new sessions, transactions in work are finished, then everything ends. SIGUSR1  log
 * files are opened anew.
 */
#ifndef GATEHOUSE_SUPERVISOR_SUPERVISOR_H
#define GATEHOUSE_SUPERVISOR_SUPERVISOR_H

#include "config/settings.h"

/* config: path of the file (read again on SIGHUP), or NULL for the defaults. Takes over set.
 * Returns the exit code. on_ready (may be NULL) is called once when mail is being accepted. */
int supervisor_run(struct settings *set, const char *config,
                   void (*on_ready)(const struct settings *set));

#endif
