/* SPDX-License-Identifier: Apache-2.0 */
/* The line editor: keys in, lines and a screen out. */
#include "monitor/readline.h"

#include <string.h>

typedef struct Terminal {
    GString *raw;
    GString *lines; /* entered, each followed by '|' */
    char screen[256]; /* the last row, as a VT100 would show it */
    size_t column;
} Terminal;

/* Only what the editor sends: printable bytes, CR, LF, BEL, ESC [ K, ESC [ n D. */
static void show(Terminal *term, const char *text)
{
    for (; *text; text++) {
        if (*text == '\r') {
            term->column = 0;
        } else if (*text == '\n') {
            memset(term->screen, 0, sizeof(term->screen));
        } else if (*text == '\033') {
            char *end;
            unsigned long n = strtoul(text + 2, &end, 10);

            g_assert_cmpint(text[1], ==, '[');
            if (*end == 'K') {
                memset(term->screen + term->column, 0, sizeof(term->screen) - term->column);
            } else {
                g_assert_cmpint(*end, ==, 'D');
                term->column -= n;
            }
            text = end;
        } else if (*text != '\a') {
            g_assert_cmpint(term->column, <, sizeof(term->screen) - 1);
            term->screen[term->column++] = *text;
        }
    }
}

static void on_output(const char *text, void *opaque)
{
    g_string_append(((Terminal *)opaque)->raw, text);
    show(opaque, text);
}

static void on_line(const char *line, void *opaque)
{
    g_string_append_printf(((Terminal *)opaque)->lines, "%s|", line);
}

static GPtrArray *on_complete(const char *line, size_t cursor, size_t *start, void *opaque)
{
    static const char *const words[] = { "stop", "status", "system_reset", "system_powerdown" };
    GPtrArray *found = g_ptr_array_new_with_free_func(g_free);

    *start = 0;
    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        if (!strncmp(words[i], line, cursor)) {
            g_ptr_array_add(found, g_strdup(words[i]));
        }
    }
    return found;
}

static const ReadlineOps ops = {
    .output = on_output,
    .line = on_line,
    .complete = on_complete,
};

#define LEFT "\033[D"
#define RIGHT "\033[C"
#define UP "\033[A"
#define DOWN "\033OB"
#define HOME "\033[1~"
#define DELETE "\033[3~"
#define WORD_LEFT "\033[1;5D"

static const struct {
    const char *keys, *lines, *screen;
} cases[] = {
    { "abc", "", "> abc" },
    { "abc\r", "abc|", "" },
    { "a\r\nb\nc\r", "a|b|c|", "" },
    { "\r", "|", "" },
    { "ac" LEFT "b", "", "> abc" },
    { "ac" LEFT "b\r", "abc|", "" },
    { "bc" HOME "a\x05" "d\r", "abcd|", "" },
    { "abc\x02\x02\x04\r", "ac|", "" },
    { "abc" LEFT DELETE "\r", "ab|", "" },
    { "abc\x7f\x08" "x\r", "ax|", "" },
    { "\x7f" LEFT RIGHT DELETE "a\r", "a|", "" },
    { "one two\x17" "x\r", "one x|", "" },
    { "one two" WORD_LEFT "x\r", "one xtwo|", "" },
    { "one two\033b\033b\033fx\r", "onex two|", "" },
    { "one two" WORD_LEFT "\x0b\x19\x19\r", "one twotwo|", "" },
    { "one two" WORD_LEFT "\x15\r", "two|", "" },
    { "first\rsecond\r" UP "\r", "first|second|second|", "" },
    { "first\rsecond\r" UP UP "\r", "first|second|first|", "" },
    { "first\rnew" UP DOWN "\r", "first|new|", "" },
    { "first\r" UP UP UP DOWN DOWN DOWN "x\r", "first|x|", "" },
    { "x\x03y\r", "y|", "" },
    { "\xc3\xa4\xc3\xb6" LEFT "-\r", "\xc3\xa4-\xc3\xb6|", "" },
    { "\xc3\xa4\x7f\r", "|", "" },
    { "sy\t\r", "system_|", "" },
    { "sto\t", "", "> stop " },
    { "system_r\t\r", "system_reset |", "" },
    { "nothing\t\r", "nothing|", "" },
    { "st\t\t", "", "> st" },
    { "\033[99;99;99~\033[9999999999999A\033Zx\r", "x|", "" },
    { "a\x01\x1c\x1d\x1e\x1f" "b\r", "ba|", "" },
};

static void test_keys(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Terminal term = { .raw = g_string_new(NULL), .lines = g_string_new(NULL) };
        Readline *rl = readline_new("> ", &ops, &term);

        readline_prompt(rl);
        for (const char *p = cases[i].keys; *p; p++) {
            readline_byte(rl, (uint8_t)*p);
        }
        g_test_message("keys %zu", i);
        g_assert_cmpstr(term.lines->str, ==, cases[i].lines);
        if (*cases[i].screen) {
            g_assert_cmpstr(term.screen, ==, cases[i].screen);
        }
        readline_free(rl);
        g_string_free(term.raw, true);
        g_string_free(term.lines, true);
    }
}

static void test_bounds(void)
{
    Terminal term = { .raw = g_string_new(NULL), .lines = g_string_new(NULL) };
    Readline *rl = readline_new("", &ops, &term);

    for (int i = 0; i < READLINE_MAX_HISTORY + 100; i++) {
        g_autofree char *line = g_strdup_printf("line %d\r", i);

        for (const char *p = line; *p; p++) {
            readline_byte(rl, (uint8_t)*p);
        }
        memset(term.screen, 0, sizeof(term.screen));
        term.column = 0;
    }
    g_assert_cmpint(readline_history(rl)->len, ==, READLINE_MAX_HISTORY);
    g_assert_cmpstr(g_ptr_array_index(readline_history(rl), 0), ==, "line 100");
    g_string_truncate(term.lines, 0);
    for (int i = 0; i < 100000; i++) {
        readline_byte(rl, 'x');
        term.column = 0;
    }
    readline_byte(rl, '\r');
    g_assert_cmpint(term.lines->len, ==, READLINE_MAX_LINE + 1);
    readline_free(rl);
    g_string_free(term.raw, true);
    g_string_free(term.lines, true);
}

/* Any bytes at all. */
static void test_noise(void)
{
    Terminal term = { .raw = g_string_new(NULL), .lines = g_string_new(NULL) };
    static const ReadlineOps silent = { .output = on_line, .line = on_line,
                                        .complete = on_complete };
    Readline *rl = readline_new("", &silent, &term);

    for (int i = 0; i < 200000; i++) {
        readline_byte(rl, (uint8_t)g_test_rand_int_range(0, i % 2 ? 256 : 40));
    }
    readline_free(rl);
    g_string_free(term.raw, true);
    g_string_free(term.lines, true);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/monitor/readline/keys", test_keys);
    g_test_add_func("/monitor/readline/bounds", test_bounds);
    g_test_add_func("/monitor/readline/noise", test_noise);
    return g_test_run();
}
