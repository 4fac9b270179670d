/* Streams: libc's own calls inside fopen, fread, fseek and the rest. */
#include <stdio_ext.h>
#include <wchar.h>
#include "t.h"

static void modes(void)
{
	FILE *f = MUST_PTR(fopen(t_at("f"), "w"));

	CHECK(fputs("hello\n", f) >= 0);
	CHECK_EQ(fprintf(f, "%d %s\n", 42, "x"), 5);
	CHECK_EQ(fclose(f), 0);
	CHECK_FILE(t_at("f"), "hello\n42 x\n");
	f = MUST_PTR(fopen(t_at("f"), "a"));
	CHECK(fputs("end", f) >= 0);
	CHECK_EQ(fclose(f), 0);
	CHECK_FILE(t_at("f"), "hello\n42 x\nend");
	f = MUST_PTR(fopen(t_at("f"), "r+"));
	CHECK(fputs("HE", f) >= 0);
	CHECK_EQ(fclose(f), 0);
	CHECK_FILE(t_at("f"), "HEllo\n42 x\nend");
	f = MUST_PTR(fopen(t_at("f"), "w+"));
	CHECK_EQ(fgetc(f), EOF);
	CHECK(fputs("new", f) >= 0);
	rewind(f);
	CHECK_EQ(fgetc(f), 'n');
	CHECK_EQ(fclose(f), 0);
	f = MUST_PTR(fopen(t_at("f"), "a+"));
	CHECK_EQ(fgetc(f), 'n');
	CHECK_EQ(fseek(f, 0, SEEK_SET), 0);
	CHECK(fputs("+", f) >= 0);
	CHECK_EQ(fclose(f), 0);
	CHECK_FILE(t_at("f"), "new+");
	errno = 0;
	CHECK(fopen(t_at("f"), "wx") == NULL);
	CHECK_EQ(errno, EEXIST);
	errno = 0;
	CHECK(fopen(t_at("none"), "r") == NULL);
	CHECK_EQ(errno, ENOENT);
	errno = 0;
	CHECK(fopen(t_at("f"), "q") == NULL);
	CHECK_EQ(errno, EINVAL);
	f = MUST_PTR(fopen(t_at("f"), "re"));
	CHECK_EQ(fcntl(fileno(f), F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fclose(f), 0);
}

static void positions(void)
{
	char got[8];

	t_put(t_at("f"), "0123456789");
	FILE *f = MUST_PTR(fopen(t_at("f"), "r+"));

	CHECK_EQ(fgetc(f), '0');
	CHECK_EQ(ungetc('Z', f), 'Z');
	CHECK_EQ(fgetc(f), 'Z');
	CHECK_EQ(ftell(f), 1);
	CHECK_EQ(fseek(f, 4, SEEK_CUR), 0);
	CHECK_EQ(fgetc(f), '5');
	CHECK_EQ(fseek(f, -2, SEEK_END), 0);
	CHECK_EQ(fread(got, 1, 8, f), 2);
	CHECK(feof(f));
	clearerr(f);
	fpos_t pos;

	CHECK_EQ(fseeko(f, 3, SEEK_SET), 0);
	CHECK_EQ(fgetpos(f, &pos), 0);
	CHECK_EQ(fgetc(f), '3');
	CHECK_EQ(fsetpos(f, &pos), 0);
	CHECK_EQ(fputc('#', f), '#');
	CHECK_EQ(fflush(f), 0);
	CHECK_EQ(ftello(f), 4);
	CHECK_EQ(fgetc(f), '4');
	CHECK_EQ(fclose(f), 0);
	CHECK_FILE(t_at("f"), "012#456789");
}

static void big(void)
{
	enum { LEN = 300000 };
	static char want[LEN], got[LEN];
	FILE *f = MUST_PTR(fopen(t_at("f"), "w+"));

	t_fill(want, LEN, 0, 4);
	for (int at = 0; at < LEN; at += 1000)
		CHECK_EQ(fwrite(want + at, 10, 100, f), 100);
	rewind(f);
	CHECK_EQ(fread(got, 1, LEN, f), LEN);
	CHECK_MEM(got, want, LEN);
	CHECK_EQ(fclose(f), 0);
	CHECK_FILE_MEM(t_at("f"), want, LEN);
}

static void lines(void)
{
	char *line = NULL;
	size_t room = 0;
	int count = 0;
	FILE *f = MUST_PTR(fopen(t_at("f"), "w"));

	for (int i = 0; i < 1000; i++)
		fprintf(f, "line %d of a file\n", i);
	CHECK_EQ(fclose(f), 0);
	f = MUST_PTR(fopen(t_at("f"), "r"));
	while (getline(&line, &room, f) > 0)
		count++;
	CHECK_EQ(count, 1000);
	CHECK_STR(line, "line 999 of a file\n");
	rewind(f);
	int a, b;

	CHECK_EQ(fscanf(f, "line %d of a file line %d", &a, &b), 2);
	CHECK_EQ(b, 1);
	CHECK_EQ(fclose(f), 0);
	free(line);
}

static void from_descriptors(void)
{
	int fd = MUST(open(t_at("f"), O_RDWR | O_CREAT, 0644));
	FILE *f = MUST_PTR(fdopen(fd, "r+"));

	CHECK_EQ(fileno(f), fd);
	CHECK(fputs("via fdopen", f) >= 0);
	CHECK_EQ(fclose(f), 0);
	CHECK_ERRNO(close(fd), EBADF);
	CHECK_FILE(t_at("f"), "via fdopen");
	fd = MUST(open(t_at("f"), O_RDONLY));
	errno = 0;
	CHECK(fdopen(fd, "w") == NULL);
	CHECK_EQ(errno, EINVAL);
	CHECK_OK(close(fd));
	CHECK(fdopen(-1, "r") == NULL);
}

static void reopened(void)
{
	t_put(t_at("a"), "A");
	FILE *f = MUST_PTR(fopen(t_at("a"), "r"));

	f = MUST_PTR(freopen(t_at("b"), "w", f));
	CHECK(fputs("B", f) >= 0);
	CHECK_EQ(fclose(f), 0);
	CHECK_FILE(t_at("b"), "B");
}

static void stdout_goes(void *arg)
{
	(void)arg;
	MUST_PTR(freopen(t_at("out"), "w", stdout));
	printf("printed %d\n", 1);
	puts("put");
	CHECK_EQ(fflush(stdout), 0);
	fprintf(stdout, "buffered");
	CHECK_EQ(fclose(stdout), 0);
}

static void of_standard_output(void)
{
	CHECK_CHILD(stdout_goes, NULL);
	CHECK_FILE(t_at("out"), "printed 1\nput\nbuffered");
}

static void exits(void *arg)
{
	FILE *f = MUST_PTR(fopen(arg, "w"));

	fputs("flushed by exit", f);
	exit(0);
}

static void flushed_at_exit(void)
{
	char path[PATH_MAX];

	t_into(path, "f");
	CHECK_CHILD(exits, path);
	CHECK_FILE(path, "flushed by exit");
}

static void buffering(void)
{
	char own[64];
	FILE *f = MUST_PTR(fopen(t_at("f"), "w"));

	CHECK_EQ(setvbuf(f, NULL, _IONBF, 0), 0);
	CHECK(fputs("at once", f) >= 0);
	CHECK_FILE(t_at("f"), "at once");
	CHECK_EQ(fclose(f), 0);
	f = MUST_PTR(fopen(t_at("g"), "w"));
	CHECK_EQ(setvbuf(f, own, _IOFBF, sizeof(own)), 0);
	for (int i = 0; i < 100; i++)
		fputs("0123456789", f);
	CHECK_EQ(fclose(f), 0);
	CHECK_EQ(t_size(t_at("g")), 1000);
}

/* Streams in memory never touch a file. */
static void memory(void)
{
	char buf[32] = "", *made = NULL;
	size_t len = 0;
	FILE *f = MUST_PTR(fmemopen(buf, sizeof(buf), "w+"));

	CHECK(fputs("memory", f) >= 0);
	CHECK_EQ(fclose(f), 0);
	CHECK_STR(buf, "memory");
	f = MUST_PTR(open_memstream(&made, &len));
	CHECK_EQ(fprintf(f, "%s %d", "stream", 7), 8);
	CHECK_EQ(fclose(f), 0);
	CHECK_STR(made, "stream 7");
	free(made);
}

static void wide(void)
{
	FILE *f = MUST_PTR(fopen(t_at("f"), "w+"));

	CHECK(fputws(L"wide", f) >= 0);
	rewind(f);
	CHECK_EQ(fgetwc(f), L'w');
	CHECK_EQ(fclose(f), 0);
	CHECK_FILE(t_at("f"), "wide");
}

static void shared_with_the_descriptor(void)
{
	FILE *f = MUST_PTR(fopen(t_at("f"), "w"));

	fputs("stream ", f);
	CHECK_EQ(fflush(f), 0);
	CHECK_EQ(write(fileno(f), "raw ", 4), 4);
	fputs("stream", f);
	CHECK_EQ(fclose(f), 0);
	CHECK_FILE(t_at("f"), "stream raw stream");
}

T_MAIN(CASE(modes), CASE(positions), CASE(big), CASE(lines),
       CASE(from_descriptors), CASE(reopened), CASE(of_standard_output),
       CASE(flushed_at_exit), CASE(buffering), CASE(memory), CASE(wide),
       CASE(shared_with_the_descriptor))
