/* Between the files of `gatehouse learn`. */
#ifndef GATEHOUSE_CLI_LEARN_H
#define GATEHOUSE_CLI_LEARN_H

#include "cli/cli.h"
#include "cli/source.h"
#include "learn/store.h"
#include "rules/ruleset.h"

struct learning {
    const char *config, *path;
    struct span user;
    struct strings rules;
    enum source_type type;
    unsigned jobs;
    bool json, all;
    struct settings *set;
    struct ruleset *rs;
    struct learn_store *store;
    struct items items;
};

/* Opens what is needed for the word; 0, or an exit code with the reason told. */
int learning_store(struct learning *l, enum learn_mode mode);
int learning_rules(struct learning *l);

int learn_status(struct learning *l);
int learn_explain(struct learning *l, char **paths);
int learn_save(struct learning *l);
int learn_load(struct learning *l, const char *file);
int learn_shrink(struct learning *l);

#endif
