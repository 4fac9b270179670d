"""engine: the binding of an installed libfunchook, with our own engine standing in for that library."""

import os
import shutil

from . import base, mount, prepare, rust

HEADERS = os.path.join(base.TESTS, "engine")


def stand_in(directory):
    """Makes libfunchook.so in `directory`; answers an error text or nothing."""
    env = rust.environment()
    # Newer cargo would name it with the hash of its build, and programs linked with it look for that.
    command = ["cargo", "rustc", "--locked", "-p", "funchook-sys", "--example", "funchook",
               "--", "-Clink-arg=-Wl,-soname,libfunchook.so"]
    done = base.run(command, None, env, os.path.join(base.ROOT, "rust"), timeout=300)
    if done.status != 0:
        return done.says()
    made = os.path.join(env["CARGO_TARGET_DIR"], "debug", "examples", "libfunchook.so")
    os.chmod(shutil.copy2(made, directory), 0o755)
    return ""


def tests(context):
    if context.args.list:
        return
    directory = context.scratch.directory(context.identities[0])
    error = stand_in(directory)
    # Where the linker looks is not part of what cargo compares: nothing else is built anew.
    choice = ["-p", "funchook-sys", "--features", "system", "--lib"]
    binaries, error = ([], error) if error else rust.build(*choice, LIBRARY_PATH=directory)
    if error:
        yield base.Test("engine", "any/binding", lambda test: test.failed(error))
        return
    for crate, binary, place in binaries:
        for who in context.identities:

            def run(test, crate=crate, binary=binary, place=place, who=who):
                return rust.run_binary(test, context, crate, binary, place, who, ["funchook::"], LD_LIBRARY_PATH=directory)

            yield base.Test("engine", f"{who.name}/{crate}", run)
    yield base.Test("engine", "any/meson-refuses", lambda test: refuses(test, context))
    yield base.Test("engine", "any/meson-builds", lambda test: builds(test, context, directory))


def setup(build, **variables):
    env = dict(os.environ, PATH=prepare.search_path(), **variables)
    command = ["meson", "setup", build, base.ROOT, "--buildtype=debug", "-Dhook_engine=funchook"]
    return base.run(command, None, env, base.ROOT, timeout=120)


def refuses(test, context):
    """Without libfunchook the option is an error of the configuration, not of a later link."""
    directory = context.scratch.directory(context.identities[0])
    done = setup(os.path.join(directory, "build"))
    context.scratch.drop(directory)
    if any(os.path.exists(f"/usr/{place}include/funchook.h") for place in ("", "local/")):
        return test.skipped("funchook is installed")
    said = b"funchook" in done.out.split(b"ERROR", 1)[-1]
    return test.passed() if done.status == 1 and b"ERROR" in done.out and said else test.failed(done.says())


def builds(test, context, directory):
    """With it the product is built, and serves a program below a mount."""
    if context.unbuilt:
        return test.failed(context.unbuilt)
    scratch = context.scratch.directory(context.identities[0])
    build = os.path.join(scratch, "build")
    os.mkdir(build)
    # What cargo has compiled for the other suites is not compiled again.
    os.symlink(rust.environment()["CARGO_TARGET_DIR"], os.path.join(build, "cargo"))
    where = {"LIBRARY_PATH": directory, "CPATH": HEADERS}
    done = setup(build, **where)
    if done.status == 0:
        env = dict(os.environ, PATH=prepare.search_path(), **where)
        done = base.run(["meson", "compile", "-C", build, "pil4dfs:shared_library"], None, env, base.ROOT, timeout=900)
    if done.status != 0:
        return test.failed(done.says())
    results = [test.passed()] + [serves(context, who, build, directory) for who in context.identities]
    context.scratch.drop(scratch)
    return results


def serves(context, who, build, directory):
    """A program under that library, below a mount."""
    test = base.Test("engine", f"{who.name}/meson-serves", None)
    place = mount.Mount(context.products, who, context.scratch.directory(who))
    wrong = place.create()
    if wrong:
        return test.failed(wrong)
    env = dict(place.preload_env(), LD_PRELOAD=os.path.join(build, "libpil4dfs.so.0"), LD_LIBRARY_PATH=directory)
    done = base.run(["/bin/sh", "-c", "echo bytes > /dfs/f; cat /dfs/f"], who, env, place.cwd)
    return test.passed() if done.out == b"bytes\n" and not done.err and not place.leaks() else test.failed(done.says() + place.leaks())
