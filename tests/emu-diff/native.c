/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cases on the host's processor. A child process has the case's memory mapped and lives in its
 * signal handler: an exception brings the state of the case that ended, in the signal frame; the
 * handler notes it, puts the next case's into the frame and returns to it. No other entry or exit
 * is needed, and everything (general registers, flags, CS, SS, x87, SSE, AVX) travels in the frame;
 * the other segment registers and FS and GS bases alone are exchanged by the handler. A frame with
 * a CS of 32 or 16 bits makes the case run in compatibility mode.
 *
 * The child may execute anything by accident. System calls from the case's addresses are caught by
 * a seccomp filter, RDTSC is made to fault, a timer ends endless loops, and a child that dies is
 * replaced.
 */
#include "tests/emu-diff/diff.h"

#include <asm/ldt.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <inttypes.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

/* Where the handler finds its data: a place that no case makes up, and no sanitizer wants. */
#define CONTROL_AT 0x2b6d593a7000
#define ALT_STACK_SIZE (256 * 1024)
#define TICK_US 8000
/* NT and ID: the kernel leaves them as they are when it returns from a signal. */
#define FLAGS_BY_HAND 0x204000ull

typedef struct Control {
    uint64_t host_fs, host_gs, next_fs, next_gs; /* the handler's entry knows their offsets */
    uint64_t fsgsbase;
    uint64_t next_flags;    /* those of FLAGS_BY_HAND */
    uint16_t seen[4], next[4]; /* DS, ES, FS, GS */
    bool busy;              /* a case runs; else the process waits for a batch */
    uint32_t last_tick;     /* the case that the timer met last time */
    Batch *batch;
    uint8_t *code;          /* writable alias of the code pages */
    unsigned written_at, written_len; /* what the last case left there */
    uint8_t alt_stack[ALT_STACK_SIZE] __attribute__((aligned(64)));
    greg_t idle_regs[NGREG];
    uint8_t idle_fpu[XS_SIZE];
} Control;

static Control *control(void)
{
    return (Control *)CONTROL_AT;
}

struct Native {
    Batch **batches;
    Control *control;
    uint8_t *code;
    int to_child, from_child;
    pid_t child;
    unsigned slot;
    unsigned slots;
    bool fsgsbase;
};

/* ---- The frame ---- */

/* In encoding order. */
static const uint8_t greg_of[16] = {
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
    REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

static void normalise_x(const uint8_t *frame, uint8_t *x)
{
    uint64_t present;

    memcpy(&present, frame + XS_HEADER, 8);
    memcpy(x, frame, XS_LEGACY);
    memset(x + XS_LEGACY, 0, XS_YMM - XS_LEGACY);
    memcpy(x + XS_YMM, frame + XS_YMM, XS_SIZE - XS_YMM);
    if (!(present & 1)) {
        memset(x, 0, XS_MXCSR);
        memset(x + XS_ST, 0, XS_XMM - XS_ST);
        x[0] = 0x7f;
        x[1] = 0x03;
    }
    if (!(present & 2)) {
        memset(x + XS_XMM, 0, XS_LEGACY - XS_XMM);
    }
    if (!(present & 4)) {
        memset(x + XS_YMM, 0, XS_SIZE - XS_YMM);
    }
    memset(x + XS_MXCSR + 4, 0, 4);
    x[XS_FTW + 1] = 0;
    for (unsigned i = 0; i < 8; i++) {
        memset(x + XS_ST + i * 16 + 10, 0, 6);
    }
}

/* REG_CSGSFS holds four selectors; that of SS is the highest. */
static uint16_t get_frame_selector(const greg_t *regs, unsigned shift)
{
    return regs[REG_CSGSFS] >> shift;
}

static void get_state(const ucontext_t *context, const Control *c, State *state)
{
    const greg_t *regs = context->uc_mcontext.gregs;

    for (unsigned i = 0; i < 16; i++) {
        state->gpr[i] = regs[greg_of[i]];
    }
    state->rip = regs[REG_RIP];
    state->rflags = regs[REG_EFL];
    state->selector[DIFF_CS] = get_frame_selector(regs, 0);
    if (state->selector[DIFF_CS] != SEL_USER_CS) {
        /* With 16-bit stacks the kernel leaves something of its own above ESP. */
        state->gpr[DIFF_RSP] = (uint32_t)state->gpr[DIFF_RSP];
    }
    state->selector[DIFF_SS] = get_frame_selector(regs, 48);
    state->selector[DIFF_DS] = settled_selector(c->seen[0]);
    state->selector[DIFF_ES] = settled_selector(c->seen[1]);
    state->selector[DIFF_FS] = settled_selector(c->seen[2]);
    state->selector[DIFF_GS] = settled_selector(c->seen[3]);
    normalise_x((const uint8_t *)context->uc_mcontext.fpregs, state->x);
}

static void set_state(ucontext_t *context, const State *state)
{
    greg_t *regs = context->uc_mcontext.gregs;
    uint8_t *frame = (uint8_t *)context->uc_mcontext.fpregs;
    static const uint64_t all = 7;
    const unsigned long strict_ss = 6; /* UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS */

    for (unsigned i = 0; i < 16; i++) {
        regs[greg_of[i]] = state->gpr[i];
    }
    regs[REG_RIP] = state->rip;
    regs[REG_EFL] = state->rflags;
    regs[REG_CSGSFS] = state->selector[DIFF_CS] | (uint64_t)state->selector[DIFF_SS] << 48;
    context->uc_flags |= strict_ss;
    memcpy(frame, state->x, XS_MXCSR + 4);
    memcpy(frame + XS_ST, state->x + XS_ST, XS_LEGACY - XS_ST);
    memcpy(frame + XS_HEADER, &all, 8);
    memcpy(frame + XS_YMM, state->x + XS_YMM, XS_SIZE - XS_YMM);
}

/* ---- The handler ---- */

static void load_case(Control *c, ucontext_t *context)
{
    const Case *test = &c->batch->cases[c->batch->next];

    memset(c->code + c->written_at, 0xcc, c->written_len);
    memcpy(c->code + test->code_offset, test->code, test->code_len);
    c->written_at = test->code_offset;
    c->written_len = test->code_len;
    set_state(context, &test->start);
    c->next_fs = test->start.fs_base;
    c->next_gs = test->start.gs_base;
    c->next_flags = test->start.rflags & FLAGS_BY_HAND;
    c->next[0] = test->start.selector[DIFF_DS];
    c->next[1] = test->start.selector[DIFF_ES];
    c->next[2] = test->start.selector[DIFF_FS];
    c->next[3] = test->start.selector[DIFF_GS];
    c->batch->results[c->batch->next].steps = 0;
    c->batch->results[c->batch->next].trace = 0;
}

static void finish_case(Control *c, ucontext_t *context, Status status, uint64_t fs, uint64_t gs)
{
    Result *result = &c->batch->results[c->batch->next];
    const greg_t *regs = context->uc_mcontext.gregs;

    result->vector = regs[REG_TRAPNO];
    result->error = regs[REG_ERR];
    result->cr2 = result->vector == 14 ? regs[REG_CR2] : 0;
    get_state(context, c, &result->end);
    result->end.fs_base = fs;
    result->end.gs_base = gs;
    collect_lines(&c->batch->image, (uint8_t *)DATA_AT, (uint8_t *)STACK_AT, result);
    result->status = status;
    c->batch->next++;
}

static void go_idle(Control *c, ucontext_t *context)
{
    uint8_t *frame = (uint8_t *)context->uc_mcontext.fpregs;

    memcpy(context->uc_mcontext.gregs, c->idle_regs, sizeof(c->idle_regs));
    memcpy(frame, c->idle_fpu, XS_LEGACY);
    memcpy(frame + XS_HEADER, c->idle_fpu + XS_HEADER, XS_SIZE - XS_HEADER);
    c->busy = false;
    c->next_fs = c->host_fs;
    c->next_gs = c->host_gs;
    c->next_flags = 0;
    memset(c->next, 0, sizeof(c->next));
}

/* The case goes on: another tick of the timer, or a step. */
static bool goes_on(Control *c, int sig, ucontext_t *context, uint64_t fs, uint64_t gs,
                    Status *status)
{
    Result *result = &c->batch->results[c->batch->next];
    State state;

    *status = STATUS_FAULT;
    if (sig == SIGVTALRM) {
        *status = STATUS_TIMEOUT;
        if (c->last_tick != c->batch->next) {
            c->last_tick = c->batch->next;
            return true;
        }
    } else if (sig == SIGSYS) {
        *status = STATUS_SKIP;
    } else if (sig == SIGTRAP && context->uc_mcontext.gregs[REG_TRAPNO] == 1 &&
               c->batch->cases[c->batch->next].step) {
        get_state(context, c, &state);
        note_step(result, &state);
        *status = STATUS_TIMEOUT;
        return result->steps < MAX_STEPS;
    }
    return false;
}

void diff_native_signal(int sig, siginfo_t *info, void *opaque, uint64_t fs, uint64_t gs);
void diff_native_entry(int sig, siginfo_t *info, void *opaque);

__attribute__((used)) void diff_native_signal(int sig, siginfo_t *info, void *opaque, uint64_t fs,
                                              uint64_t gs)
{
    Control *c = control();
    ucontext_t *context = opaque;
    Status status;

    if (!c->busy) {
        c->next_flags = 0;
        memset(c->next, 0, sizeof(c->next));
        if (sig == SIGVTALRM) {
            return;
        }
        memcpy(c->idle_regs, context->uc_mcontext.gregs, sizeof(c->idle_regs));
        memcpy(c->idle_fpu, context->uc_mcontext.fpregs, XS_SIZE);
        c->busy = true;
        c->last_tick = UINT32_MAX;
    } else {
        if (goes_on(c, sig, context, fs, gs, &status)) {
            c->next_fs = fs;
            c->next_gs = gs;
            c->next_flags = context->uc_mcontext.gregs[REG_EFL] & FLAGS_BY_HAND;
            memcpy(c->next, c->seen, sizeof(c->next));
            return;
        }
        finish_case(c, context, status, fs, gs);
    }
    if (c->batch->next < c->batch->count) {
        load_case(c, context);
    } else {
        go_idle(c, context);
    }
}

/*
 * A case may have set AC, NT, segment registers and both bases: the handler's C code is not to see
 * them. Without FSGSBASE bases, FS and GS are the process's own all the time.
 */
__asm__(".text\n"
        ".type diff_native_entry, @function\n"
        "diff_native_entry:\n\t"
        "pushfq\n\tandq $~0x244000, (%rsp)\n\tpopfq\n\t"
        "movabsq $" G_STRINGIFY(CONTROL_AT) ", %r11\n\t"
        "movw %ds, 48(%r11)\n\t"
        "movw %es, 50(%r11)\n\t"
        "movw %fs, 52(%r11)\n\t"
        "movw %gs, 54(%r11)\n\t"
        "movl $0x2b, %eax\n\tmovl %eax, %ss\n\t"
        "cmpq $0, 32(%r11)\n\t"
        "je 1f\n\t"
        "rdfsbase %rcx\n\t"
        "rdgsbase %r8\n\t"
        "xorl %eax, %eax\n\tmovl %eax, %fs\n\tmovl %eax, %gs\n\t"
        "movq 0(%r11), %rax\n\twrfsbase %rax\n\t"
        "movq 8(%r11), %rax\n\twrgsbase %rax\n\t"
        "1: subq $8, %rsp\n\t"
        "call diff_native_signal\n\t"
        "addq $8, %rsp\n\t"
        "movabsq $" G_STRINGIFY(CONTROL_AT) ", %r11\n\t"
        "movw 56(%r11), %ds\n\t"
        "movw 58(%r11), %es\n\t"
        "cmpq $0, 32(%r11)\n\t"
        "je 2f\n\t"
        "movw 60(%r11), %fs\n\t"
        "movw 62(%r11), %gs\n\t"
        "movq 16(%r11), %rax\n\twrfsbase %rax\n\t"
        "movq 24(%r11), %rax\n\twrgsbase %rax\n\t"
        "2: pushfq\n\tmovq 40(%r11), %rax\n\torq %rax, (%rsp)\n\tpopfq\n\tret\n\t"
        ".size diff_native_entry, . - diff_native_entry\n");

/* ---- The child ---- */

static void install_handlers(Control *c)
{
    static const int signals[] = {
        SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGVTALRM,
    };
    struct sigaction action = { .sa_sigaction = diff_native_entry,
                                .sa_flags = SA_SIGINFO | SA_ONSTACK };
    stack_t stack = { .ss_sp = c->alt_stack, .ss_size = ALT_STACK_SIZE };
    struct itimerval timer = { { 0, TICK_US }, { 0, TICK_US } };

    sigaltstack(&stack, NULL);
    sigfillset(&action.sa_mask);
    for (unsigned i = 0; i < G_N_ELEMENTS(signals); i++) {
        sigaction(signals[i], &action, NULL);
    }
    setitimer(ITIMER_VIRTUAL, &timer, NULL);
}

/* System calls made from below 4 GiB, that is by a case, raise SIGSYS. */
static void forbid_calls(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { G_N_ELEMENTS(filter), filter };

    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void map_fixed(uint64_t at, size_t size, int protection)
{
    void *mapped = mmap((void *)at, size, protection,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0);

    if (mapped != (void *)at) {
        g_error("cannot map %zx bytes at %" PRIx64, size, at);
    }
}

static void use_image(const Image *image)
{
    mprotect((void *)RO_AT, RO_SIZE, PROT_READ | PROT_WRITE);
    memcpy((void *)RO_AT, image->ro, RO_SIZE);
    mprotect((void *)RO_AT, RO_SIZE, PROT_READ);
    memcpy((void *)DATA_AT, image->data, DATA_SIZE);
    memcpy((void *)STACK_AT, image->stack, STACK_SIZE);
}

/* True: all of them are there. */
static bool make_ldt(void)
{
    const int write_entry = 0x11;

    for (unsigned i = 0; i < LDT_COUNT; i++) {
        const Segment *from = ldt_segment(i);
        struct user_desc entry = {
            .entry_number = i, .base_addr = from->base, .limit = from->limit,
            .seg_32bit = from->big, .contents = from->code << 1 | from->down,
            .read_exec_only = !from->readable, .limit_in_pages = from->pages,
            .seg_not_present = from->absent,
        };

        if (syscall(SYS_modify_ldt, write_entry, &entry, sizeof(entry))) {
            return false;
        }
    }
    return true;
}

static G_NORETURN void child_main(Native *native, int in, int out)
{
    Control *c = native->control;
    uint8_t slot;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_DUMPABLE, 0);
    prctl(PR_SET_TSC, PR_TSC_SIGSEGV);
    make_ldt();
    map_fixed(RO_AT, RO_SIZE + DATA_SIZE, PROT_READ | PROT_WRITE);
    map_fixed(STACK_AT, STACK_SIZE, PROT_READ | PROT_WRITE);
    c->fsgsbase = native->fsgsbase;
    c->busy = false;
    c->code = native->code;
    memset(c->code, 0xcc, CODE_SIZE);
    c->written_len = 0;
    if (c->fsgsbase) {
        __asm__ volatile("rdfsbase %0" : "=r"(c->host_fs));
        __asm__ volatile("rdgsbase %0" : "=r"(c->host_gs));
        c->next_fs = c->host_fs;
        c->next_gs = c->host_gs;
    }
    install_handlers(c);
    forbid_calls();
    while (read(in, &slot, 1) == 1) {
        c->batch = native->batches[slot];
        use_image(&c->batch->image);
        if (c->batch->next < c->batch->count) {
            __asm__ volatile("int3" : : : "memory");
        }
        if (write(out, &slot, 1) != 1) {
            break;
        }
    }
    _exit(0);
}

static void spawn(Native *native)
{
    int to[2], from[2];

    if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC)) {
        g_error("pipe: %s", g_strerror(errno));
    }
    native->child = fork();
    if (native->child < 0) {
        g_error("fork: %s", g_strerror(errno));
    }
    if (native->child == 0) {
        close(to[1]);
        close(from[0]);
        child_main(native, to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    native->to_child = to[1];
    native->from_child = from[0];
}

static void bury(Native *native)
{
    close(native->to_child);
    close(native->from_child);
    waitpid(native->child, NULL, 0);
}

/* ---- For the test ---- */

/* A kernel that detects split locks slows down or kills who makes them. */
static bool has_split_locks(void)
{
    g_autofree char *text = NULL;

    return !g_file_get_contents("/proc/cpuinfo", &text, NULL, NULL) ||
           !strstr(text, "split_lock_detect");
}

/* A kernel may be built without descriptors of 16 bits, or any of a process's own. */
static bool has_code32(void)
{
    int status = 1;
    pid_t child = fork();

    if (child == 0) {
        _exit(!make_ldt());
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static void *map_shared(size_t size)
{
    void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (mapped == MAP_FAILED) {
        g_error("no memory");
    }
    return mapped;
}

Native *native_new(unsigned slots, Batch **batches, Features *features)
{
    Native *native = g_new0(Native, 1);
    int memory = memfd_create("emu-diff code", MFD_CLOEXEC);
    const unsigned hwcap2_fsgsbase = 2;

    native->batches = batches;
    native->slots = slots;
    features->split_locks = has_split_locks();
    native->fsgsbase = features->fsgsbase = getauxval(AT_HWCAP2) & hwcap2_fsgsbase;
    features->code32 = features->fsgsbase && has_code32();
    for (unsigned i = 0; i < slots; i++) {
        batches[i] = map_shared(sizeof(Batch));
    }
    native->control = mmap((void *)CONTROL_AT, sizeof(Control), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (memory < 0 || ftruncate(memory, CODE_SIZE) || native->control != control()) {
        g_error("no memory at %" PRIx64, (uint64_t)CONTROL_AT);
    }
    native->code = mmap(NULL, CODE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (mmap((void *)CODE_AT, CODE_SIZE, PROT_READ | PROT_EXEC,
             MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE, memory, 0) != (void *)CODE_AT) {
        g_error("cannot map code");
    }
    close(memory);
    signal(SIGPIPE, SIG_IGN);
    spawn(native);
    return native;
}

void native_free(Native *native)
{
    bury(native);
    for (unsigned i = 0; i < native->slots; i++) {
        munmap(native->batches[i], sizeof(Batch));
    }
    munmap(native->control, sizeof(Control));
    munmap(native->code, CODE_SIZE);
    munmap((void *)CODE_AT, CODE_SIZE);
    g_free(native);
}

static void send_slot(Native *native)
{
    uint8_t byte = native->slot;

    if (write(native->to_child, &byte, 1) != 1) {
        g_warning("the native process does not listen");
    }
}

void native_start(Native *native, unsigned slot)
{
    native->slot = slot;
    native->batches[slot]->next = 0;
    send_slot(native);
}

void native_wait(Native *native)
{
    Batch *batch = native->batches[native->slot];
    uint8_t byte;

    while (read(native->from_child, &byte, 1) != 1) {
        bury(native);
        if (batch->next < batch->count) {
            batch->results[batch->next].status = STATUS_CRASH;
            batch->next++;
        }
        spawn(native);
        send_slot(native);
    }
}

bool native_has_page(const Native *native, uint64_t address)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/maps", native->child);
    FILE *maps = fopen(path, "r");
    uint64_t start, end;
    bool found = false;

    while (maps && !found && fscanf(maps, "%" SCNx64 "-%" SCNx64 "%*[^\n]", &start, &end) == 2) {
        found = address >= start && address < end;
    }
    if (maps) {
        fclose(maps);
    }
    return found;
}
