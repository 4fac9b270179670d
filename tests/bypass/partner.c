/*
 * Two parties use one descriptor table at random: libc, and a partner with
 * system call instructions of its own, who closes, duplicates, opens and
 * receives numbers of ours. For each number the test knows which files it may
 * stand for: the one it really is, and the one it was before the partner came.
 * What is read must be one of theirs, what is written must be found in one of
 * theirs, or the call fails. After a birth or close through libc there is no
 * doubt any more.
 */
#include <sys/socket.h>
#include "raw.h"
#include "t.h"

#define OURS 6		 /* files in the directory under test */
#define FILES (2 * OURS) /* and as many elsewhere */
#define NUMBERS 24
#define RECORDS 64

struct record {
	char magic[4];
	unsigned int number, files, seed;
};

static char paths[FILES][PATH_MAX];
static unsigned int may_be[NUMBERS]; /* a bit for each file */
static unsigned int seed, turn;
static unsigned long long state;
static int control[2];

static unsigned int draw(unsigned int below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

static int number(void)
{
	return 3 + draw(NUMBERS - 3);
}

/* A number came into being under libc's eyes, or the partner's. */
static void born(long fd, unsigned int files, bool seen)
{
	if (fd < 3)
		return;
	if (fd >= NUMBERS) {
		raw(SYS_close, fd, 0, 0, 0);
		close(fd);
		return;
	}
	may_be[fd] = seen ? files : may_be[fd] | files;
}

static void record(struct record *r, unsigned int files)
{
	*r = (struct record){{'r', 'e', 'c', ':'}, turn, files, seed};
}

static bool is_of(const struct record *r, unsigned int file)
{
	static const struct record zero;

	return memcmp(r, &zero, sizeof(zero)) == 0 ||
	       (memcmp(r->magic, "rec:", 4) == 0 && r->seed == seed &&
		(r->files & 1U << file));
}

/* The first record of a file names it. */
static void make_files(void)
{
	for (unsigned int i = 0; i < FILES; i++) {
		struct record head;

		record(&head, 1U << i);
		t_put_mem(paths[i], &head, sizeof(head));
	}
}

static void read_it(int fd)
{
	struct record head;
	unsigned int files = may_be[fd];

	if (pread(fd, &head, sizeof(head), 0) != sizeof(head))
		return;
	if (memcmp(head.magic, "rec:", 4) != 0 || !(head.files & files))
		t_fail(T_HERE,
		       "seed %u turn %u: %d may be %x and reads file %x", seed,
		       turn, fd, files, head.files);
}

static void write_it(int fd)
{
	struct record r;

	record(&r, may_be[fd]);
	if (pwrite(fd, &r, sizeof(r), (1 + draw(RECORDS)) * sizeof(r)) < 0)
		return;
	if (!may_be[fd])
		t_fail(T_HERE, "seed %u turn %u: %d is nothing and is written",
		       seed, turn, fd);
}

static void by_libc(void)
{
	int fd = number(), to = number();
	unsigned int file = draw(FILES), files = may_be[fd];
	int got;

	switch (draw(9)) {
	case 0:
	case 1:
	case 2:
		born(open(paths[file], O_RDWR), 1U << file, true);
		break;
	case 3:
		close(fd);
		may_be[fd] = 0;
		break;
	case 4:
		got = dup(fd);
		born(got, files, true);
		break;
	case 5:
		got = dup2(fd, to);
		if (got >= 0)
			may_be[to] = files;
		break;
	case 6:
		born(fcntl(fd, F_DUPFD, to), files, true);
		break;
	case 7:
		read_it(fd);
		break;
	default:
		write_it(fd);
	}
}

/* A descriptor of a file elsewhere comes through a socket. */
static void receives(unsigned int file)
{
	char byte = 'x', room[CMSG_SPACE(sizeof(int))];
	struct iovec one = {&byte, 1};
	struct msghdr message = {.msg_iov = &one,
				 .msg_iovlen = 1,
				 .msg_control = room,
				 .msg_controllen = sizeof(room)};
	long fd = raw(SYS_openat, AT_FDCWD, (long)paths[file], O_RDWR, 0);
	struct cmsghdr *part = CMSG_FIRSTHDR(&message);

	if (fd < 0)
		return;
	part->cmsg_level = SOL_SOCKET;
	part->cmsg_type = SCM_RIGHTS;
	part->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(part), &(int){fd}, sizeof(int));
	long sent = raw(SYS_sendmsg, control[0], (long)&message, 0, 0);

	raw(SYS_close, fd, 0, 0, 0);
	if (sent != 1)
		return;
	message.msg_controllen = sizeof(room);
	if (draw(2)) {
		if (raw(SYS_recvmsg, control[1], (long)&message, 0, 0) != 1)
			return;
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
		born((int)fd, 1U << file, false);
	} else {
		if (recvmsg(control[1], &message, 0) != 1)
			return;
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
		born((int)fd, 1U << file, true);
	}
}

static void by_the_partner(void)
{
	int fd = number(), to = number();
	unsigned int elsewhere = OURS + draw(OURS);
	long got;

	switch (draw(7)) {
	case 0:
	case 1:
		raw(SYS_close, fd, 0, 0, 0);
		break;
	case 2:
		got = raw(SYS_dup, fd, 0, 0, 0);
		born(got, may_be[fd], false);
		break;
	case 3:
		got = raw(SYS_dup3, fd, to, 0, 0);
		born(got, may_be[fd], false);
		break;
	case 4:
		got = raw(SYS_fcntl, fd, F_DUPFD, to, 0);
		born(got, may_be[fd], false);
		break;
	case 5:
		got = raw(SYS_openat, AT_FDCWD, (long)paths[elsewhere], O_RDWR,
			  0);
		born(got, 1U << elsewhere, false);
		break;
	default:
		receives(elsewhere);
	}
}

static void check_files(void)
{
	struct record records[1 + RECORDS];

	for (unsigned int file = 0; file < FILES; file++) {
		int fd = MUST(open(paths[file], O_RDONLY));
		ssize_t n = read(fd, records, sizeof(records));

		CHECK(n >= (ssize_t)sizeof(records[0]) &&
		      n % sizeof(records[0]) == 0);
		for (size_t i = 0; n > 0 && i < n / sizeof(records[0]); i++)
			if (!is_of(&records[i], file))
				t_fail(T_HERE,
				       "seed %u: record %zu of file %u is of "
				       "turn %u for files %x",
				       seed, i, file, records[i].number,
				       records[i].files);
		CHECK_OK(close(fd));
	}
}

static void histories(unsigned int first, unsigned int count)
{
	char elsewhere[] = "/var/tmp/pil4dfs-partner-XXXXXX";

	CHECK_OK(mkdtemp(elsewhere) ? 0 : -1);
	for (unsigned int i = 0; i < FILES; i++) {
		if (i < OURS)
			t_into(paths[i], "f%u", i);
		else
			snprintf(paths[i], PATH_MAX, "%s/f%u", elsewhere, i);
	}
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, control));
	for (int i = 0; i < 2; i++) {
		MUST(dup2(control[i], 400 + i));
		MUST(close(control[i]));
		control[i] = 400 + i;
	}
	for (seed = first; seed < first + count && t_failures < 5; seed++) {
		state = seed * 0x9e3779b97f4a7c15ULL + 1;
		turn = 0;
		make_files();
		for (turn = 1; turn < 300; turn++) {
			if (draw(3))
				by_libc();
			else
				by_the_partner();
		}
		for (int fd = 3; fd < NUMBERS; fd++) {
			close(fd);
			raw(SYS_close, fd, 0, 0, 0);
			close(fd);
			may_be[fd] = 0;
		}
		check_files();
	}
	for (unsigned int i = OURS; i < FILES; i++)
		CHECK_OK(unlink(paths[i]));
	CHECK_OK(rmdir(elsewhere));
	close(400);
	close(401);
}

static void random_partner(void)
{
	const char *from = getenv("PARTNER_SEED"), *many = getenv("PARTNERS");

	histories(from ? atoi(from) : 1, many ? atoi(many) : 100);
}

T_MAIN(CASE(random_partner))
