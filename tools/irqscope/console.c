/* SPDX-License-Identifier: MIT */
/*
 * The standard input and output as serial port 0, signals, --timeout and --until.
 *
 * Signals are not handled but read from a signalfd, and the timer from a timerfd, at the machine's poll points: no code of ours runs
 * asynchronously. A terminal is put into a raw mode while the machine runs; with stdio Ctrl-C stays a signal, with mon:stdio it is
 * a byte for the guest and Ctrl-A x quits. On a terminal an idle guest sleeps in host time; its virtual time is the same.
 *
 * Not modelled: pty, sockets; QEMU's monitor behind Ctrl-A c.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "irqscope/run.h"

#define CTRL_A 1

/* For each prefix of text the length of its longest proper border: Knuth, Morris, Pratt, "Fast Pattern Matching in Strings". */
static size_t *make_borders(const char *text)
{
    size_t n = strlen(text), k = 0;
    size_t *fail = calloc(n + 1, sizeof(*fail));
    for (size_t i = 1; fail && i < n; i++) {
        while (k > 0 && text[i] != text[k]) {
            k = fail[k - 1];
        }
        k += text[i] == text[k];
        fail[i] = k;
    }
    return fail;
}

int console_open(struct console *c, const struct options *o, struct error *err)
{
    struct serial_option serial = {.kind = SERIAL_STDIO};
    bool output_only = false;

    *c = (struct console){.signal_fd = -1, .timer_fd = -1, .last = '\n'};
    if (o->nserials > 0) {
        serial = o->serial[0];
    } else if (o->nographic) {
        serial.kind = SERIAL_MON_STDIO;
    } else if (o->nodefaults) {
        serial.kind = SERIAL_NULL;
    } else {
        output_only = true;
    }
    switch (serial.kind) {
    case SERIAL_NULL:
        break;
    case SERIAL_STDIO:
    case SERIAL_MON_STDIO:
        c->out = stdout;
        c->input = !output_only;
        c->mon = serial.kind == SERIAL_MON_STDIO;
        break;
    case SERIAL_FILE:
        c->out = fopen(serial.path, "wb");
        if (!c->out) {
            return error_set(err, -errno, "-serial file:%s: cannot write it: %s", serial.path,
                             strerror(errno));
        }
        c->out_is_file = true;
        break;
    }
    if (o->until) {
        c->until = o->until;
        c->until_fail = make_borders(o->until);
        if (!c->until_fail) {
            return error_set(err, -ENOMEM, "out of memory");
        }
    }
    return 0;
}

void console_close(struct console *c)
{
    if (c->out_is_file) {
        fclose(c->out);
    }
    free(c->until_fail);
}

static void our_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGQUIT);
}

static void enter_terminal(struct console *c)
{
    if (!c->input || !isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &c->saved) != 0) {
        return;
    }
    struct termios raw = c->saved;
    raw.c_iflag &= (tcflag_t) ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    raw.c_lflag &= (tcflag_t) ~(ECHO | ECHONL | ICANON | IEXTEN | (c->mon ? ISIG : 0));
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    c->interactive = true;
    c->tty = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

int console_enter(struct console *c, const struct options *o, struct error *err)
{
    sigset_t set;
    our_signals(&set);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 ||
        (c->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)) < 0) {
        return error_set(err, -errno, "signals cannot be taken over: %s", strerror(errno));
    }
    signal(SIGPIPE, SIG_IGN);
    if (o->timeout > 0) {
        struct itimerspec spec = {.it_value.tv_sec = (time_t)o->timeout};
        spec.it_value.tv_nsec = (long)((o->timeout - (double)spec.it_value.tv_sec) * 1e9);
        if (spec.it_value.tv_sec == 0 && spec.it_value.tv_nsec == 0) {
            spec.it_value.tv_nsec = 1;
        }
        c->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        if (c->timer_fd < 0 || timerfd_settime(c->timer_fd, 0, &spec, NULL) != 0) {
            return error_set(err, -errno, "--timeout: no timer can be had: %s", strerror(errno));
        }
    }
    enter_terminal(c);
    return 0;
}

void console_leave(struct console *c)
{
    sigset_t set;
    if (c->tty) {
        tcsetattr(STDIN_FILENO, TCSANOW, &c->saved);
        c->tty = false;
    }
    if (c->timer_fd >= 0) {
        close(c->timer_fd);
        c->timer_fd = -1;
    }
    if (c->signal_fd >= 0) {
        close(c->signal_fd);
        c->signal_fd = -1;
        our_signals(&set);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
        signal(SIGPIPE, SIG_DFL);
    }
}

static void end_run(struct console *c, struct machine *machine, enum host_end end)
{
    if (c->end == HOST_END_NONE) {
        c->end = end;
    }
    machine_stop(machine);
}

static void match_until(struct console *c, struct machine *machine, uint8_t byte)
{
    size_t at = c->until_at;
    while (at > 0 && (uint8_t)c->until[at] != byte) {
        at = c->until_fail[at - 1];
    }
    at += (uint8_t)c->until[at] == byte;
    if (c->until[at] == '\0') {
        end_run(c, machine, HOST_END_UNTIL);
        c->until = NULL;
        return;
    }
    c->until_at = at;
}

static void output_failed(struct console *c, struct machine *machine)
{
    if (!c->out_error) {
        c->out_error = errno ? errno : EIO;
        end_run(c, machine, HOST_END_OUTPUT);
    }
}

void console_write(void *opaque, const uint8_t *buf, size_t n)
{
    struct run *run = opaque;
    struct console *c = &run->console;
    for (size_t i = 0; i < n && c->until; i++) {
        match_until(c, run->machine, buf[i]);
    }
    if (c->out && n > 0 && !c->out_error) {
        if (fwrite(buf, 1, n, c->out) != n) {
            output_failed(c, run->machine);
        }
        c->last = buf[n - 1];
    }
}

/* Ctrl-A is a prefix: x quits, a second one is itself. Returns how many bytes are left for the guest. */
static size_t filter_prefix(struct console *c, struct machine *machine, uint8_t *buf, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (!c->mon || (!c->prefix && buf[i] != CTRL_A)) {
            buf[kept++] = buf[i];
        } else if (!c->prefix) {
            c->prefix = true;
        } else {
            c->prefix = false;
            if (buf[i] == 'x' || buf[i] == 'X') {
                end_run(c, machine, HOST_END_QUIT);
            } else if (buf[i] == CTRL_A || buf[i] == 'a') {
                buf[kept++] = CTRL_A;
            }
        }
    }
    return kept;
}

static void read_input(struct console *c, struct machine *machine)
{
    if (c->npending == 0) {
        ssize_t n = read(STDIN_FILENO, c->pending, sizeof(c->pending));
        if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) {
            c->input = false; /* end of the file: no more input */
        }
        c->npending = n > 0 ? filter_prefix(c, machine, c->pending, (size_t)n) : 0;
    }
    size_t taken = machine_serial_input(machine, c->pending, c->npending);
    c->npending -= taken;
    memmove(c->pending, c->pending + taken, c->npending);
}

/* Wait at most ms (-1: for ever) for anything from the host; take it. */
static void attend(struct run *run, int ms)
{
    struct console *c = &run->console;
    struct pollfd fds[3];
    nfds_t n = 0;
    int input_at = -1, timer_at = -1;

    fds[n++] = (struct pollfd){.fd = c->signal_fd, .events = POLLIN};
    if (c->timer_fd >= 0) {
        timer_at = (int)n;
        fds[n++] = (struct pollfd){.fd = c->timer_fd, .events = POLLIN};
    }
    if (c->input && c->npending == 0) {
        input_at = (int)n;
        fds[n++] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    }
    if (c->out && fflush(c->out) != 0) {
        output_failed(c, run->machine);
        return;
    }
    int ready = poll(fds, n, ms);
    if (c->npending > 0 || (ready > 0 && input_at >= 0 && fds[input_at].revents)) {
        read_input(c, run->machine);
    }
    if (ready <= 0) {
        return;
    }
    struct signalfd_siginfo info;
    if (fds[0].revents && read(c->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        c->signal = (int)info.ssi_signo;
        end_run(c, run->machine, HOST_END_SIGNAL);
    }
    if (timer_at >= 0 && fds[timer_at].revents) {
        end_run(c, run->machine, HOST_END_TIMEOUT);
    }
}

void console_poll(void *opaque, struct machine *machine)
{
    (void)machine;
    attend(opaque, 0);
}

bool console_idle(void *opaque, struct machine *machine, uint64_t wake_ns)
{
    struct run *run = opaque;
    struct console *c = &run->console;
    if (c->end != HOST_END_NONE) {
        return true;
    }
    if (wake_ns != MACHINE_NEVER) {
        uint64_t ns = wake_ns - machine_get_vtime(machine);
        uint64_t ms = c->interactive && c->input ? (ns + 999999) / 1000000 : 0;
        attend(run, ms > 1000 ? 1000 : (int)ms);
        return true;
    }
    if (c->npending > 0) {
        attend(run, 0);
        return true;
    }
    if (!c->input) {
        return false;
    }
    attend(run, -1);
    return c->input || c->npending > 0 || c->end != HOST_END_NONE;
}
