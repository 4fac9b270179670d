"""Writes what the C entry is compiled and linked with: ops.h, table.c, shims.c, exports.map, exports.list."""

import catalogue

NOTE = "/* Made by spec/generate.py from spec/calls.tbl. Do not edit. */\n"

# Exported beside the rows of the table; written by hand in c/.
BY_HAND = ("syscall", "vfork", "dlopen", "posix_spawn", "posix_spawnp", "pil4dfs_marker",
           "MPI_Init", "MPI_Init_thread", "PMPI_Init", "PMPI_Init_thread",
           "mpi_init", "mpi_init_", "mpi_init__", "mpi_init_thread", "mpi_init_thread_", "mpi_init_thread__")

FLAGS = {"map": "PIL_MAP", "mmapfd": "PIL_MMAP", "process": "PIL_PROCESS", "after": "PIL_AFTER",
         "signal": "PIL_SIGNAL", "address": "PIL_ADDRESS", "cwd": "PIL_CWD", "rights": "PIL_RIGHTS", "cancel": "PIL_CANCEL",
         "birth": "PIL_BIRTH", "names": "PIL_NAMES"}


def files(operations, passes, arch):
    """The texts by file name."""
    del passes
    return {
        "ops.h": ops_h(operations),
        "table.c": table_c(operations, arch),
        "shims.c": shims_c(operations),
        "exports.map": exports_map(catalogue.read_abi()),
        "exports.list": "".join(name + "\n" for name in exported(operations, catalogue.read_abi())),
    }


def ops_h(operations):
    """Operation and symbol numbers."""
    symbols = [s.name for op in operations for s in op.symbols] + list(BY_HAND)
    # Plain definitions: the assembly reads this file too, and needs symbols where a macro builds names.
    out = [NOTE, "#ifndef PIL_OPS_H\n#define PIL_OPS_H\n\n"]
    out += [f"#define PIL_OP_{op.ident} {n}\n" for n, op in enumerate(operations)]
    out.append(f"#define PIL_OP_COUNT {len(operations)}\n\n")
    out += [f"#define PIL_SYM_{name} {n}\n" for n, name in enumerate(symbols)]
    out.append(f"#define PIL_SYM_COUNT {len(symbols)}\n\n#ifdef __ASSEMBLER__\n")
    out += [f"\t.set\tsym_{name}, PIL_SYM_{name}\n" for name in BY_HAND]
    out.append("#endif\n\n#endif\n")
    return "".join(out)


def only_path(op):
    """Whether an operation's only path decides."""
    words = [c[0] for c in op.classes if c[0] not in ("cancel", "birth")]
    return op.level != "pass" and words in (["at"], ["path"])


def keeps_frame(op):
    """Whether the shim may stay on the stack during the real call, to tell the site what it knows."""
    return only_path(op) and not op.has("cancel")


def operation_entry(op):
    """One struct pil_op."""
    flags, fds, target, at = set(), 0, "PIL_NONE", []
    cond_arg, cond = 0, ()
    for word, numbers, extra in op.classes:
        if word == "fd":
            for n in numbers:
                fds |= 1 << n
        elif word == "target":
            target = str(numbers[0])
        elif word == "at":
            at.append(f"{numbers[0]} << 4 | {numbers[1]}")
        elif word == "path":
            at.append(f"PIL_AT_CWD << 4 | {numbers[0]}")
        elif word == "birth" and extra == "memory":
            flags.add("PIL_MEMORY")
        elif word == "birth" and extra:
            flags.add("PIL_BIRTH")
            cond_arg, cond = numbers[0], extra
        else:
            flags.add(FLAGS[word])
    if op.level != "pass":
        flags.add("PIL_SERVED")
    if only_path(op):
        flags.add("PIL_PATH")
    at = (at + ["PIL_NONE", "PIL_NONE"])[:2]
    text = (f"\t[PIL_OP_{op.ident}] = {{ {' | '.join(sorted(flags)) or 0}, {fds:#x}, {target}, "
            f"{{ {at[0]}, {at[1]} }}")
    if cond:
        text += f", {cond_arg}, {len(cond)}, {{ {', '.join(map(str, cond))} }}"
    return text + " },\n"


def source(s):
    """One struct pil_source."""
    if s.empty:
        return "{ PIL_SRC_EMPTY, 0 }"
    if s.index < 0:
        return f"{{ PIL_SRC_LITERAL, {s.bits} }}"
    return f"{{ {s.index}, {s.bits} }}"


def quick(op, kernel):
    """The enum pil_quick of a row."""
    words = [c for c in op.classes if c[0] != "cancel"]
    if words == [("fd", [0], "")] and kernel.lowering[0] == catalogue.Source(0, 0):
        return "PIL_QUICK_FD"
    if words == [("at", [0, 1], "")] and kernel.lowering[0] == catalogue.Source(0, 0) and kernel.lowering[1].empty:
        return "PIL_QUICK_FD"
    if only_path(op):
        return "PIL_QUICK_PATH"
    return "PIL_QUICK_ELSE"


def table_c(operations, arch):
    """The catalogue as the gate reads it."""
    identity = tuple(catalogue.identity(6))
    lowerings, rows, quicks, patched = [identity], [], [], []
    for op in operations:
        for kernel in op.kernels:
            number = kernel.numbers.get(arch)
            if number is None or not op.classes:
                continue
            low = kernel.lowering
            same = all(s == identity[i] for i, s in enumerate(low)) and len(low) == min(len(op.args), 6)
            key = identity if same else tuple(low + [catalogue.Source(-1, 0)] * (6 - len(low)))
            if key not in lowerings:
                lowerings.append(key)
            rows.append(f"\t[{number}] = {{ PIL_OP_{op.ident}, {lowerings.index(key)} }}, /* {kernel.name} */\n")
            quicks.append(f"\t[{number}] = {quick(op, kernel)},\n")
            if not kernel.unpatched:
                patched.append(f"\t[{number}] = 1,\n")
    out = [NOTE, '#include "ops.h"\n#include "pil.h"\n\nconst char pil_empty[1] = "";\n\n',
           "const struct pil_op pil_ops[PIL_OP_COUNT] = {\n"]
    out += [operation_entry(op) for op in operations]
    out.append("};\n\nconst struct pil_lowering pil_lowerings[] = {\n")
    out += ["\t{ { " + ", ".join(source(s) for s in low) + " } },\n" for low in lowerings]
    out.append("};\n\nconst struct pil_row pil_rows[PIL_NR_COUNT] = {\n"
               "\t[0 ... PIL_NR_COUNT - 1] = { PIL_NONE, 0 },\n")
    # A designated range is overwritten by later entries; say so once for the compiler.
    out.insert(2, '#pragma GCC diagnostic ignored "-Woverride-init"\n')
    out += rows
    out.append("};\n\nconst uint8_t pil_quick[PIL_NR_COUNT] = {\n")
    out += quicks
    out.append("};\n\nconst uint8_t pil_patched[PIL_NR_COUNT] = {\n")
    out += patched
    out.append("};\n")
    return "".join(out)


def value(sym, src):
    """The C expression of one general argument."""
    if src.empty:
        return "(long)pil_empty"
    if src.index < 0:
        return f"{src.bits}L"
    params = sym.params + ([sym.variadic] if sym.variadic else [])
    name = params[src.index][1]
    return f"(long){name} | {src.bits}L" if src.bits else f"(long){name}"


def spaced(ctype, name):
    """`char *` and `p` -> `char *p`; `int` and `n` -> `int n`."""
    return f"{ctype}{name}" if ctype.endswith("*") else f"{ctype} {name}"


def decisive_fd(op, sym):
    """The parameter of a function that decides alone, a descriptor; or None."""
    words = [c for c in op.classes if c[0] != "cancel"]
    fd_only = words == [("fd", [0], "")] or (
        words == [("at", [0, 1], "")] and sym.lowering[1].empty)
    first = sym.lowering[0].index
    return sym.params[first][1] if fd_only and first >= 0 else None


def condition(op, sym):
    """What makes a call worth a closer look, in a few instructions."""
    fd = decisive_fd(op, sym)
    tests = [f"pil_unlikely(pil_fd_is({fd}))" if fd else "pil_armed()", "!pil_beneath()"]
    if sym.guard:
        params = sym.params
        left, sign, right = (sym.guard.partition("<=") if "<=" in sym.guard else sym.guard.partition("!="))
        if right == "null":
            tests.append(f"{params[int(left)][1]}")
        else:
            tests.append(f"{params[int(left)][1]} {sign} {params[int(right)][1]}")
    return " && ".join(tests)


def watched(op, sym):
    """An exported function whose work is the real one's; Rust is told of its success."""
    names = ", ".join(p[1] for p in sym.params)
    types = ", ".join(t for t, _ in sym.params)
    args = ", ".join(value(sym, s) for s in sym.lowering)
    return (f"PIL_EXPORT {spaced(sym.returns, sym.name)}({', '.join(spaced(*p) for p in sym.params)})\n{{\n"
            f"\t{sym.returns} result = PIL_REAL({sym.name}, {sym.returns}, ({types}))({names});\n\n"
            f"\tif (result >= 0 && pil_armed() && !pil_beneath()) {{\n"
            f"\t\tconst long a[6] = {{ {args} }};\n\n"
            f"\t\tpil_watch(PIL_OP_{op.ident}, a, result);\n\t}}\n"
            f"\treturn result;\n}}\n\n")


def shim(op, sym):
    """One exported function: a tail jump to the real one, or its serving half."""
    params = sym.params + ([sym.variadic] if sym.variadic else [])
    names = ", ".join(p[1] for p in params)
    given = ", ".join(spaced(*p) for p in sym.params) + (", ..." if sym.variadic else "")
    fixed = ", ".join(spaced(*p) for p in params)
    types = ", ".join(t for t, _ in sym.params) + (", ..." if sym.variadic else "")
    args = ", ".join(value(sym, s) for s in sym.lowering)
    answer = "r < 0 ? (int)-r : 0" if sym.error_number else f"({sym.returns})pil_return(r)"
    real = f"PIL_REAL({sym.name}, {sym.returns}, ({types}))({names})"
    if keeps_frame(op):
        real = f"\t{{\n\t\t{sym.returns} result = {real};\n\n\t\tpil_tls.passed = NULL;\n\t\treturn result;\n\t}}\n}}\n\n"
    else:
        real = f"\treturn {real};\n}}\n\n"
    fd = decisive_fd(op, sym)
    by = f"PIL_BY_EXPORT | PIL_SYM_{sym.name}"
    serve = f"pil_serve_fd(PIL_OP_{op.ident}, a, pil_fd_is({fd}), {by})" if fd else f"pil_serve(PIL_OP_{op.ident}, a, {by})"
    out = [f"PIL_SERVE {spaced(sym.returns, 'serve_' + sym.name)}({fixed})\n{{\n",
           f"\tif ({condition(op, sym)}) {{\n",
           f"\t\tconst long a[6] = {{ {args} }};\n",
           f"\t\tlong r = {serve};\n\n",
           f"\t\tif (r != PIL_NOT_OURS)\n\t\t\treturn {answer};\n\t}}\n",
           real,
           f"PIL_EXPORT {spaced(sym.returns, sym.name)}({given})\n{{\n"]
    if sym.variadic:
        vtype, vname = sym.variadic
        fetch = vtype if vtype != "mode_t" else "unsigned int"
        out.append(f"\tva_list list;\n\t{spaced(vtype, vname)};\n\n"
                   f"\tva_start(list, {sym.params[-1][1]});\n"
                   f"\t{vname} = ({vtype})va_arg(list, {fetch});\n\tva_end(list);\n")
    out.append(f"\tif (pil_likely(PIL_KNOWN({sym.name}) && !({condition(op, sym)})))\n"
               f"\t\treturn PIL_REAL({sym.name}, {sym.returns}, ({types}))({names});\n"
               f"\treturn serve_{sym.name}({names});\n}}\n\n")
    return "".join(out)


def shims_c(operations):
    """The exported functions, and the slots of the real ones."""
    out = [NOTE, """\
#include <stdarg.h>
#include <sys/types.h>

#include "ops.h"
#include "pil.h"

struct iovec;
struct stat;
struct statfs;
struct statx;
struct timespec;
struct timeval;
struct utimbuf;

#define PIL_SERVE static __attribute__((noinline))
#define PIL_KNOWN(name) (pil_real[PIL_SYM_##name] != NULL)

/* The next definition of a function: a pointer of the right type, looked up at the first use. */
#define PIL_REAL(name, type, params) \\
	((type(*) params)(pil_likely(pil_real[PIL_SYM_##name] != NULL) \\
				  ? pil_real[PIL_SYM_##name] \\
				  : pil_find(PIL_SYM_##name, #name)))

"""]
    for op in operations:
        only_after = [c[0] for c in op.classes] == ["after"]
        out += [(watched if only_after else shim)(op, sym) for sym in op.symbols]
    return "".join(out)


# Names in the Rust part that are nobody's but ours. (What is left out here is in exports.list, or a test fails.)
INTERNAL = ("pil_*", "_ZN*", "_R*", "rust_*", "__rust*", "__rdl*", "__rg*", "__start_*", "__stop_*")


def exports_map(abi):
    """
    The version script. Only the public functions have a version; the stand-ins for libc's, which no pattern
    names, keep none: a version name would intercept nothing.
    """
    out = ["/* Made by spec/generate.py from spec/abi.map. */\n"]
    before = ""
    for version, names in abi.items():
        out.append(f"{version} {{\nglobal:\n" + "".join(f"\t{name};\n" for name in names))
        if not before:
            out.append("local:\n" + "".join(f"\t{pattern};\n" for pattern in INTERNAL))
        out.append(f"}}{before};\n")
        before = " " + version
    return "".join(out)


def exported(operations, abi):
    """Every name that is seen from outside, as nm -D --with-symbol-versions prints it."""
    plain = [s.name for op in operations for s in op.symbols] + list(BY_HAND)
    public = [f"{name}@@{version}" for version, names in abi.items() for name in names]
    return sorted(plain) + sorted(public)
