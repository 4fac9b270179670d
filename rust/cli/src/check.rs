//! `pil4dfs check`: what of a program will be intercepted, before it is run: from its file alone.
use crate::elf::{self, Facts};
use crate::finding::Findings;
use crate::program::{self, Kind};
use crate::{print, Failure};
use clap::Args;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use vfs::catalogue;

/// Say what of a program will be intercepted, and what to do about the rest.
///
/// Exit status 0 when the library will serve its files, 1 when it cannot.
#[derive(Args)]
pub struct Check {
    /// The program: a path, or a name to be found in PATH.
    #[arg(value_name = "PROG")]
    program: OsString,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What is said of a program.
#[derive(Serialize)]
struct Verdict {
    program: PathBuf,
    /// The interpreters of scripts, the ELF file last; empty for an ELF file.
    through: Vec<PathBuf>,
    kind: Kind,
    /// "library", "fuse" (`pil4dfs run` mounts it for the program) or "no".
    served_by: &'static str,
    #[serde(flatten)]
    facts: Option<Facts>,
    /// Calls among them that DFS cannot always give: function and remark.
    may_be_declined: BTreeMap<String, String>,
    findings: Findings,
}

impl Check {
    /// Looks and prints.
    pub fn execute(self) -> Result<ExitCode, Failure> {
        let shown = Path::new(&self.program).display().to_string();
        let path = program::found(&self.program)
            .ok_or_else(|| Failure::usage(format!("{shown}: no such program in PATH")))?;
        let meta = path
            .metadata()
            .map_err(|e| Failure::usage(format!("{shown}: {e}")))?;
        if !meta.is_file() {
            return Err(Failure::usage(format!("{shown}: not a regular file")));
        }
        std::fs::File::open(&path)
            .map_err(|e| Failure::usage(format!("{shown}: cannot be read: {e}")))?;
        let verdict = verdict(path, meta.mode() & 0o111 != 0);
        let served = verdict.served_by == "library";
        print(&match self.json {
            true => serde_json::to_string_pretty(&verdict).unwrap_or_default() + "\n",
            false => verdict.text(),
        })?;
        Ok(ExitCode::from(u8::from(!served)))
    }
}

fn verdict(program: PathBuf, executable: bool) -> Verdict {
    let (mut kind, files) = program::chain(&program);
    let last = files.last().unwrap_or(&program);
    let facts = elf::facts(last, true);
    let mut findings = Findings::default();
    if !executable {
        findings.error(
            "mode",
            "not executable",
            "chmod +x, or name the interpreter",
        );
    }
    if files.len() > 1 {
        findings.ok("script", format!("run by {}", last.display()));
    }
    match &facts {
        None => {
            let what = format!("{} is no ELF program", last.display());
            match executable && files.len() == 1 {
                // What execvp(3) and shells do with such a file.
                true => findings.warning(
                    "format",
                    what,
                    "shells run such a file as a script: put #!/bin/sh at its head",
                ),
                false => findings.error(
                    "format",
                    what,
                    "nothing can be said of it, and the kernel will not run it",
                ),
            }
        }
        Some(facts) => {
            if kind == Kind::Loads {
                kind = Kind::of(facts);
            }
            say_kind(&mut findings, kind, facts, last);
            if kind == Kind::Loads {
                say_libraries(&mut findings, facts);
                say_functions(&mut findings, facts);
                say_system_calls(&mut findings, facts);
            }
        }
    }
    if kind != Kind::SetId && program::has_capabilities(last) {
        findings.warning(
            "capabilities",
            "the file has capabilities: for ordinary users the loader will not preload into it",
            "setcap -r FILE on a copy of it",
        );
    }
    let served_by = match kind {
        _ if !executable || facts.is_none() => "no",
        Kind::Loads => "library",
        Kind::SetId => "no",
        _ => "fuse",
    };
    let may_be_declined = facts.iter().flat_map(lacking).collect();
    Verdict {
        program,
        through: files[1..].to_vec(),
        kind,
        served_by,
        facts,
        may_be_declined,
        findings,
    }
}

fn say_kind(findings: &mut Findings, kind: Kind, facts: &Facts, path: &Path) {
    const FUSE: &str =
        "pil4dfs run gives it the mount through FUSE in a name space of its own; or mount dfuse";
    let loader = facts.interpreter.as_deref().unwrap_or("no loader");
    match kind {
        Kind::Loads => findings.ok("kind", format!("dynamic, 64 bits, loaded by {loader}")),
        Kind::Static => findings.error("kind", "static: nothing can be loaded into it", FUSE),
        Kind::Go if facts.interpreter.is_some() => findings.error(
            "kind",
            "Go, with C libraries (cgo): only the C part calls libc, Go's own file calls go to the kernel directly",
            FUSE,
        ),
        Kind::Go => findings.error("kind", "Go: it makes its system calls itself", FUSE),
        Kind::OtherLibc => findings.error(
            "kind",
            format!("made for another C library than glibc (loaded by {loader})"),
            FUSE,
        ),
        Kind::OtherMachine => findings.error(
            "kind",
            format!("{} bits, loaded by {loader}: the library is for this machine's programs of 64 bits", facts.bits),
            FUSE,
        ),
        Kind::SetId => findings.error(
            "kind",
            format!("{} runs with other rights than yours (set-id, or capabilities of the file): the loader does not preload", path.display()),
            "let an administrator mount dfuse for it, or run a copy without those rights",
        ),
    }
}

fn say_libraries(findings: &mut Findings, facts: &Facts) {
    for name in &facts.needed {
        let stem = name.split(".so").next().unwrap_or(name);
        match stem {
            "libpil4dfs" => findings.ok(
                "libraries",
                "linked with libpil4dfs already: no preload is needed",
            ),
            "libioil" => findings.error(
                "libraries",
                "linked with libioil of daos-client",
                "two libraries of this kind exclude each other: link without it",
            ),
            "liburing" => findings.warning(
                "libraries",
                "linked with liburing: a ring's requests on descriptors of a mount fail",
                "choose another I/O engine of the program (psync, libaio) where it has one",
            ),
            "libdfs" | "libdaos" => findings.ok(
                "libraries",
                format!("{name}: calls DAOS itself, which the library leaves alone"),
            ),
            _ => {}
        }
    }
    if !facts.search.is_empty() {
        findings.ok(
            "libraries",
            format!("looks for them in {}", facts.search.join(", ")),
        );
    }
}

fn say_functions(findings: &mut Findings, facts: &Facts) {
    let direct: BTreeSet<&str> = facts
        .imports
        .iter()
        .filter_map(|n| row_of(n))
        .map(|(name, _)| name)
        .collect();
    let through: Vec<&str> = facts
        .imports
        .iter()
        .map(String::as_str)
        .filter(|n| row_of(n).is_none() && through_libc(n))
        .collect();
    match direct.is_empty() && through.is_empty() {
        true => findings.ok(
            "functions",
            "wants no file function itself; those of its libraries are served",
        ),
        false => findings.ok(
            "functions",
            format!(
                "{} file functions are served: {}",
                direct.len() + through.len(),
                shortened(direct.into_iter().chain(through))
            ),
        ),
    }
    let lacking: Vec<_> = lacking(facts).map(|(name, _)| name).collect();
    if !lacking.is_empty() {
        findings.ok(
            "limits",
            format!(
                "may be declined, depending on arguments: {} (pil4dfs-functions(7) says when)",
                shortened(lacking.iter().map(String::as_str))
            ),
        );
    }
}

fn say_system_calls(findings: &mut Findings, facts: &Facts) {
    if facts.system_calls.is_empty() {
        return;
    }
    let calls = facts.system_calls.keys().map(String::as_str);
    findings.warning(
        "system calls",
        format!("makes calls of its own, past libc: {}", shortened(calls)),
        "on descriptors and paths of a mount these fail or go to dfuse; watch with: pil4dfs trace",
    );
}

/// The first dozen, and how many more.
fn shortened<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<_> = names.collect();
    match all.len() {
        0..=14 => all.join(", "),
        n => format!("{} and {} more", all[..12].join(", "), n - 12),
    }
}

/// The name and operation of an exported function.
fn row_of(name: &str) -> Option<(&'static str, usize)> {
    let index = catalogue::SYMBOLS.iter().position(|s| *s == name)?;
    let op = usize::try_from(catalogue::SYMBOL_OPS[index]).ok()?;
    Some((catalogue::SYMBOLS[index], op))
}

/// Imported functions whose operation DFS cannot always give, with the catalogue's remark.
fn lacking(facts: &Facts) -> impl Iterator<Item = (String, String)> + '_ {
    let rows = facts.imports.iter().filter_map(|name| row_of(name));
    rows.filter(|(_, op)| catalogue::LACKING[*op])
        .map(|(name, op)| (name.to_owned(), catalogue::NOTES[op].to_owned()))
}

/// Whether libc's code behind this function comes down to calls that are served (spec/surface.tbl).
fn through_libc(name: &str) -> bool {
    let mut sites = false;
    for line in include_str!("../../../spec/surface.tbl").lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("sites") => sites = true,
            Some("pass" | "none") => sites = false,
            Some("sym") if sites && words.any(|pattern| fits(pattern, name)) => return true,
            _ => {}
        }
    }
    false
}

/// A pattern with one `*` at most.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => {
            name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
        }
    }
}

impl Verdict {
    fn text(&self) -> String {
        let answer = match self.served_by {
            "library" => "its files on a mount are served by the library",
            "fuse" => "not by the library; pil4dfs run serves it through FUSE",
            _ => "it cannot be served",
        };
        format!(
            "{}: {answer}\n{}",
            self.program.display(),
            self.findings.text()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_have_opinions() {
        assert!(row_of("open").is_some() && row_of("fopen").is_none());
        assert!(through_libc("fopen") && through_libc("readdir64") && !through_libc("strlen"));
        assert!(fits("a*c", "abc") && !fits("a*c", "ab") && fits("ab", "ab"));
    }

    #[test]
    fn a_dynamic_program_is_served() {
        let verdict = verdict("/bin/cat".into(), true);
        assert_eq!((verdict.kind, verdict.served_by), (Kind::Loads, "library"));
        assert!(!verdict.findings.fail());
    }
}
