//! Short-lived tools that dfuse serves well enough: starting DAOS would cost them more than it saves.
//! Upstream's list, by base name; applies only to mounts that dfuse serves.

/// Programs.
const TOOLS: &[&str] = &[
    "arch",
    "as",
    "awk",
    "basename",
    "bc",
    "cal",
    "cat",
    "chmod",
    "chown",
    "clang",
    "clear",
    "cmake",
    "cmake3",
    "cp",
    "cpp",
    "daos",
    "daos_agent",
    "daos_engine",
    "daos_server",
    "df",
    "dfuse",
    "dmg",
    "expr",
    "f77",
    "f90",
    "f95",
    "file",
    "gawk",
    "gcc",
    "gfortran",
    "gmake",
    "go",
    "gofmt",
    "grep",
    "g++",
    "head",
    "link",
    "ln",
    "ls",
    "kill",
    "m4",
    "make",
    "mkdir",
    "mktemp",
    "mv",
    "nasm",
    "yasm",
    "nm",
    "numactl",
    "patchelf",
    "ping",
    "pkg-config",
    "ps",
    "pwd",
    "ranlib",
    "readelf",
    "readlink",
    "rename",
    "rm",
    "rmdir",
    "rpm",
    "sed",
    "seq",
    "size",
    "sleep",
    "sort",
    "ssh",
    "stat",
    "strace",
    "strip",
    "su",
    "sudo",
    "tail",
    "tee",
    "telnet",
    "time",
    "top",
    "touch",
    "tr",
    "truncate",
    "uname",
    "vi",
    "vim",
    "whoami",
    "yes",
];
/// Scripts run by a shell.
const SHELL_SCRIPTS: &[&str] = &[
    "autoconf",
    "configure",
    "libtool",
    "libtoolize",
    "lsb_release",
];
/// Scripts run by Python.
const PYTHON_SCRIPTS: &[&str] = &["scons", "scons-3", "dnf", "dnf-3", "meson"];

/// The lists of the user; each of base names separated by colons.
#[derive(Default, Debug)]
pub struct Lists {
    /// `D_IL_NO_BYPASS=1`: nothing is left to dfuse, whatever the lists say.
    pub none: bool,
    /// `D_IL_BYPASS_LIST`: programs and scripts that are left to dfuse as well.
    pub left: String,
    /// `D_IL_INTERCEPT_LIST`: if there is any, all others are left to dfuse; these are not, even
    /// if they are short tools.
    pub only: String,
}

/// Whether a program started with these arguments (argv, argv[0] first) is left to dfuse.
pub fn listed(argv: &[&str], lists: &Lists) -> bool {
    let program = base_name(argv.first().copied().unwrap_or(""));
    let interpreter = matches!(program, "bash" | "sh" | "python" | "python3");
    let script = argv
        .get(1)
        .filter(|a| interpreter && ["/", "./", "../"].iter().any(|p| a.starts_with(p)))
        .map_or("", |a| base_name(a));
    let names = |list: &str| {
        let name = |name: &str| !name.is_empty() && list.split(':').any(|e| e == name);
        name(program) || name(script)
    };
    if lists.none {
        return false;
    }
    if lists.only.split(':').any(|name| !name.is_empty()) {
        return !names(&lists.only);
    }
    let scripts = match program {
        "bash" | "sh" => SHELL_SCRIPTS,
        "python" | "python3" => PYTHON_SCRIPTS,
        _ => &[],
    };
    TOOLS.contains(&program) || scripts.contains(&script) || names(&lists.left)
}

/// Whether upstream calls a program a shell: these have no dcache (`D_IL_NO_DCACHE_BASH`).
pub fn is_shell(program: &str) -> bool {
    matches!(program, "bash" | "sh")
}

/// The last component of a path.
pub fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(argv: &[&str], left: &str) -> bool {
        let left = left.into();
        super::listed(
            argv,
            &Lists {
                left,
                ..Lists::default()
            },
        )
    }

    #[test]
    fn only_the_programs_of_the_users_list() {
        let lists = Lists {
            only: "mdtest:cat:./x:job.sh".into(),
            left: "mdtest".into(),
            none: false,
        };
        assert!(!super::listed(&["/opt/mdtest"], &lists));
        assert!(
            !super::listed(&["cat"], &lists),
            "though it is a short tool"
        );
        assert!(!super::listed(&["sh", "/home/me/job.sh"], &lists));
        assert!(super::listed(&["ior"], &lists) && super::listed(&["bash"], &lists));
        let nothing = Lists {
            only: ":".into(),
            ..Lists::default()
        };
        assert!(!super::listed(&["ior"], &nothing));
        let none = Lists {
            none: true,
            ..lists
        };
        assert!(!super::listed(&["ls"], &none));
    }

    #[test]
    fn tools_scripts_and_the_users_list() {
        assert!(listed(&["/bin/ls", "-l"], ""));
        assert!(!listed(&["/bin/mdtest"], ""));
        assert!(listed(&["mdtest"], "a:mdtest:b"));
        assert!(listed(&["/bin/bash", "./configure"], ""));
        assert!(
            !listed(&["/bin/bash", "configure"], ""),
            "only what is named by a path is a script"
        );
        assert!(listed(&["python3", "/opt/my.py"], "x:my.py"));
        assert!(!listed(&["python3.11", "/usr/bin/meson"], ""));
        assert!(!listed(&[], ""));
    }
}
