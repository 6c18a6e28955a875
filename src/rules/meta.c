#include "rules/meta.h"

#include <stdlib.h>

#include "base/map.h"

enum token_kind { T_END, T_NUMBER, T_NAME, T_OP };

struct token {
    enum token_kind kind;
    struct span text;
};

struct parser {
    struct arena *a;
    struct span rest;
    struct span pending; /* second half of a run such as "+-" */
    struct token token;
    struct map seen; /* name -> its index + 1 */
    struct meta *m;
    struct err *e;
    bool failed, local_only;
    unsigned nesting, stack;
};

static bool word(char c)
{
    return ascii_isalnum(c) || c == '_';
}

bool rule_name_valid(struct span s)
{
    if (s.n == 0 || s.n > 128 || ascii_isdigit(s.p[0]))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!word(s.p[i]))
            return false;
    return true;
}

static void fail(struct parser *p, const char *what, struct span text)
{
    if (!p->failed)
        err_set(p->e, "%s '%.*s'", what, SPAN_ARG(text));
    p->failed = true;
    p->token.kind = T_END;
}

static size_t run(struct span s, const char *set)
{
    size_t n = 0;
    while (n < s.n && s.p[n] && strchr(set, s.p[n]))
        n++;
    return n;
}

static bool number_valid(struct span s)
{
    size_t whole = run(s, "0123456789");
    if (whole == 0)
        return false;
    if (whole == s.n)
        return true;
    size_t fraction = run(span_from(s, whole + 1), "0123456789");
    return s.p[whole] == '.' && fraction > 0 && whole + 1 + fraction == s.n;
}

/* Signs, digits and dots make one run in SpamAssassin's lexer, so that "A+1" is refused. */
static void number_or_sign(struct parser *p, struct span s)
{
    p->token.kind = T_OP;
    if (s.n == 1 && (s.p[0] == '+' || s.p[0] == '-'))
        return;
    if (number_valid(s)) {
        p->token.kind = T_NUMBER;
    } else if (s.n == 2 && (span_eq(s, SPAN("+-")) || span_eq(s, SPAN("-+")))) {
        p->token.text = span_sub(s, 0, 1);
        p->pending = span_from(s, 1);
    } else {
        fail(p, "not a number or name (operators need spaces around them):", s);
    }
}

static size_t operator_length(struct span s)
{
    static const char *const two[] = {"||", "&&", ">=", "<=", "==", "!="};
    for (size_t i = 0; i < sizeof two / sizeof *two; i++)
        if (span_starts(s, span_str(two[i])))
            return 2;
    return s.p[0] && strchr("()^!><*/?:", s.p[0]) ? 1 : 0;
}

/* The next token; bytes that fit nowhere are skipped, as SpamAssassin does. */
static void advance(struct parser *p)
{
    if (p->failed)
        return;
    if (p->pending.n) {
        p->token = (struct token){T_OP, p->pending};
        p->pending = SPAN_NONE;
        return;
    }
    while (p->rest.n) {
        size_t n = run(p->rest, "+-.0123456789");
        enum token_kind kind = n ? T_NUMBER : T_OP;
        if (!n && word(p->rest.p[0])) {
            kind = T_NAME;
            while (n < p->rest.n && (word(p->rest.p[n]) || (n && p->rest.p[n] == ':')))
                n++;
        }
        if (!n)
            n = operator_length(p->rest);
        if (!n) {
            p->rest = span_from(p->rest, 1);
            continue;
        }
        p->token = (struct token){kind, span_sub(p->rest, 0, n)};
        p->rest = span_from(p->rest, n);
        if (kind == T_NUMBER)
            number_or_sign(p, p->token.text);
        else if (kind == T_NAME && !rule_name_valid(p->token.text))
            fail(p, "not the name of a rule:", p->token.text);
        return;
    }
    p->token = (struct token){T_END, SPAN_NONE};
}

static bool at(const struct parser *p, const char *op)
{
    return p->token.kind == T_OP && span_eq(p->token.text, span_str(op));
}

static size_t emit(struct parser *p, enum meta_opcode code, uint32_t index)
{
    *ARENA_PUSH(p->a, p->m->ops, p->m->nops, p->m->ops_cap) = (struct meta_op){code, index};
    if (code == META_NUMBER || code == META_RULE)
        p->stack++;
    else if ((code >= META_MUL && code <= META_XOR) || code == META_JUMP_FALSE)
        p->stack--;
    if (p->stack > p->m->depth)
        p->m->depth = p->stack;
    return p->m->nops - 1;
}

static void emit_number(struct parser *p, double number)
{
    struct meta *m = p->m;
    emit(p, META_NUMBER, (uint32_t)m->nnumbers);
    *ARENA_PUSH(p->a, m->numbers, m->nnumbers, m->numbers_cap) = number;
}

static uint32_t name_index(struct parser *p, struct span name)
{
    void **slot = map_at(&p->seen, name);
    if (*slot)
        return (uint32_t)((uintptr_t)*slot - 1);
    *slot = (void *)(uintptr_t)(p->m->nnames + 1);
    *ARENA_PUSH(p->a, p->m->names, p->m->nnames, p->m->names_cap) = arena_dup(p->a, name);
    return (uint32_t)(p->m->nnames - 1);
}

static void expression(struct parser *p);

static void primary(struct parser *p)
{
    if (p->token.kind == T_NUMBER) {
        emit_number(p, strtod(arena_cstr(p->a, p->token.text), NULL));
        advance(p);
    } else if (p->token.kind == T_NAME) {
        if (span_eq(p->token.text, SPAN("local_tests_only")))
            emit_number(p, p->local_only);
        else
            emit(p, META_RULE, name_index(p, p->token.text));
        advance(p);
    } else if (at(p, "(")) {
        advance(p);
        expression(p);
        if (!at(p, ")"))
            fail(p, "missing ')' before", p->token.text);
        advance(p);
    } else {
        fail(p, "a name or number is missing at", p->token.text);
    }
}

static void unary(struct parser *p)
{
    if (++p->nesting > META_NESTING) {
        fail(p, "nested too deeply at", p->token.text);
    } else if (at(p, "!")) {
        advance(p);
        unary(p);
        emit(p, META_NOT, 0);
    } else if (at(p, "-")) {
        advance(p);
        unary(p);
        emit(p, META_NEG, 0);
    } else if (at(p, "+")) {
        advance(p);
        unary(p);
    } else {
        primary(p);
    }
    p->nesting--;
}

/* Binary operators that only compute, loosest level first. */
static const struct {
    const char *op;
    enum meta_opcode code;
    int level;
} binary[] = {
    {"^", META_XOR, 0}, {"==", META_EQ, 1}, {"!=", META_NE, 1}, {"<", META_LT, 2},
    {">", META_GT, 2},  {"<=", META_LE, 2}, {">=", META_GE, 2}, {"+", META_ADD, 3},
    {"-", META_SUB, 3}, {"*", META_MUL, 4}, {"/", META_DIV, 4},
};
enum { LEVELS = 5 };

static void computed(struct parser *p, int level)
{
    if (level == LEVELS) {
        unary(p);
        return;
    }
    computed(p, level + 1);
    for (size_t i = 0; i < sizeof binary / sizeof *binary && !p->failed; i++) {
        if (binary[i].level != level || !at(p, binary[i].op))
            continue;
        advance(p);
        computed(p, level + 1);
        emit(p, binary[i].code, 0);
        /* Perl's comparisons do not chain. */
        if (level == 2 && (at(p, "<") || at(p, ">") || at(p, "<=") || at(p, ">=")))
            fail(p, "comparisons can't be chained:", p->token.text);
        i = (size_t)-1;
    }
}

static void logical(struct parser *p, bool or)
{
    or ? logical(p, false) : computed(p, 0);
    while (!p->failed && at(p, or ? "||" : "&&")) {
        advance(p);
        size_t jump = emit(p, or ? META_OR : META_AND, 0);
        p->stack--;
        or ? logical(p, false) : computed(p, 0);
        p->m->ops[jump].index = (uint32_t)p->m->nops;
    }
}

static void expression(struct parser *p)
{
    if (++p->nesting > META_NESTING) {
        fail(p, "nested too deeply at", p->token.text);
        return;
    }
    logical(p, true);
    if (!p->failed && at(p, "?")) {
        advance(p);
        size_t to_else = emit(p, META_JUMP_FALSE, 0);
        expression(p);
        if (!at(p, ":"))
            fail(p, "missing ':' before", p->token.text);
        advance(p);
        size_t to_end = emit(p, META_JUMP, 0);
        p->stack--;
        p->m->ops[to_else].index = (uint32_t)p->m->nops;
        expression(p);
        p->m->ops[to_end].index = (uint32_t)p->m->nops;
    }
    p->nesting--;
}

static double zero(void *ctx, uint32_t index)
{
    (void)ctx, (void)index;
    return 0;
}

/* What Perl or SpamAssassin's guard against Perl code refuse before any lexing. */
static bool forbidden(struct span text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] && strchr("$@%;{}", text.p[i]))
            return true;
    return span_search(text, SPAN("::")) != SIZE_MAX || span_search(text, SPAN("->")) != SIZE_MAX;
}

int meta_compile(struct arena *a, struct span text, bool local_only, struct meta *out,
                 struct err *e)
{
    *out = (struct meta){0};
    *ARENA_PUSH(a, out->numbers, out->nnumbers, out->numbers_cap) = 0;
    if (forbidden(text))
        return err_set(e, "one of :: -> $ @ %% ; { } stands in the expression");
    struct parser p = {
        .a = a, .rest = text, .seen = map_in(a), .m = out, .e = e, .local_only = local_only};
    advance(&p);
    struct parser ahead = p;
    if (at(&ahead, "(") && (advance(&ahead), at(&ahead, ")")) &&
        (advance(&ahead), ahead.token.kind == T_END) && !ahead.failed) {
        out->placeholder = true;
        emit(&p, META_NUMBER, 0);
        return 0;
    }
    expression(&p);
    if (!p.failed && p.token.kind != T_END)
        fail(&p, "an operator is missing before", p.token.text);
    if (!p.failed && out->depth > META_STACK)
        fail(&p, "expression too large:", SPAN(""));
    if (p.failed)
        return -1;
    bool division = false;
    meta_eval(out, zero, NULL, &division);
    return division ? err_set(e, "division by zero when nothing has hit") : 0;
}

/* As Perl sees a number in a bit operation: negative ones wrap to 64 bits unsigned. */
static uint64_t integer(double x)
{
    if (x >= 18446744073709551615.0)
        return UINT64_MAX;
    if (x >= 0)
        return (uint64_t)x;
    return x <= -9223372036854775808.0 ? (uint64_t)INT64_MIN : (uint64_t)(int64_t)x;
}

static double compute(enum meta_opcode code, double x, double y, bool *division)
{
    switch (code) {
    case META_MUL:
        return x * y;
    case META_DIV:
        *division |= y == 0;
        return y == 0 ? 0 : x / y;
    case META_ADD:
        return x + y;
    case META_SUB:
        return x - y;
    case META_LT:
        return x < y;
    case META_GT:
        return x > y;
    case META_LE:
        return x <= y;
    case META_GE:
        return x >= y;
    case META_EQ:
        return x == y;
    case META_NE:
        return x != y;
    default:
        return (double)(integer(x) ^ integer(y));
    }
}

double meta_eval(const struct meta *m, double (*value)(void *ctx, uint32_t index), void *ctx,
                 bool *division)
{
    return meta_eval_ops(m->ops, m->nops, m->numbers, value, ctx, division);
}

double meta_eval_ops(const struct meta_op *ops, size_t n, const double *numbers,
                     double (*value)(void *ctx, uint32_t index), void *ctx, bool *division)
{
    double stack[META_STACK + 1];
    size_t top = 0; /* stack[top - 1] is the last */
    for (size_t i = 0; i < n; i++) {
        const struct meta_op *op = &ops[i];
        switch (op->code) {
        case META_NUMBER:
            stack[top++] = numbers[op->index];
            break;
        case META_RULE:
            stack[top++] = value(ctx, op->index);
            break;
        case META_NOT:
            stack[top - 1] = stack[top - 1] == 0;
            break;
        case META_NEG:
            stack[top - 1] = -stack[top - 1];
            break;
        case META_JUMP:
            i = op->index - 1;
            break;
        case META_JUMP_FALSE:
            if (stack[--top] == 0)
                i = op->index - 1;
            break;
        case META_AND:
        case META_OR:
            if ((stack[top - 1] != 0) == (op->code == META_OR))
                i = op->index - 1;
            else
                top--;
            break;
        default:
            top--;
            stack[top - 1] = compute(op->code, stack[top - 1], stack[top], division);
        }
    }
    return top ? stack[top - 1] : 0;
}
