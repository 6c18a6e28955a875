/* The access map between its reader (access_parse.c) and its lookups (access.c). */
#ifndef GATEHOUSE_DOOR_ACCESS_PRIVATE_H
#define GATEHOUSE_DOOR_ACCESS_PRIVATE_H

#include "door/access.h"

/* What a tag says about its keys and values. */
enum access_tag {
    TAG_ALL, /* none: Connect, From and To */
    TAG_CONNECT,
    TAG_FROM,
    TAG_TO,
    TAG_SPAM,
    TAG_GREET_PAUSE,
    TAG_CLIENT_RATE,
    TAG_CLIENT_CONN
};

struct access_entry {
    struct access_rule rule;
    unsigned number;    /* of the tags with numbers */
    bool friend, hater; /* of TAG_SPAM */
};

/* Cuts the tag off a key in lower case. */
enum access_tag access_take_tag(struct span *key);
const char *access_tag_text(enum access_tag tag);
/* Whether keys with this tag are clients: addresses, networks, names. */
bool access_tag_of_clients(enum access_tag tag);
bool access_network_parse(struct span s, struct cidr *out);

#endif
