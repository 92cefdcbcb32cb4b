/* Ends a program at a named moment, and moves its clock, while this library is preloaded.
 * Both are said in a file of four numbers, each 8 bytes of this machine, that somebody else
 * writes and this library has mapped:
 *
 *   clock    nanoseconds added to the time of day; no other clock is touched
 *   point    the moment that ends it, below; 0 = none
 *   left     how often that moment passes, from 1; the last time ends it
 *   linger   microseconds between the moment and the end, in which other threads go on
 *
 *   HOIST_MOMENTS       the file
 *   HOIST_MOMENTS_PORT  the port of 127.0.0.1 whose connections made by the program are
 *                       looked at: its own MQTT session
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum point {
    BEFORE_COMMIT = 1, /* what was written of the store is not synced */
    BEFORE_SEAL = 2,   /* it is synced, and the store's seal does not say so yet */
    AFTER_COMMIT = 3,  /* all of it is durable, and nobody was told */
    AFTER_PUBLISH = 4, /* a message is out, and what it answers is not acknowledged */
    IN_RECONCILE = 5,  /* a spec of a group or a device is out, and others are not */
};

struct control {
    _Atomic int64_t clock, point, left, linger;
};

static struct control *control;
static uint16_t port;

__attribute__((constructor)) static void map(void) {
    const char *file = getenv("HOIST_MOMENTS"), *number = getenv("HOIST_MOMENTS_PORT");
    int fd = file ? open(file, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED) control = mapped;
    port = number ? (uint16_t)atoi(number) : 0;
}

#define REAL(name, result, parameters)                              \
    static result(*real) parameters;                                \
    if (!real) real = dlsym(RTLD_NEXT, #name)

static void end(void) {
    usleep((useconds_t)atomic_load(&control->linger));
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

static int is_awaited(enum point point) {
    return control && atomic_load(&control->point) == point;
}

static void passes(enum point point) {
    if (is_awaited(point) && atomic_fetch_sub(&control->left, 1) == 1) end();
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    REAL(clock_gettime, int, (clockid_t, struct timespec *));
    int done = real(clock, time);
    if (done != 0 || !control || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return done;
    int64_t nanos = time->tv_nsec + atomic_load(&control->clock) % 1000000000;
    time->tv_sec += atomic_load(&control->clock) / 1000000000;
    if (nanos < 0) nanos += 1000000000, time->tv_sec -= 1;
    if (nanos >= 1000000000) nanos -= 1000000000, time->tv_sec += 1;
    time->tv_nsec = nanos;
    return 0;
}

/* The last part of the name of a file. */
static int is_named(int fd, const char *name) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    size_t wanted = strlen(name);
    return length > (ssize_t)wanted && memcmp(path + length - wanted, name, wanted) == 0;
}

int fdatasync(int fd) {
    REAL(fdatasync, int, (int));
    int data = is_named(fd, "/store/db"), seal = is_named(fd, "/store/seal");
    if (data) passes(BEFORE_COMMIT);
    int done = real(fd), why = errno;
    if (data && done == 0) passes(BEFORE_SEAL);
    if (seal && done == 0) passes(AFTER_COMMIT);
    errno = why;
    return done;
}

/* What passes on a connection, one MQTT packet after the other. */
struct wire {
    int ours;
    enum { TYPE, LENGTH, TOPIC_LENGTH, TOPIC, REST } state;
    uint8_t type;
    uint32_t left, shift;
    uint32_t seen, length; /* of the topic */
    char topic[64];
};

enum { SOCKETS = 65536 };
static struct wire wires[SOCKETS];

static struct wire *wire_of(int fd) {
    return fd >= 0 && fd < SOCKETS && wires[fd].ours ? &wires[fd] : NULL;
}

/* The topics of specs: `hoist/g/<group>` and `hoist/d/<device>`. */
static int is_spec(const struct wire *wire) {
    const char *level = memchr(wire->topic, '/', wire->seen < 63 ? wire->seen : 63);
    return level && (strncmp(level, "/g/", 3) == 0 || strncmp(level, "/d/", 3) == 0);
}

/* Takes in one byte; whether it ends a packet that is the awaited moment. */
static int ends_awaited(struct wire *wire, uint8_t byte) {
    switch (wire->state) {
    case TYPE:
        wire->type = byte >> 4;
        wire->left = wire->shift = wire->seen = wire->length = 0;
        memset(wire->topic, 0, sizeof wire->topic);
        wire->state = LENGTH;
        return 0;
    case LENGTH:
        wire->left |= (uint32_t)(byte & 0x7f) << wire->shift;
        wire->shift += 7;
        if (byte & 0x80) return 0;
        wire->state = wire->type == 3 ? TOPIC_LENGTH : REST;
        break;
    case TOPIC_LENGTH:
        wire->length = wire->length << 8 | byte;
        wire->left -= 1;
        if (++wire->seen == 2) wire->seen = 0, wire->state = TOPIC;
        break;
    case TOPIC:
        if (wire->seen < sizeof wire->topic - 1) wire->topic[wire->seen] = (char)byte;
        wire->left -= 1;
        if (++wire->seen == wire->length) wire->state = REST;
        break;
    case REST:
        wire->left -= 1;
        break;
    }
    if (wire->left > 0) return 0;
    wire->state = TYPE;
    if (wire->type != 3) return 0;
    return is_awaited(AFTER_PUBLISH) || (is_awaited(IN_RECONCILE) && is_spec(wire));
}

/* Where in these bytes the awaited moment is, behind its packet; 0 = not in them. */
static size_t moment_in(const struct wire *now, const uint8_t *bytes, size_t size) {
    struct wire wire = *now;
    int64_t left = atomic_load(&control->left);
    for (size_t i = 0; i < size; i++)
        if (ends_awaited(&wire, bytes[i]) && --left == 0) return i + 1;
    return 0;
}

static void sent(struct wire *wire, const uint8_t *bytes, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (ends_awaited(wire, bytes[i])) atomic_fetch_sub(&control->left, 1);
}

/* Sends up to the moment, and nothing after it. */
static void send_and_end(int fd, const uint8_t *bytes, size_t size) {
    REAL(send, ssize_t, (int, const void *, size_t, int));
    while (size > 0) {
        ssize_t done = real(fd, bytes, size, MSG_NOSIGNAL);
        if (done < 0 && errno != EAGAIN && errno != EINTR) break;
        if (done < 0) poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 100);
        else bytes += done, size -= (size_t)done;
    }
    end();
}

ssize_t send(int fd, const void *bytes, size_t size, int flags) {
    REAL(send, ssize_t, (int, const void *, size_t, int));
    struct wire *wire = wire_of(fd);
    if (!wire) return real(fd, bytes, size, flags);
    size_t moment = moment_in(wire, bytes, size);
    if (moment > 0) send_and_end(fd, bytes, moment);
    ssize_t done = real(fd, bytes, size, flags);
    int why = errno;
    if (done > 0) sent(wire, bytes, (size_t)done);
    errno = why;
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev, ssize_t, (int, const struct iovec *, int));
    struct wire *wire = wire_of(fd);
    if (!wire) return real(fd, parts, count);
    size_t size = 0, at = 0;
    for (int i = 0; i < count; i++) size += parts[i].iov_len;
    uint8_t *bytes = malloc(size + 1);
    if (!bytes) abort();
    for (int i = 0; i < count; i++) memcpy(bytes + at, parts[i].iov_base, parts[i].iov_len), at += parts[i].iov_len;
    size_t moment = moment_in(wire, bytes, size);
    if (moment > 0) send_and_end(fd, bytes, moment);
    ssize_t done = real(fd, parts, count);
    int why = errno;
    if (done > 0) sent(wire, bytes, (size_t)done);
    free(bytes);
    errno = why;
    return done;
}

int connect(int fd, const struct sockaddr *address, socklen_t length) {
    REAL(connect, int, (int, const struct sockaddr *, socklen_t));
    const struct sockaddr_in *to = (const struct sockaddr_in *)address;
    int ours = control && port != 0 && address->sa_family == AF_INET && ntohs(to->sin_port) == port;
    if (fd >= 0 && fd < SOCKETS) wires[fd] = (struct wire){.ours = ours};
    return real(fd, address, length);
}

int close(int fd) {
    REAL(close, int, (int));
    if (fd >= 0 && fd < SOCKETS) wires[fd].ours = 0;
    return real(fd);
}
