// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * Is this call ours? Answered for every file call of the program, most of which
 * are not: no lock, no allocation, no system call, and no trust in the pointers.
 *
 * A descriptor is looked up in the byte array that Rust publishes. A path is
 * compared with the mount points as text; where text cannot tell ("..", names
 * below /proc that lead to a descriptor) the answer is "ours", and dispatch,
 * which resolves, may still answer PIL_NOT_OURS. Symbolic links of other file
 * systems into a mount are found after the kernel has failed (pil_after).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "arch.h"
#include "ops.h"
#include "pil.h"

#define ONES 0x0101010101010101ULL
#define HIGHS 0x8080808080808080ULL
#define PATH_LIMIT 4096
#define PAGE 4096

/*
 * 0x80 in every byte of x that is 0. Exact up to the first such byte, which is all we use for the
 * end of a path; elsewhere a false positive only means the slow path.
 */
static inline uint64_t zero_bytes(uint64_t x)
{
	return (x - ONES) & ~x & HIGHS;
}

enum shape {
	CLEAN, /* no empty, "." or ".." component */
	DIRTY,
	BAD, /* cannot be read, or too long: the kernel says so */
};

/*
 * Reads a path to its end in aligned words, which never cross into the next page beyond it. Two
 * neighbours of '.' and '/' make it dirty: "a..b" needlessly, which costs the slow look and no more.
 */
static enum shape path_shape(const char *path)
{
	const uint64_t *p = (const uint64_t *)((uintptr_t)path & ~7UL);
	const uint64_t *last = p + PATH_LIMIT / 8;
	unsigned skip = ((uintptr_t)path & 7) * 8;
	uint64_t before = 0, dirty = 0, v, end, special;
	int bad = 0;

	v = pil_load_word(p, &bad) | ((1ULL << skip) - 1); /* bytes before the path: 0xff */
	for (;;) {
		end = zero_bytes(v);
		special = zero_bytes((v | ONES) ^ ONES * '/'); /* '.' and '/' differ in bit 0 */
		if (end)
			break;
		dirty |= special & (special << 8 | before);
		before = special >> 56;
		if (++p > last)
			return BAD;
		v = pil_load_word(p, &bad); /* 0 where nothing can be read */
	}
	if (pil_unlikely(bad))
		return BAD;
	/* only bytes before the first NUL count */
	dirty |= special & (special << 8 | before) & ((end & -end) - 1);
	return dirty ? DIRTY : CLEAN;
}

/*
 * Where a path stands to a mount point: 0 at or below it, negative before it, positive behind it,
 * in the order of paths component by component (the end of a path, '/', any other byte). The first
 * *same bytes are known to be the same; afterwards so many are.
 */
static int order(const char *path, const struct pil_prefix *mount, uint32_t *same)
{
	uint32_t i = *same;
	unsigned char a, b;

	while (i < mount->len && path[i] == mount->path[i])
		i++;
	*same = i;
	a = (unsigned char)path[i];
	if (i == mount->len)
		return a == '/' || a == '\0' ? 0 : 1;
	b = (unsigned char)mount->path[i];
	if (a == '\0' || a == '/')
		return -1;
	return b == '/' || a > b ? 1 : -1;
}

static inline bool at_or_below(const char *path, const struct pil_prefix *mount)
{
	const char *point = mount->path, *end = point + mount->len;

	while (point < end && *path == *point) {
		path++;
		point++;
	}
	return point == end && (*path == '/' || *path == '\0');
}

/* Of mount points none of which lies below another only one can be in front of a path. */
static bool below_a_mount(const char *path)
{
	const struct pil_prefixes *mounts = __atomic_load_n(&pil_filter.mounts, __ATOMIC_ACQUIRE);
	uint32_t low = 0, high = mounts ? mounts->count : 0;
	uint32_t below = 0, above = 0; /* bytes in common with the mount points around */

	if (pil_likely(high == 1)) /* the common table */
		return at_or_below(path, &mounts->at[0]);
	while (low < high) {
		uint32_t middle = low + (high - low) / 2, same = below < above ? below : above;
		int where = order(path, &mounts->at[middle], &same);

		if (where == 0)
			return true;
		if (where < 0) {
			high = middle;
			above = same;
		} else {
			low = middle + 1;
			below = same;
		}
	}
	return false;
}

static bool starts(const char *s, const char *prefix)
{
	while (*prefix)
		if (*s++ != *prefix++)
			return false;
	return true;
}

static bool ends(const char *path)
{
	return *path == '\0' || (*path == '/' && path[1] == '\0');
}

/*
 * Names that may lead to a descriptor or the working directory of ours, and of the directories
 * they are relative to: /dev, /proc, /proc/self, and all that are called fd.
 */
static bool leads_to_descriptor(const char *path)
{
	if (path[1] == 'd' && starts(path, "/dev"))
		return starts(path + 4, "/fd") || starts(path + 4, "/std") || ends(path + 4);
	if (path[1] != 'p' || !starts(path, "/proc"))
		return false;
	path += 5;
	if (ends(path))
		return true;
	if (*path != '/')
		return false;
	if (starts(path, "/self") ? ends(path + 5) : starts(path, "/thread-self") && ends(path + 12))
		return true;
	for (; *path; path++)
		if (*path == '/' && ((starts(path, "/fd") && (path[3] == '/' || ends(path + 3))) ||
				     starts(path, "/cwd") || starts(path, "/exe")))
			return true;
	return false;
}

/*
 * The same for a path with "//", "/./" or "..": normalised as text into a buffer
 * that holds more than any mount point, asking after every component. Components
 * that do not fit any more are only counted.
 */
static bool dirty_path_is(const char *path)
{
	char normal[512];
	unsigned len = 0, over = 0;

	while (*path) {
		unsigned n = 0;

		while (*path == '/')
			path++;
		while (path[n] && path[n] != '/')
			n++;
		if (n == 0)
			break;
		if (n == 2 && path[0] == '.' && path[1] == '.') {
			if (over)
				over--;
			else
				while (len && normal[--len] != '/')
					;
		} else if (n != 1 || path[0] != '.') {
			if (over || len + n + 2 > sizeof(normal)) {
				over++;
			} else {
				unsigned i;

				normal[len++] = '/';
				for (i = 0; i < n; i++)
					normal[len++] = path[i];
			}
		}
		path += n;
		normal[len] = '\0';
		if (len && !over && below_a_mount(normal))
			return true;
	}
	return len && leads_to_descriptor(normal);
}

static enum pil_verdict absolute(const char *path)
{
	bool ours;

	switch (path_shape(path)) {
	case CLEAN:
		ours = below_a_mount(path) || leads_to_descriptor(path);
		break;
	case DIRTY:
		ours = dirty_path_is(path);
		break;
	default:
		return PIL_KERNEL;
	}
	return ours ? PIL_OURS : PIL_KERNEL;
}

static inline enum pil_verdict descriptor(int fd)
{
	switch (pil_fd_is(fd)) {
	case PIL_FD_KERNEL:
	case PIL_FD_NAMES:
		return PIL_KERNEL;
	case PIL_FD_OURS:
		return PIL_OURS;
	default:
		return PIL_CLOSED;
	}
}

/* A path that starts at a directory descriptor, or at the working directory. */
enum pil_verdict pil_classify_path(int dirfd, const char *path)
{
	int bad = 0;
	char first = '\0';

	if (path) {
		first = (char)pil_load_byte(path, &bad);
		if (first == '/' && !bad)
			return absolute(path);
	}
	if (dirfd != AT_FDCWD && pil_unlikely(pil_fd_is(dirfd) == PIL_FD_NAMES))
		return first && !bad ? PIL_OURS : PIL_KERNEL;
	if (dirfd != AT_FDCWD)
		return descriptor(dirfd); /* a bad pointer with a dirfd of ours: dispatch says EFAULT */
	return path && !bad && pil_filter.cwd_ours ? PIL_OURS : PIL_KERNEL;
}

/* Does a message carry control data, which may hold descriptors? */
static bool has_control(const struct msghdr *message)
{
	int bad = 0;
	uint64_t len = pil_load_word((const uint64_t *)&message->msg_controllen, &bad);

	return !bad && len != 0;
}

/* The same for one message (sendmsg) or an array of them (sendmmsg: UIO_MAXIOV at most). */
static bool carries_rights(int op, const long a[6])
{
	const struct mmsghdr *all = (const struct mmsghdr *)a[1];
	unsigned i, count = (unsigned)a[2] < 1024 ? (unsigned)a[2] : 1024;

	if (op != PIL_OP_sendmmsg)
		return has_control((const struct msghdr *)a[1]);
	for (i = 0; i < count; i++)
		if (has_control(&all[i].msg_hdr))
			return true;
	return false;
}

/* A UNIX socket's path, which need not end in a NUL; other addresses are the kernel's. */
static enum pil_verdict socket_address_is(const struct sockaddr_un *address, long len)
{
	char path[sizeof(address->sun_path) + 1];
	const long head = offsetof(struct sockaddr_un, sun_path);
	const char *family = (const char *)address;
	int bad = 0;
	long i;

	if (len <= head || len > (long)sizeof(*address))
		return PIL_KERNEL;
	if ((pil_load_byte(family, &bad) | pil_load_byte(family + 1, &bad) << 8) != AF_UNIX || bad)
		return PIL_KERNEL;
	for (i = 0; i < len - head; i++)
		path[i] = (char)pil_load_byte(address->sun_path + i, &bad);
	path[i] = '\0';
	if (bad || !path[0]) /* no name, or an abstract one */
		return PIL_KERNEL;
	return pil_classify_path(AT_FDCWD, path);
}

static enum pil_verdict mmap_is(const long a[6])
{
	if (!(a[3] & MAP_ANONYMOUS)) {
		enum pil_verdict v = descriptor((int)a[4]);

		if (v != PIL_KERNEL)
			return v;
	}
	/* A mapping over one of ours: its record must know. */
	return pil_filter.mappings && (a[3] & MAP_FIXED) ? PIL_OURS : PIL_KERNEL;
}

/* Classifies a general operation by its arguments. Reads only. Async-signal-safe. */
enum pil_verdict pil_classify(int op, const long a[6])
{
	const struct pil_op *o = &pil_ops[op];
	enum pil_verdict v;
	unsigned i;

	if (o->flags & (PIL_PROCESS | PIL_NAMES)) {
		if (o->flags & PIL_PROCESS || pil_fd_is((int)a[0]) == PIL_FD_NAMES)
			return PIL_OURS;
	}
	for (i = 0; o->fds >> i; i++) {
		if (!(o->fds >> i & 1))
			continue;
		v = descriptor((int)a[i]);
		if (v != PIL_KERNEL)
			return v;
	}
	if (o->target != PIL_NONE && pil_fd_is((int)a[o->target]) != PIL_FD_KERNEL)
		return PIL_OURS;
	for (i = 0; i < 2 && o->at[i] != PIL_NONE; i++) {
		unsigned dirfd = o->at[i] >> 4;
		const char *path = (const char *)a[o->at[i] & 15];

		v = pil_classify_path(dirfd == PIL_AT_CWD ? AT_FDCWD : (int)a[dirfd], path);
		if (v != PIL_KERNEL)
			return v;
	}
	if (o->flags & PIL_MMAP)
		return mmap_is(a);
	if (o->flags & PIL_MAP && pil_filter.mappings)
		return PIL_OURS;
	if (o->flags & PIL_CWD && pil_filter.cwd_ours)
		return PIL_OURS;
	if (o->flags & PIL_RIGHTS && carries_rights(op, a))
		return PIL_OURS;
	if (o->flags & PIL_ADDRESS)
		return socket_address_is((const struct sockaddr_un *)a[1], a[2]);
	return PIL_KERNEL;
}

/* ---------------------------------------------------------------- the application's memory, for Rust */

long pil_probe_read(const void *p, size_t n)
{
	const char *at = p, *last = at + n - 1;
	int bad = 0;

	if (n == 0)
		return 0;
	if (last < at)
		return -EFAULT;
	for (; !bad && at <= last; at = (const char *)(((uintptr_t)at | (PAGE - 1)) + 1)) {
		pil_load_byte(at, &bad);
		if ((uintptr_t)at > UINTPTR_MAX - PAGE)
			break;
	}
	return bad ? -EFAULT : 0;
}

long pil_probe_write(void *p, size_t n)
{
	char *at = p, *last = at + n - 1;
	int bad = 0;

	if (n == 0)
		return 0;
	if (last < at)
		return -EFAULT;
	for (; !bad && at <= last; at = (char *)(((uintptr_t)at | (PAGE - 1)) + 1)) {
		pil_touch_byte(at, &bad);
		if ((uintptr_t)at > UINTPTR_MAX - PAGE)
			break;
	}
	return bad ? -EFAULT : 0;
}

/* In aligned words of the source, like path_shape. */
long pil_copy_path(char *dst, const char *src, size_t size)
{
	unsigned skip = (uintptr_t)src & 7;
	size_t i = 0;
	int bad = 0;

	while (i + 8 <= size) {
		uint64_t v = pil_load_word((const uint64_t *)(src + i - skip), &bad), end;

		if (pil_unlikely(bad))
			return -EFAULT;
		if (skip) /* bytes before the path go, 0xff comes behind it */
			v = v >> skip * 8 | ~(~0ULL >> skip * 8);
		__builtin_memcpy(dst + i, &v, 8);
		end = zero_bytes(v);
		if (end)
			return (long)(i + (__builtin_ctzll(end) >> 3));
		i += 8 - skip;
		skip = 0;
	}
	for (; i < size; i++) {
		dst[i] = (char)pil_load_byte(src + i, &bad);
		if (bad)
			return -EFAULT;
		if (dst[i] == '\0')
			return (long)i;
	}
	return -ENAMETOOLONG;
}
