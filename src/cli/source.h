/* What `gatehouse scan` is to look at: files, directories, mailboxes and standard input as one list
 * of messages. */
#ifndef GATEHOUSE_CLI_SOURCE_H
#define GATEHOUSE_CLI_SOURCE_H

#include "base/arena.h"

struct message;

enum source_type { SOURCE_AUTO, SOURCE_MESSAGE, SOURCE_MBOX };

struct item {
    const char *name; /* as shown: path, or path#N for the Nth message of a mailbox */
    const char *path;
    int fd;                /* already open (standard input, pipes): kept until the end; else -1 */
    uint64_t offset;       /* where the message begins in the file */
    uint64_t size;         /* its bytes; UINT64_MAX: all of the file */
    const char *separator; /* the mailbox's "From " line, or NULL */
};

struct items {
    const char *command; /* of whom errors are told; NULL: scan */
    struct arena *arena;
    struct item *v;
    size_t n, cap;
    size_t errors; /* paths that could not be read; each was told on standard error */
};

/* Adds all messages of a path ("-": standard input). Directories are read recursively, in order of
 * names; of a Maildir its cur and new. A directory's entry that is no file is told and left out. */
void source_add(struct items *items, const char *path, enum source_type type);
/* The bytes of an item as a descriptor, the caller's to close; -1 with errno. */
int source_open(const struct item *it);
/* Its bytes as m->raw, without a descriptor of their own. 0, or -1 with errno. */
int source_read(const struct item *it, struct message *m);
void source_free(struct items *items);

#endif
