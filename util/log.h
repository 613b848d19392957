/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The debugging log (-d ITEMS, -D FILE): off unless asked for. Guest errors are rate-limited, so
 * that a guest cannot fill the host's disk.
 */
#ifndef VIREO_UTIL_LOG_H
#define VIREO_UTIL_LOG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum LogItem {
    LOG_GUEST_ERRORS = 1u << 0, /* guest_errors: the guest did what hardware forbids */
    LOG_UNIMP = 1u << 1,        /* unimp: a feature that this program lacks */
    LOG_INT = 1u << 2,          /* int: interrupts and exceptions */
    LOG_CPU_RESET = 1u << 3,    /* cpu_reset: CPU state before each reset */
    LOG_IN_ASM = 1u << 4,       /* in_asm: guest code as it is decoded (software CPU) */
} LogItem;

/* Items of LogItem that are on; read through log_enabled(). */
bool log_enabled(LogItem item);
void log_printf(LogItem item, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* A line whatever is on: the caller has asked already (trace points). */
void log_write(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
/* At most 16 lines a second; what was dropped is counted in the next line. */
void log_guest_error(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
void log_unimplemented(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

/*
 * "guest_errors,unimp", "help" is the caller's affair. Unknown items: an error naming the nearest.
 */
bool log_set_items(const char *items, GError **error);
/* NULL: stderr. "%d" in path becomes the process id. */
bool log_set_file(const char *path, GError **error);
/* One line per item: name and description, for -d help. */
char *log_items_help(void);

#endif
