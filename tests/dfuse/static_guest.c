/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Linked statically: makes, writes, renames and lists below argv[1], and runs
 * the rest of its arguments with that directory as working directory.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

int main(int argc, char **argv)
{
	char text[16] = "";
	struct dirent *entry;
	int fd, status = 0;
	DIR *dir;

	if (argc < 2 || chdir(argv[1]) || mkdir("d", 0755))
		return fail("mkdir");
	fd = open("d/f", O_RDWR | O_CREAT | O_EXCL, 0644);
	if (fd < 0 || write(fd, "static", 6) != 6)
		return fail("write");
	if (pread(fd, text, sizeof(text), 0) != 6 || close(fd))
		return fail("read");
	if (rename("d/f", "d/g") || !(dir = opendir("d")))
		return fail("rename");
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			printf("%s %s %d\n", text, entry->d_name,
			       entry->d_type == DT_REG);
	closedir(dir);
	fflush(stdout);
	if (argc == 2)
		return 0;
	switch (fork()) {
	case -1:
		return fail("fork");
	case 0:
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	/* No other child: nothing that started us shows. */
	if (wait(&status) < 0 || wait(NULL) >= 0)
		return fail("wait");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
