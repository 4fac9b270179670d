"""modules: `module load daos-pil4dfs` by Lmod and by environment-modules, each with both module files in sight.

The two cannot be installed together: of environment-modules the package is unpacked in the build directory."""

import glob
import os
import threading

from . import base, mount, prepare

FILES = {"lua": "daos-pil4dfs.lua", "tcl": "daos-pil4dfs"}
LMOD = "/usr/share/lmod/lmod/init/bash"
UNPACKED = os.path.join(base.BUILD, "environment-modules")
UNPACKING = threading.Lock()


def lmod(_):
    """What defines `module` in bash, or why there is none."""
    return (f". {LMOD}", "") if os.path.exists(LMOD) else ("", "no lmod")


def environment_modules(context):
    """The installed one, else the package's program with a function around it."""
    installed = "/usr/share/modules/init/bash"
    if os.path.exists(installed):
        return f". {installed}", ""
    with UNPACKING:
        if not glob.glob(os.path.join(UNPACKED, "usr/lib/*/modulecmd.tcl")):
            unpack()
    program = glob.glob(os.path.join(UNPACKED, "usr/lib/*/modulecmd.tcl"))
    if not program or not prepare.have("tclsh"):
        return "", "no environment-modules to be had"
    own = os.path.join(context.scratch.top, "modulecmd.tcl")
    base.run(["cp", program[0], own])
    return f'module() {{ eval "$(tclsh {own} bash "$@")"; }}', ""


def unpack():
    """Fetches and unpacks Debian's package; nothing where that is impossible."""
    os.makedirs(UNPACKED, exist_ok=True)
    if prepare.have("apt-get") and prepare.have("dpkg-deb"):
        base.run(["sh", "-c", "apt-get -q download environment-modules && dpkg-deb -x environment-modules_*.deb ."], None, dict(os.environ), UNPACKED, 120)


def loaded(context, test, program, who):
    """load preloads the library, unload takes it away; another preload stays."""
    define, why = program(context)
    if why:
        return test.skipped(why)
    place = mount.Mount(context.products, who, context.scratch.directory(who))
    wrong = place.create()
    if wrong:
        return test.failed(wrong)
    top = os.path.join(os.path.dirname(place.store), "modules")
    os.mkdir(top)
    for form, name in FILES.items():
        with open(os.path.join(base.ROOT, "packaging", "modulefiles", f"daos-pil4dfs.{form}.in"), encoding="utf-8") as file:
            text = file.read().replace("@VERSION@", "test").replace("@LIBDIR@", context.products.top)
        with open(os.path.join(top, name), "w", encoding="utf-8") as file:
            file.write(text)
    script = f"""
    {define}
    module use {top}
    module load daos-pil4dfs; sh -c "echo hello > /dfs/greeting"; cat /dfs/greeting; echo "$LD_PRELOAD"
    module unload daos-pil4dfs; echo "[$LD_PRELOAD]"; cat /dfs/greeting 2>/dev/null || echo gone
    """
    env = place.preload_env(HOME=top, BASH_ENV="")
    library = env.pop("LD_PRELOAD")
    done = base.run(["/bin/bash", "-c", script], who, env, "/", 60)
    return test.passed() if done.out.decode() == f"hello\n{library}\n[]\ngone\n" else test.failed(done.says())


def tests(context):
    for who in context.identities:
        for program in (lmod, environment_modules):

            def run(test, program=program, who=who):
                return loaded(context, test, program, who)

            yield base.Test("modules", f"{who.name}/{program.__name__.replace('_', '-')}", run)
