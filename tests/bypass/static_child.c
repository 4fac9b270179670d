/*
 * A static program that inherits descriptors, cwd and standard streams of ours
 * without the library. It reports what it could do, a letter each, through its
 * exit status: 0 when every call either failed or met the right bytes, else
 * the number of the first wrong success.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file's only right content. */
static const char right[] = "the right bytes";

static int wrong_bytes(int fd)
{
	char buf[64];
	ssize_t n = read(fd, buf, sizeof(buf));

	return n >= 0 && (n != (ssize_t)strlen(right) || memcmp(buf, right, n));
}

int main(int argc, char **argv)
{
	int fd = argc > 1 ? atoi(argv[1]) : 0;
	struct stat st;

	(void)argc;
	if (wrong_bytes(fd))
		return 1;
	if (fstat(0, &st) == 0 && S_ISREG(st.st_mode) &&
	    lseek(0, 0, SEEK_SET) == 0 && wrong_bytes(0))
		return 2;
	int again = S_ISREG(st.st_mode) ? open("/dev/stdin", O_RDONLY) : -1;

	/* Root may reopen the placeholder; nobody else. */
	if (again >= 0 && geteuid() != 0 && wrong_bytes(again))
		return 3;
	again = argc > 2 ? open("f", O_RDONLY) : -1;
	if (again >= 0 && wrong_bytes(again))
		return 4;
	if (argc > 2 && strcmp(argv[2], "lost") == 0) {
		/* The cwd is on a mount that the kernel does not have. */
		if (open("created", O_WRONLY | O_CREAT, 0644) >= 0)
			return 5;
		if (mkdir("made", 0755) == 0)
			return 6;
		if (write(fd, "x", 1) == 1)
			return 7;
		if (open("../f", O_RDONLY) >= 0)
			return 8;
		if (mmap(NULL, 16, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED)
			return 9;
		if (unlink("f") == 0)
			return 10;
	}
	return 0;
}
