/* Lets the writes of files below a folder fail, for programs that are started with this
 * library preloaded: the calls are counted, and from one of them on so many fail.
 *
 *   HOIST_FAULT_DIR    the folder
 *   HOIST_FAULT_ERRNO  what they fail with
 *   HOIST_FAULT_AT     the first call that fails, from 1; 0 = none
 *   HOIST_FAULT_CALLS  how many fail
 *   HOIST_FAULT_WHILE  a file: calls fail, uncounted, while it is there
 *   HOIST_FAULT_COUNT  a file that gets a byte for every call
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;

static long number(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

static void count_one(void) {
    const char *file = getenv("HOIST_FAULT_COUNT");
    static ssize_t (*real)(int, const void *, size_t);
    if (!file) return;
    if (!real) real = dlsym(RTLD_NEXT, "write");
    int fd = open(file, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0) return;
    if (real(fd, ".", 1) < 0) { /* the count is short, and the test says so */ }
    close(fd);
}

/* Whether this call is to fail; errno says how. */
static int fails(int fd) {
    char link[64], path[4096];
    const char *dir = getenv("HOIST_FAULT_DIR");
    if (!dir) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    if (strncmp(path, dir, strlen(dir)) != 0) return 0;
    const char *gate = getenv("HOIST_FAULT_WHILE");
    if (gate) {
        if (access(gate, F_OK) != 0) return 0;
    } else {
        count_one();
        long at = number("HOIST_FAULT_AT");
        long call = atomic_fetch_add(&calls, 1) + 1;
        if (at == 0 || call < at || call - at >= number("HOIST_FAULT_CALLS")) return 0;
    }
    errno = (int)number("HOIST_FAULT_ERRNO");
    return 1;
}

#define FAULTY(result, name, parameters, arguments)                 \
    result name parameters {                                        \
        static result(*real) parameters;                            \
        if (!real) real = dlsym(RTLD_NEXT, #name);                  \
        return fails(fd) ? (result)-1 : real arguments;             \
    }

FAULTY(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
FAULTY(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
FAULTY(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
FAULTY(int, fsync, (int fd), (fd))
FAULTY(int, fdatasync, (int fd), (fd))
FAULTY(int, ftruncate, (int fd, off_t size), (fd, size))
FAULTY(int, ftruncate64, (int fd, off64_t size), (fd, size))
FAULTY(int, sync_file_range, (int fd, off64_t at, off64_t size, unsigned int how), (fd, at, size, how))
