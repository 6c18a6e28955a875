/* The parts of a message as policies see them: every name, every declared type, the type that the
 * bytes tell, size, encryption, signatures around them.
 *
 * Facts that cost something (content, encryption, size) are made when they are asked for. */
#ifndef GATEHOUSE_POLICY_PARTS_H
#define GATEHOUSE_POLICY_PARTS_H

#include "mime/mime.h"

/* Limits on what one part may make us do. */
enum {
    PART_NAMES_MAX = 16,       /* names of one part that are looked at */
    PART_MEMBERS_MAX = 1000,   /* files of one archive whose headers are read */
    PARTS_UNPACKED_MAX = 10,   /* compressed archives of a message that are begun to unpack */
    PART_SEGMENTS_MAX = 100,   /* pieces of one name (RFC 2231) */
    PART_MAGIC_BYTES = 1 << 20 /* of the content, for its type */
};

struct magic;
/* libmagic with its stock database, or NULL when it can't be loaded (told in the log). */
struct magic *magic_new(void);
void magic_free(struct magic *g);

struct part_facts {
    struct mime_part *part;
    uint32_t number; /* counted from 1, containers too, in document order */
    bool container;  /* multipart/...: not looked at by `parts` */
    bool sealed;     /* inside multipart/signed or multipart/encrypted, or S/MIME itself */
    struct span *names;
    size_t nnames;      /* each reading of the name; none: the part has no name */
    struct span *types; /* declared, lower case; more than one when the field stands twice */
    size_t ntypes;      /* at least 1 */
    /* use the functions below */
    struct span content;
    struct span *members; /* NULL: not looked at yet */
    size_t nmembers;
    signed char encrypted; /* -1: not looked at yet */
};

struct parts {
    struct mime *mime;
    struct arena *arena;
    struct magic *magic; /* NULL: content is never known */
    struct part_facts *v;
    size_t n;
    unsigned unpacked; /* compressed archives so far */
};

/* mime and magic must outlive it. */
struct parts *parts_new(struct mime *m, struct magic *g, struct arena *a);

/* The name to show, cleaned of path, controls and directional marks; "" when there is none. */
struct span part_name_shown(const struct part_facts *p);
/* A value of Content-Type or Content-Disposition, unfolded and without the parameters that name a
 * file. */
struct span part_without_names(struct arena *a, struct span value);
/* "application/x-dosexec"; absent when libmagic is not there. */
struct span part_content(struct parts *ps, struct part_facts *p);
uint64_t part_size(struct parts *ps, struct part_facts *p);
/* An archive with encrypted members, a PDF or office file with a password, or inside encrypted
 * mail.
 */
bool part_encrypted(struct parts *ps, struct part_facts *p);
/* Names of the files in it, when it is an archive: how many, in *v; cleaned as names of parts are.
 */
size_t part_members(struct parts *ps, struct part_facts *p, const struct span **v);

#endif
