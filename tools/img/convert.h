/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of `vireo-img convert`: the command (convert.c), its options (convert-options.c), the
 * copying (convert-run.c) and the journal that an interrupted conversion is continued by
 * (convert-journal.c).
 */
#ifndef VIREO_TOOLS_IMG_CONVERT_H
#define VIREO_TOOLS_IMG_CONVERT_H

#include "tools/img/img.h"
#include "tools/progress.h"
#include "util/co-lock.h"
#include "util/ratelimit.h"

#define CONVERT_MAX_WORKERS 16
/*
 * Without -m: enough to keep the page cache and the processors that compress busy, and a disk; each
 * has a buffer.
 */
#define CONVERT_WORKERS 4
#define CONVERT_WORKERS_DIRECT 8

/* ---- The command line ---- */

typedef struct ConvertArgs {
    ImgOptions common;
    const char *output_format;
    const char *backing, *backing_format; /* -B, -F */
    char *snapshot_id, *snapshot_name;    /* -l; with neither id nor name alone: both the same */
    int64_t sparse;                       /* -S; -1: not given */
    int64_t rate;
    int64_t workers;      /* 0: as many as suit the images */
    bool compressed, copy_range, no_create, target_image_opts, target_is_zero, any_order;
    bool salvage, bitmaps, skip_broken_bitmaps, resume;
    char **sources;                       /* borrowed */
    int n_sources;
    const char *target;
} ConvertArgs;

/* Everything up to the names of files. args is to be cleaned up in any case. */
ImgParse convert_parse(ConvertArgs *args, int argc, char **argv);
void convert_args_cleanup(ConvertArgs *args);

/* ---- Copying ---- */

/* Sources stand behind one another. */
typedef struct ConvertSource {
    BlockBackend *blk;
    int64_t start, size;
} ConvertSource;

typedef struct ConvertWorker ConvertWorker;
typedef struct ConvertJournal ConvertJournal;

typedef struct Convert {
    ConvertSource *sources; /* owned, backends too */
    unsigned n_sources;
    int64_t total;
    BlockBackend *target;
    bool target_is_zero;    /* what is not written reads as zeroes */
    bool has_backing;       /* what the first source leaves to its backing file is left out */
    bool compressed, copy_range, any_order, salvage;
    int64_t sparse;         /* so many zeroes in a row are left out; 0: none are */
    unsigned workers;
    int64_t cluster_size;   /* of the target where writes come in clusters, else 1 */
    RateLimit rate;
    Progress progress;
    ConvertJournal *journal; /* or NULL */

    /* The rest is convert-run.c's. */
    CoMutex scan_lock;
    int64_t next;           /* first byte that no worker has */
    int64_t turn;           /* first byte whose writing has not begun */
    ConvertWorker *team;
    int result;
    int64_t failed_at;
    bool failed_writing;
    bool checkpointing;
    unsigned peeks;         /* chunks that did not have to be read */
} Convert;

/*
 * From `start` to the end. False with the error set; with progress_cancelled() there is an error
 * too. In a coroutine.
 */
bool convert_run(Convert *convert, int64_t start, GError **error);
/* All bytes before this one are done. */
int64_t convert_low_water(const Convert *convert);

/* ---- Dirty bitmaps (--bitmaps) ---- */

/* Can all that the source keeps be copied, into what will be made? Broken ones, if asked, not. */
bool convert_bitmaps_check_source(const ConvertArgs *args, const Convert *convert, GError **error);
/* The target is open: has it room for them? */
bool convert_bitmaps_check_target(const ConvertArgs *args, const Convert *convert, GError **error);
/* After all data; they are in the target's file afterwards, which takes no more writes. */
bool convert_bitmaps_copy(const ConvertArgs *args, const Convert *convert, GError **error);

/* ---- The journal ---- */

/*
 * What is being converted stands in a file beside the target, "<target>.vireo-resume", together
 * with how far it got: what lies before that mark is on stable storage. The file is there exactly
 * as long as the target is not complete.
 */

/* The journal of a target that is there already, or of a new one: *found says which. */
ConvertJournal *convert_journal_open(const ConvertArgs *args, const Convert *convert, bool *found,
                                     GError **error);
/* The new target is open: from now on it may be continued. */
bool convert_journal_begin(ConvertJournal *journal, const Convert *convert, GError **error);
/* The old target is open: sources and target must be those of the journal. Sets *start. */
bool convert_journal_check(ConvertJournal *journal, Convert *convert, int64_t *start,
                           GError **error);
/* Flush the target and note how far we are; in a coroutine. */
int convert_journal_mark(ConvertJournal *journal, const Convert *convert);
bool convert_journal_is_due(const ConvertJournal *journal);
/* The target is complete: flush it and delete the file. */
bool convert_journal_finish(ConvertJournal *journal, const Convert *convert, GError **error);
void convert_journal_free(ConvertJournal *journal);
/* A plain conversion makes an older journal worthless. */
void convert_journal_drop(const char *target);

#endif
