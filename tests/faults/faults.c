/* Lets the writes of files below a folder fail, for programs that are started with this
 * library preloaded: the calls are counted, and from one of them on so many fail. Or keeps
 * what they did, in their order, so that a power cut can be played after each of them.
 *
 *   HOIST_FAULT_DIR    the folder
 *   HOIST_FAULT_ERRNO  what they fail with
 *   HOIST_FAULT_AT     the first call that fails, from 1; 0 = none
 *   HOIST_FAULT_CALLS  how many fail
 *   HOIST_FAULT_KILL   the first that would fail ends the program instead; renames and removals
 *                      count then, too
 *   HOIST_FAULT_WHILE  a file: calls fail, uncounted, while it is there
 *   HOIST_FAULT_COUNT  a file that gets a byte for every call
 *   HOIST_FAULT_LOG    a file that gets every call: a letter, the length of the path and the
 *                      path below the folder, an offset, a length and as many bytes; numbers
 *                      in 8 bytes of this machine
 *                        w write   t truncate   s sync   r rename (bytes: the new path)
 *                        u unlink  c create     m make a folder
 *                        a the program said something (bytes: what)
 *                      What changes the folder in another way ends the program: the log would
 *                      not be what happened.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
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

/* The path behind a descriptor below the folder, from behind the folder's name on. */
static const char *below(int fd, char *path, size_t size) {
    char link[64];
    const char *dir = getenv("HOIST_FAULT_DIR");
    if (!dir) return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    if (length <= 0) return NULL;
    path[length] = 0;
    return strncmp(path, dir, strlen(dir)) == 0 ? path + strlen(dir) : NULL;
}

/* Whether this call is one of those that fail. */
static int is_due(void) {
    count_one();
    long at = number("HOIST_FAULT_AT");
    long call = atomic_fetch_add(&calls, 1) + 1;
    return at != 0 && call >= at && call - at < number("HOIST_FAULT_CALLS");
}

static void end_if_due(void) {
    if (!is_due()) return;
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* Whether this call is to fail; errno says how. */
static int fails(int fd) {
    char path[4096];
    if (!below(fd, path, sizeof path)) return 0;
    const char *gate = getenv("HOIST_FAULT_WHILE");
    if (gate) {
        if (access(gate, F_OK) != 0) return 0;
    } else if (getenv("HOIST_FAULT_KILL")) {
        end_if_due();
        return 0;
    } else if (!is_due()) {
        return 0;
    }
    errno = (int)number("HOIST_FAULT_ERRNO");
    return 1;
}

static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;

/* Calls are kept one at a time, so that the log has the order in which they were done. */
static void begin(void) {
    const char *file = getenv("HOIST_FAULT_LOG");
    if (!file) return;
    pthread_mutex_lock(&order);
    if (log_fd < 0) log_fd = open(file, O_WRONLY | O_CREAT | O_APPEND, 0600);
}

static void keep(char what, const char *path, uint64_t at, uint64_t size, const void *data) {
    static ssize_t (*real)(int, const void *, size_t);
    uint64_t length = path ? strlen(path) : 0;
    if (log_fd < 0) return;
    if (!real) real = dlsym(RTLD_NEXT, "write");
    size_t total = 1 + 8 + length + 8 + 8 + size;
    char *record = malloc(total), *end = record;
    *end++ = what;
    memcpy(end, &length, 8), end += 8;
    memcpy(end, path, length), end += length;
    memcpy(end, &at, 8), end += 8;
    memcpy(end, &size, 8), end += 8;
    memcpy(end, data, size);
    if (real(log_fd, record, total) != (ssize_t)total) abort();
    free(record);
}

static void keep_fd(char what, int fd, uint64_t at, uint64_t size, const void *data) {
    char path[4096];
    const char *name = log_fd < 0 ? NULL : below(fd, path, sizeof path);
    if (name) keep(what, name, at, size, data);
}

static void end(void) {
    if (getenv("HOIST_FAULT_LOG")) pthread_mutex_unlock(&order);
}

/* A call on a file of the folder; `kept` says what is kept of it when it was done. */
#define FAULTY(result, name, parameters, arguments, kept)           \
    result name parameters {                                        \
        static result(*real) parameters;                            \
        if (!real) real = dlsym(RTLD_NEXT, #name);                  \
        if (fails(fd)) return (result)-1;                           \
        begin();                                                    \
        result done = real arguments;                               \
        int why = errno;                                            \
        if (done >= 0) { kept; }                                    \
        end();                                                      \
        errno = why;                                                \
        return done;                                                \
    }

static void keep_write(int fd, ssize_t done, const void *data) {
    if (fd == STDOUT_FILENO) keep('a', NULL, 0, done, data);
    else keep_fd('w', fd, lseek(fd, 0, SEEK_CUR) - done, done, data);
}

FAULTY(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size), keep_write(fd, done, data))
FAULTY(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at), keep_fd('w', fd, at, done, data))
FAULTY(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at), keep_fd('w', fd, at, done, data))
FAULTY(int, fsync, (int fd), (fd), keep_fd('s', fd, 0, 0, ""))
FAULTY(int, fdatasync, (int fd), (fd), keep_fd('s', fd, 0, 0, ""))
FAULTY(int, ftruncate, (int fd, off_t size), (fd, size), keep_fd('t', fd, size, 0, ""))
FAULTY(int, ftruncate64, (int fd, off64_t size), (fd, size), keep_fd('t', fd, size, 0, ""))
FAULTY(int, sync_file_range, (int fd, off64_t at, off64_t size, unsigned int how), (fd, at, size, how), )

static const char *named(const char *path) {
    const char *dir = getenv("HOIST_FAULT_DIR");
    return dir && strncmp(path, dir, strlen(dir)) == 0 ? path + strlen(dir) : NULL;
}

int rename(const char *from, const char *to) {
    static int (*real)(const char *, const char *);
    if (!real) real = dlsym(RTLD_NEXT, "rename");
    if (getenv("HOIST_FAULT_KILL") && named(to)) end_if_due();
    begin();
    int done = real(from, to), why = errno;
    if (done == 0 && named(from) && named(to)) keep('r', named(from), 0, strlen(named(to)), named(to));
    end();
    errno = why;
    return done;
}

int unlink(const char *path) {
    static int (*real)(const char *);
    if (!real) real = dlsym(RTLD_NEXT, "unlink");
    if (getenv("HOIST_FAULT_KILL") && named(path)) end_if_due();
    begin();
    int done = real(path), why = errno;
    if (done == 0 && named(path)) keep('u', named(path), 0, 0, "");
    end();
    errno = why;
    return done;
}

int mkdir(const char *path, mode_t mode) {
    static int (*real)(const char *, mode_t);
    if (!real) real = dlsym(RTLD_NEXT, "mkdir");
    begin();
    int done = real(path, mode), why = errno;
    if (done == 0 && named(path)) keep('m', named(path), 0, 0, "");
    end();
    errno = why;
    return done;
}

/* A file may get its name here, and lose its content. */
#define OPENING(name)                                                            \
    int name(const char *path, int flags, ...) {                                 \
        static int (*real)(const char *, int, ...);                              \
        va_list rest;                                                            \
        va_start(rest, flags);                                                   \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;  \
        va_end(rest);                                                            \
        if (!real) real = dlsym(RTLD_NEXT, #name);                               \
        if (!named(path) || !getenv("HOIST_FAULT_LOG")) return real(path, flags, mode); \
        begin();                                                                 \
        int done = real(path, flags, mode), why = errno;                         \
        if (done >= 0 && flags & O_CREAT) keep('c', named(path), 0, 0, "");      \
        if (done >= 0 && flags & O_TRUNC) keep('t', named(path), 0, 0, "");      \
        end();                                                                   \
        errno = why;                                                             \
        return done;                                                             \
    }

OPENING(open)
OPENING(open64)

/* What is not kept, and would change the folder. */
static void refuse(const char *what, int changes) {
    if (!changes || !getenv("HOIST_FAULT_LOG")) return;
    fprintf(stderr, "%s is not kept: teach faults.c what it does\n", what);
    abort();
}

static int is_below(int fd) {
    char path[4096];
    return below(fd, path, sizeof path) != NULL;
}

#define UNKNOWN(result, name, parameters, arguments, changes) \
    result name parameters {                                  \
        static result(*real) parameters;                      \
        if (!real) real = dlsym(RTLD_NEXT, #name);            \
        refuse(#name, changes);                               \
        return real arguments;                                \
    }

static int at(int fd, const char *path) { return path[0] == '/' ? named(path) != NULL : fd != AT_FDCWD && is_below(fd); }

UNKNOWN(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to), at(a, from) || at(b, to))
UNKNOWN(int, renameat2, (int a, const char *from, int b, const char *to, unsigned int how), (a, from, b, to, how), at(a, from) || at(b, to))
UNKNOWN(int, unlinkat, (int fd, const char *path, int how), (fd, path, how), at(fd, path))
UNKNOWN(int, mkdirat, (int fd, const char *path, mode_t mode), (fd, path, mode), at(fd, path))
UNKNOWN(int, rmdir, (const char *path), (path), named(path) != NULL)
UNKNOWN(int, link, (const char *from, const char *to), (from, to), named(to) != NULL)
UNKNOWN(int, linkat, (int a, const char *from, int b, const char *to, int how), (a, from, b, to, how), at(b, to))
UNKNOWN(int, symlink, (const char *from, const char *to), (from, to), named(to) != NULL)
UNKNOWN(int, truncate, (const char *path, off_t size), (path, size), named(path) != NULL)
UNKNOWN(int, truncate64, (const char *path, off64_t size), (path, size), named(path) != NULL)
UNKNOWN(int, fallocate, (int fd, int how, off_t from, off_t size), (fd, how, from, size), is_below(fd))
UNKNOWN(int, fallocate64, (int fd, int how, off64_t from, off64_t size), (fd, how, from, size), is_below(fd))
UNKNOWN(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count), is_below(fd))
UNKNOWN(ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off_t from), (fd, parts, count, from), is_below(fd))
UNKNOWN(ssize_t, pwritev64, (int fd, const struct iovec *parts, int count, off64_t from), (fd, parts, count, from), is_below(fd))
UNKNOWN(ssize_t, copy_file_range, (int a, off64_t *from, int b, off64_t *to, size_t size, unsigned int how), (a, from, b, to, size, how), is_below(b))
UNKNOWN(ssize_t, sendfile64, (int to, int from, off64_t *start, size_t size), (to, from, start, size), is_below(to))
