/* Attachments as the plugins read them: PDF line by line, office files and zip archives, and the
 * language of the text. The first byte chooses the kind. */
#include <stdint.h>
#include <stdlib.h>

#include "rules/eval.h"
#include "rules/plugin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char settings[] = "loadplugin Mail::SpamAssassin::Plugin::OLEVBMacro\n"
                               "loadplugin Mail::SpamAssassin::Plugin::PDFInfo\n"
                               "loadplugin Mail::SpamAssassin::Plugin::TextCat\n"
                               "olemacro_extended_scan 1\n"
                               "util_rb_tld com\n";

static void evaluate(struct rules_ctx *c, const char *name)
{
    struct err e;
    struct eval_call call = {.def = eval_find(span_str(name)), .rule = "FUZZ", .type = EVAL_BODY};
    if (!call.def)
        abort();
    if (!call.def->prepare || call.def->prepare(c->conf->arena, c->conf, &call, &e) == 0)
        call.def->fn(c, &call);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const heads[] = {
        "Content-Type: application/pdf\n\n",
        "Content-Type: application/x; name=a.docx\nContent-Transfer-Encoding: quoted-printable\n\n",
        "Content-Type: application/x; name=a.zip\nContent-Transfer-Encoding: quoted-printable\n\n",
        "Content-Type: application/x; name=a.bin\nContent-Transfer-Encoding: quoted-printable\n\n",
        "Content-Type: text/plain\n\n"};
    static const char *const functions[] = {
        "check_olemacro",   "check_olemacro_csv", "check_olemacro_download_exe",
        "pdf_is_encrypted", "check_suspect_name", "check_microsoft_executable"};
    static const struct conf_options options = {.local_only = true};
    if (!n)
        return 0;
    struct arena *a = arena_new(0);
    struct conf *conf = conf_new(a, &options);
    conf_text(conf, "fuzz.cf", span_str(settings));
    conf_finish(conf);
    const char *head = heads[data[0] % (sizeof heads / sizeof *heads)];
    struct span raw = arena_printf(a, "%s%.*s", head, 0, "");
    char *p = arena_raw(a, raw.n + n);
    memcpy(p, raw.p, raw.n);
    memcpy(p + raw.n, data + 1, n - 1);
    struct mime_limits limits = MIME_LIMITS_DEFAULT;
    struct text_limits text_limits = {1000, 1000, true};
    struct message m = {.arena = a};
    struct rules_ctx c = {.conf = conf, .m = &m, .a = a};
    c.mime = mime_parse(a, span_of(p, raw.n + n - 1), &limits);
    c.relays = relays_parse(c.mime, &conf->relays, NULL);
    c.text = text_make(c.mime, &conf->uri, &text_limits);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        evaluate(&c, functions[i]);
    plugins_extract(&c);
    arena_free(a);
    return 0;
}
