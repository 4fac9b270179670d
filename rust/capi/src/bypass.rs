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

/// Whether a program started with these arguments (argv, argv[0] first) is in the built-in list or in
/// `extra` (`D_IL_BYPASS_LIST`, colon separated).
pub fn listed(argv: &[&str], extra: &str) -> bool {
    let program = base_name(argv.first().copied().unwrap_or(""));
    let script = argv
        .get(1)
        .filter(|a| ["/", "./", "../"].iter().any(|p| a.starts_with(p)))
        .map_or("", |a| base_name(a));
    let extra = |name: &str| !name.is_empty() && extra.split(':').any(|e| e == name);
    let scripts = match program {
        "bash" | "sh" => SHELL_SCRIPTS,
        "python" | "python3" => PYTHON_SCRIPTS,
        _ => &[],
    };
    TOOLS.contains(&program)
        || extra(program)
        || (matches!(program, "bash" | "sh" | "python" | "python3")
            && (scripts.contains(&script) || extra(script)))
}

/// The last component of a path.
pub fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

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
