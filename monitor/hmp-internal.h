/* SPDX-License-Identifier: Apache-2.0 */
/* What the human monitor's files share. Private to monitor/. */
#ifndef VIREO_MONITOR_HMP_INTERNAL_H
#define VIREO_MONITOR_HMP_INTERNAL_H

#include "monitor/hmp.h"
#include "monitor/readline.h"

struct Hmp {
    GString *out;
    int *cpu;              /* the session's CPU */
    const GPtrArray *history; /* of the session, or NULL */
    bool quitting;            /* the line was `quit`: no prompt follows */
};

/* The tables of monitor/ itself. */
extern const HmpCommand hmp_builtin_commands[];
extern const HmpCommand hmp_builtin_info[];
extern const HmpCommand hmp_memory_commands[];

/* What hmp_set_machine() gave, or one with empty slots. */
const HmpMachine *hmp_machine(void);

/* Run one line; errors are printed too. */
void hmp_run(Hmp *hmp, const char *line);
/* For ReadlineOps.complete. */
GPtrArray *hmp_complete(Hmp *hmp, const char *line, size_t cursor, size_t *start);
/* All commands whose names start with prefix, or all subcommands of info. */
GPtrArray *hmp_command_names(bool info, const char *prefix);
/* `help NAME`, `help info`, `help`. */
bool hmp_help(Hmp *hmp, const char *name, GError **error);
void hmp_info_help(Hmp *hmp);

/* Evaluate with the registers of hmp's CPU. */
bool hmp_eval(Hmp *hmp, const char **text, uint64_t *value, GError **error);

/* An object of pairs name, json_object * (taken), ended by NULL. */
json_object *hmp_object(const char *name, ...) G_GNUC_NULL_TERMINATED;

/* Members of what a QMP command returned, with a default when absent. */
const char *hmp_get_str(json_object *object, const char *name, const char *fallback);
int64_t hmp_get_int(json_object *object, const char *name, int64_t fallback);
bool hmp_get_bool(json_object *object, const char *name);
/* Calls fn for each element of the list that the command returns. */
bool hmp_qmp_each(Hmp *hmp, const char *command, json_object *args,
                  void (*fn)(Hmp *hmp, json_object *item), GError **error);
/* The string members called `member` of the list that the command returns. */
GPtrArray *hmp_qmp_names(Hmp *hmp, const char *command, json_object *args, const char *member);

#endif
