/* The embedded engine: libclamav in a process of its own, speaking clamd's protocol (PING, VERSION,
 * FILDES, INSTREAM, RELOAD, STATS; n and z forms) on a Unix socket. libclamav is loaded with
 * dlopen, so that a gateway without it still runs. */
#ifndef GATEHOUSE_VIRUS_ENGINE_H
#define GATEHOUSE_VIRUS_ENGINE_H

#include "config/settings.h"

/* Main function of the process; listen_fd is bound and listening. control_fd: link to the
 * supervisor. Returns the exit code. */
int virus_engine_main(const struct settings *set, int listen_fd, int control_fd);

/* Whether an engine can be started: the library loads and the database directory has signatures. */
bool virus_engine_possible(const struct virus_settings *s, struct err *why);

#endif
