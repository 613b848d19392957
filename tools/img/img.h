/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vireo-img: one file per command. A command parses its own options (getopt_long, with the common
 * ones in between), runs in a coroutine on the main loop, prints results on stdout and one line per
 * error on stderr, and returns the exit status.
 */
#ifndef VIREO_TOOLS_IMG_IMG_H
#define VIREO_TOOLS_IMG_IMG_H

#include <getopt.h>
#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>

#include "block/backend.h"
#include "tools/progress.h"

typedef struct ImgCommand {
    const char *name;
    const char *usage; /* after the name */
    const char *summary;
    int (*run)(int argc, char **argv);
} ImgCommand;

/* The loop waits itself for writes to the page cache of up to so many bytes. */
#define IMG_SHORT_WRITE ((size_t)64 * 1024)

extern const ImgCommand img_commands[]; /* ends with a NULL name */

/* ---- Options that several commands have (options.c) ---- */

/* Values above all characters. */
enum {
    IMG_OPT_OBJECT = 256,
    IMG_OPT_IMAGE_OPTS,
    IMG_OPT_TARGET_IMAGE_OPTS,
    IMG_OPT_OUTPUT,
    IMG_OPT_PROGRESS,
    IMG_OPT_OWN, /* a command's own long options start here */
};

typedef struct ImgOptions {
    const char *command;
    const char *format;      /* -f */
    bool image_opts;
    bool force_share;        /* -U */
    bool quiet;              /* -q */
    bool progress;           /* -p */
    bool progress_json;      /* --progress=json */
    bool json;               /* --output=json */
    const char *cache;       /* -t */
    const char *source_cache; /* -T */
    json_object *create_options; /* -o, all of them: names as written -> text; or NULL */
    bool create_help;        /* -o help */
    bool own_o;              /* -o is the command's own option */
} ImgOptions;

/* What getopt_long takes of the common ones. A command adds its own and its short letters. */
#define IMG_LONG_COMMON                                                                            \
    { "help", no_argument, NULL, 'h' }, { "object", required_argument, NULL, IMG_OPT_OBJECT },     \
    { "image-opts", no_argument, NULL, IMG_OPT_IMAGE_OPTS },                                       \
    { "force-share", no_argument, NULL, 'U' }, { "quiet", no_argument, NULL, 'q' }
#define IMG_LONG_OUTPUT { "output", required_argument, NULL, IMG_OPT_OUTPUT }
#define IMG_LONG_PROGRESS { "progress", optional_argument, NULL, IMG_OPT_PROGRESS }
#define IMG_LONG_END { NULL, 0, NULL, 0 }

typedef enum ImgParse {
    IMG_PARSED,
    IMG_EXIT_OK,  /* --help was printed */
    IMG_EXIT_BAD, /* an error was printed */
} ImgParse;

/*
 * A command's own option: a letter, or a value from IMG_OPT_OWN on; its text is in optarg. False
 * after an error was printed.
 */
typedef bool ImgOwnOption(void *opaque, int c);
/* All of argv; shorts begins with ':'. own may be NULL. IMG_PARSED: operands start at optind. */
ImgParse img_parse(ImgOptions *options, int argc, char **argv, const char *shorts,
                   const struct option *longs, ImgOwnOption *own, void *opaque);
void img_options_cleanup(ImgOptions *options);
/* "vireo-img: ..." and the hint at --help; returns 1. */
int img_usage_error(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
/* Reports and frees the error, with the file's name before it if not NULL; returns 1. */
int img_fail(const char *filename, GError *error);
/* What -o help prints for an image of this format; filename may be NULL. Returns the status. */
int img_create_help(const char *filename, const char *format);
/* A table of options, but those that stand in `hidden` too; amendable: only such. */
void img_print_options(const BlockOption *table, const BlockOption *hidden, bool amendable);
ProgressStyle img_progress_style(const ImgOptions *options);
/* A size as people write it; false after an error was printed. */
bool img_parse_size(const char *what, const char *text, int64_t *bytes);

/* ---- Opening (open.c) ---- */

typedef struct ImgOpen {
    const char *format;
    bool image_opts;
    bool force_share;
    bool writable;
    bool resize;
    bool bitmaps;           /* also where it is only read: those that the image keeps */
    const char *cache;      /* NULL: writeback */
    const char *aio;        /* of a file; NULL: the best */
    unsigned open_flags;
    bool writethrough;      /* out: what the cache mode said */
} ImgOpen;

/* What the common options say about the one image of a command. */
ImgOpen img_open_from(const ImgOptions *options);
/* NULL with the error set. */
BlockBackend *img_open(const char *filename, ImgOpen *open, GError **error);
/*
 * Nothing more will be written: what a format only stores when it is closed (dirty bitmaps) goes to
 * the file now, where an error is seen.
 */
bool img_settle(BlockBackend *blk, GError **error);

/* ---- Several coroutines (team.c) ---- */

/* Runs as a coroutine; index counts from 0. */
typedef void ImgTeamFn(void *opaque, unsigned index);
/* n (> 0) of them at the same time, until all have returned. In a coroutine. */
void img_team_run(unsigned n, ImgTeamFn *fn, void *opaque);
/*
 * In a member that has made a step without having to wait: the loop has its turn now and then, for
 * signals. *steps counts those of the team.
 */
void img_team_breathe(unsigned *steps);

/* ---- Commands ---- */
int img_create(int argc, char **argv);
int img_convert(int argc, char **argv);
int img_compare(int argc, char **argv);
int img_commit(int argc, char **argv);
int img_rebase(int argc, char **argv);
int img_amend(int argc, char **argv);
int img_dd(int argc, char **argv);
int img_bench(int argc, char **argv);
int img_bitmap(int argc, char **argv);
int img_info(int argc, char **argv);
int img_check(int argc, char **argv);
int img_map(int argc, char **argv);
int img_measure(int argc, char **argv);
int img_resize(int argc, char **argv);
int img_snapshot(int argc, char **argv);

#endif
