/* SPDX-License-Identifier: Apache-2.0 */
/* Virtqueues against drivers that keep to the rules, and against those that do not. */
#include <endian.h>
#include <glib.h>
#include <string.h>

#include "util/iov.h"
#include "virtio/virtqueue.h"

#define MEMORY_SIZE 65536
#define SIZE 8
/* Where things lie in the guest's memory; it ends at MEMORY_SIZE. */
#define DESC 0x0000
#define DRIVER 0x1000
#define DEVICE 0x2000
#define TABLE 0x3000
#define DATA 0x4000
/* A page that only reads, and a border between two pieces of memory. */
#define ROM 0xe000
#define BORDER 0xd000

typedef struct Guest {
    uint8_t *ram;
    VirtQueue vq;
    unsigned mapped;
    uint16_t next;          /* packed: the driver's place */
    bool wrap;
} Guest;

static void *map(void *opaque, uint64_t addr, size_t *len, bool write)
{
    Guest *guest = opaque;
    uint64_t end = addr < BORDER ? BORDER : addr < ROM ? ROM : MEMORY_SIZE;

    if (addr >= MEMORY_SIZE || (write && addr >= ROM)) {
        return NULL;
    }
    *len = MIN(*len, end - addr);
    guest->mapped++;
    return guest->ram + addr;
}

static void unmap(void *opaque, void *host, size_t len, bool write, size_t written)
{
    Guest *guest = opaque;

    g_assert_cmpuint(written, <=, len);
    g_assert_cmpuint(guest->mapped--, >, 0);
}

static Guest *guest_new(bool packed, unsigned size)
{
    Guest *guest = g_new0(Guest, 1);

    guest->ram = g_malloc0(MEMORY_SIZE);
    guest->wrap = true;
    guest->vq = (VirtQueue) {
        .memory = { .map = map, .unmap = unmap, .opaque = guest },
        .desc = DESC, .driver = DRIVER, .device = DEVICE, .size = (uint16_t)size, .packed = packed,
        .indirect = true,
    };
    virtqueue_reset_position(&guest->vq);
    return guest;
}

static Guest *guest_start(bool packed)
{
    Guest *guest = guest_new(packed, SIZE);

    g_assert_true(virtqueue_start(&guest->vq));
    return guest;
}

static void guest_free(Guest *guest)
{
    virtqueue_stop(&guest->vq);
    g_assert_cmpuint(guest->mapped, ==, 0);
    g_assert_cmpuint(guest->vq.outstanding, ==, 0);
    g_free(guest->ram);
    g_free(guest);
}

/* ---- What a driver writes ---- */

static struct vring_desc *split_desc(Guest *guest, unsigned i)
{
    return (struct vring_desc *)(void *)(guest->ram + DESC) + i;
}

static void set_split(struct vring_desc *desc, uint64_t addr, uint32_t len, uint16_t flags,
                      uint16_t next)
{
    *desc = (struct vring_desc) {
        htole64(addr), htole32(len), htole16(flags), htole16(next),
    };
}

static void split_offer(Guest *guest, uint16_t head)
{
    struct vring_avail *avail = (void *)(guest->ram + DRIVER);
    uint16_t idx = le16toh(avail->idx);

    avail->ring[idx % SIZE] = htole16(head);
    avail->idx = htole16((uint16_t)(idx + 1));
}

static uint16_t split_used(Guest *guest)
{
    return le16toh(((struct vring_used *)(void *)(guest->ram + DEVICE))->idx);
}

static struct vring_packed_desc *packed_desc(Guest *guest, unsigned i)
{
    return (struct vring_packed_desc *)(void *)(guest->ram + DESC) + i;
}

static void packed_offer(Guest *guest, uint64_t addr, uint32_t len, uint16_t id, uint16_t flags)
{
    struct vring_packed_desc *desc = packed_desc(guest, guest->next);

    flags |= guest->wrap ? 1u << VRING_PACKED_DESC_F_AVAIL : 1u << VRING_PACKED_DESC_F_USED;
    *desc = (struct vring_packed_desc) { htole64(addr), htole32(len), htole16(id), htole16(flags) };
    if (++guest->next == guest->vq.size) {
        guest->next = 0;
        guest->wrap = !guest->wrap;
    }
}

/* A chain of one readable and one writable buffer. */
static void offer(Guest *guest, uint16_t id)
{
    if (guest->vq.packed) {
        packed_offer(guest, DATA, 16, id, VRING_DESC_F_NEXT);
        packed_offer(guest, DATA + 0x100, 32, id, VRING_DESC_F_WRITE);
    } else {
        set_split(split_desc(guest, id), DATA, 16, VRING_DESC_F_NEXT, id + 1u);
        set_split(split_desc(guest, id + 1u), DATA + 0x100, 32, VRING_DESC_F_WRITE, 0);
        split_offer(guest, id);
    }
}

static void *pop(Guest *guest)
{
    return virtqueue_pop(&guest->vq, sizeof(VirtQueueElement));
}

static void assert_breaks(Guest *guest)
{
    g_assert_null(pop(guest));
    g_assert_nonnull(guest->vq.broken);
    g_assert_null(pop(guest));
    g_assert_cmpuint(guest->vq.outstanding, ==, 0);
    g_assert_false(virtqueue_wants_interrupt(&guest->vq));
    guest_free(guest);
}

/* ---- Good drivers ---- */

static void test_rounds(gconstpointer packed)
{
    Guest *guest = guest_start(packed);

    for (unsigned round = 0; round < 100; round++) {
        VirtQueueElement *element;

        g_assert_null(pop(guest));
        g_assert_true(virtqueue_is_empty(&guest->vq));
        offer(guest, 2);
        g_assert_false(virtqueue_is_empty(&guest->vq));
        element = pop(guest);
        g_assert_nonnull(element);
        g_assert_cmpuint(element->n_out, ==, 1);
        g_assert_cmpuint(element->n_in, ==, 1);
        g_assert_cmpuint(iov_size(element->in, 1), ==, 32);
        virtqueue_push(&guest->vq, element, 7);
        if (packed) {
            const struct vring_packed_desc *used = packed_desc(guest, 2 * round % SIZE);
            bool wrap = !(2 * round / SIZE % 2);

            g_assert_cmpuint(le16toh(used->id), ==, 2);
            g_assert_cmpuint(le32toh(used->len), ==, 7);
            g_assert_cmphex(le16toh(used->flags) & 0x8080, ==, wrap ? 0x8080 : 0);
        } else {
            g_assert_cmpuint(split_used(guest), ==, round + 1);
        }
        g_assert_true(virtqueue_wants_interrupt(&guest->vq));
    }
    g_assert_null(guest->vq.broken);
    guest_free(guest);
}

/* Several become visible at once, and in a packed ring the first of them comes last. */
static void test_batch(gconstpointer packed)
{
    Guest *guest = guest_start(packed);
    VirtQueueElement *elements[3];

    for (unsigned i = 0; i < 3; i++) {
        offer(guest, (uint16_t)(2 * i));
        elements[i] = pop(guest);
    }
    virtqueue_fill(&guest->vq, elements[0], 1);
    virtqueue_fill(&guest->vq, elements[1], 2);
    if (packed) {
        g_assert_cmphex(le16toh(packed_desc(guest, 0)->flags) & 0x8080, ==, 0x80);
        g_assert_cmphex(le16toh(packed_desc(guest, 2)->flags) & 0x8080, ==, 0x8080);
    } else {
        g_assert_cmpuint(split_used(guest), ==, 0);
    }
    virtqueue_publish(&guest->vq);
    if (packed) {
        g_assert_cmphex(le16toh(packed_desc(guest, 0)->flags) & 0x8080, ==, 0x8080);
    } else {
        g_assert_cmpuint(split_used(guest), ==, 2);
    }
    g_assert_cmpuint(guest->vq.in_flight, ==, packed ? 2 : 1);
    virtqueue_drop(&guest->vq, elements[2]);
    guest_free(guest);
}

static void test_unpop(gconstpointer packed)
{
    Guest *guest = guest_start(packed);

    for (unsigned round = 0; round < 20; round++) {
        VirtQueueElement *element;

        offer(guest, 4);
        virtqueue_unpop(&guest->vq, pop(guest));
        element = pop(guest);
        g_assert_nonnull(element);
        g_assert_cmpuint(element->id, ==, 4);
        virtqueue_push(&guest->vq, element, 0);
    }
    guest_free(guest);
}

/* Answers of later ones wait for those of earlier ones. */
static void test_in_order(gconstpointer packed)
{
    Guest *guest = guest_new(packed, SIZE);
    VirtQueueElement *elements[3];

    guest->vq.in_order = true;
    g_assert_true(virtqueue_start(&guest->vq));
    for (unsigned i = 0; i < 3; i++) {
        offer(guest, (uint16_t)(2 * i));
        elements[i] = pop(guest);
    }
    virtqueue_push(&guest->vq, elements[1], 1);
    g_assert_cmpuint(guest->vq.in_flight, ==, packed ? 6 : 3);
    virtqueue_push(&guest->vq, elements[0], 1);
    g_assert_cmpuint(guest->vq.in_flight, ==, packed ? 2 : 1);
    virtqueue_push(&guest->vq, elements[2], 1);
    g_assert_cmpuint(guest->vq.in_flight, ==, 0);
    offer(guest, 0);
    offer(guest, 2);
    elements[0] = pop(guest);
    virtqueue_push(&guest->vq, pop(guest), 1); /* waits, and the queue is stopped meanwhile */
    virtqueue_stop(&guest->vq);
    virtqueue_push(&guest->vq, elements[0], 1);
    guest_free(guest);
}

/* Stopped and started anew with a request in flight: its answer must not reach the new ring. */
static void test_restart(gconstpointer packed)
{
    Guest *guest = guest_start(packed);
    VirtQueueElement *old;

    offer(guest, 0);
    old = pop(guest);
    virtqueue_stop(&guest->vq);
    g_assert_cmpuint(guest->vq.outstanding, ==, 1);
    memset(guest->ram, 0, DATA);
    guest->next = 0;
    virtqueue_reset_position(&guest->vq);
    g_assert_true(virtqueue_start(&guest->vq));
    virtqueue_push(&guest->vq, old, 9);
    g_assert_cmpuint(split_used(guest), ==, 0);
    g_assert_cmphex(packed_desc(guest, 0)->flags, ==, 0);
    offer(guest, 2);
    virtqueue_push(&guest->vq, pop(guest), 9);
    guest_free(guest);
}

static void test_position(gconstpointer packed)
{
    Guest *guest = guest_start(packed);
    VirtQueuePosition position;

    for (unsigned i = 0; i < 5; i++) {
        offer(guest, 0);
        virtqueue_push(&guest->vq, pop(guest), 0);
    }
    virtqueue_get_position(&guest->vq, &position);
    virtqueue_stop(&guest->vq);
    virtqueue_reset_position(&guest->vq);
    g_assert_true(virtqueue_set_position(&guest->vq, &position));
    g_assert_true(virtqueue_start(&guest->vq));
    offer(guest, 6);
    virtqueue_push(&guest->vq, pop(guest), 0);
    g_assert_null(guest->vq.broken);
    virtqueue_stop(&guest->vq);
    position.last_avail = position.used_idx + SIZE + 1;
    g_assert_false(virtqueue_set_position(&guest->vq, &position));
    guest_free(guest);
}

/* Interrupts only at the place that the driver named, across the ring's end too. */
static void test_event_index(gconstpointer packed)
{
    Guest *guest = guest_new(packed, SIZE);
    struct vring_packed_desc_event *event = (void *)(guest->ram + DRIVER);
    struct vring_avail *avail = (void *)(guest->ram + DRIVER);

    guest->vq.event_idx = true;
    g_assert_true(virtqueue_start(&guest->vq));
    for (unsigned i = 0; i < 30; i++) {
        bool wants = i % 3 == 2;
        unsigned aim = i - i % 3 + 2; /* after which the driver wants to be told */

        if (packed) {
            event->off_wrap = htole16((uint16_t)(aim % SIZE | (aim / SIZE % 2 ? 0 : 0x8000)));
            event->flags = htole16(VRING_PACKED_EVENT_FLAG_DESC);
            packed_offer(guest, DATA, 16, 1, VRING_DESC_F_WRITE);
        } else {
            avail->ring[SIZE] = htole16((uint16_t)aim);
            set_split(split_desc(guest, 1), DATA, 16, VRING_DESC_F_WRITE, 0);
            split_offer(guest, 1);
        }
        virtqueue_push(&guest->vq, pop(guest), 4);
        g_assert_true(virtqueue_wants_interrupt(&guest->vq) == (wants || i == 0));
    }
    guest_free(guest);
}

static void test_suppression(gconstpointer packed)
{
    Guest *guest = guest_start(packed);

    offer(guest, 0);
    virtqueue_push(&guest->vq, pop(guest), 0);
    if (packed) {
        struct vring_packed_desc_event *event = (void *)(guest->ram + DRIVER);

        event->flags = htole16(VRING_PACKED_EVENT_FLAG_DISABLE);
    } else {
        ((struct vring_avail *)(void *)(guest->ram + DRIVER))->flags =
            htole16(VRING_AVAIL_F_NO_INTERRUPT);
    }
    g_assert_false(virtqueue_wants_interrupt(&guest->vq));
    virtqueue_disable_kicks(&guest->vq);
    offer(guest, 0);
    g_assert_true(virtqueue_enable_kicks(&guest->vq));
    virtqueue_push(&guest->vq, pop(guest), 0);
    g_assert_false(virtqueue_enable_kicks(&guest->vq));
    guest_free(guest);
}

static void test_indirect(gconstpointer packed)
{
    Guest *guest = guest_start(packed);
    VirtQueueElement *element;

    if (packed) {
        struct vring_packed_desc *table = (void *)(guest->ram + TABLE);

        table[0] = (struct vring_packed_desc) { htole64(DATA), htole32(8), 0, 0 };
        table[1] = (struct vring_packed_desc) {
            htole64(DATA + 64), htole32(8), 0, htole16(VRING_DESC_F_WRITE),
        };
        packed_offer(guest, TABLE, 32, 5, VRING_DESC_F_INDIRECT);
    } else {
        struct vring_desc *table = (void *)(guest->ram + TABLE);

        set_split(&table[0], DATA, 8, VRING_DESC_F_NEXT, 1);
        set_split(&table[1], DATA + 64, 8, VRING_DESC_F_WRITE, 0);
        set_split(split_desc(guest, 5), TABLE, 32, VRING_DESC_F_INDIRECT, 0);
        split_offer(guest, 5);
    }
    element = pop(guest);
    g_assert_nonnull(element);
    g_assert_cmpuint(element->n_out + element->n_in, ==, 2);
    g_assert_cmpuint(element->id, ==, 5);
    virtqueue_push(&guest->vq, element, 8);
    guest_free(guest);
}

/* One descriptor over two pieces of memory becomes two pieces of the vector. */
static void test_border(gconstpointer packed)
{
    Guest *guest = guest_start(packed);
    VirtQueueElement *element;

    if (packed) {
        packed_offer(guest, BORDER - 8, 16, 0, VRING_DESC_F_WRITE);
    } else {
        set_split(split_desc(guest, 0), BORDER - 8, 16, VRING_DESC_F_WRITE, 0);
        split_offer(guest, 0);
    }
    element = pop(guest);
    g_assert_nonnull(element);
    g_assert_cmpuint(element->n_in, ==, 2);
    virtqueue_push(&guest->vq, element, 16);
    guest_free(guest);
}

/* ---- Bad drivers ---- */

typedef struct BadDesc {
    const char *name;
    uint64_t addr;
    uint32_t len;
    uint16_t flags;
} BadDesc;

/* One descriptor each, which is followed by a plain one. */
static const BadDesc bad_descs[] = {
    { "zero-length", DATA, 0, 0 },
    { "outside", MEMORY_SIZE, 16, 0 },
    { "end-outside", MEMORY_SIZE - 8, 16, 0 },
    { "far-outside", UINT64_MAX - 7, 16, 0 },
    { "huge", DATA, UINT32_MAX, 0 },
    { "write-to-rom", ROM, 16, VRING_DESC_F_WRITE },
    { "read-after-write", DATA, 16, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT },
    { "table-of-nothing", TABLE, 0, VRING_DESC_F_INDIRECT },
    { "ragged-table", TABLE, 24, VRING_DESC_F_INDIRECT },
    { "huge-table", TABLE, UINT32_MAX & ~15u, VRING_DESC_F_INDIRECT },
    { "table-outside", MEMORY_SIZE, 32, VRING_DESC_F_INDIRECT },
    { "table-end-outside", MEMORY_SIZE - 8, 32, VRING_DESC_F_INDIRECT },
    { "unaligned-table", TABLE + 1, 32, VRING_DESC_F_INDIRECT },
    { "table-and-next", TABLE, 32, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT },
};

static void test_bad_desc(gconstpointer opaque)
{
    const BadDesc *bad = opaque;
    Guest *split = guest_start(false), *packed = guest_start(true);

    set_split(split_desc(split, 0), bad->addr, bad->len, bad->flags, 1);
    set_split(split_desc(split, 1), DATA, 16, 0, 0);
    split_offer(split, 0);
    assert_breaks(split);
    packed_offer(packed, bad->addr, bad->len, 0, bad->flags);
    packed_offer(packed, DATA, 16, 0, 0);
    assert_breaks(packed);
}

static void test_no_indirect(gconstpointer is_packed)
{
    Guest *guest = guest_new(is_packed, SIZE);

    guest->vq.indirect = false;
    g_assert_true(virtqueue_start(&guest->vq));
    set_split((void *)(guest->ram + TABLE), DATA, 8, 0, 0);
    if (is_packed) {
        packed_offer(guest, TABLE, 16, 0, VRING_DESC_F_INDIRECT);
    } else {
        set_split(split_desc(guest, 0), TABLE, 16, VRING_DESC_F_INDIRECT, 0);
        split_offer(guest, 0);
    }
    assert_breaks(guest);
}

static void test_table_in_table(gconstpointer is_packed)
{
    Guest *guest = guest_start(is_packed);

    if (is_packed) {
        struct vring_packed_desc *table = (void *)(guest->ram + TABLE);

        table[0] = (struct vring_packed_desc) {
            htole64(TABLE), htole32(16), 0, htole16(VRING_DESC_F_INDIRECT),
        };
        packed_offer(guest, TABLE, 16, 0, VRING_DESC_F_INDIRECT);
    } else {
        set_split((void *)(guest->ram + TABLE), TABLE, 16, VRING_DESC_F_INDIRECT, 0);
        set_split(split_desc(guest, 0), TABLE, 16, VRING_DESC_F_INDIRECT, 0);
        split_offer(guest, 0);
    }
    assert_breaks(guest);
}

static void test_split_loop(void)
{
    Guest *guest = guest_start(false);

    set_split(split_desc(guest, 0), DATA, 16, VRING_DESC_F_NEXT, 1);
    set_split(split_desc(guest, 1), DATA, 16, VRING_DESC_F_NEXT, 0);
    split_offer(guest, 0);
    assert_breaks(guest);
}

static void test_split_table_loop(void)
{
    Guest *guest = guest_start(false);
    struct vring_desc *table = (void *)(guest->ram + TABLE);

    set_split(&table[0], DATA, 16, VRING_DESC_F_NEXT, 1);
    set_split(&table[1], DATA, 16, VRING_DESC_F_NEXT, 0);
    set_split(split_desc(guest, 0), TABLE, 32, VRING_DESC_F_INDIRECT, 0);
    split_offer(guest, 0);
    assert_breaks(guest);
}

static void test_split_next_outside(void)
{
    Guest *guest = guest_start(false);

    set_split(split_desc(guest, 0), DATA, 16, VRING_DESC_F_NEXT, SIZE);
    split_offer(guest, 0);
    assert_breaks(guest);
}

static void test_split_head_outside(void)
{
    Guest *guest = guest_start(false);

    split_offer(guest, SIZE);
    assert_breaks(guest);
}

static void test_split_index_jump(void)
{
    Guest *guest = guest_start(false);

    ((struct vring_avail *)(void *)(guest->ram + DRIVER))->idx = htole16(SIZE + 1);
    assert_breaks(guest);
}

/* The same chains offered again and again, while none of them is answered. */
static void test_too_many(gconstpointer is_packed)
{
    Guest *guest = guest_start(is_packed);
    VirtQueueElement *elements[SIZE];
    unsigned fits = is_packed ? SIZE / 2 : SIZE;

    for (unsigned i = 0; i < fits; i++) {
        offer(guest, 0);
        elements[i] = pop(guest);
        g_assert_nonnull(elements[i]);
    }
    offer(guest, 0);
    g_assert_null(pop(guest));
    g_assert_nonnull(guest->vq.broken);
    for (unsigned i = 0; i < fits; i++) {
        virtqueue_push(&guest->vq, elements[i], 0);
    }
    guest_free(guest);
}

static void test_packed_endless(void)
{
    Guest *guest = guest_start(true);

    for (unsigned i = 0; i < SIZE; i++) {
        packed_offer(guest, DATA, 16, 0, VRING_DESC_F_NEXT);
    }
    assert_breaks(guest);
}

/* Both flags alike, or those of the other round: nothing is available. */
static void test_packed_wrap_lies(void)
{
    Guest *guest = guest_start(true);

    packed_offer(guest, DATA, 16, 0, 0);
    packed_desc(guest, 0)->flags = htole16(0x8080);
    g_assert_null(pop(guest));
    packed_desc(guest, 0)->flags = htole16(0x8000);
    g_assert_null(pop(guest));
    packed_desc(guest, 0)->flags = 0;
    g_assert_null(pop(guest));
    g_assert_null(guest->vq.broken);
    guest_free(guest);
}

static void test_bad_ring(gconstpointer packed)
{
    static const uint64_t places[] = { MEMORY_SIZE, UINT64_MAX - 3, BORDER - 2, DESC + 1 };
    static const uint16_t sizes[] = { 0, 32769, 65535 };

    for (unsigned part = 0; part < 3; part++) {
        for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
            Guest *guest = guest_new(packed, SIZE);

            *(part == 0 ? &guest->vq.desc : part == 1 ? &guest->vq.driver : &guest->vq.device) =
                places[i];
            g_assert_false(virtqueue_start(&guest->vq));
            assert_breaks(guest);
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        Guest *guest = guest_new(packed, sizes[i]);

        g_assert_false(virtqueue_start(&guest->vq));
        assert_breaks(guest);
    }
}

/* Whatever a driver writes: no crash, and no more in flight than the ring has. */
static void test_random(gconstpointer packed)
{
    GRand *rand = g_rand_new_with_seed(packed ? 11 : 7);

    for (unsigned round = 0; round < 3000; round++) {
        Guest *guest = guest_start(packed);
        GPtrArray *held = g_ptr_array_new();

        for (unsigned step = 0; step < 40; step++) {
            unsigned at = (unsigned)g_rand_int_range(rand, 0, 4) * 0x1000 +
                          (unsigned)g_rand_int_range(rand, 0, 160);
            VirtQueueElement *element;

            guest->ram[at] = (uint8_t)(g_rand_boolean(rand) ? g_rand_int_range(rand, 0, 9)
                                                            : g_rand_int_range(rand, 0, 256));
            element = pop(guest);
            if (element) {
                g_ptr_array_add(held, element);
            }
            if (held->len && g_rand_boolean(rand)) {
                element = g_ptr_array_steal_index_fast(held, 0);
                virtqueue_push(&guest->vq, element, g_rand_int(rand));
                virtqueue_wants_interrupt(&guest->vq);
            }
            g_assert_cmpuint(guest->vq.in_flight, <=, SIZE);
        }
        for (unsigned i = 0; i < held->len; i++) {
            virtqueue_drop(&guest->vq, held->pdata[i]);
        }
        g_ptr_array_unref(held);
        guest_free(guest);
    }
    g_rand_free(rand);
}

typedef struct BothTest {
    const char *name;
    GTestDataFunc fn;
} BothTest;

static const BothTest both_tests[] = {
    { "rounds", test_rounds }, { "batch", test_batch }, { "unpop", test_unpop },
    { "in-order", test_in_order }, { "restart", test_restart }, { "position", test_position },
    { "event-index", test_event_index }, { "suppression", test_suppression },
    { "indirect", test_indirect }, { "border", test_border }, { "no-indirect", test_no_indirect },
    { "table-in-table", test_table_in_table }, { "too-many", test_too_many },
    { "bad-ring", test_bad_ring }, { "random", test_random },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(both_tests); i++) {
        g_autofree char *split = g_strdup_printf("/virtqueue/split/%s", both_tests[i].name);
        g_autofree char *packed = g_strdup_printf("/virtqueue/packed/%s", both_tests[i].name);

        g_test_add_data_func(split, NULL, both_tests[i].fn);
        g_test_add_data_func(packed, GINT_TO_POINTER(1), both_tests[i].fn);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(bad_descs); i++) {
        g_autofree char *name = g_strdup_printf("/virtqueue/bad-descriptor/%s", bad_descs[i].name);

        g_test_add_data_func(name, &bad_descs[i], test_bad_desc);
    }
    g_test_add_func("/virtqueue/split/loop", test_split_loop);
    g_test_add_func("/virtqueue/split/table-loop", test_split_table_loop);
    g_test_add_func("/virtqueue/split/next-outside", test_split_next_outside);
    g_test_add_func("/virtqueue/split/head-outside", test_split_head_outside);
    g_test_add_func("/virtqueue/split/index-jump", test_split_index_jump);
    g_test_add_func("/virtqueue/packed/endless", test_packed_endless);
    g_test_add_func("/virtqueue/packed/wrap-lies", test_packed_wrap_lies);
    return g_test_run();
}
