/* SPDX-License-Identifier: MIT */
/*
 * Files for the loaders: a kernel, and the list of modules of -initrd.
 *
 * The list's grammar is QEMU's for multiboot kernels (QEMU documentation, "Invocation", -initrd): files separated by commas, each followed
 * after a blank by its arguments; a comma in a name or argument is written twice.
 *
 * Not modelled: pipes and other files without a size.
 * Deviations: none known.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/loader.h"

#define FILE_MAX (4ull << 30)

static int check_file(const char *path, int fd, size_t *size, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return error_set(err, -errno, "%s: %s", path, strerror(errno));
    }
    if (S_ISDIR(st.st_mode)) {
        return error_set(err, -EISDIR, "%s: is a directory", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return error_set(err, -EINVAL, "%s: not a regular file", path);
    }
    if (st.st_size == 0) {
        return error_set(err, -EINVAL, "%s: the file is empty", path);
    }
    if ((uint64_t)st.st_size > FILE_MAX) {
        return error_set(err, -EFBIG, "%s: larger than 4 GiB", path);
    }
    *size = (size_t)st.st_size;
    return 0;
}

static int read_all(const char *path, int fd, uint8_t *data, size_t size, struct error *err)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = read(fd, data + done, size - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return error_set(err, -errno, "%s: %s", path, strerror(errno));
        }
        if (n == 0) {
            return error_set(err, -EIO, "%s: became shorter while it was read", path);
        }
        done += (size_t)n;
    }
    return 0;
}

int loader_read_file(const char *path, uint8_t **data, size_t *size, struct error *err)
{
    uint8_t *buf = NULL;
    /* O_NONBLOCK: opening a pipe must not wait for its writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return error_set(err, -errno, "%s: %s", path, strerror(errno));
    }
    int rc = check_file(path, fd, size, err);
    if (rc == 0) {
        buf = malloc(*size);
        rc = buf ? read_all(path, fd, buf, *size, err)
                 : error_set(err, -ENOMEM, "%s: no memory for %zu bytes", path, *size);
    }
    close(fd);
    if (rc < 0) {
        free(buf);
        return rc;
    }
    *data = buf;
    return 0;
}

/* Copy one item of the list to out (as long as the rest of the list) and return where the next one starts; NULL at the end. */
static const char *next_item(const char *list, char *out)
{
    for (;; list++) {
        if (*list == ',' && list[1] == ',') {
            list++;
        } else if (*list == ',' || *list == '\0') {
            break;
        }
        *out++ = *list;
    }
    *out = '\0';
    return *list == ',' ? list + 1 : NULL;
}

static int read_module(struct loader_module *module, char *text, struct error *err)
{
    uint8_t *data = NULL;
    size_t size = 0;
    char *name = strndup(text, strcspn(text, " "));
    if (!name) {
        free(text);
        return error_set(err, -ENOMEM, "out of memory");
    }
    int rc = *name ? loader_read_file(name, &data, &size, err)
                   : error_set(err, -EINVAL, "-initrd: an item of the list names no file");
    if (rc < 0) {
        free(name);
        free(text);
        return rc;
    }
    *module = (struct loader_module){.name = name, .text = text, .data = data, .size = size};
    return 0;
}

int loader_read_modules(const char *list, struct loader_module *modules, unsigned *n,
                        struct error *err)
{
    *n = 0;
    while (list) {
        if (*n == LOADER_MAX_MODULES) {
            return error_set(err, -EINVAL, "-initrd: more than %d files", LOADER_MAX_MODULES);
        }
        char *text = malloc(strlen(list) + 1);
        if (!text) {
            return error_set(err, -ENOMEM, "out of memory");
        }
        list = next_item(list, text);
        int rc = read_module(&modules[*n], text, err);
        if (rc < 0) {
            return rc;
        }
        (*n)++;
    }
    return 0;
}

void loader_free_modules(struct loader_module *modules, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        free((void *)(uintptr_t)modules[i].name);
        free((void *)(uintptr_t)modules[i].text);
        free((void *)(uintptr_t)modules[i].data);
    }
}
