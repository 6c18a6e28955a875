/* A compiled set of policies from inside. Room-private. */
#ifndef GATEHOUSE_POLICY_SET_PRIVATE_H
#define GATEHOUSE_POLICY_SET_PRIVATE_H

#include "policy/domains.h"
#include "policy/patterns.h"
#include "policy/policy.h"

struct rule {
    const struct policy *policy;
    struct patterns recipients, senders, client_names, helo, users, rules, virus;
    struct patterns part_name, part_type, part_content, part_members, dkim_domain;
    struct patterns *header; /* one list for each test of the policy */
};

struct policy_set {
    struct arena *arena;
    const struct settings *set; /* NULL: nothing is ours */
    struct domains *domains;    /* NULL: no policy asks for the direction */
    struct magic *magic;
    struct rule *v;
    size_t n;
    bool wants_parts, wants_magic, early, direction, cleans;
};

#endif
