/* SPDX-License-Identifier: Apache-2.0 */
/* The packets of one letter: registers, memory, breakpoints, going on. */
#include <string.h>

#include "gdbstub/internal.h"
#include "util/bits.h"

static void send_ok(GdbStub *stub)
{
    gdb_send_text(stub, "OK");
}

static void send_unsupported(GdbStub *stub)
{
    gdb_send_text(stub, "");
}

/* ---- Registers ---- */

static VCpu *synced_cpu(GdbStub *stub)
{
    VCpu *cpu = gdb_cpu(stub->general_cpu);

    return cpu && vcpu_sync_state(cpu, NULL) ? cpu : NULL;
}

static void read_registers(GdbStub *stub, const char *args, size_t len)
{
    VCpu *cpu = synced_cpu(stub);
    uint8_t bytes[GDB_REGISTER_BYTES];

    for (unsigned n = 0; cpu && n < stub->layout.count; n++) {
        unsigned size = gdb_register_read(&stub->layout, n, &cpu->state, bytes);

        gdb_put_hex(stub->reply, bytes, size);
    }
    if (!cpu) {
        gdb_send_error(stub, GDB_E_SRCH);
        return;
    }
    gdb_send(stub);
}

/* What cannot be written stays as it is: the packet holds all. */
static void write_registers(GdbStub *stub, const char *args, size_t len)
{
    VCpu *cpu = synced_cpu(stub);
    uint8_t bytes[GDB_REGISTER_BYTES];

    if (!cpu) {
        gdb_send_error(stub, GDB_E_SRCH);
        return;
    }
    for (unsigned n = 0; n < stub->layout.count; n++) {
        unsigned size = gdb_register_size(&stub->layout, n);

        if (len < 2 * size) {
            break;
        }
        if (gdb_get_hex(args, bytes, size)) {
            gdb_register_write(&stub->layout, n, &cpu->state, bytes);
        }
        args += 2 * size;
        len -= 2 * size;
    }
    vcpu_state_changed(cpu);
    send_ok(stub);
}

static void read_register(GdbStub *stub, const char *args, size_t len)
{
    VCpu *cpu = synced_cpu(stub);
    uint8_t bytes[GDB_REGISTER_BYTES];
    uint64_t n;
    unsigned size;

    if (!cpu || !gdb_parse_number(&args, &n) || n >= stub->layout.count) {
        gdb_send_error(stub, GDB_E_INVAL);
        return;
    }
    size = gdb_register_read(&stub->layout, (unsigned)n, &cpu->state, bytes);
    gdb_put_hex(stub->reply, bytes, size);
    gdb_send(stub);
}

static void write_register(GdbStub *stub, const char *args, size_t len)
{
    const char *start = args;
    VCpu *cpu = synced_cpu(stub);
    uint8_t bytes[GDB_REGISTER_BYTES] = { 0 };
    unsigned size;
    uint64_t n;

    if (!cpu || !gdb_parse_number(&args, &n) || !gdb_parse_char(&args, '=') ||
        n >= stub->layout.count) {
        gdb_send_error(stub, GDB_E_INVAL);
        return;
    }
    size = gdb_register_size(&stub->layout, (unsigned)n);
    if (len - (size_t)(args - start) != 2 * size || !gdb_get_hex(args, bytes, size) ||
        !gdb_register_write(&stub->layout, (unsigned)n, &cpu->state, bytes)) {
        gdb_send_error(stub, GDB_E_INVAL);
        return;
    }
    vcpu_state_changed(cpu);
    send_ok(stub);
}

/* ---- Memory ---- */

/* "ADDR,LENGTH" */
static bool parse_range(const char **args, uint64_t *address, uint64_t *length)
{
    return gdb_parse_number(args, address) && gdb_parse_char(args, ',') &&
           gdb_parse_number(args, length);
}

/* The longest part of it that can be read, as much as a reply holds. */
static bool read_memory_part(GdbStub *stub, const char *args, size_t max, GByteArray *out)
{
    VCpu *cpu = gdb_cpu(stub->general_cpu);
    uint64_t address, length;

    if (!cpu || !parse_range(&args, &address, &length)) {
        return false;
    }
    g_byte_array_set_size(out, (guint)MIN(length, max));
    while (out->len > 0) {
        uint64_t last = address + out->len - 1;

        if (gdb_memory_read(stub, cpu, address, out->data, out->len)) {
            return true;
        }
        if ((last & ~0xfffull) == (address & ~0xfffull)) {
            return false;
        }
        g_byte_array_set_size(out, (guint)((last & ~0xfffull) - address));
    }
    return true;
}

static void read_memory(GdbStub *stub, const char *args, size_t len)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    if (!read_memory_part(stub, args, GDB_PACKET_MAX / 2, bytes)) {
        gdb_send_error(stub, GDB_E_FAULT);
        return;
    }
    gdb_put_hex(stub->reply, bytes->data, bytes->len);
    gdb_send(stub);
}

static void read_memory_binary(GdbStub *stub, const char *args, size_t len)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    if (!read_memory_part(stub, args, GDB_PACKET_MAX / 2 - 1, bytes)) {
        gdb_send_error(stub, GDB_E_FAULT);
        return;
    }
    g_string_append_c(stub->reply, 'b');
    gdb_put_escaped(stub->reply, bytes->data, bytes->len);
    gdb_send(stub);
}

static void write_memory_at(GdbStub *stub, uint64_t address, const uint8_t *bytes, size_t len)
{
    VCpu *cpu = gdb_cpu(stub->general_cpu);

    if (!cpu || !gdb_memory_write(stub, cpu, address, bytes, len)) {
        gdb_send_error(stub, GDB_E_FAULT);
        return;
    }
    send_ok(stub);
}

/* "ADDR,LENGTH:DIGITS" */
static void write_memory(GdbStub *stub, const char *args, size_t len)
{
    const char *start = args;
    g_autofree uint8_t *bytes = g_malloc(GDB_PACKET_MAX / 2);
    uint64_t address, length;

    if (!parse_range(&args, &address, &length) || !gdb_parse_char(&args, ':') ||
        length > GDB_PACKET_MAX / 2 || len - (size_t)(args - start) != 2 * length ||
        !gdb_get_hex(args, bytes, length)) {
        gdb_send_error(stub, GDB_E_INVAL);
        return;
    }
    write_memory_at(stub, address, bytes, length);
}

/* The same with bytes as they are. */
static void write_memory_binary(GdbStub *stub, const char *args, size_t len)
{
    const char *start = args;
    uint64_t address, length;

    if (!parse_range(&args, &address, &length) || !gdb_parse_char(&args, ':') ||
        len - (size_t)(args - start) != length) {
        gdb_send_error(stub, GDB_E_INVAL);
        return;
    }
    write_memory_at(stub, address, (const uint8_t *)args, length);
}

/* ---- Breakpoints ---- */

/* "TYPE,ADDR,KIND"; conditions and commands behind it are not for us. */
static bool parse_point(const char **args, GdbPointType *type, uint64_t *address, uint64_t *length)
{
    uint64_t number;

    if (!gdb_parse_number(args, &number) || number >= GDB_POINT__MAX ||
        !gdb_parse_char(args, ',') || !parse_range(args, address, length)) {
        return false;
    }
    *type = (GdbPointType)number;
    return true;
}

static void send_point_result(GdbStub *stub, int result)
{
    if (result < 0) {
        send_unsupported(stub);
    } else if (result > 0) {
        gdb_send_error(stub, (unsigned)result);
    } else {
        send_ok(stub);
    }
}

static void insert_point(GdbStub *stub, const char *args, size_t len)
{
    GdbPointType type;
    uint64_t address, length;

    if (!parse_point(&args, &type, &address, &length)) {
        gdb_send_error(stub, GDB_E_INVAL);
        return;
    }
    send_point_result(stub, gdb_breakpoint_add(stub, type, address, length));
}

static void remove_point(GdbStub *stub, const char *args, size_t len)
{
    GdbPointType type;
    uint64_t address, length;

    if (!parse_point(&args, &type, &address, &length)) {
        gdb_send_error(stub, GDB_E_INVAL);
        return;
    }
    send_point_result(stub, gdb_breakpoint_remove(stub, type, address, length));
}

/* ---- Going on ---- */

static bool set_program_counter(GdbStub *stub, const char *args)
{
    VCpu *cpu = gdb_cpu(stub->run_cpu);
    uint64_t address;

    if (!*args) {
        return true;
    }
    if (!gdb_parse_number(&args, &address) || *args || !cpu || !vcpu_sync_state(cpu, NULL)) {
        return false;
    }
    cpu->state.rip = address;
    vcpu_state_changed(cpu);
    return true;
}

/* Without vCont, a step is for one CPU alone and "continue" for all. */
static void go_on(GdbStub *stub, const char *args, GdbAction action)
{
    VCpu *cpu = gdb_cpu(stub->run_cpu);
    const unsigned count = gdb_cpu_slots();
    g_autofree uint8_t *actions = NULL;

    if (!cpu || !set_program_counter(stub, args)) {
        gdb_send_error(stub, GDB_E_INVAL);
        return;
    }
    actions = g_malloc(count);
    memset(actions, action == GDB_ACTION_STEP ? GDB_ACTION_HOLD : GDB_ACTION_CONTINUE, count);
    if (action == GDB_ACTION_STEP) {
        actions[cpu->index] = GDB_ACTION_STEP;
    }
    gdb_resume(stub, actions, count);
}

static void continue_at(GdbStub *stub, const char *args, size_t len)
{
    go_on(stub, args, GDB_ACTION_CONTINUE);
}

static void step_at(GdbStub *stub, const char *args, size_t len)
{
    go_on(stub, args, GDB_ACTION_STEP);
}

/* "SIGNAL[;ADDR]": there is nobody to take the signal. */
static const char *skip_signal(const char *args)
{
    const char *rest = strchr(args, ';');

    return rest ? rest + 1 : "";
}

static void continue_with(GdbStub *stub, const char *args, size_t len)
{
    go_on(stub, skip_signal(args), GDB_ACTION_CONTINUE);
}

static void step_with(GdbStub *stub, const char *args, size_t len)
{
    go_on(stub, skip_signal(args), GDB_ACTION_STEP);
}

/* ---- The rest ---- */

static void tell_stop(GdbStub *stub, const char *args, size_t len)
{
    gdb_put_stop(stub, GDB_SIGNAL_TRAP);
    gdb_send(stub);
}

static void kill_machine(GdbStub *stub, const char *args, size_t len)
{
    stub->host->quit();
}

static void detach(GdbStub *stub, const char *args, size_t len)
{
    uint64_t process;

    if (gdb_parse_char(&args, ';') &&
        (!gdb_parse_number(&args, &process) || process != GDB_PROCESS)) {
        gdb_send_error(stub, GDB_E_INVAL);
        return;
    }
    gdb_breakpoints_clear(stub);
    gdb_run_all(stub);
    send_ok(stub);
    stub->host->start(NULL);
}

/* Hg: whose registers and page tables; Hc: who steps. */
static void choose_thread(GdbStub *stub, const char *args, size_t len)
{
    char what = *args;
    GdbThread thread;

    if (what != 'g' && what != 'c') {
        gdb_send_error(stub, GDB_E_INVAL);
        return;
    }
    args++;
    if (!gdb_parse_thread(&args, &thread)) {
        gdb_send_error(stub, GDB_E_SRCH);
        return;
    }
    if (!thread.all && !thread.any) {
        *(what == 'g' ? &stub->general_cpu : &stub->run_cpu) = thread.cpu;
    }
    send_ok(stub);
}

static void is_thread_alive(GdbStub *stub, const char *args, size_t len)
{
    GdbThread thread;

    if (!gdb_parse_thread(&args, &thread)) {
        gdb_send_error(stub, GDB_E_SRCH);
        return;
    }
    send_ok(stub);
}

static void use_extended(GdbStub *stub, const char *args, size_t len)
{
    send_ok(stub);
}

static void query(GdbStub *stub, const char *args, size_t len)
{
    if (!gdb_query(stub, args - 1, len + 1)) {
        send_unsupported(stub);
    }
}

static void verbose(GdbStub *stub, const char *args, size_t len)
{
    if (!gdb_verbose(stub, args - 1, len + 1)) {
        send_unsupported(stub);
    }
}

typedef void CommandFn(GdbStub *stub, const char *args, size_t len);

static CommandFn *command_for(char letter)
{
    static const struct {
        char letter;
        CommandFn *fn;
    } table[] = {
        { '!', use_extended }, { '?', tell_stop }, { 'c', continue_at }, { 'C', continue_with },
        { 'D', detach }, { 'g', read_registers }, { 'G', write_registers }, { 'H', choose_thread },
        { 'k', kill_machine }, { 'm', read_memory }, { 'M', write_memory }, { 'p', read_register },
        { 'P', write_register }, { 'q', query }, { 'Q', query }, { 's', step_at },
        { 'S', step_with }, { 'T', is_thread_alive }, { 'v', verbose },
        { 'x', read_memory_binary }, { 'X', write_memory_binary }, { 'z', remove_point },
        { 'Z', insert_point },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        if (table[i].letter == letter) {
            return table[i].fn;
        }
    }
    return NULL;
}

void gdb_command(GdbStub *stub, const char *data, size_t len)
{
    CommandFn *fn = len ? command_for(data[0]) : NULL;

    if (fn) {
        fn(stub, data + 1, len - 1);
    } else {
        send_unsupported(stub);
    }
}
