#!/usr/bin/python3 -I
"""Interactive and login shells on a terminal: prompt, job control, history, redirection, Ctrl-C and Ctrl-Z."""
import os, pty, re, select, signal, sys, time

def session(argv, lines, env):
    """Types each line after the prompt; answers what was printed between the markers."""
    pid, fd = pty.fork()
    if pid == 0:
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
            signal.signal(number, signal.SIG_DFL)  # as a terminal gives them
        os.execvpe(argv[0], argv, env)
    got, deadline = b"", time.time() + 40

    def wait_for(mark):
        nonlocal got
        while mark not in got and time.time() < deadline:
            if select.select([fd], [], [], 0.5)[0]:
                try:
                    more = os.read(fd, 65536)
                except OSError:
                    return
                if not more:
                    return
                got += more
        before, _, got = got.partition(mark)
        return before

    answers = []
    wait_for(b"READY> ")
    for line, pause in lines:
        if pause is not None:
            os.write(fd, line.encode() + b"\n")
            wait_for(pause[0])
            time.sleep(0.3)  # a signal in the middle of a start may be lost: bash and dash alone do that, too
            os.write(fd, pause[1])
        else:
            os.write(fd, line.encode() + b"\n")
        answers.append((line, wait_for(b"READY> ")))
    os.write(fd, b"exit\n")
    wait_for(b"never printed")
    _, status = os.waitpid(pid, 0)
    return answers, status

def main():
    work = os.getcwd()
    open("rc", "w").write('PS1="READY> "; echo rc read\n')
    os.mkdir("home")
    open("home/.profile", "w").write('PS1="READY> "; export PS1; echo profile read >> log\n')
    env = {"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": work + "/home", "LC_ALL": "C", "HISTFILE": work + "/hist", "INPUTRC": "/dev/null"}
    lines = [
        ("echo one > f1; cat f1", None),
        ("cd home; pwd; cd ..", None),
        ("/bin/echo two > f2 && cat < f2", None),
        ("for i in a b c; do echo $i; done > f3; wc -l < f3", None),
        ("cat > typed", (b"cat > typed", b"typed line\n\x04")),
        ("cat typed", None),
        ("/bin/sh -c 'echo begun; sleep 20'", (b"\nbegun", b"\x03")),
        ("echo after $?", None),
        ("cat f1 | tr a-z A-Z | tee f4", None),
        ("/bin/sh -c 'echo held > f0; echo begun; sleep 20'", (b"\nbegun", b"\x1a")),
        ("cat f0; kill -9 %1; wait; echo after", None),
        ("(echo bg; exec sleep 20) > f5 & until [ -s f5 ]; do sleep 0.1; done", None),
        ("kill $!; wait $!; echo waited", None),
        ("(echo sub; ls f1 f2) > f6; cat f6", None),
        ("exec 3> f7; echo three >&3; exec 3>&-; cat f7", None),
        ("ls *1", None),
    ]
    # Printed answers depend on echo and timing; what is compared are the files.
    for argv in (["/bin/bash", "--noprofile", "--rcfile", "rc", "--noediting", "-i"], ["/bin/bash", "--norc", "--noediting", "-l", "-i"], ["/bin/dash", "-i"], ["/bin/dash", "-l"]):
        e = dict(env, PS1="READY> ")
        # dash's wait does not come back from a job that was stopped and killed.
        typed = [l for l in lines if "bash" in argv[0] or "f0" not in l[0]]
        answers, status = session(argv, typed, e)
        print(argv[0], argv[-1], "status", os.waitstatus_to_exitcode(status))
        for line, answer in answers:
            text = re.sub(rb"\r", b"", answer or b"(nothing)").replace(line.encode() + b"\n", b"").decode(errors="replace")
            keep = [l for l in text.splitlines() if re.fullmatch(r"(one|two|typed line|ONE|[0-9]|sub|f[0-9]|three|.*/home)", l)]
            if "after" in line:
                keep = [l for l in text.splitlines() if l.startswith("after")]
            print("  ", line, "->", keep)
        for name in sorted(os.listdir(".")):
            if re.fullmatch(r"f\d|typed", name):
                print("  ", name, repr(open(name).read()))
                os.unlink(name)
    print(open("log").read())
    if os.path.exists("hist"):
        os.unlink("hist")

main()
