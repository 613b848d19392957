/* SPDX-License-Identifier: Apache-2.0 */
/* A frontend that records what happens to it, and a bounded way to turn the main loop. */
#ifndef VIREO_CHARDEV_TESTS_HARNESS_H
#define VIREO_CHARDEV_TESTS_HARNESS_H

#include <string.h>

#include "chardev/chardev.h"
#include "qapi/keyval.h"
#include "util/timer.h"
#include "util/vm-lock.h"

typedef struct TestFrontend {
    CharFrontend fe;
    GString *input;
    int room;            /* what can_read says */
    int opened, closed, breaks, mux_in, mux_out, changed;
    bool refuse_change;
} TestFrontend;

static inline int test_can_read(void *opaque)
{
    return ((TestFrontend *)opaque)->room;
}

static inline void test_read(void *opaque, const uint8_t *buf, int size)
{
    TestFrontend *test = opaque;

    g_assert_cmpint(size, <=, test->room);
    g_string_append_len(test->input, (const char *)buf, size);
}

static inline void test_event(void *opaque, CharEvent event)
{
    TestFrontend *test = opaque;

    test->opened += event == CHAR_EVENT_OPENED;
    test->closed += event == CHAR_EVENT_CLOSED;
    test->breaks += event == CHAR_EVENT_BREAK;
    test->mux_in += event == CHAR_EVENT_MUX_IN;
    test->mux_out += event == CHAR_EVENT_MUX_OUT;
}

static inline bool test_changed(void *opaque)
{
    TestFrontend *test = opaque;

    test->changed++;
    return !test->refuse_change;
}

static const CharFrontendOps test_frontend_ops = {
    .can_read = test_can_read,
    .read = test_read,
    .event = test_event,
    .backend_changed = test_changed,
};

static inline Chardev *test_new(const char *options)
{
    g_autoptr(GError) error = NULL;
    json_object *parsed = chardev_parse_options(options, NULL, &error);
    Chardev *chr;

    g_assert_no_error(error);
    chr = chardev_new_from_options(parsed, &error);
    g_assert_no_error(error);
    json_object_put(parsed);
    return chr;
}

/* The error that making it gives. */
static inline char *test_new_fails(const char *options)
{
    GError *error = NULL;
    json_object *parsed = chardev_parse_options(options, NULL, &error);
    char *message;

    if (parsed) {
        g_assert_null(chardev_new_from_options(parsed, &error));
        json_object_put(parsed);
    }
    g_assert_nonnull(error);
    message = g_strdup(error->message);
    g_error_free(error);
    return message;
}

static inline TestFrontend *test_attach(Chardev *chr)
{
    TestFrontend *test = g_new0(TestFrontend, 1);
    g_autoptr(GError) error = NULL;

    test->input = g_string_new(NULL);
    test->room = 4096;
    char_frontend_attach(&test->fe, chr, &error);
    g_assert_no_error(error);
    char_frontend_set_handlers(&test->fe, &test_frontend_ops, test, NULL);
    return test;
}

static inline void test_detach(TestFrontend *test)
{
    char_frontend_detach(&test->fe);
    g_string_free(test->input, true);
    g_free(test);
}

static inline void test_remove(const char *id)
{
    g_autoptr(GError) error = NULL;

    chardev_remove(id, &error);
    g_assert_no_error(error);
}

/* Turn the loop until cond holds; fails after five seconds. */
#define SPIN_UNTIL(cond)                                                                           \
    do {                                                                                           \
        int64_t end_ = vm_clock_ns(VM_CLOCK_REALTIME) + 5 * NS_PER_SEC;                            \
        while (!(cond)) {                                                                          \
            g_assert_cmpint(vm_clock_ns(VM_CLOCK_REALTIME), <, end_);                              \
            if (!loop_iterate(loop_main(), false)) {                                               \
                g_usleep(500);                                                                     \
            }                                                                                      \
        }                                                                                          \
    } while (0)

/* Turn the loop a while in which nothing is expected to happen. */
static inline void test_settle(void)
{
    for (int i = 0; i < 20; i++) {
        if (!loop_iterate(loop_main(), false)) {
            g_usleep(500);
        }
    }
}

#endif
