/* The door process: SMTP with strangers. It streams each message into a spool file (memory file
 * while small), hands descriptor and envelope to a scanner, and the result to the spool; says 250
 * only when the spool has it on stable storage. Parses no MIME. */
#ifndef GATEHOUSE_DOOR_DOOR_H
#define GATEHOUSE_DOOR_DOOR_H

#include "config/settings.h"

struct door_keys;

/* Reads certificates and keys of all listeners, and the secrets of return paths: to be called while
 * we may still read keys that belong to root. What can't be read is logged; that listener offers no
 * TLS. */
struct door_keys *door_keys_read(const struct settings *set);

/* listeners: one bound, listening descriptor for each row of set->listeners. control_fd: link to
 * the supervisor, over which links to scanners and spool arrive (FRAME_LINK). Returns the exit
 * code. */
int door_main(const struct settings *set, int control_fd, const int *listeners,
              struct door_keys *keys);

#endif
