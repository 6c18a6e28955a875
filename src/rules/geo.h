/* Where an address is, and whose: MaxMind's databases (libmaxminddb), found as SpamAssassin's GeoDB
 * finds them. Room-private.
 *
 * Opened when the rules are loaded, mapped read-only, shared by all scanners. A damaged file gives
 * no answers; libmaxminddb checks every offset. */
#ifndef GATEHOUSE_RULES_GEO_H
#define GATEHOUSE_RULES_GEO_H

#include "rules/context.h"

/* Opens what geodb_options and geodb_search_path lead to, once for a set of rules. NULL and e when
 * there is no database. */
struct geo;
const struct geo *geo_open(struct arena *a, const struct conf *conf, struct err *e);
/* What geo_open made; NULL: nothing. */
const struct geo *geo_of(const struct conf *conf);

bool geo_has_country(const struct geo *g);
bool geo_has_isp(const struct geo *g);
bool geo_has_asn(const struct geo *g);

/* Answers live in a. "**" for private addresses, "XX" when nothing is known. */
struct span geo_country(const struct geo *g, struct arena *a, struct span ip);
struct span geo_continent(const struct geo *g, struct arena *a, struct span ip);
/* Absent when nothing is known. */
struct span geo_isp(const struct geo *g, struct arena *a, struct span ip);
struct span geo_asn(const struct geo *g, struct arena *a, struct span ip); /* digits */
struct span geo_asn_owner(const struct geo *g, struct arena *a, struct span ip);

/* Before the first rule: RelayCountry and ASN (rules/plugin.h). */
void geo_extract(struct rules_ctx *c);
/* X-Relay-Countries and its kin, X-ASN; absent when the plugin did not run. */
struct span geo_header(struct rules_ctx *c, struct span name);

/* The system of the last external relay, without prefix: as a database has it, absent if none does;
 * as the DNS has it. And what stands in front of it in tags. */
struct span geo_asn_found(struct rules_ctx *c);
void geo_asn_told(struct rules_ctx *c, struct span asn);
struct span geo_asn_prefix(const struct conf *conf);

/* ASN's zones: asks, and tells as tags what was answered (eval_asn.c). */
void asn_tell(struct rules_ctx *c);
/* The values of a tag of theirs one by one, as rules that ask about it take them; NULL: none. */
const struct span *asn_values(struct rules_ctx *c, struct span tag, size_t *n);

#endif
