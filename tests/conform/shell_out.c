/* popen(3), system(3): commands that redirect into the directory. */
#include "t.h"

static void system_redirects(void)
{
	char command[2 * PATH_MAX];

	snprintf(command, sizeof(command), "echo one > %s", t_at("f"));
	CHECK_EQ(system(command), 0);
	CHECK_FILE(t_at("f"), "one\n");
	snprintf(command, sizeof(command), "/bin/echo two >> %s && cat %s > %s",
		 t_at("f"), t_at("f"), t_at("g"));
	CHECK_EQ(system(command), 0);
	CHECK_FILE(t_at("g"), "one\ntwo\n");
	snprintf(command, sizeof(command), "grep -q two < %s", t_at("g"));
	CHECK_EQ(system(command), 0);
	snprintf(command, sizeof(command),
		 "{ echo a; /bin/echo b; echo c; } > %s", t_at("h"));
	CHECK_EQ(system(command), 0);
	CHECK_FILE(t_at("h"), "a\nb\nc\n");
	CHECK_EQ(WEXITSTATUS(system("exit 7")), 7);
}

static void pipes(void)
{
	char command[2 * PATH_MAX], got[64] = "";

	t_put(t_at("f"), "b\na\n");
	snprintf(command, sizeof(command), "sort %s", t_at("f"));
	FILE *p = MUST_PTR(popen(command, "r"));

	CHECK_EQ(fread(got, 1, sizeof(got), p), 4);
	CHECK_MEM(got, "a\nb\n", 4);
	CHECK_EQ(pclose(p), 0);
	snprintf(command, sizeof(command), "cat > %s", t_at("g"));
	p = MUST_PTR(popen(command, "w"));
	CHECK(fputs("through a pipe", p) >= 0);
	CHECK_EQ(pclose(p), 0);
	CHECK_FILE(t_at("g"), "through a pipe");
}

static void from_the_cwd(void)
{
	MUST(mkdir(t_at("d"), 0755));
	MUST(chdir(t_at("d")));
	CHECK_EQ(system("echo x > f; /bin/cat f > g; pwd > h"), 0);
	CHECK_FILE(t_at("d/g"), "x\n");
	char want[PATH_MAX + 2];

	snprintf(want, sizeof(want), "%s\n", t_at("d"));
	CHECK_FILE(t_at("d/h"), want);
}

T_MAIN(CASE(system_redirects), CASE(pipes), CASE(from_the_cwd))
