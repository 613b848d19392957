/* SPDX-License-Identifier: Apache-2.0 */
/* The line editor: keys to actions by table, escape sequences by a small state machine. */
#include "monitor/readline.h"

#include <string.h>

typedef enum EscapeState {
    ESCAPE_NONE,
    ESCAPE_START, /* ESC */
    ESCAPE_CSI,   /* ESC [ and parameters */
    ESCAPE_SS3,   /* ESC O */
} EscapeState;

struct Readline {
    char *prompt;
    const ReadlineOps *ops;
    void *opaque;
    GString *line;
    size_t cursor; /* byte in line; never inside a UTF-8 sequence */
    char *killed;
    GPtrArray *history;
    guint history_at; /* history->len: the new line */
    char *saved;      /* the new line while history is shown */
    EscapeState escape;
    unsigned csi_param;
    unsigned csi_modifier;
    bool last_was_cr;
};

typedef void Action(Readline *rl);

static void out(Readline *rl, const char *text)
{
    rl->ops->output(text, rl->opaque);
}

Readline *readline_new(const char *prompt, const ReadlineOps *ops, void *opaque)
{
    Readline *rl = g_new0(Readline, 1);

    rl->prompt = g_strdup(prompt);
    rl->ops = ops;
    rl->opaque = opaque;
    rl->line = g_string_new(NULL);
    rl->history = g_ptr_array_new_with_free_func(g_free);
    return rl;
}

void readline_free(Readline *rl)
{
    if (!rl) {
        return;
    }
    g_free(rl->prompt);
    g_string_free(rl->line, true);
    g_free(rl->killed);
    g_ptr_array_unref(rl->history);
    g_free(rl->saved);
    g_free(rl);
}

const GPtrArray *readline_history(const Readline *rl)
{
    return rl->history;
}

static bool is_continuation(char c)
{
    return ((uint8_t)c & 0xc0) == 0x80;
}

/* Characters between two bytes of the line: columns, near enough. */
static unsigned columns(const char *from, const char *to)
{
    unsigned n = 0;

    for (; from < to; from++) {
        n += !is_continuation(*from);
    }
    return n;
}

static void redraw(Readline *rl)
{
    g_autofree char *text = NULL;
    unsigned back = columns(rl->line->str + rl->cursor, rl->line->str + rl->line->len);

    if (back) {
        text = g_strdup_printf("\r%s%s\033[K\033[%uD", rl->prompt, rl->line->str, back);
    } else {
        text = g_strdup_printf("\r%s%s\033[K", rl->prompt, rl->line->str);
    }
    out(rl, text);
}

void readline_reset(Readline *rl)
{
    g_string_truncate(rl->line, 0);
    rl->cursor = 0;
    rl->history_at = rl->history->len;
    rl->escape = ESCAPE_NONE;
    g_clear_pointer(&rl->saved, g_free);
}

void readline_prompt(Readline *rl)
{
    readline_reset(rl);
    out(rl, rl->prompt);
}

static void set_line(Readline *rl, const char *text)
{
    g_string_assign(rl->line, text);
    rl->cursor = rl->line->len;
    redraw(rl);
}

static void insert(Readline *rl, const char *text, size_t len)
{
    bool at_end = rl->cursor == rl->line->len;

    if (rl->line->len + len > READLINE_MAX_LINE) {
        out(rl, "\a");
        return;
    }
    g_string_insert_len(rl->line, (gssize)rl->cursor, text, (gssize)len);
    rl->cursor += len;
    if (at_end) {
        g_autofree char *echo = g_strndup(text, len);

        out(rl, echo);
    } else if (!is_continuation(*text)) {
        redraw(rl);
    }
}

static size_t previous(Readline *rl, size_t at)
{
    while (at > 0 && is_continuation(rl->line->str[--at])) {
    }
    return at;
}

static size_t next(Readline *rl, size_t at)
{
    if (at < rl->line->len) {
        at++;
    }
    while (at < rl->line->len && is_continuation(rl->line->str[at])) {
        at++;
    }
    return at;
}

static size_t word_start(Readline *rl)
{
    size_t at = rl->cursor;

    while (at > 0 && rl->line->str[at - 1] == ' ') {
        at--;
    }
    while (at > 0 && rl->line->str[at - 1] != ' ') {
        at--;
    }
    return at;
}

static size_t word_end(Readline *rl)
{
    size_t at = rl->cursor;

    while (at < rl->line->len && rl->line->str[at] == ' ') {
        at++;
    }
    while (at < rl->line->len && rl->line->str[at] != ' ') {
        at++;
    }
    return at;
}

static void erase(Readline *rl, size_t from, size_t to, bool keep)
{
    if (from == to) {
        return;
    }
    if (keep) {
        g_free(rl->killed);
        rl->killed = g_strndup(rl->line->str + from, to - from);
    }
    g_string_erase(rl->line, (gssize)from, (gssize)(to - from));
    rl->cursor = from;
    redraw(rl);
}

static void move_to(Readline *rl, size_t at)
{
    if (at != rl->cursor) {
        rl->cursor = at;
        redraw(rl);
    }
}

static void key_home(Readline *rl)
{
    move_to(rl, 0);
}

static void key_end(Readline *rl)
{
    move_to(rl, rl->line->len);
}

static void key_left(Readline *rl)
{
    move_to(rl, previous(rl, rl->cursor));
}

static void key_right(Readline *rl)
{
    move_to(rl, next(rl, rl->cursor));
}

static void key_word_left(Readline *rl)
{
    move_to(rl, word_start(rl));
}

static void key_word_right(Readline *rl)
{
    move_to(rl, word_end(rl));
}

static void key_backspace(Readline *rl)
{
    erase(rl, previous(rl, rl->cursor), rl->cursor, false);
}

static void key_delete(Readline *rl)
{
    erase(rl, rl->cursor, next(rl, rl->cursor), false);
}

static void key_kill_end(Readline *rl)
{
    erase(rl, rl->cursor, rl->line->len, true);
}

static void key_kill_start(Readline *rl)
{
    erase(rl, 0, rl->cursor, true);
}

static void key_kill_word(Readline *rl)
{
    erase(rl, word_start(rl), rl->cursor, true);
}

static void key_yank(Readline *rl)
{
    if (rl->killed) {
        insert(rl, rl->killed, strlen(rl->killed));
    }
}

static void key_cancel(Readline *rl)
{
    out(rl, "^C\r\n");
    readline_prompt(rl);
}

static void show_history(Readline *rl, guint at)
{
    if (rl->history_at == rl->history->len) {
        g_free(rl->saved);
        rl->saved = g_strdup(rl->line->str);
    }
    rl->history_at = at;
    set_line(rl, at < rl->history->len ? g_ptr_array_index(rl->history, at) : rl->saved);
}

static void key_up(Readline *rl)
{
    if (rl->history_at > 0) {
        show_history(rl, rl->history_at - 1);
    }
}

static void key_down(Readline *rl)
{
    if (rl->history_at < rl->history->len) {
        show_history(rl, rl->history_at + 1);
    }
}

static void add_history(Readline *rl, const char *line)
{
    guint found;

    if (!*line) {
        return;
    }
    if (g_ptr_array_find_with_equal_func(rl->history, line, g_str_equal, &found)) {
        g_ptr_array_remove_index(rl->history, found);
    }
    if (rl->history->len >= READLINE_MAX_HISTORY) {
        g_ptr_array_remove_index(rl->history, 0);
    }
    g_ptr_array_add(rl->history, g_strdup(line));
}

static void key_enter(Readline *rl)
{
    g_autofree char *line = g_strdup(rl->line->str);

    out(rl, "\r\n");
    add_history(rl, line);
    readline_reset(rl);
    rl->ops->line(line, rl->opaque);
}

/* How many bytes all words share from the start. */
static size_t common_prefix(const GPtrArray *words)
{
    const char *first = g_ptr_array_index(words, 0);
    size_t n = strlen(first);

    for (guint i = 1; i < words->len; i++) {
        const char *word = g_ptr_array_index(words, i);
        size_t same = 0;

        while (same < n && word[same] == first[same]) {
            same++;
        }
        n = same;
    }
    return n;
}

static void list_words(Readline *rl, const GPtrArray *words)
{
    GString *text = g_string_new("\r\n");
    size_t width = 0, column = 0;

    for (guint i = 0; i < words->len; i++) {
        width = MAX(width, strlen(g_ptr_array_index(words, i)) + 2);
    }
    for (guint i = 0; i < words->len; i++) {
        if (column && column + width > 79) {
            g_string_append(text, "\r\n");
            column = 0;
        }
        g_string_append_printf(text, "%-*s", (int)width, (char *)g_ptr_array_index(words, i));
        column += width;
    }
    g_string_append(text, "\r\n");
    out(rl, text->str);
    g_string_free(text, true);
    redraw(rl);
}

static void key_tab(Readline *rl)
{
    size_t start = rl->cursor, have, same;
    g_autoptr(GPtrArray) words = NULL;
    const char *word;

    if (rl->ops->complete) {
        words = rl->ops->complete(rl->line->str, rl->cursor, &start, rl->opaque);
    }
    if (!words || !words->len) {
        return;
    }
    have = rl->cursor - start;
    same = common_prefix(words);
    word = g_ptr_array_index(words, 0);
    if (same > have) {
        insert(rl, word + have, same - have);
    }
    if (words->len == 1 && word[same - 1] != '/') {
        insert(rl, " ", 1);
    } else if (words->len > 1 && same <= have) {
        list_words(rl, words);
    }
}

static Action *const control_keys[32] = {
    ['A' & 31] = key_home,       ['B' & 31] = key_left,      ['C' & 31] = key_cancel,
    ['D' & 31] = key_delete,     ['E' & 31] = key_end,       ['F' & 31] = key_right,
    ['H' & 31] = key_backspace,  ['I' & 31] = key_tab,       ['J' & 31] = key_enter,
    ['K' & 31] = key_kill_end,   ['L' & 31] = redraw,        ['M' & 31] = key_enter,
    ['N' & 31] = key_down,       ['P' & 31] = key_up,        ['U' & 31] = key_kill_start,
    ['W' & 31] = key_kill_word,  ['Y' & 31] = key_yank,
};

/* ESC [ n ~ */
static Action *const tilde_keys[] = {
    [1] = key_home, [3] = key_delete, [4] = key_end, [7] = key_home, [8] = key_end,
};

static Action *cursor_key(Readline *rl, uint8_t byte)
{
    bool by_word = rl->csi_modifier == 5 || rl->csi_modifier == 3;

    switch (byte) {
    case 'A':
        return key_up;
    case 'B':
        return key_down;
    case 'C':
        return by_word ? key_word_right : key_right;
    case 'D':
        return by_word ? key_word_left : key_left;
    case 'F':
        return key_end;
    case 'H':
        return key_home;
    default:
        return NULL;
    }
}

static void escape_start(Readline *rl, uint8_t byte)
{
    rl->csi_param = rl->csi_modifier = 0;
    switch (byte) {
    case '[':
        rl->escape = ESCAPE_CSI;
        return;
    case 'O':
        rl->escape = ESCAPE_SS3;
        return;
    case 'b':
        key_word_left(rl);
        break;
    case 'f':
        key_word_right(rl);
        break;
    default:
        break;
    }
    rl->escape = ESCAPE_NONE;
}

/* Parameters, then a final byte. */
static void escape_csi(Readline *rl, uint8_t byte)
{
    Action *action = NULL;

    if (g_ascii_isdigit(byte)) {
        rl->csi_modifier = MIN(rl->csi_modifier * 10 + (unsigned)(byte - '0'), 99u);
        return;
    }
    if (byte == ';') {
        rl->csi_param = rl->csi_modifier;
        rl->csi_modifier = 0;
        return;
    }
    rl->escape = ESCAPE_NONE;
    if (byte == '~') {
        unsigned number = rl->csi_param ? rl->csi_param : rl->csi_modifier;

        action = number < G_N_ELEMENTS(tilde_keys) ? tilde_keys[number] : NULL;
    } else {
        action = cursor_key(rl, byte);
    }
    if (action) {
        action(rl);
    }
}

void readline_byte(Readline *rl, uint8_t byte)
{
    bool after_cr = rl->last_was_cr;

    rl->last_was_cr = byte == '\r';
    switch (rl->escape) {
    case ESCAPE_START:
        escape_start(rl, byte);
        return;
    case ESCAPE_CSI:
    case ESCAPE_SS3:
        escape_csi(rl, byte);
        return;
    default:
        break;
    }
    if (byte == '\n' && after_cr) {
        return; /* one line end, not two */
    }
    if (byte == 27) {
        rl->escape = ESCAPE_START;
    } else if (byte == 127) {
        key_backspace(rl);
    } else if (byte >= 32) {
        insert(rl, (const char *)&byte, 1);
    } else if (control_keys[byte]) {
        control_keys[byte](rl);
    }
}
