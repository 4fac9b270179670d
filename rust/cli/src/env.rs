//! `pil4dfs env`: the variables that `pil4dfs run` would set, for a shell, a module file or a program.
use crate::target::Target;
use crate::{print, Failure};
use clap::{Args, ValueEnum};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

/// Print the variables that put programs under the library.
///
/// For a shell: eval "$(pil4dfs env --pool P --cont C --mount DIR)"
#[derive(Args)]
pub struct Env {
    #[command(flatten)]
    target: Target,
    /// Who is to read it.
    #[arg(long, value_enum, default_value_t = Format::Sh)]
    format: Format,
    /// The same as --format json.
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    /// sh, bash, zsh: export NAME=VALUE
    Sh,
    /// csh, tcsh: setenv NAME VALUE
    Csh,
    /// environment-modules: setenv NAME VALUE in Tcl
    Module,
    /// Lmod: setenv("NAME", "VALUE") in Lua
    Lmod,
    /// one JSON object
    Json,
}

impl Env {
    /// Prints them.
    pub fn execute(self) -> Result<ExitCode, Failure> {
        let mut all = Vec::new();
        for (name, value) in self.target.variables()? {
            let value = String::from_utf8(value.as_bytes().to_vec())
                .map_err(|_| Failure::usage(format!("the value of {name} is not UTF-8")))?;
            all.push((name, value));
        }
        let format = if self.json { Format::Json } else { self.format };
        if format == Format::Json {
            let object: serde_json::Map<_, _> = all
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect();
            return print(&format!("{}\n", serde_json::Value::Object(object)));
        }
        let line = |(name, value): &(&str, String)| match format {
            Format::Sh => format!("export {name}={}\n", shell_word(value)),
            Format::Csh => format!("setenv {name} {};\n", shell_word(value)),
            Format::Module => format!("setenv {name} {{{value}}}\n"),
            Format::Lmod | Format::Json => format!("setenv({name:?}, {value:?})\n"),
        };
        print(&all.iter().map(line).collect::<String>())
    }
}

/// One word for any Bourne or C shell.
fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''").replace('!', r"'\!'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stays_one() {
        assert_eq!(shell_word("/a b:$x"), "'/a b:$x'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
    }
}
