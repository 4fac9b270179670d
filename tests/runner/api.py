"""api: the public C API - the header alone, the exported symbols, programs that link the library, shared
and as an archive, and the examples. No preload: the programs bring the library themselves."""

import os
import re
import threading

from . import base, conform, mount, programs

HEADER = os.path.join(base.ROOT, "include", "pil4dfs.h")
EXAMPLES = os.path.join(base.ROOT, "docs", "examples")
SOURCES = os.path.join(base.TESTS, "api")
# Conformance programs that the archive serves as the shared library does. What they exec would need a
# preload, so the programs about exec are not among them.
LINKED = (
    "append aio access cancel chmod close close_range dup efault errno_kept fallocate fcntl getdents locks mkdir "
    "mmap names openat open_races pread_pwrite read_write readdir registers rename signals spellings stack stat "
    "statx stdio symlink syscall_door temporary threads transfer truncate umask unlink vectors walks xattr"
).split()
COMPILING = threading.Lock()
STANDARDS = [("gcc", "c", "c99"), ("gcc", "c", "c11"), ("gcc", "c", "c17"), ("g++", "c++", "c++11"), ("g++", "c++", "c++20")]


def variants():
    """What a program is linked with: the built library, or all of it."""
    shared = [os.path.join(base.BUILD, "libpil4dfs.so.0")]
    archive = ["-Wl,-u,pil4dfs_version", os.path.join(base.BUILD, "libpil4dfs.a")]
    return {"shared": shared, "archive": archive}


def header_alone(test, compiler, language, standard):
    """No other header before it, no warning."""
    command = [compiler, "-x", language, f"-std={standard}", "-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", HEADER]
    done = base.run(command)
    return test.passed() if done.status == 0 else test.failed(done.says())


def exported(test):
    """Exactly the names of the catalogue and of spec/abi.map are seen from outside, with their versions."""
    listed = base.run(["nm", "-D", "--defined-only", "--with-symbol-versions", os.path.join(base.BUILD, "libpil4dfs.so.0")])
    words = [line.split() for line in listed.out.decode().splitlines()]
    found = {name for _, kind, name in words if kind != "A"}
    with open(os.path.join(base.BUILD, "exports.list"), encoding="utf-8") as file:
        wanted = set(file.read().split())
    wrong = sorted(found ^ wanted)
    return test.failed(f"in one of library and list only: {wrong}") if wrong else test.passed()


def declared(test):
    """Every function of the header has a symbol version, and the other way round."""
    with open(HEADER, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.DOTALL)
    found = set(re.findall(r"\b(pil4dfs_\w+)\(", text))
    with open(os.path.join(base.BUILD, "exports.list"), encoding="utf-8") as file:
        versioned = {name.split("@@")[0] for name in file.read().split() if "@@" in name}
    wrong = sorted(found ^ versioned)
    return test.failed(f"in one of header and spec/abi.map only: {wrong}") if wrong else test.passed()


def archive_alone(test):
    """The archive defines the exported names and one entry, and no name of Rust's that could meet another's."""
    listed = base.run(["nm", "-g", "--defined-only", os.path.join(base.BUILD, "libpil4dfs.a")])
    found = {line.split()[2] for line in listed.out.decode().splitlines() if len(line.split()) == 3}
    with open(os.path.join(base.BUILD, "exports.list"), encoding="utf-8") as file:
        wanted = {name.split("@@")[0] for name in file.read().split()} | {"pil_begin"}
    wrong = sorted(found ^ wanted)
    return test.failed(f"in one of archive and list only: {wrong}") if wrong else test.passed()


def place_of(context, who):
    """A mount's store, and an environment without any preload."""
    place = mount.Mount(context.products, who, context.scratch.directory(who))
    return place, place.create()


def calls(context, test, variant, who):
    """tests/api/calls.c in a process that began without a mount."""
    binary, error = compile_with(variant, os.path.join(SOURCES, "calls.c"), f"calls-{variant}", ["-I", os.path.dirname(HEADER)])
    if error:
        return test.failed(error)
    place, error = place_of(context, who)
    if error:
        return test.failed(error)
    more = {"T_LONG": "1"} if context.args.long else {}
    env = place.bare_env(T_CONT=place.cont, LD_LIBRARY_PATH=context.products.top, **more)
    for name in ("D_IL_POOL", "D_IL_CONTAINER"):
        del env[name]
    outcome = base.run([binary, os.path.join(os.path.dirname(place.store), "w"), "kernel"], who, env, timeout=120)
    return conform.judge(test, outcome, place.leaks())


def linked(context, test, name, who):
    """A conformance program with the archive in it, on a mount of the environment."""
    source = os.path.join(base.TESTS, "conform", name + ".c")
    binary, error = compile_with("archive", source, f"linked-{name}")
    if error:
        return test.failed(error)
    place, error = place_of(context, who)
    if error:
        return test.failed(error)
    env = place.preload_env()
    del env["LD_PRELOAD"]
    outcome = base.run([binary, f"{base.MOUNT}/x", "mount"], who, env, place.cwd, 60)
    return conform.judge(test, outcome, place.leaks())


def compile_with(variant, source, name, extra=()):
    """A program with the library; answers (path, error text)."""
    libraries = [os.path.join(base.BUILD, name) for name in ("libpil4dfs.so.0", "libpil4dfs.a")]
    with COMPILING:
        return programs.compile_one(source, [*extra, *variants()[variant]], name, depends=libraries)


def examples(context, test, package, who):
    """docs/examples by its Makefile and the built tree's pkg-config files, then run."""
    work = context.scratch.directory(who)
    installed = os.path.join(os.path.dirname(work), f"installed-{package}-{who.name}")
    env = dict(os.environ, DESTDIR=installed)
    done = base.run(["meson", "install", "-C", base.BUILD, "--no-rebuild", "--quiet", "--tags", "devel,runtime"], None, env, base.ROOT, 120)
    if done.status != 0:
        return test.failed(done.says())
    found = base.run(["find", installed, "-name", package + ".pc"]).out.decode().split()
    if len(found) != 1:
        return test.failed(f"{package}.pc: {found}")
    libdir = os.path.dirname(os.path.dirname(found[0]))
    base.run(["cp", "-r", EXAMPLES + "/.", work], who)
    env = base.clean_env(PKG_CONFIG_PATH=os.path.dirname(found[0]), PKG_CONFIG_SYSROOT_DIR=installed, LDFLAGS="")
    made = base.run(["make", "-s", "PC=" + package, f"CC=cc -Werror -Wl,-rpath,{libdir}"], who, env, work, 120)
    if made.status != 0 or made.out or made.err:
        return test.failed(made.says())
    place, error = place_of(context, who)
    if error:
        return test.failed(error)
    by_call = place.bare_env()
    for name in ("D_IL_POOL", "D_IL_CONTAINER"):
        del by_call[name]
    by_name = place.preload_env()
    del by_name["LD_PRELOAD"]
    says = "the file is on DAOS\nunmount while it is open: Device or resource busy\nand then: done\n"
    size = os.path.getsize(os.path.join(work, "hello.c"))
    wanted = [
        (["hello", f"{base.MOUNT}/greeting"], by_name, "hello\n"),
        (["mount", "pool", place.cont], by_call, says),
        (["statistics", "pool", place.cont, "hello.c"], by_call, f"bytes written: {size}\ncalls failed: 0\n"),
        (["mount", "pool", "nothing"], by_call, ""),
        (["hello", f"{base.MOUNT}/none/greeting"], by_name, ""),
    ]
    for words, environment, output in wanted:
        ran = base.run([os.path.join(work, words[0]), *words[1:]], who, environment, work, 60)
        if ran.out.decode() != output or (ran.status == 0) != bool(output):
            return test.failed(f"{' '.join(words)}: {ran.says()}")
    return test.passed() if not place.leaks() else test.failed(place.leaks())


def both_ways(context, test, who):
    """A program with the archive in it, and the shared library preloaded: one of the two serves, one line says so."""
    binary, error = compile_with("archive", os.path.join(base.TESTS, "conform", "stdio.c"), "linked-stdio")
    if error:
        return test.failed(error)
    place, error = place_of(context, who)
    if error:
        return test.failed(error)
    outcome = base.run([binary, f"{base.MOUNT}/x", "mount"], who, place.preload_env(), place.cwd, 60)
    if outcome.err.count(b"a second copy of this library stays off") != 1:
        return test.failed(outcome.says())
    return conform.judge(test, outcome, place.leaks())


def tests(context):
    def run(function, *rest):
        words = (context, *rest) if rest else ()

        def built(test):
            if context.unbuilt:
                return test.failed(context.unbuilt)
            return function(words[0], test, *words[1:]) if words else function(test)

        return built

    for compiler, language, standard in STANDARDS:
        yield base.Test("api", f"any/header-{standard}",
                        lambda test, words=(compiler, language, standard): header_alone(test, *words))
    for check in (exported, declared, archive_alone):
        yield base.Test("api", f"any/{check.__name__.replace('_', '-')}", run(check))
    for who in context.identities:
        for variant in variants():
            yield base.Test("api", f"{who.name}/calls-{variant}", run(calls, variant, who))
        for package in ("pil4dfs", "pil4dfs-static"):
            yield base.Test("api", f"{who.name}/examples-{package}", run(examples, package, who))
        yield base.Test("api", f"{who.name}/both-ways", run(both_ways, who))
        for name in LINKED:
            yield base.Test("api", f"{who.name}/linked-{name}", run(linked, name, who))
