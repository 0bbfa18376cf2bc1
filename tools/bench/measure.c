/* SPDX-License-Identifier: MIT */
/*
 * measure SECONDS COMMAND...: runs COMMAND (output to /dev/null, no input), kills it after SECONDS (1 to 86400), and prints one line:
 * exit status (or 128 + signal), wall seconds, CPU seconds, peak resident KiB.
 *
 * A program of its own because getrusage() counts what the process was before its exec, too: started from an interpreter, a small
 * command would show the interpreter's peak.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

static volatile pid_t child;

static void kill_child(int number)
{
    (void)number;
    kill(child, SIGKILL);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: measure SECONDS COMMAND...\n");
        return 2;
    }
    double start = now();
    pid_t pid = fork();
    if (pid == 0) {
        setsid(); /* no terminal: a text display must not stop the whole group with SIGTTOU */
        int null = open("/dev/null", O_RDWR);
        if (null >= 0) {
            dup2(null, 0);
            dup2(null, 1);
        }
        execvp(argv[2], argv + 2);
        perror(argv[2]);
        _exit(127);
    }
    int status;
    struct rusage usage;
    child = pid;
    signal(SIGALRM, kill_child);
    alarm((unsigned)atoi(argv[1]));
    int got = -1;
    while (pid > 0 && (got = wait4(pid, &status, 0, &usage)) < 0 && errno == EINTR) {
    }
    if (got < 0) {
        perror("measure");
        return 2;
    }
    printf("%d %.6f %.6f %ld\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
           now() - start, seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss);
    return 0;
}
