//! What `pil4dfs bench` measures, in a process of its own: ordinary file calls of an ordinary program.
//! Prints a line of JSON for each phase as it ends.
use crate::{probe, Failure};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// The phases, in their order.
pub const PHASES: [&str; 9] = [
    "first use",
    "create",
    "stat",
    "open",
    "write 4 KiB",
    "read 4 KiB",
    "write 1 MiB",
    "read 1 MiB",
    "unlink",
];

/// One phase.
#[derive(Serialize, Deserialize)]
pub struct Measured {
    /// Of [`PHASES`].
    pub phase: String,
    /// How long all its calls took.
    pub seconds: f64,
}

/// How many calls a phase makes.
pub fn calls(phase: &str, files: u32, mib: u32) -> u64 {
    match phase {
        "first use" => 1,
        "write 4 KiB" | "read 4 KiB" => u64::from(mib) * 256,
        "write 1 MiB" | "read 1 MiB" => u64::from(mib),
        _ => u64::from(files),
    }
}

/// Whether a phase is about bytes.
pub fn moves(phase: &str) -> bool {
    phase.contains("iB")
}

/// Hidden.
#[derive(Args)]
pub struct Work {
    dir: PathBuf,
    files: u32,
    mib: u32,
    /// Refuse to measure anything but the library.
    #[arg(long)]
    served: bool,
}

impl Work {
    /// Measures, and removes what it has made.
    pub fn execute(self) -> Result<ExitCode, Failure> {
        let top = self
            .dir
            .join(format!("pil4dfs-bench-{}", std::process::id()));
        let done = self.measure(&top);
        let _ = fs::remove_dir_all(&top);
        done.map(|()| ExitCode::SUCCESS).map_err(|e| Failure {
            text: e.to_string(),
            code: 1,
        })
    }

    fn measure(&self, top: &Path) -> io::Result<()> {
        phase("first use", || self.dir.metadata().map(drop))?;
        fs::create_dir(top)?;
        let names: Vec<PathBuf> = (0..self.files).map(|i| top.join(i.to_string())).collect();
        let file = File::create_new(top.join("data"))?;
        if self.served && !probe::owns(file.as_raw_fd()) {
            return Err(io::Error::other(
                "the library does not serve this directory",
            ));
        }
        drop(file);
        let each = |call: &dyn Fn(&Path) -> io::Result<()>| names.iter().try_for_each(|n| call(n));
        phase("create", || each(&|n| File::create_new(n).map(drop)))?;
        phase("stat", || each(&|n| n.metadata().map(drop)))?;
        phase("open", || each(&|n| File::open(n).map(drop)))?;
        let file = File::options()
            .read(true)
            .write(true)
            .open(top.join("data"))?;
        for (size, write, read) in [
            (4 << 10, "write 4 KiB", "read 4 KiB"),
            (1 << 20, "write 1 MiB", "read 1 MiB"),
        ] {
            let mut bytes = vec![0x5a_u8; size];
            let places = || (0..calls(write, 0, self.mib)).map(|i| i * size as u64);
            phase(write, || {
                places().try_for_each(|at| file.write_all_at(&bytes, at))
            })?;
            phase(read, || {
                places().try_for_each(|at| file.read_exact_at(&mut bytes, at))
            })?;
            black_box(&bytes);
        }
        drop(file);
        phase("unlink", || each(&|n| fs::remove_file(n)))
    }
}

fn phase(name: &str, run: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let began = Instant::now();
    run()?;
    let measured = Measured {
        phase: name.to_owned(),
        seconds: began.elapsed().as_secs_f64(),
    };
    let line = serde_json::to_string(&measured).unwrap_or_default() + "\n";
    io::stdout().write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_measures_and_leaves_nothing() {
        let dir = std::env::temp_dir().join(format!("pil4dfs-work-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let work = Work {
            dir: dir.clone(),
            files: 3,
            mib: 1,
            served: false,
        };
        assert!(work.execute().is_ok());
        fs::remove_dir(&dir).expect("nothing is left in it");
    }

    #[test]
    fn phases_count_their_calls() {
        assert_eq!(calls("read 4 KiB", 7, 2), 512);
        assert_eq!(calls("stat", 7, 2), 7);
        assert!(moves("write 1 MiB") && !moves("stat"));
    }
}
