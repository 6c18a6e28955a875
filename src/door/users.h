/* The users file: "user:hash" a line, '#' begins a comment. Hashes: crypt(3) with yescrypt, scrypt,
 * bcrypt, SHA-512 or SHA-256, or "$argon2id$" (`argon2`, `mkpasswd`). Weaker ones don't count. */
#ifndef GATEHOUSE_DOOR_USERS_H
#define GATEHOUSE_DOOR_USERS_H

#include "base/err.h"
#include "base/span.h"

enum users_answer { USERS_YES, USERS_NO, USERS_TROUBLE };

/* Reads the file and checks the password. Takes as long as the hash takes (also for an unknown
 * user, so that the time tells nothing): run it on a worker thread. Thread-safe. */
enum users_answer users_check(const char *file, const char *user, const char *password, size_t n);

/* Whether a line counts (or is a comment); -1 with why, for `gatehouse check`. Never tells the
 * hash. */
int users_line(struct span line, struct err *why);

#endif
