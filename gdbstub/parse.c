/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and threads as packets write them. */
#include <string.h>

#include "gdbstub/internal.h"

bool gdb_parse_number(const char **text, uint64_t *value)
{
    unsigned digits = 0;
    int digit;

    *value = 0;
    while ((digit = gdb_hex_digit(**text)) >= 0) {
        *value = *value << 4 | (unsigned)digit;
        (*text)++;
        digits++;
    }
    return digits >= 1 && digits <= 16;
}

bool gdb_parse_char(const char **text, char c)
{
    if (**text != c) {
        return false;
    }
    (*text)++;
    return true;
}

/* One part of a thread's id: -1 is all, 0 any. */
static bool parse_part(const char **text, bool *all, uint64_t *value)
{
    *all = g_str_has_prefix(*text, "-1");
    if (*all) {
        *text += 2;
        *value = 0;
        return true;
    }
    return gdb_parse_number(text, value);
}

bool gdb_parse_thread(const char **text, GdbThread *thread)
{
    bool all_processes = false;
    uint64_t process = 0, number = 0;

    thread->all = true;
    if (gdb_parse_char(text, 'p')) {
        if (!parse_part(text, &all_processes, &process) ||
            (process != 0 && process != GDB_PROCESS)) {
            return false;
        }
        if (gdb_parse_char(text, '.') && !parse_part(text, &thread->all, &number)) {
            return false;
        }
    } else if (!parse_part(text, &thread->all, &number)) {
        return false;
    }
    thread->any = !thread->all && number == 0;
    thread->cpu = (unsigned)number - 1;
    return thread->all || thread->any || (number <= UINT32_MAX && vcpu_get(thread->cpu));
}

void gdb_put_thread(GdbStub *stub, unsigned cpu)
{
    if (stub->multiprocess) {
        g_string_append_printf(stub->reply, "p%02x.", GDB_PROCESS);
    }
    g_string_append_printf(stub->reply, "%02x", cpu + 1);
}
