/* SPDX-License-Identifier: Apache-2.0 */
/* A recursive-descent evaluator; binary operators are a table with their precedence. */
#include "monitor/expr.h"

#include <string.h>

#include "util/error.h"

#define MAX_DEPTH 64

typedef struct Expr {
    const char *p;
    ExprRegisterFn *registers;
    void *opaque;
    unsigned depth;
    GError **error;
} Expr;

static const struct {
    char text[3];
    uint8_t precedence; /* higher binds tighter */
} operators[] = {
    { "<<", 4 }, { ">>", 4 }, { "|", 1 }, { "^", 2 }, { "&", 3 },
    { "+", 5 },  { "-", 5 },  { "*", 6 }, { "/", 6 }, { "%", 6 },
};

static void skip_blanks(Expr *e)
{
    while (g_ascii_isspace(*e->p)) {
        e->p++;
    }
}

static bool fail(Expr *e, const char *what)
{
    if (*e->p) {
        error_setf(e->error, "%s at '%.16s'", what, e->p);
    } else {
        error_setf(e->error, "%s at the end of the expression", what);
    }
    return false;
}

static bool eval(Expr *e, unsigned min_precedence, uint64_t *value);

static bool eval_register(Expr *e, uint64_t *value)
{
    const char *start = ++e->p;
    g_autofree char *name = NULL;

    while (g_ascii_isalnum(*e->p) || *e->p == '_' || *e->p == '.') {
        e->p++;
    }
    name = g_strndup(start, (gsize)(e->p - start));
    if (!e->registers) {
        error_setf(e->error, "There is no CPU whose register '$%s' could be read", name);
        return false;
    }
    return e->registers(name, value, e->opaque, e->error);
}

static bool eval_character(Expr *e, uint64_t *value)
{
    if (!e->p[1] || e->p[2] != '\'') {
        return fail(e, "expected a character in quotes");
    }
    *value = (uint8_t)e->p[1];
    e->p += 3;
    return true;
}

static bool eval_number(Expr *e, uint64_t *value)
{
    char *end;

    if (!g_ascii_isdigit(*e->p)) {
        return fail(e, "expected a number");
    }
    *value = g_ascii_strtoull(e->p, &end, 0);
    if (g_ascii_isalnum(*end)) {
        return fail(e, "not a number");
    }
    e->p = end;
    return true;
}

static bool eval_primary(Expr *e, uint64_t *value)
{
    switch (*e->p) {
    case '(':
        e->p++;
        if (!eval(e, 0, value)) {
            return false;
        }
        if (*e->p != ')') {
            return fail(e, "expected ')'");
        }
        e->p++;
        return true;
    case '$':
        return eval_register(e, value);
    case '\'':
        return eval_character(e, value);
    default:
        return eval_number(e, value);
    }
}

static bool eval_unary(Expr *e, uint64_t *value)
{
    char op;

    skip_blanks(e);
    op = *e->p;
    if (op != '+' && op != '-' && op != '~') {
        return eval_primary(e, value);
    }
    if (++e->depth > MAX_DEPTH) {
        return fail(e, "nested too deeply");
    }
    e->p++;
    if (!eval_unary(e, value)) {
        return false;
    }
    e->depth--;
    *value = op == '-' ? -*value : op == '~' ? ~*value : *value;
    return true;
}

static bool apply(Expr *e, char op, uint64_t a, uint64_t b, uint64_t *value)
{
    if ((op == '/' || op == '%') && b == 0) {
        error_setf(e->error, "division by zero");
        return false;
    }
    switch (op) {
    case '<':
        *value = b < 64 ? a << b : 0;
        return true;
    case '>':
        *value = b < 64 ? a >> b : 0;
        return true;
    case '|':
        *value = a | b;
        return true;
    case '^':
        *value = a ^ b;
        return true;
    case '&':
        *value = a & b;
        return true;
    case '+':
        *value = a + b;
        return true;
    case '-':
        *value = a - b;
        return true;
    case '*':
        *value = a * b;
        return true;
    case '/':
        *value = a / b;
        return true;
    default:
        *value = a % b;
        return true;
    }
}

/* The operator at p, or -1. */
static int find_operator(const char *p)
{
    for (size_t i = 0; i < G_N_ELEMENTS(operators); i++) {
        if (g_str_has_prefix(p, operators[i].text)) {
            return (int)i;
        }
    }
    return -1;
}

static bool eval(Expr *e, unsigned min_precedence, uint64_t *value)
{
    if (++e->depth > MAX_DEPTH) {
        return fail(e, "nested too deeply");
    }
    if (!eval_unary(e, value)) {
        return false;
    }
    for (;;) {
        uint64_t right;
        int op;

        skip_blanks(e);
        op = find_operator(e->p);
        if (op < 0 || operators[op].precedence <= min_precedence) {
            break;
        }
        e->p += strlen(operators[op].text);
        if (!eval(e, operators[op].precedence, &right) ||
            !apply(e, operators[op].text[0], *value, right, value)) {
            return false;
        }
    }
    e->depth--;
    return true;
}

bool expr_eval(const char **text, ExprRegisterFn *registers, void *opaque, uint64_t *value,
               GError **error)
{
    Expr e = { .p = *text, .registers = registers, .opaque = opaque, .error = error };

    if (!eval(&e, 0, value)) {
        return false;
    }
    *text = e.p;
    return true;
}
