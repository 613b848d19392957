/* SPDX-License-Identifier: Apache-2.0 */
/* Mutations of good requests, always the same ones: into the parsers, and into a live session. */
#include <string.h>

#include "monitor/tests/fuzz-qmp.h"
#include "monitor/tests/harness.h"
#include "util/vm-lock.h"

/* The first byte is the way in (fuzz-qmp.c). */
static const char *const seeds[] = {
    "\003{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": [\"oob\"]}, \"id\": 1}",
    "\003{\"execute\": \"query-version\"}{\"exec-oob\": \"test-wake\", \"id\": [null, -1.5e3]}",
    "\003{'execute': 'human-monitor-command', 'arguments': {'command-line': 'info version'}}",
    "\003{\"execute\": \"add-fd\", \"arguments\": {\"fdset-id\": 1, \"opaque\": \"\\u00e4\"}}",
    "\003{\"execute\": \"remove-fd\", \"arguments\": {\"fdset-id\": 18446744073709551615}}",
    "\000{\"type\": \"socket\", \"data\": {\"addr\": {\"type\": \"inet\", \"data\": {\"host\": "
    "\"h\","
    " \"port\": \"1\", \"ipv4\": true}}, \"server\": false, \"reconnect\": 5}}",
    "\000{\"qom-type\": \"memory-backend-file\", \"id\": \"m\", \"size\": 1048576, \"share\": true,"
    " \"mem-path\": \"/p\", \"host-nodes\": [0, 1], \"policy\": \"bind\"}",
    "\000{\"name\": \"x\", \"meta-type\": \"object\", \"members\": [{\"name\": \"a\", \"type\": "
    "\"1\","
    " \"default\": null}], \"tag\": \"a\", \"variants\": []}",
    "\001socket,data.addr.type=unix,data.addr.data.path=/a,,b,data.server=on",
    "\001qom-type=memory-backend-ram,id=m,size=1.5G,host-nodes=0-3,,8,policy=bind,prealloc=on",
    "\001node,nodeid=1,cpus.0=1,cpus.1=0x2,mem=128M,memdev=",
    "\002\010/4xg (1+2)*$rip << 3 % 7",
    "\002\001/65536xb -1",
    "\002\004qom-tree /machine",
};

/* Pieces that parsers trip over. */
static const char *const pieces[] = {
    "{",       "}",     "[",         "]",      "\"",   "'",    "\\",    "\\u0000", "\\ud800",
    ",,",      "=",     ".0",        ".99",    "\n",   "\xff", "\xc3",  "-",       "1e400",
    "NaN",     "\x2f*", "18446744073709551616", "null", "true", "\"id\":", "help", "99999999999-1",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
};

static void mutate_once(GRand *rand, GString *text)
{
    size_t at = (size_t)g_rand_int_range(rand, 1, (gint32)text->len);
    size_t wanted = (size_t)g_rand_int_range(rand, 1, 16);
    size_t len = MIN(wanted, text->len - at);

    switch (g_rand_int_range(rand, 0, 5)) {
    case 0:
        text->str[at] ^= (char)(1 << g_rand_int_range(rand, 0, 8));
        break;
    case 1:
        g_string_erase(text, (gssize)at, (gssize)MIN(len, text->len - 2));
        break;
    case 2: {
        g_autofree char *copy = g_memdup2(text->str + at, len);

        g_string_insert_len(text, (gssize)at, copy, (gssize)len);
        break;
    }
    case 3:
        g_string_insert(text, (gssize)at,
                        pieces[g_rand_int_range(rand, 0, G_N_ELEMENTS(pieces))]);
        break;
    default:
        g_string_truncate(text, MAX(at, 2));
        break;
    }
}

static GString *mutation(GRand *rand)
{
    int which = g_rand_int_range(rand, 0, G_N_ELEMENTS(seeds));
    /* The first seeds' way in may be 0. */
    GString *text = g_string_new_len(seeds[which], (gssize)(1 + strlen(seeds[which] + 1)));

    for (int n = g_rand_int_range(rand, 0, 6); n > 0 && text->len > 2; n--) {
        mutate_once(rand, text);
    }
    return text;
}

static void test_parsers(void)
{
    GRand *rand = g_rand_new_with_seed(20221213);

    for (int i = 0; i < 20000; i++) {
        GString *text = mutation(rand);

        LLVMFuzzerTestOneInput((const uint8_t *)text->str, text->len);
        g_string_free(text, true);
    }
    g_rand_free(rand);
}

/* A request that a good client would send, and its answer, whatever came in between. */
static void check_alive(Client *client, int serial)
{
    g_autofree char *request =
        g_strdup_printf("\n\xff\n{'execute': 'query-version', 'id': 'a%d'}\n", serial);
    g_autofree char *wanted = g_strdup_printf("\"id\": \"a%d\"}\r\n", serial);
    g_autofree char *out = NULL;

    client_send(client, request);
    out = client_until(client, wanted);
    g_assert_nonnull(out);
}

static void test_live(void)
{
    GRand *rand = g_rand_new_with_seed(7);
    Client *client = client_new(MONITOR_QMP);

    client_negotiate(client, false);
    for (int i = 0; i < 1000; i++) {
        GString *text = mutation(rand);

        /* What blocks or moves the session is not for this test. */
        if (text->str[0] == 3 && !strstr(text->str, "test-block")) {
            client_send_bytes(client, text->str + 1, text->len - 1);
            check_alive(client, i);
        }
        g_string_free(text, true);
    }
    client_free(client);
    g_rand_free(rand);
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    vm_lock();
    LLVMFuzzerTestOneInput((const uint8_t *)"\003{}", 3);
    g_test_add_func("/monitor/fuzz/parsers", test_parsers);
    g_test_add_func("/monitor/fuzz/live", test_live);
    status = g_test_run();
    monitor_cleanup();
    return status;
}
