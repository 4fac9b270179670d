/* Programs, scripts and shared objects that lie in the directory themselves. */
#include <dlfcn.h>
#include "t.h"

static void copy(const char *from, const char *to)
{
	static char buf[65536];
	int in = MUST(open(from, O_RDONLY));
	int out = MUST(open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755));
	ssize_t n;

	while ((n = MUST(read(in, buf, sizeof(buf)))) > 0)
		MUST(write(out, buf, n));
	MUST(close(in));
	MUST(close(out));
}

struct start {
	const char *path, *cwd, *out;
	bool by_descriptor;
};

static void start(void *arg)
{
	struct start *start = arg;
	char *argv[] = {(char *)start->path, "argument", NULL};

	if (start->cwd)
		MUST(chdir(start->cwd));
	MUST(dup2(MUST(open(start->out, O_WRONLY | O_CREAT | O_TRUNC, 0644)),
		  1));
	if (start->by_descriptor)
		fexecve(MUST(open(start->path, O_RDONLY | O_CLOEXEC)), argv,
			environ);
	else
		execv(start->path, argv);
	t_fail(T_HERE, "exec of %s: %s", start->path, strerror(errno));
}

static void binary(void)
{
	struct start absolute = {t_at("echo"), NULL, t_at("out"), false};
	struct start relative = {"./echo", t_dir, t_at("out2"), false};
	struct start by_fd = {t_at("echo"), NULL, t_at("out3"), true};

	copy("/bin/echo", t_at("echo"));
	CHECK_CHILD(start, &absolute);
	CHECK_FILE(t_at("out"), "argument\n");
	CHECK_CHILD(start, &relative);
	CHECK_FILE(t_at("out2"), "argument\n");
	CHECK_CHILD(start, &by_fd);
	CHECK_FILE(t_at("out3"), "argument\n");
}

static void script(void)
{
	char want[PATH_MAX + 32];
	struct start absolute = {t_at("script"), NULL, t_at("out"), false};

	t_put(t_at("script"), "#!/bin/sh\necho \"$0 $1\"\n");
	MUST(chmod(t_at("script"), 0755));
	CHECK_CHILD(start, &absolute);
	snprintf(want, sizeof(want), "%s argument\n", t_at("script"));
	CHECK_FILE(t_at("out"), want);
	/* An interpreter that lies here too, with one argument. */
	copy("/bin/echo", t_at("interp"));
	char text[PATH_MAX + 32];

	snprintf(text, sizeof(text), "#!%s -n one two\n", t_at("interp"));
	if (strlen(text) < 250) {
		t_put(t_at("script"), text);
		CHECK_CHILD(start, &absolute);
		snprintf(want, sizeof(want), "-n one two %s argument\n",
			 t_at("script"));
		CHECK_FILE(t_at("out"), want);
	}
}

static void not_permitted(void)
{
	char *argv[] = {"x", NULL};

	copy("/bin/echo", t_at("echo"));
	MUST(chmod(t_at("echo"), 0644));
	CHECK_ERRNO(execv(t_at("echo"), argv), EACCES);
	t_put(t_at("script"), "#!/nonexistent/interpreter\n");
	MUST(chmod(t_at("script"), 0755));
	CHECK_ERRNO(execv(t_at("script"), argv), ENOENT);
}

static const char *library(void)
{
	static const char *const names[] = {
		"/lib/x86_64-linux-gnu/libm.so.6", "/lib64/libm.so.6",
		"/lib/aarch64-linux-gnu/libm.so.6", "/usr/lib/libm.so.6"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (access(names[i], R_OK) == 0)
			return names[i];
	return NULL;
}

static void shared_object(void)
{
	const char *from = library();

	if (!from)
		SKIP_CASE("no library to copy");
	copy(from, t_at("libcopy.so"));
	void *handle = dlopen(t_at("libcopy.so"), RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		t_fail(T_HERE, "dlopen: %s", dlerror());
	else {
		double (*square_root)(double) =
			(double (*)(double))dlsym(handle, "sqrt");

		CHECK(square_root && square_root(81.0) == 9.0);
		CHECK_EQ(dlclose(handle), 0);
	}
	MUST(chdir(t_dir));
	handle = dlopen("./libcopy.so", RTLD_LAZY);
	CHECK(handle != NULL);
	if (handle)
		CHECK_EQ(dlclose(handle), 0);
	CHECK(dlopen(t_at("none.so"), RTLD_NOW) == NULL);
	t_put(t_at("bad.so"), "not an ELF file");
	CHECK(dlopen(t_at("bad.so"), RTLD_NOW) == NULL);
}

T_MAIN(CASE(binary), CASE(script), CASE(not_permitted), CASE(shared_object))
