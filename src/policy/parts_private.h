/* What the files about parts share. Room-private. */
#ifndef GATEHOUSE_POLICY_PARTS_PRIVATE_H
#define GATEHOUSE_POLICY_PARTS_PRIVATE_H

#include "policy/parts.h"

/* names.c: fills p->names and p->types. */
void part_read_names(struct parts *ps, struct part_facts *p);
/* A name as it would be saved. */
struct span part_clean_name(struct arena *a, struct span s);
/* encrypted.c: whether the bytes are an encrypted file of a kind we know. */
bool bytes_encrypted(struct span bytes);

#endif
