/* What the plugins beyond SpamAssassin's defaults share: tables made at load, files read at load,
 * tags. Room-private. */
#ifndef GATEHOUSE_RULES_PLUGIN_H
#define GATEHOUSE_RULES_PLUGIN_H

#include "rules/context.h"

/* One slot for each name: what a plugin made of its settings when the rules were loaded, in the
 * rules' arena, read-only afterwards. NULL at first. Only for `prepare` functions. */
void **plugin_made(const struct conf *conf, const char *name);

/* The same when messages are judged: NULL when nothing was made. */
const void *plugin_has(const struct conf *conf, const char *name);

/* A whole file into the arena; absent when it can't be read, is no file or is larger than
 * PLUGIN_FILE_MAX. */
enum { PLUGIN_FILE_MAX = 256 << 20 };
struct span plugin_file(struct arena *a, struct span path);

/* _NAME_ in reports and %{NAME} in rules. An empty value is no tag. */
void plugin_tag(struct rules_ctx *c, const char *name, struct span value);

/* The tags that were set before there was a scratch. */
void plugin_tags(struct rules_ctx *c);

/* Adds a URI found in an attachment to those that rules see. */
void plugin_uri(struct rules_ctx *c, struct span uri);

/* Before the first rule runs: what plugins find in attachments, for the URI rules to see. */
void plugins_extract(struct rules_ctx *c);
/* When the rules are loaded: what plugins without functions need. */
struct ruleset;
void plugins_prepare(struct ruleset *rs);
void bayes_prepare(struct ruleset *rs);
void pdf_extract(struct rules_ctx *c);
void office_extract(struct rules_ctx *c);
void language_extract(struct rules_ctx *c);
/* What the virus engine said (eval_virus.c): X-Spam-Virus, when that is the name and the plugin is
 * loaded (absent: not asked), and the tag CLAMAVRESULT. */
bool virus_rules(const struct conf *conf);
struct span virus_header(const struct rules_ctx *c, struct span name);
void virus_tag(struct rules_ctx *c);
/* X-Languages: what language_extract found; absent when it did not run. */
struct span language_names(struct rules_ctx *c);

#endif
