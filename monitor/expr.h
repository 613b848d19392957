/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions of the human monitor: 64-bit integers with C's operators and precedence (| ^ & << >>
 * + - * / %, unary + - ~, parentheses), decimal, 0x and 0 numbers, 'c' characters and $registers.
 */
#ifndef VIREO_MONITOR_EXPR_H
#define VIREO_MONITOR_EXPR_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The value of a register by its name without '$'. */
typedef bool ExprRegisterFn(const char *name, uint64_t *value, void *opaque, GError **error);

/*
 * Evaluate what stands at *text and move *text behind it and the blanks after it. registers may be
 * NULL. Nesting is bounded.
 */
bool expr_eval(const char **text, ExprRegisterFn *registers, void *opaque, uint64_t *value,
               GError **error);

#endif
