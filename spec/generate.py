#!/usr/bin/env python3
"""From the tables of this directory to everything that follows from them.

	generate.py rust --out DIR              ops.rs for the vfs crate
	generate.py c --out DIR [--arch ARCH]   ops.h, table.c, shims.c, exports.map, exports.list for the C entry
	generate.py docs [--check]              the README's tables and the manual page
	generate.py man [PAGE] [--version V]    libpil4dfs(7) or pil4dfs-functions(7), on standard output
	generate.py list WHAT                   operations, symbols, tests: for scripts
	generate.py check                       every number of this machine's headers is classified
	generate.py surface                     every symbol of this machine's libc has an opinion

Python's standard library only. README.md describes the tables.
"""

import argparse
import platform
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import catalogue  # noqa: E402


def write(path, text):
    """Writes only what changed, so that nothing is rebuilt without need."""
    path = Path(path)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def main():
    """Runs one command."""
    parser = argparse.ArgumentParser(description="tables to code and documentation")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("rust", "c"):
        command = commands.add_parser(name)
        command.add_argument("--out", required=True, type=Path)
        if name == "c":
            command.add_argument("--arch", default=platform.machine())
    docs = commands.add_parser("docs")
    docs.add_argument("--check", action="store_true")
    manual = commands.add_parser("man")
    manual.add_argument("page", nargs="?", choices=("libpil4dfs", "pil4dfs-functions"), default="libpil4dfs")
    manual.add_argument("--version", default="")
    listing = commands.add_parser("list")
    listing.add_argument("what", choices=("operations", "symbols", "tests"))
    commands.add_parser("check")
    commands.add_parser("surface")
    args = parser.parse_args()

    operations, passes = catalogue.read_calls()
    if args.command == "rust":
        import rust_out
        write(args.out / "ops.rs", rust_out.ops(operations))
    elif args.command == "c":
        import c_out
        for name, text in c_out.files(operations, passes, args.arch).items():
            write(args.out / name, text)
    elif args.command == "docs":
        import docs_out
        sys.exit(docs_out.run(operations, catalogue.read_environment(), args.check))
    elif args.command == "man":
        import docs_out
        sys.stdout.write(docs_out.functions(operations, args.version) if args.page == "pil4dfs-functions"
                         else docs_out.manual(catalogue.read_environment(), args.version))
    elif args.command == "list":
        for op in operations:
            if args.what == "operations":
                print(op.name, op.level)
            elif args.what == "symbols":
                for sym in op.symbols:
                    print(sym.name, op.name)
            elif op.level in ("full", "partial") and op.in_rust:
                print(op.name)
    elif args.command == "surface":
        import surface
        sys.exit(surface.run())
    else:
        check_headers(operations, passes)


def without_row(operations, passes, header):
    """The (name, number) of each call of a kernel header that no row mentions."""
    known = {k.numbers.get("x86_64") for op in operations for k in op.kernels}
    known |= {k.numbers.get("x86_64") for k in passes}
    numbers = re.findall(r"#define __NR_(\w+) (\d+)", header)
    return [(name, int(number)) for name, number in numbers if int(number) not in known]


def check_headers(operations, passes):
    """Fails when the kernel's header knows a number that no row mentions."""
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not header.exists():
        header = Path("/usr/include/asm/unistd_64.h")
    missing = without_row(operations, passes, header.read_text(encoding="utf-8"))
    for name, number in missing:
        print(f"calls.tbl: no row for {name} {number}")
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()
