"""rust: the unit tests of the workspace; built once, then run under both identities."""

import json
import os
import re
import subprocess

from . import base, closed, prepare

CASE = re.compile(r"^test (.+?) \.\.\. (ok|FAILED|ignored.*)$")
TOTAL = re.compile(r"^test result: ", re.M)
STATUS = {"ok": base.PASS, "FAILED": base.FAIL}


def environment():
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(base.BUILD, "cargo"))
    return dict(os.environ, PATH=prepare.search_path(), CARGO_TARGET_DIR=target)


def build(*choice, **variables):
    """(crate, executable, directory) of every test binary of the packages chosen, or an error text."""
    command = ["cargo", "test", "--locked", *(choice or ["--workspace"]), "--no-run", "--message-format=json"]
    env = dict(environment(), **variables)
    done = subprocess.run(command, cwd=os.path.join(base.ROOT, "rust"), env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        errors = [json.loads(line)["message"]["rendered"] for line in done.stdout.splitlines() if b'"level":"error"' in line]
        return [], "".join(errors)[-4000:] or done.stderr.decode(errors="replace")[-4000:]
    found = []
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact" and message.get("executable") and message["profile"]["test"]:
            directory = os.path.dirname(message["manifest_path"])
            found.append((message["target"]["name"], message["executable"], directory))
    return found, ""


RACES = ["cargo", "+nightly", "build", "--locked", "--target", "x86_64-unknown-linux-gnu", "-p", "targets", "--example", "races"]
# std comes without instrumentation unless its source is installed.
INSTRUMENTED = "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer --cfg fuzzing"


def races(test, context):
    """Threads on the same numbers under ThreadSanitizer, which a nightly compiler has."""
    if not context.args.long:
        return test.skipped("with --long")
    directory = os.path.join(base.ROOT, "rust")
    target = os.path.join(base.BUILD, "cargo-tsan")
    env = dict(environment(), RUSTFLAGS=INSTRUMENTED, CARGO_TARGET_DIR=target)
    asked = base.run(["rustc", "+nightly", "--print", "sysroot"], None, env, directory, timeout=60)
    if asked.status != 0:
        return test.skipped("no nightly compiler")
    std = os.path.join(asked.out.decode().strip(), "lib/rustlib/src/rust/library")
    built = base.run([*RACES, *(["-Zbuild-std"] if os.path.isdir(std) else [])], None, env, directory, timeout=1800)
    if built.status != 0:
        return test.failed(built.says())
    program = os.path.join(target, "x86_64-unknown-linux-gnu", "debug", "examples", "races")
    scratch = context.scratch.directory(context.identities[0])
    suppressions = os.path.join(base.TESTS, "tsan.txt")
    env = base.clean_env(TMPDIR=scratch, HOME=scratch, TSAN_OPTIONS=f"suppressions={suppressions} history_size=4")
    done = base.run([program, "1000"], None, env, scratch, timeout=900)
    context.scratch.drop(scratch)
    return test.passed() if done.status == 0 else test.failed(done.says(8000))


def tests(context):
    if context.args.list:
        return
    yield base.Test("rust", "any/races", lambda test: races(test, context))
    binaries, error = build()
    if error:
        yield base.Test("rust", "build", lambda test: test.failed(error))
        return
    for crate, binary, directory in binaries:
        for who in context.identities:

            def run(test, crate=crate, binary=binary, directory=directory, who=who):
                return run_binary(test, context, crate, binary, directory, who)

            yield base.Test("rust", f"{who.name}/{crate}", run)


def run_binary(test, context, crate, binary, directory, who, words=(), **variables):
    """One result for every #[test] that `words` choose."""
    scratch = context.scratch.directory(who)
    binary, directory = closed.runnable(binary, directory, who, scratch)
    long = {"PIL4DFS_TEST_LONG": "1"} if context.args.long else {}
    env = base.clean_env(**long, TMPDIR=scratch, CARGO_MANIFEST_DIR=directory, RUST_BACKTRACE="1", HOME=scratch, **variables)
    threads = ["--test-threads", "2"]
    outcome = base.run([binary, *threads, *words], who, env, directory, timeout=600)
    text = outcome.out.decode(errors="replace")
    results, failures = [], text.split("\nfailures:\n", 1)[-1] if "\nfailures:\n" in text else ""
    for line in text.splitlines():
        match = CASE.match(line)
        if match:
            status = STATUS.get(match[2], base.SKIP)
            detail = _part(failures, match[1]) if status == base.FAIL else match[2]
            results.append(base.Result(test.suite, f"{who.name}/{crate}::{match[1]}", status, detail))
    failed = any(result.status == base.FAIL for result in results)
    if outcome.status != 0 and not failed:
        results.append(test.failed(outcome.says()))
    elif not TOTAL.search(text):  # a program with its own way of testing
        results.append(test.passed(text[-300:]))
    context.scratch.drop(scratch)
    return results


def _part(failures, name):
    """The captured output of one failed test."""
    head = f"---- {name} stdout ----"
    if head not in failures:
        return failures[-1500:]
    return failures.split(head, 1)[1].split("\n---- ", 1)[0].strip()[:2000]
