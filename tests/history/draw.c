/*
 * What is drawn depends on the seed alone, so that a part of a history can be
 * left out without changing the rest.
 */
#include "history.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char *const places[] = {"a",    "b",     "c",	 "d0/a",
				     "d0/b", "d1/a",  "d0/d2/a", "d0",
				     "d1",   "d0/d2", "l0",	 "d1/l1"};
#define PLACES (sizeof(places) / sizeof(places[0]))
#define DIRECTORIES 7
#define LINKS 10

static const char *const shared_places[] = {"../s/a", "../s/b", "../s/c"};

static unsigned long long state;
static bool ofd;

void seed_with(unsigned long long seed)
{
	state = seed * 0x9e3779b97f4a7c15ULL + 1;
	ofd = seed & 2;
}

unsigned int draw(unsigned int below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

/* The directories that are there from the start. */
void make_places(void)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.3000s/s", top);
	mkdir(path, 0755);
	mkdir(home, 0755);
	for (unsigned int i = DIRECTORIES; i < LINKS; i++) {
		snprintf(path, sizeof(path), "%.3000s/%s", home, places[i]);
		mkdir(path, 0755);
	}
}

static bool about_directories(enum op op)
{
	return op == MKDIR || op == RMDIR || op == LIST || op == CHDIR ||
	       op == OPENDIR;
}

/* Mostly a place of the kind that the operation is about. */
static void choose_place(enum op op, char *path, size_t size)
{
	unsigned int first = 0, count = PLACES;

	if ((op == OPEN || op == STAT || op == TRUNCATE) && draw(4) == 0) {
		snprintf(path, size, "%s", shared_places[draw(3)]);
		return;
	}
	if (draw(8) != 0) {
		if (about_directories(op)) {
			first = DIRECTORIES;
			count = 3;
		} else if (op == SYMLINK || op == READLINK) {
			first = draw(2) ? LINKS : 0;
			count = first ? 2 : PLACES;
		} else {
			count = DIRECTORIES;
		}
	}
	snprintf(path, size, "%s", places[first + draw(count)]);
}

static int choose_open(void)
{
	static const int how[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR, O_RDWR};
	int flags = how[draw(5)];

	flags |= draw(3) ? O_CREAT : 0;
	flags |= draw(6) ? 0 : O_TRUNC;
	flags |= draw(6) ? 0 : O_APPEND;
	flags |= draw(8) ? 0 : O_EXCL;
	flags |= draw(8) ? 0 : O_CLOEXEC;
	if ((flags & O_EXCL) && !(flags & O_CREAT))
		flags &= ~O_EXCL;
	return flags;
}

void choose(struct order *order, unsigned int number)
{
	static const enum op weights[] = {
		OPEN,	  OPEN,	     OPEN,	 OPEN,	   OPEN,   OPEN,
		OPENDIR,  CLOSE,     CLOSE,	 DUP,	   DUP,	   DUP2,
		DUP2,	  READ,	     READ,	 READ,	   WRITE,  WRITE,
		WRITE,	  WRITE,     PREAD,	 PWRITE,   PWRITE, WRITEV,
		LSEEK,	  LSEEK,     FTRUNCATE,	 TRUNCATE, FSTAT,  FSTAT,
		STAT,	  STAT,	     ACCESS,	 CHMOD,	   RENAME, RENAME,
		RENAME2,  UNLINK,    UNLINK,	 MKDIR,	   RMDIR,  LIST,
		LIST,	  LISTFD,    CHDIR,	 FCHDIR,   GETCWD, GETFL,
		SETFL,	  MAP,	     SYMLINK,	 READLINK, LOCK,   LOCK,
		GETLOCK,  OFDLOCK,   FLOCK,	 FLOCK,	   FORK,   EXEC,
		EXIT,	  BEGET,     DIE,	 ALLOCATE, MAP,	   SETXATTR,
		GETXATTR, LISTXATTR, REMOVEXATTR};

	memset(order, 0, sizeof(*order));
	order->op = weights[draw(sizeof(weights) / sizeof(weights[0]))];
	/* Only one kind of record locks: the other may then answer ENOLCK. */
	if (ofd && (order->op == LOCK || order->op == GETLOCK))
		order->op = OFDLOCK;
	else if (!ofd && order->op == OFDLOCK)
		order->op = LOCK;
	order->number = number;
	order->slot = draw(SLOTS);
	order->slot2 = draw(SLOTS);
	order->offset = draw(64) * CELL;
	order->length = (1 + draw(8)) * CELL;
	order->absolute = draw(4) != 0;
	order->from_slot = draw(6) == 0;
	choose_place(order->op, order->path, sizeof(order->path));
	choose_place(order->op, order->path2, sizeof(order->path2));
	order->flags = draw(1 << 16);
	if (order->op == OPEN)
		order->flags = choose_open();
}
