/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conversation: bytes to packets, acknowledgements and retransmission, connecting and
 * disconnecting, and the machine's stops.
 *
 * A peer that connects stops the machine. All that it sends is worked on at once, while the machine
 * stands still: a packet that comes while it runs stops it first.
 */
#include <string.h>

#include "gdbstub/internal.h"
#include "util/error.h"

#define READ_MAX 4096

VCpu *gdb_cpu(unsigned index)
{
    VCpu *cpu = vcpu_get(index);

    return cpu ? cpu : vcpu_next(NULL);
}

/* ---- Sending ---- */

static void write_last(GdbStub *stub)
{
    char_frontend_write_all(&stub->frontend, (const uint8_t *)stub->last->str,
                            (int)stub->last->len);
}

void gdb_send(GdbStub *stub)
{
    g_string_truncate(stub->last, 0);
    gdb_packet_encode(stub->last, stub->reply->str, stub->reply->len);
    g_string_truncate(stub->reply, 0);
    write_last(stub);
}

void gdb_send_text(GdbStub *stub, const char *text)
{
    g_string_assign(stub->reply, text);
    gdb_send(stub);
}

void gdb_send_error(GdbStub *stub, unsigned number)
{
    g_string_printf(stub->reply, "E%02x", number);
    gdb_send(stub);
}

/* ---- Stops ---- */

static void stop_machine(GdbStub *stub)
{
    if (stub->host->is_running()) {
        stub->stopped_by_us = true;
        stub->host->stop();
    }
}

void gdb_stub_run_state(GdbStub *stub, bool running)
{
    GdbSignal signal;

    if (running) {
        /* Somebody else lets it run: then all of it. */
        if (!stub->resuming) {
            gdb_run_all(stub);
        }
        stub->stopped_by_us = false;
        return;
    }
    if (!stub->connected) {
        return;
    }
    signal = gdb_note_stop(stub) ? GDB_SIGNAL_TRAP : stub->host->stop_signal();
    stub->stopped_by_us |= signal == GDB_SIGNAL_TRAP;
    if (stub->waiting) {
        stub->waiting = false;
        gdb_put_stop(stub, signal);
        gdb_send(stub);
    }
}

/* ---- Receiving ---- */

static void acknowledge(GdbStub *stub, char answer)
{
    if (!stub->no_ack) {
        char_frontend_write_all(&stub->frontend, (const uint8_t *)&answer, 1);
    }
}

static void handle_input(GdbStub *stub, GdbInput input)
{
    switch (input) {
    case GDB_INPUT_PACKET:
        acknowledge(stub, '+');
        stop_machine(stub);
        gdb_command(stub, (const char *)stub->rx.data, stub->rx.len);
        break;
    case GDB_INPUT_TOO_LONG:
        acknowledge(stub, '+');
        stop_machine(stub);
        gdb_send_error(stub, GDB_E_TOO_BIG);
        break;
    case GDB_INPUT_BAD:
        acknowledge(stub, '-');
        break;
    case GDB_INPUT_NAK:
        if (!stub->no_ack) {
            write_last(stub);
        }
        break;
    case GDB_INPUT_BREAK:
        stop_machine(stub);
        break;
    default:
        break;
    }
}

static int stub_can_read(void *opaque)
{
    return READ_MAX;
}

static void stub_read(void *opaque, const uint8_t *buf, int size)
{
    GdbStub *stub = opaque;

    stub->busy = true;
    for (int i = 0; i < size && stub->connected; i++) {
        handle_input(stub, gdb_receiver_put(&stub->rx, buf[i]));
    }
    stub->busy = false;
}

/* ---- Peers ---- */

static void peer_came(GdbStub *stub)
{
    VCpu *cpu = gdb_cpu(0);

    stub->connected = true;
    gdb_receiver_init(&stub->rx);
    g_string_truncate(stub->last, 0);
    stub->no_ack = false;
    stub->multiprocess = stub->swbreak = stub->hwbreak = false;
    stub->physical = stub->waiting = false;
    stub->sstep = GDB_STEP_ENABLE | GDB_STEP_NO_IRQ;
    stub->stop_reason[0] = 0;
    stop_machine(stub);
    if (!cpu) {
        return;
    }
    stub->general_cpu = stub->run_cpu = cpu->index;
    stub->layout = gdb_layout_for(cpu);
    g_free(stub->description);
    stub->description = gdb_layout_describe(&stub->layout);
}

static void peer_went(GdbStub *stub)
{
    g_autoptr(GError) error = NULL;
    bool ours = stub->stopped_by_us;
    bool left_traces = stub->waiting || stub->breakpoints->len > 0;

    if (!stub->connected) {
        return;
    }
    stub->connected = stub->waiting = false;
    if (left_traces && stub->host->is_running()) {
        stub->host->stop();
        ours = true;
    }
    gdb_breakpoints_clear(stub);
    gdb_run_all(stub);
    if (ours && !stub->host->start(&error)) {
        warn_report("gdbstub: %s", error->message);
    }
}

static void stub_event(void *opaque, CharEvent event)
{
    GdbStub *stub = opaque;

    if (event == CHAR_EVENT_OPENED) {
        peer_went(stub); /* a mux opens more than once */
        peer_came(stub);
    } else if (event == CHAR_EVENT_CLOSED) {
        peer_went(stub);
    }
}

/* ---- Life ---- */

GdbStub *gdb_stub_new(Chardev *chr, const GdbHost *host, GError **error)
{
    static const CharFrontendOps ops = {
        .can_read = stub_can_read, .read = stub_read, .event = stub_event,
    };
    GdbStub *stub = g_new0(GdbStub, 1);

    if (!char_frontend_attach(&stub->frontend, chr, error)) {
        g_free(stub);
        return NULL;
    }
    stub->host = host;
    stub->reply = g_string_new(NULL);
    stub->last = g_string_new(NULL);
    stub->breakpoints = g_array_new(false, true, sizeof(GdbBreakpoint));
    stub->points = g_array_new(false, true, sizeof(VCpuBreakpoint));
    stub->point_types = g_array_new(false, true, sizeof(GdbPointType));
    stub->pending = g_array_new(false, true, sizeof(GdbPending));
    char_frontend_set_handlers(&stub->frontend, &ops, stub, NULL);
    return stub;
}

void gdb_stub_free(GdbStub *stub, bool exiting)
{
    if (!stub) {
        return;
    }
    if (exiting && stub->connected && stub->waiting) {
        gdb_send_text(stub, "W00");
    }
    if (!exiting) {
        peer_went(stub);
    }
    char_frontend_detach(&stub->frontend);
    if (exiting) {
        return; /* CPUs may still look at their points */
    }
    g_string_free(stub->reply, true);
    g_string_free(stub->last, true);
    g_array_unref(stub->breakpoints);
    g_array_unref(stub->points);
    g_array_unref(stub->point_types);
    g_array_unref(stub->pending);
    g_free(stub->description);
    g_free(stub);
}

bool gdb_stub_is_busy(const GdbStub *stub)
{
    return stub->busy;
}
