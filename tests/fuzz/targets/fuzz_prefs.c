/* Preferences of users over rules: any bytes are read; what users may not say changes nothing, and
 * a message is judged under what is left. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "rules/prefs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char rules[] =
    "loadplugin Mail::SpamAssassin::Plugin::WLBLEval\n"
    "loadplugin Mail::SpamAssassin::Plugin::MIMEHeader\n"
    "allow_user_rules 1\nfreemail_domains gmail.com\n"
    "header A Subject =~ /x/\nscore A 1\ntflags A multiple\n"
    "body __B /million/\nrawbody C /CLICK/i\nuri D /example/\nmeta E A + __B > 1\nscore E 2\n"
    "full F /Alice/\nscore F 0\nmeta G F || E\n"
    "header USER_IN_WELCOMELIST eval:check_from_in_welcomelist()\n"
    "score USER_IN_WELCOMELIST -100\n";
static const char mail[] = "From: Alice <alice@example.net>\nTo: bob@example.org\nSubject: xx\n\n"
                           "a million at http://www.example.com/ CLICK\n";

static struct ruleset *load(void)
{
    char dir[] = "/tmp/gatehouse-fuzz-XXXXXX", path[60];
    if (!mkdtemp(dir))
        abort();
    snprintf(path, sizeof path, "%s/a.cf", dir);
    FILE *f = fopen(path, "w");
    if (!f || fputs(rules, f) < 0 || fclose(f) != 0)
        abort();
    const char *dirs[] = {dir};
    struct rules_settings s = {.dirs = {dirs, 1}};
    const struct ruleset_options o = {.settings = &s, .local_only = true, .threads = 1};
    struct err e;
    struct ruleset *rs = ruleset_load(&o, &e);
    unlink(path);
    rmdir(dir);
    return rs ? rs : (fprintf(stderr, "%s\n", e.text), abort(), NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    enum { MEMORY = 64 << 20 };
    static struct ruleset *rs;
    static struct rules_scratch *scratch;
    if (!rs) {
        rs = load();
        scratch = rules_scratch_new(rs);
        rules_scratch_keep(scratch, true);
    }
    const struct prefs_text text = {"fuzz", span_of((const char *)data, n)};
    struct rules_prefs *p = rules_prefs_new(rs, &text, 1, false);
    size_t problems;
    const struct rule_problem *v = rules_prefs_problems(p, &problems);
    for (size_t i = 0; i < problems; i++)
        if (!v[i].text || !v[i].file)
            abort();
    if (rules_prefs_size(p) > MEMORY)
        abort();
    struct message *m = message_new(0);
    m->raw = span_str(mail);
    rules_run(rs, scratch, m);
    double score = m->facts.rules.score;
    const struct opinion *o = rules_opinion(scratch, m, p);
    if (!o->rules.ran || m->facts.rules.score != score) /* the base is not touched */
        abort();
    message_free(m);
    rules_prefs_free(p);
    return 0;
}
