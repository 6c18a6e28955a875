/* The reader of rule files, between its own files. */
#ifndef GATEHOUSE_RULES_CONF_PRIVATE_H
#define GATEHOUSE_RULES_CONF_PRIVATE_H

#include "rules/conf.h"

enum { INCLUDE_DEPTH = 16, IF_DEPTH = 100, RULE_NAME_MAX = 100 };

/* One open `if`. */
struct conf_if {
    bool outer_skip;
    unsigned line;
};

struct conf_parser {
    struct conf *c;
    struct conf_at at;
    bool skip;
    struct conf_if ifs[IF_DEPTH];
    size_t nifs;
    unsigned depth; /* of includes */
    size_t file;    /* index in conf->files */
};

/* What the reader keeps between lines; lives in struct conf's arena. */
struct conf_state {
    bool local_only;
    struct span language;
    struct map conditions; /* "if X" -> 1 true, 2 false */
    struct map compat;     /* enable_compat flags */
    struct map replace_tag, replace_pre, replace_inter, replace_post; /* name -> struct span * */
    struct map replace_rules;
    struct span replace_start, replace_end;
    struct map seen_files;
    struct map directives; /* name -> struct conf_directive * */
    const struct rules_settings *settings;
    struct map made; /* of rules/plugin.h */
};
static inline struct conf_state *conf_state(struct conf *c)
{
    return c->state;
}

/* conf_cond.c: `if` and friends; true when the line was one of them. */
bool conf_conditional(struct conf_parser *p, struct span key, struct span value);
void conf_unclosed(struct conf_parser *p);

/* conf_table.c: the directive of that name; NULL: unknown. */
struct conf_directive {
    const char *name;
    const char *plugin; /* NULL: always known; else only when that plugin is loaded */
    /* -1: the value makes no sense, reason in e */
    int (*read)(struct conf_parser *p, const struct conf_directive *d, struct span value,
                struct err *e);
    size_t field; /* of struct conf, for the generic readers */
    int arg;
};
const struct conf_directive *conf_directive(const struct conf *c, struct span key);
/* For a name that conf_directive does not know: the plugin whose it is, or the nearest name, or
 * NULL. */
const char *conf_directive_near(struct span key, const char **plugin);
int conf_keep_line(struct conf_parser *p, const struct conf_directive *d, struct span value,
                   struct err *e);

/* conf_user.c */
enum conf_who { WHO_USER, WHO_PRIVILEGED, WHO_ADMIN };
enum conf_who conf_who(const char *directive);
unsigned conf_touch(const struct conf_directive *d); /* of enum conf_touch */
/* Before something is changed: the table itself, or a copy of the one underneath. */
struct map *conf_own_map(struct conf *c, struct map *m);
struct globs *conf_own_globs(struct conf *c, struct globs *g);
void conf_own_rules(struct conf *c);

/* conf_rules.c */
#define READER(name)                                                                               \
    int name(struct conf_parser *p, const struct conf_directive *d, struct span value,             \
             struct err *e)
READER(conf_rule_header);
READER(conf_rule_body); /* arg: enum rule_kind */
READER(conf_rule_meta);
READER(conf_rule_mimeheader);
READER(conf_rule_uri_detail);
READER(conf_rule_empty);
READER(conf_uri_block); /* uri_block_cc and its kin: a rule by themselves */
READER(conf_score);
READER(conf_describe);
READER(conf_tflags);
READER(conf_priority);
READER(conf_shortcircuit);
READER(conf_subjprefix);
struct rule_def *conf_rule_at(struct conf *c, struct span name); /* made when new */

/* conf_lists.c */
READER(conf_globs); /* field: a struct globs */
READER(conf_globs_drop);
READER(conf_globs_pair);
READER(conf_globs_pair_drop);
READER(conf_addrlist);
READER(conf_fns_addrlist); /* arg: 0 add, 1 remove */
READER(conf_uri_host);     /* arg: 0 enlist, 1 BLOCK, 2 WELCOME, 3 delist */
READER(conf_freemail_domains);
READER(conf_freemail_welcome);
READER(conf_tlds); /* field: a struct map */
READER(conf_tlds_clear);
READER(conf_networks); /* arg: 0 trusted, 1 internal, 2 msa; +8: clear */
READER(conf_originating);
READER(conf_redirector);
/* conf_redirect.c */
void conf_make_redirectors(struct conf *c);
READER(conf_stopword);
READER(conf_ignore_header);

/* conf_report.c */
READER(conf_template);
READER(conf_template_clear);
READER(conf_add_header);
READER(conf_remove_header);
READER(conf_clear_headers);
READER(conf_rewrite);
/* 127/8 and ::1 are trusted and internal from the start, and after clear_trusted_networks. */
void conf_loopback(struct conf *c, struct netset *set);
READER(conf_safe_copy);
READER(conf_report_safe);

/* conf_files.c */
void conf_include(struct conf_parser *p, struct span value);
void conf_parse_text(struct conf_parser *p, const char *file, char *text, size_t n);

/* replace.c: ReplaceTags on all rules that asked for it. */
void conf_replace_tags(struct conf *c);

struct span conf_first_word(struct span value, struct span *rest);

#endif
