/* The spool process: owns the queue, the quarantine and the record; stores what the door hands
 * over, runs deliveries, answers `gatehouse queue|quarantine` on the control socket. */
#ifndef GATEHOUSE_SPOOL_SPOOL_H
#define GATEHOUSE_SPOOL_SPOOL_H

#include "config/settings.h"

struct signer;
struct returnpath;

/* Read while we still could; each may be NULL: none. */
struct spool_keys {
    const struct signer *signer; /* private keys of DKIM and ARC */
    const struct returnpath *returns;
};

/* control_socket: bound and listening Unix socket for operators' commands (see cli_control).
 * keys: NULL: none. */
int spool_main(const struct settings *set, int control_fd, int control_socket,
               const struct spool_keys *keys);

#endif
