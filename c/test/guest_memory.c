// SPDX-License-Identifier: BSD-2-Clause-Patent
/* Bad pointers of the application: answered, never followed into a crash. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stub.h"

int main(void)
{
	long page = sysconf(_SC_PAGESIZE);
	char *two = mmap(NULL, (size_t)page * 2, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *end = two + page;
	char copy[64];
	long bad[] = { 1, 0x10000, (long)0x8000000000000000UL, -8, (long)end };
	unsigned i;
	volatile long nowhere = 8;
	int status;
	pid_t child;

	stub_start();
	munmap(end, (size_t)page);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK(site(SYS_access, bad[i], F_OK, 0, 0, 0, 0) == -EFAULT);
		CHECK(access((char *)bad[i], F_OK) == -1 && errno == EFAULT);
		CHECK(pil_probe_read((void *)bad[i], 1) == -EFAULT);
		CHECK(pil_probe_write((void *)bad[i], 1) == -EFAULT);
		CHECK(pil_copy_path(copy, (char *)bad[i], sizeof(copy)) == -EFAULT);
	}
	CHECK(stub.calls == 0);
	/* a directory of ours and a bad path: ours to answer */
	stub.answer = -EFAULT;
	CHECK(site(SYS_openat, OURS, 1, 0, 0, 0, 0) == -EFAULT && stub.calls == 1);

	/* a string that ends with its page, and one that does not end */
	stub.answer = 0;
	memcpy(end - 7, "/pil/x", 7);
	CHECK(access(end - 7, F_OK) == 0 && stub.calls == 2);
	memset(end - 16, '/', 16);
	CHECK(site(SYS_access, (long)(end - 16), F_OK, 0, 0, 0, 0) == -EFAULT);
	CHECK(pil_probe_read(end - 16, 16) == 0 && pil_probe_read(end - 16, 17) == -EFAULT);
	CHECK(pil_probe_write(two, (size_t)page) == 0 &&
	      pil_probe_write(two, (size_t)page + 1) == -EFAULT);
	mprotect(two, (size_t)page, PROT_READ);
	CHECK(pil_probe_read(two, 10) == 0 && pil_probe_write(two, 10) == -EFAULT);
	CHECK(pil_copy_path(copy, "hello", 5) == -ENAMETOOLONG);
	CHECK(pil_copy_path(copy, "hello", 6) == 5 && strcmp(copy, "hello") == 0);
	/* every alignment, length and room */
	for (i = 0; i < 8 * 24; i++) {
		char source[48], *from = source + i / 24;
		unsigned len = i % 24, room;

		memset(source, 'x', sizeof(source));
		from[len] = '\0';
		for (room = 1; room < 40; room++) {
			long n = pil_copy_path(copy, from, room);

			CHECK(n == (room > len ? (long)len : -ENAMETOOLONG));
			CHECK(n < 0 || memcmp(copy, from, len + 1) == 0);
		}
	}

	/* a fault of the program's own still kills it */
	child = fork();
	if (child == 0) {
		*(volatile int *)(uintptr_t)nowhere = 0;
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	child = fork();
	if (child == 0) {
		kill(getpid(), SIGSEGV);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	return 0;
}
