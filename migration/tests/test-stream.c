/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's stream: there and back, cut short at every byte, and with every byte changed. */
#include <errno.h>
#include <string.h>

#include "memory/ram-block.h"
#include "migration/stream.h"
#include "util/error.h"
#include "util/vm-lock.h"

#define RAM_BYTES (2 * RAM_PAGE_SIZE)

typedef struct Beeper {
    uint32_t tone;
    bool on;
} Beeper;

static const VmStateField beeper_fields[] = {
    VMSTATE_U32(Beeper, tone), VMSTATE_BOOL(Beeper, on), VMSTATE_END,
};

static const VmState beeper_state = { .name = "beeper", .version = 1, .fields = beeper_fields };

typedef struct Fixture {
    MachineStream stream;
    Beeper beepers[2];
    GByteArray *bytes;  /* what was saved */
    uint8_t *ram, *rom; /* borrowed */
    int fail_at;        /* a write or read at or beyond fails; -1: none does */
} Fixture;

static int put(void *opaque, int64_t pos, const void *buf, size_t len)
{
    Fixture *f = opaque;

    if (f->fail_at >= 0 && pos + (int64_t)len > f->fail_at) {
        return -ENOSPC;
    }
    g_assert_cmpint(pos, ==, f->bytes->len);
    g_byte_array_append(f->bytes, buf, (guint)len);
    return 0;
}

static ssize_t get(void *opaque, int64_t pos, void *buf, size_t len)
{
    Fixture *f = opaque;

    if (f->fail_at >= 0 && pos + (int64_t)len > f->fail_at) {
        return -EIO;
    }
    g_assert_cmpint(pos + (int64_t)len, <=, f->bytes->len);
    memcpy(buf, f->bytes->data + pos, len);
    return (ssize_t)len;
}

static bool save(Fixture *f, GError **error)
{
    StreamIo io = { .write = put, .opaque = f };
    uint64_t size;
    bool ok;

    g_byte_array_set_size(f->bytes, 0);
    ok = machine_stream_save(&f->stream, &io, &size, error);
    g_assert_true(!ok || size == f->bytes->len);
    return ok;
}

static bool load(Fixture *f, uint64_t size, GError **error)
{
    StreamIo io = { .read = get, .opaque = f };

    return machine_stream_load(&f->stream, &io, size, error);
}

static uint8_t *memory(const char *name)
{
    RamBlock *block = ram_block_find(name);
    g_autoptr(GError) error = NULL;

    /* Regions live as long as the program. */
    if (!block) {
        block = memory_region_ram_block(memory_region_new_ram(NULL, name, RAM_BYTES, &error));
        g_assert_no_error(error);
    }
    return ram_block_host(block);
}

static void set_up(Fixture *f)
{
    *f = (Fixture){ .bytes = g_byte_array_new(), .fail_at = -1, .ram = memory("ram"),
                    .rom = memory("rom"), .beepers = { { 440, true }, { 880, false } } };
    machine_stream_init(&f->stream, "board");
    machine_stream_add(&f->stream, "beeper", &beeper_state, &f->beepers[0]);
    machine_stream_add(&f->stream, "beeper", &beeper_state, &f->beepers[1]);
    memset(f->ram, 0, RAM_BYTES);
    memset(f->rom, 0x11, RAM_BYTES);
    f->ram[RAM_PAGE_SIZE + 7] = 9;
}

static void check(const Fixture *f)
{
    for (unsigned i = 0; i < RAM_BYTES; i++) {
        g_assert_cmpuint(f->ram[i], ==, i == RAM_PAGE_SIZE + 7 ? 9 : 0);
        g_assert_cmpuint(f->rom[i], ==, 0x11);
    }
    g_assert_true(f->beepers[0].tone == 440 && f->beepers[0].on);
    g_assert_true(f->beepers[1].tone == 880 && !f->beepers[1].on);
}

static void tear_down(Fixture *f)
{
    machine_stream_cleanup(&f->stream);
    g_byte_array_unref(f->bytes);
}

static void test_round_trip(void)
{
    g_autoptr(GError) error = NULL;
    Fixture f;

    set_up(&f);
    g_assert_true(save(&f, &error));
    g_assert_cmpint(memcmp(f.bytes->data, "QEVM\0\0\0\3\7\0\0\0\5board\1", 19), ==, 0);
    memset(f.ram, 0xaa, RAM_BYTES);
    memset(f.rom, 0, RAM_BYTES);
    memset(f.beepers, 0, sizeof(f.beepers));
    load(&f, f.bytes->len, &error);
    g_assert_no_error(error);
    check(&f);
    tear_down(&f);
}

/* The description's mark and length stand before its first brace. */
static guint end_of_tables(const Fixture *f)
{
    static const char start[] = "{\"page_size\"";

    for (guint at = 5; at + sizeof(start) < f->bytes->len; at++) {
        if (!memcmp(f->bytes->data + at, start, sizeof(start) - 1)) {
            return at - 5;
        }
    }
    g_assert_not_reached();
}

static void test_cut_short(void)
{
    guint end;
    Fixture f;

    set_up(&f);
    g_assert_true(save(&f, NULL));
    end = end_of_tables(&f);
    for (guint size = 0; size < f.bytes->len; size++) {
        g_autoptr(GError) error = NULL;

        /* All but the description, which is for other readers. */
        g_assert_true(load(&f, size, &error) == (size >= end));
        g_assert_true(!error == (size >= end));
    }
    check(&f);
    tear_down(&f);
}

static void test_changed(void)
{
    static const uint8_t values[] = { 0x00, 0x7f, 0xff };
    unsigned refused = 0;
    Fixture f;

    set_up(&f);
    g_assert_true(save(&f, NULL));
    for (guint at = 0; at < f.bytes->len * G_N_ELEMENTS(values); at++) {
        uint8_t *byte = &f.bytes->data[at / G_N_ELEMENTS(values)], old = *byte;
        g_autoptr(GError) error = NULL;
        bool ok;

        *byte = values[at % G_N_ELEMENTS(values)];
        ok = load(&f, f.bytes->len, &error);
        g_assert_true(ok == !error);
        g_assert_true(ok || g_utf8_validate(error->message, -1, NULL));
        refused += !ok;
        *byte = old;
    }
    g_assert_cmpuint(refused, >, 300);
    g_assert_true(load(&f, f.bytes->len, NULL));
    check(&f);
    tear_down(&f);
}

static void test_errors(void)
{
    g_autoptr(GError) full = NULL, unreadable = NULL, other = NULL, lacks = NULL;
    Fixture f;

    set_up(&f);
    f.fail_at = 100;
    g_assert_false(save(&f, &full));
    g_assert_nonnull(strstr(full->message, "No space left"));
    f.fail_at = -1;
    g_assert_true(save(&f, NULL));
    f.fail_at = 0;
    g_assert_false(load(&f, f.bytes->len, &unreadable));
    g_assert_nonnull(strstr(unreadable->message, "cannot be read"));
    f.fail_at = -1;
    f.stream.board = "another";
    g_assert_false(load(&f, f.bytes->len, &other));
    g_assert_nonnull(strstr(other->message, "'board', and this machine is a 'another'"));
    f.stream.board = "board";
    machine_stream_add(&f.stream, "beeper", &beeper_state, &f.beepers[0]);
    g_assert_false(load(&f, f.bytes->len, &lacks));
    g_assert_nonnull(strstr(lacks->message, "there is none of device 'beeper'"));
    tear_down(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vm_lock();
    memory_init();
    g_test_add_func("/stream/round-trip", test_round_trip);
    g_test_add_func("/stream/cut-short", test_cut_short);
    g_test_add_func("/stream/changed", test_changed);
    g_test_add_func("/stream/errors", test_errors);
    return g_test_run();
}
