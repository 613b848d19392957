/* SPDX-License-Identifier: Apache-2.0 */
/* The packets with names: q, Q and v. */
#include <string.h>

#include "gdbstub/internal.h"

/* ---- What both sides can do ---- */

static void supported(GdbStub *stub, const char *args, size_t len)
{
    g_auto(GStrv) features = g_strsplit(args, ";", -1);

    stub->multiprocess = g_strv_contains((const char *const *)features, "multiprocess+");
    stub->swbreak = g_strv_contains((const char *const *)features, "swbreak+");
    stub->hwbreak = g_strv_contains((const char *const *)features, "hwbreak+");
    g_string_printf(stub->reply,
                    "PacketSize=%x;multiprocess+;qXfer:features:read+;vContSupported+;swbreak+;"
                    "hwbreak+;QStartNoAckMode+;binary-upload+", GDB_PACKET_MAX);
    gdb_send(stub);
}

static void start_no_ack(GdbStub *stub, const char *args, size_t len)
{
    gdb_send_text(stub, "OK");
    stub->no_ack = true;
}

/* "ANNEX:OFFSET,LENGTH" of the target description. */
static void transfer_features(GdbStub *stub, const char *args, size_t len)
{
    static const char annex[] = "target.xml:";
    uint64_t offset, length;
    size_t total = stub->description ? strlen(stub->description) : 0;

    if (!g_str_has_prefix(args, annex)) {
        gdb_send_text(stub, "E00");
        return;
    }
    args += strlen(annex);
    if (!gdb_parse_number(&args, &offset) || !gdb_parse_char(&args, ',') ||
        !gdb_parse_number(&args, &length) || offset > total) {
        gdb_send_error(stub, GDB_E_INVAL);
        return;
    }
    length = MIN(length, GDB_PACKET_MAX / 2 - 1);
    length = MIN(length, total - offset);
    g_string_append_c(stub->reply, offset + length < total ? 'm' : 'l');
    gdb_put_escaped(stub->reply, stub->description + offset, length);
    gdb_send(stub);
}

/* ---- Threads ---- */

/* As many as a reply holds, from thread_cursor on. */
static void next_threads(GdbStub *stub, const char *args, size_t len)
{
    const unsigned slots = gdb_cpu_slots();

    for (; stub->thread_cursor < slots && stub->reply->len < GDB_PACKET_MAX / 2;
         stub->thread_cursor++) {
        if (vcpu_get(stub->thread_cursor)) {
            g_string_append_c(stub->reply, stub->reply->len ? ',' : 'm');
            gdb_put_thread(stub, stub->thread_cursor);
        }
    }
    if (!stub->reply->len) {
        g_string_append_c(stub->reply, 'l');
    }
    gdb_send(stub);
}

static void first_threads(GdbStub *stub, const char *args, size_t len)
{
    stub->thread_cursor = 0;
    next_threads(stub, args, len);
}

static void current_thread(GdbStub *stub, const char *args, size_t len)
{
    VCpu *cpu = gdb_cpu(stub->general_cpu);

    g_string_append(stub->reply, "QC");
    gdb_put_thread(stub, cpu ? cpu->index : 0);
    gdb_send(stub);
}

static void describe_thread(GdbStub *stub, const char *args, size_t len)
{
    g_autofree char *text = NULL;
    GdbThread thread;
    const VCpu *cpu;

    if (!gdb_parse_thread(&args, &thread) || thread.all || thread.any) {
        gdb_send_error(stub, GDB_E_SRCH);
        return;
    }
    cpu = vcpu_get(thread.cpu);
    text = g_strdup_printf("CPU#%u [%s]", thread.cpu, cpu->halted ? "halted" : "running");
    gdb_put_hex(stub->reply, text, strlen(text));
    gdb_send(stub);
}

/* ---- The monitor ---- */

/* Output goes in O packets, which GDB prints as they come. */
static void send_output(GdbStub *stub, const char *text)
{
    const size_t part = GDB_PACKET_MAX / 2 - 1;
    size_t len = strlen(text);

    for (size_t done = 0; done < len; done += part) {
        g_string_append_c(stub->reply, 'O');
        gdb_put_hex(stub->reply, text + done, MIN(part, len - done));
        gdb_send(stub);
    }
}

static void run_monitor(GdbStub *stub, const char *args, size_t len)
{
    g_autofree char *line = g_malloc0(len / 2 + 1);
    g_autoptr(GError) error = NULL;
    g_autofree char *output = NULL;
    VCpu *cpu = gdb_cpu(stub->general_cpu);

    if (!stub->host->monitor || len % 2 || !gdb_get_hex(args, (uint8_t *)line, len / 2)) {
        gdb_send_error(stub, GDB_E_INVAL);
        return;
    }
    output = stub->host->monitor(line, cpu ? cpu->index : 0, &error);
    if (output || error) {
        send_output(stub, output ? output : error->message);
    }
    if (error) {
        send_output(stub, "\n");
    }
    gdb_send_text(stub, "OK");
}

/* ---- Small ones ---- */

static void attached(GdbStub *stub, const char *args, size_t len)
{
    gdb_send_text(stub, "1");
}

static void symbol(GdbStub *stub, const char *args, size_t len)
{
    gdb_send_text(stub, "OK");
}

static void step_bits(GdbStub *stub, const char *args, size_t len)
{
    g_string_printf(stub->reply, "ENABLE=%x,NOIRQ=%x", GDB_STEP_ENABLE, GDB_STEP_NO_IRQ);
    gdb_send(stub);
}

static void get_step(GdbStub *stub, const char *args, size_t len)
{
    g_string_printf(stub->reply, "0x%x", stub->sstep);
    gdb_send(stub);
}

static void set_step(GdbStub *stub, const char *args, size_t len)
{
    uint64_t bits;

    if (g_str_has_prefix(args, "0x")) {
        args += 2;
    }
    if (!gdb_parse_number(&args, &bits) || *args ||
        (bits & ~(uint64_t)(GDB_STEP_ENABLE | GDB_STEP_NO_IRQ))) {
        gdb_send_error(stub, GDB_E_INVAL);
        return;
    }
    stub->sstep = (unsigned)bits;
    gdb_send_text(stub, "OK");
}

static void get_physical(GdbStub *stub, const char *args, size_t len)
{
    gdb_send_text(stub, stub->physical ? "1" : "0");
}

static void set_physical(GdbStub *stub, const char *args, size_t len)
{
    if (!g_str_equal(args, "0") && !g_str_equal(args, "1")) {
        gdb_send_error(stub, GDB_E_INVAL);
        return;
    }
    stub->physical = *args == '1';
    gdb_send_text(stub, "OK");
}

static void private_features(GdbStub *stub, const char *args, size_t len)
{
    gdb_send_text(stub, "sstepbits;sstep;PhyMemMode");
}

/* ---- vCont and its family ---- */

static void continue_supported(GdbStub *stub, const char *args, size_t len)
{
    gdb_send_text(stub, "vCont;c;C;s;S;t");
}

/* One "ACTION[:THREAD]"; the leftmost one that fits a CPU counts. */
static bool take_action(const char **text, uint8_t *actions, bool *taken, unsigned count)
{
    GdbThread thread = { .all = true };
    uint64_t signal;
    GdbAction action = **text == 'c' || **text == 'C' ? GDB_ACTION_CONTINUE :
                       **text == 's' || **text == 'S' ? GDB_ACTION_STEP : GDB_ACTION_HOLD;
    char letter = **text;

    if (!letter || !strchr("cCsSt", letter)) {
        return false;
    }
    (*text)++;
    if ((letter == 'C' || letter == 'S') && !gdb_parse_number(text, &signal)) {
        return false;
    }
    if (gdb_parse_char(text, ':') && !gdb_parse_thread(text, &thread)) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        bool fits = vcpu_get(i) && (thread.all || thread.any || thread.cpu == i);

        if (fits && !taken[i]) {
            actions[i] = action;
            taken[i] = true;
            if (thread.any) {
                break;
            }
        }
    }
    return true;
}

static void continue_threads(GdbStub *stub, const char *args, size_t len)
{
    const unsigned count = gdb_cpu_slots();
    g_autofree uint8_t *actions = NULL;
    g_autofree bool *taken = NULL;
    bool ok = true, any = false;

    actions = g_malloc0(count + 1);
    taken = g_new0(bool, count + 1);
    while (ok && gdb_parse_char(&args, ';')) {
        ok = take_action(&args, actions, taken, count);
    }
    for (unsigned i = 0; i < count; i++) {
        any |= actions[i] != GDB_ACTION_HOLD;
    }
    if (!ok || *args || !any) {
        gdb_send_error(stub, GDB_E_INVAL);
        return;
    }
    gdb_resume(stub, actions, count);
}

static bool is_our_process(const char *args)
{
    uint64_t process;

    return gdb_parse_number(&args, &process) && process == GDB_PROCESS;
}

static void attach(GdbStub *stub, const char *args, size_t len)
{
    if (!is_our_process(args)) {
        gdb_send_error(stub, GDB_E_INVAL);
        return;
    }
    gdb_put_stop(stub, GDB_SIGNAL_TRAP);
    gdb_send(stub);
}

static void kill_process(GdbStub *stub, const char *args, size_t len)
{
    if (!is_our_process(args)) {
        gdb_send_error(stub, GDB_E_INVAL);
        return;
    }
    gdb_send_text(stub, "OK");
    stub->host->quit();
}

/* ---- Tables ---- */

/* args: what follows the name. */
typedef void NamedFn(GdbStub *stub, const char *args, size_t len);

typedef struct Named {
    const char *name;
    bool alone; /* nothing follows */
    NamedFn *fn;
} Named;

static bool dispatch(GdbStub *stub, const Named *table, const char *data, size_t len)
{
    for (; table->name; table++) {
        size_t name_len = strlen(table->name);

        if (g_str_has_prefix(data, table->name) && (!table->alone || len == name_len)) {
            table->fn(stub, data + name_len, len - name_len);
            return true;
        }
    }
    return false;
}

bool gdb_query(GdbStub *stub, const char *data, size_t len)
{
    static const Named table[] = {
        { "qSupported:", false, supported }, { "qSupported", true, supported },
        { "QStartNoAckMode", true, start_no_ack },
        { "qXfer:features:read:", false, transfer_features },
        { "qfThreadInfo", true, first_threads }, { "qsThreadInfo", true, next_threads },
        { "qC", true, current_thread }, { "qThreadExtraInfo,", false, describe_thread },
        { "qAttached", true, attached }, { "qAttached:", false, attached },
        { "qSymbol:", false, symbol }, { "qRcmd,", false, run_monitor },
        { "qqemu.Supported", true, private_features }, { "qqemu.sstepbits", true, step_bits },
        { "qqemu.sstep", true, get_step }, { "Qqemu.sstep=", false, set_step },
        { "qqemu.PhyMemMode", true, get_physical }, { "Qqemu.PhyMemMode:", false, set_physical },
        { NULL },
    };

    return dispatch(stub, table, data, len);
}

bool gdb_verbose(GdbStub *stub, const char *data, size_t len)
{
    static const Named table[] = {
        { "vCont?", true, continue_supported }, { "vCont", false, continue_threads },
        { "vAttach;", false, attach }, { "vKill;", false, kill_process },
        { NULL },
    };

    return dispatch(stub, table, data, len);
}
