#include "config/print.h"

#include "config/table.h"

/* A comment of at most 96 columns. */
static void comment(FILE *out, const char *indent, const char *text)
{
    struct span rest = span_str(text), word;
    size_t column = 0;
    while ((word = span_word(&rest, " ")).p) {
        if (column && column + 1 + word.n > 94) {
            fputc('\n', out);
            column = 0;
        }
        if (!column)
            column = (size_t)fprintf(out, "%s# %.*s", indent, SPAN_ARG(word));
        else
            column += (size_t)fprintf(out, " %.*s", SPAN_ARG(word));
    }
    fputc('\n', out);
}

static void print_row(FILE *out, const struct setting *row, const char *indent, const char *lead)
{
    const char *dot = strchr(row->name, '.'), *name = dot ? dot + 1 : row->name;
    comment(out, indent, row->help);
    fprintf(out, "%s%s: ", lead, name);
    if (setting_is_list(row->type) || row->type == SET_ACTIONS)
        fprintf(out, "[%s]", row->def ? row->def : "");
    else if (row->type == SET_SECTION || row->type == SET_HEADERS)
        fputs("{}", out);
    else
        fputs(row->def ? row->def : "null", out);
    if (row->def_note)
        fprintf(out, "  # %s%s", row->def ? "null: " : "", row->def_note);
    fputc('\n', out);
}

void settings_print_defaults(FILE *out)
{
    size_t i = 0;
    fputs("# Gatehouse: every setting with its default. A file needs only what differs.\n"
          "# Sizes: 4711, 512KiB, 20MiB, 1.5GiB. Durations: 250ms, 30s, 5m, 1h30m, 5d.\n\n",
          out);
    for (; !strchr(settings_table.rows[i].name, '.'); i++)
        print_row(out, &settings_table.rows[i], "", "");
    fputs("\n# Where clients connect.\nlisteners:\n", out);
    for (size_t k = 0; k < listener_table.n; k++)
        print_row(out, &listener_table.rows[k], "    ", k ? "    " : "  - ");
    for (const struct setting_section *s = setting_sections; s->name; s++) {
        size_t n = strlen(s->name);
        fprintf(out, "\n# %s\n%s:\n", s->help, s->name);
        for (; i < settings_table.n && strncmp(settings_table.rows[i].name, s->name, n) == 0; i++)
            print_row(out, &settings_table.rows[i], "  ", "  ");
    }
    fputs("\n# Policy as a program: a script in Lua (docs/lua.md).\nscript:\n", out);
    for (size_t k = 0; k < script_table.n; k++)
        print_row(out, &script_table.rows[k], "  ", "  ");
    fputs("\n# What is done with which mail. The first policy whose conditions all hold is taken, "
          "for\n"
          "# each recipient. The one named 'default' comes last, has no condition, and lends the "
          "others\n"
          "# what they leave open.\npolicies:\n  - name: default\n",
          out);
    for (size_t k = 1; k < policy_table.n; k++)
        print_row(out, &policy_table.rows[k], "    ", "    ");
}

/* Text for roff: backslashes and leading dots guarded; a sentence begins on a line of its own. */
static void roff(FILE *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", out);
    for (; *text; text++) {
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else if (text[0] == '.' && text[1] == ' ')
            fputs(".\n", out), text++;
        else
            fputc(*text, out);
    }
}

static void mdoc_row(FILE *out, const struct setting *row)
{
    fprintf(out, ".It Ic %s\n", row->name);
    roff(out, row->help);
    fputs("\n", out);
    if (row->type == SET_SECTION) {
        for (size_t i = 0; i < row->section->n; i++) {
            fprintf(out, ".Pp\n.Ic %s\n", row->section->rows[i].name);
            roff(out, row->section->rows[i].help);
            fputs("\n", out);
        }
        return;
    }
    if (row->type == SET_ACTIONS) {
        for (size_t k = 0; k < ACTION_KINDS; k++) {
            fprintf(out, ".Pp\n.Ic %s\n", action_table[k].name);
            roff(out, action_table[k].help);
            fputs("\n", out);
        }
        return;
    }
    if (row->choices) {
        fputs("One of", out);
        for (size_t i = 0; row->choices[i]; i++)
            fprintf(out, "%s\n.Ql %s", i ? " ," : "", row->choices[i]);
        fputs(" .\n", out);
    } else {
        fputs("Takes ", out);
        roff(out, setting_type_text(row->type));
        fputs(".\n", out);
    }
    if (!row->def && !row->def_note)
        return;
    fputs("Default: ", out);
    if (row->def && !row->def[0])
        fputs("none", out);
    else
        roff(out, row->def ? row->def : row->def_note);
    fputs(".\n", out);
    if (row->def && row->def_note) {
        fputs("With null: ", out);
        roff(out, row->def_note);
        fputs(".\n", out);
    }
}

static void mdoc_section(FILE *out, const char *title, const char *help, const struct setting *rows,
                         size_t n)
{
    fprintf(out, ".Ss %s\n", title);
    roff(out, help);
    fputs("\n.Bl -tag -width Ds\n", out);
    for (size_t i = 0; i < n; i++)
        mdoc_row(out, &rows[i]);
    fputs(".El\n", out);
}

void settings_print_mdoc(FILE *out)
{
    const struct setting *rows = settings_table.rows;
    size_t i = 0, from;
    while (!strchr(rows[i].name, '.'))
        i++;
    mdoc_section(out, "Top level", "These stand by themselves.", rows, i);
    mdoc_section(out, "listeners", "A list: where clients connect, one item for each.",
                 listener_table.rows, listener_table.n);
    for (const struct setting_section *s = setting_sections; s->name; s++) {
        size_t n = strlen(s->name);
        for (from = i; i < settings_table.n && strncmp(rows[i].name, s->name, n) == 0; i++)
            ;
        mdoc_section(out, s->name, s->help, rows + from, i - from);
    }
    mdoc_section(out, "script", "Policy as a program: a script in Lua.", script_table.rows,
                 script_table.n);
    mdoc_section(
        out, "policies",
        "A list. The first policy whose conditions all hold is taken, for each recipient; "
        "the one named default comes last, has no condition, and lends the others what they "
        "leave open.",
        policy_table.rows, policy_table.n);
}
