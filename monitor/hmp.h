/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The human monitor's commands: tables of name, arguments and help. Most rows only name a QMP
 * command; the rest have a function that runs QMP commands and prints what they return. What needs
 * devices, memory or CPUs directly is registered by higher layers.
 *
 * Everything here runs on the main thread with the VM lock held.
 */
#ifndef VIREO_MONITOR_HMP_H
#define VIREO_MONITOR_HMP_H

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/* One run of a line: where its output goes, and which CPU it means. */
typedef struct Hmp Hmp;

typedef enum HmpArgKind {
    HMP_FLAG,   /* name is its letter: "-f" on the line */
    HMP_FORMAT, /* "/4xw" */
    HMP_WORD,   /* up to a blank; "in quotes" it may hold blanks */
    HMP_REST,   /* the rest of the line */
    HMP_EXPR,   /* an expression, 64 bits */
    HMP_BOOL,   /* on or off */
} HmpArgKind;

typedef struct HmpArg {
    const char *name; /* shown in help; for rows without run, the QMP member's name */
    HmpArgKind kind;
    bool optional;
    /* Words that it may be, for completion: strings, owned by the array. May be NULL. */
    GPtrArray *(*complete)(Hmp *hmp, const char *prefix);
} HmpArg;

/* How to show memory: /COUNT FORMAT SIZE. */
typedef struct HmpFormat {
    unsigned count; /* at least 1 */
    char format;    /* x d u o c i, or 0 if not given */
    unsigned size;  /* 1 2 4 8 bytes, or 0 if not given */
} HmpFormat;

typedef struct HmpValue {
    bool present;
    char *text;      /* word, rest */
    uint64_t number; /* expression, bool */
    HmpFormat format;
} HmpValue;

#define HMP_MAX_ARGS 7

typedef struct HmpCommand {
    const char *name;
    const char *alias; /* or NULL */
    const char *help;  /* one line */
    HmpArg args[HMP_MAX_ARGS]; /* as many as have a name */
    const char *qmp;   /* the QMP command that it is, if run is NULL */
    /* values are in the order of args. An error is printed. */
    bool (*run)(Hmp *hmp, const HmpValue *values, GError **error);
} HmpCommand;

/* More commands, or more subcommands of `info`. The table is borrowed and ends with a NULL name. */
void hmp_add_commands(const HmpCommand *table);
void hmp_add_info(const HmpCommand *table);

void hmp_printf(Hmp *hmp, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
void hmp_puts(Hmp *hmp, const char *text);
/* The CPU that the line is about (command `cpu`). */
int hmp_cpu(const Hmp *hmp);

/*
 * Run a QMP command. Takes args (NULL: none). Returns what it returned (an empty object if
 * nothing), owned by the caller, or NULL with the error set.
 */
json_object *hmp_qmp(Hmp *hmp, const char *command, json_object *args, GError **error);

/* What the x, xp, print, sum, i and o commands need of the machine. Slots may be NULL. */
typedef struct HmpMachine {
    unsigned (*n_cpus)(void);
    bool (*read_physical)(uint64_t addr, void *buf, size_t len, GError **error);
    bool (*read_virtual)(int cpu, uint64_t addr, void *buf, size_t len, GError **error);
    bool (*read_register)(int cpu, const char *name, uint64_t *value, GError **error);
    /* One instruction at addr as text; *length is its bytes. The text is the caller's. */
    char *(*disassemble)(int cpu, uint64_t addr, const uint8_t *code, size_t len, unsigned *length);
    bool (*read_port)(uint16_t port, unsigned size, uint32_t *value, GError **error);
    bool (*write_port)(uint16_t port, unsigned size, uint32_t value, GError **error);
} HmpMachine;

/* Borrowed; NULL: there is no machine. */
void hmp_set_machine(const HmpMachine *machine);

#endif
