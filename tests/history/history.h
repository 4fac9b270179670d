/*
 * Random histories of several processes in lock-step: what its parts share.
 * lead.c orders one worker at a time to do what draw.c drew; work.c does it;
 * record.c says what the bytes look like.
 */
#ifndef HISTORY_H
#define HISTORY_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#define CELL 16
#define SLOTS 8
#define WORKERS 4
#define CONTROL 500 /* the workers' control sockets, out of the way */
#define ID "user.id"

enum op {
	OPEN,
	OPENDIR,
	CLOSE,
	DUP,
	DUP2,
	READ,
	WRITE,
	PREAD,
	PWRITE,
	WRITEV,
	LSEEK,
	FTRUNCATE,
	TRUNCATE,
	ALLOCATE,
	FSTAT,
	STAT,
	ACCESS,
	CHMOD,
	RENAME,
	RENAME2,
	UNLINK,
	MKDIR,
	RMDIR,
	LIST,
	LISTFD,
	CHDIR,
	FCHDIR,
	GETCWD,
	GETFL,
	SETFL,
	MAP,
	SYMLINK,
	READLINK,
	LOCK,
	GETLOCK,
	OFDLOCK,
	FLOCK,
	SETXATTR,
	GETXATTR,
	LISTXATTR,
	REMOVEXATTR,
	FORK,
	EXEC,
	EXIT,
	BEGET,
	DIE,
	QUIT,
	OPS,
};

extern const char *const op_names[OPS];

struct order {
	enum op op;
	int slot, slot2, flags;
	long offset, length;
	unsigned int number;
	char path[32], path2[32];
	bool absolute, from_slot;
};

struct answer {
	long value;
	int error;
	pid_t pid; /* of the one who goes on, not compared */
	unsigned int hash;
	char text[200];
};

/* The world: where, in which way, and who we are. */
extern char top[PATH_MAX], home[PATH_MAX];
extern bool together;
extern int workers, me, slots[SLOTS];

/* record.c: 16 bytes that say writer, order, part, file and place (in cells). */
#define NOWHERE 0xfff
#define NO_FILE 0xffff
void record(char *at, unsigned int number, unsigned int part, unsigned int file,
	    long offset);
/* False when a cell of that file and index holds what does not belong there. */
bool belongs(const char *cell, size_t length, unsigned int file, long index);
unsigned int hash_of(const void *data, size_t len);
/* The number a file was given at its birth, in its extended attribute. */
void give_id(int fd, unsigned int number);
unsigned int id_of(int fd);
unsigned int parse_id(const char *text, ssize_t len);
/* Looks at every byte of a tree; answers how many are wrong. */
int check_tree(const char *path);

/* draw.c */
void seed_with(unsigned long long seed);
unsigned int draw(unsigned int below);
void choose(struct order *order, unsigned int number);
void make_places(void);

/* work.c */
void settle(void);
void work(void) __attribute__((noreturn));
int work_again(char **argv);

/* lead.c */
int lead(unsigned long long seed, unsigned int steps);

#endif
