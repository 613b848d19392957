/* SPDX-License-Identifier: Apache-2.0 */
/* Finding a line's command and running it. */
#include <stdio.h>
#include <string.h>

#include "tools/io/io.h"

static const IoCommand *find_command(const char *name)
{
    for (const IoCommand *c = io_commands; c->name; c++) {
        if (!strcmp(c->name, name) || !g_strcmp0(c->alias, name)) {
            return c;
        }
    }
    return NULL;
}

static int run_words(IoSession *session, int argc, char **argv)
{
    const IoCommand *command = find_command(argv[0]);

    if (!command || (session->requests_only && !command->is_request)) {
        printf("command \"%s\" not found\n", argv[0]);
        return 1;
    }
    if (command->needs_image && !session->blk) {
        printf("no file open, try 'help open'\n");
        return 1;
    }
    if (argc - 1 < command->min_args) {
        printf("bad argument count %d to %s, expected at least %d arguments\n", argc - 1, argv[0],
               command->min_args);
        return 1;
    }
    if (command->max_args >= 0 && argc - 1 > command->max_args) {
        printf("bad argument count %d to %s, expected at most %d arguments\n", argc - 1, argv[0],
               command->max_args);
        return 1;
    }
    return command->fn(session, argc, argv);
}

int io_run_line(IoSession *session, const char *line)
{
    g_auto(GStrv) words = NULL;
    int argc, status;

    if (!g_shell_parse_argv(line, &argc, &words, NULL)) {
        return 0; /* an empty line */
    }
    status = run_words(session, argc, words);
    fflush(stdout);
    return status;
}
