//! Makes, lists and destroys the pools and containers of an embedded store, as the `daos` command
//! does for a real system, and reads the call counters.
use clap::{Parser, Subcommand};
use pil4dfs_embedded::{away, check, uuid_text, Counters, Error, NewContainer, Pool, Store, Word};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

#[derive(Parser)]
#[command(
    name = "pil4dfs-embedded",
    version,
    about = "Manage a store of the embedded provider (this is not DAOS)"
)]
struct Arguments {
    /// The store's directory [default: $PIL4DFS_EMBEDDED_ROOT]
    #[arg(long, global = true)]
    root: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Pools
    #[command(subcommand)]
    Pool(PoolCommand),
    /// Containers
    #[command(subcommand)]
    Cont(ContCommand),
    /// Check every record of a store that nobody changes meanwhile
    Check,
    /// Calls per function by all processes so far
    Counters {
        /// Set them to 0 afterwards
        #[arg(long)]
        reset: bool,
    },
    /// Take parts of the system away, also from processes that run; without causes: say what is
    #[command(after_help = away_help())]
    Away {
        /// Causes; `evicted` ends all handles once; `back` brings everything back
        causes: Vec<String>,
    },
}

#[derive(Subcommand)]
enum PoolCommand {
    /// Make a pool (and the store, if it is not there yet)
    Create { pool: String },
    /// List pools
    List,
    /// Destroy an empty pool, or with --force one with its containers
    Destroy {
        pool: String,
        #[arg(long)]
        force: bool,
    },
}

#[derive(Subcommand)]
enum ContCommand {
    /// Make a POSIX container
    Create {
        pool: String,
        label: String,
        /// Balanced consistency: mounts only with the flag for it
        #[arg(long)]
        balanced: bool,
        /// Default chunk size of files, bytes
        #[arg(long, default_value_t = 0)]
        chunk_size: u64,
        /// A directory that becomes the container's entry point (attribute user.daos); made here,
        /// and must not exist
        #[arg(long)]
        path: Option<String>,
    },
    /// Make an entry point of a container that exists
    Link {
        pool: String,
        label: String,
        /// The directory; made here, and must not exist
        path: String,
    },
    /// List a pool's containers
    List { pool: String },
    /// Destroy a container with all it holds
    Destroy { pool: String, label: String },
    /// Let a container be opened only to read, or with --off to write again
    Protect {
        pool: String,
        label: String,
        #[arg(long)]
        off: bool,
    },
}

/// An error, said in a sentence.
fn explained(error: Error, what: &str) -> String {
    let text = match error.as_daos().saturating_neg() {
        daos_sys::DER_EXIST => "exists already".into(),
        daos_sys::DER_NONEXIST => "does not exist".into(),
        daos_sys::DER_INVAL => "is no valid label ([a-zA-Z0-9._:-], at most 127)".into(),
        daos_sys::DER_BUSY => "still has containers (see --force)".into(),
        daos_sys::DER_AGENT_COMM => "has no store below it (see pool create)".into(),
        daos_sys::DER_NO_PERM => "is not allowed to this user".into(),
        daos_sys::DER_NOSPACE => "finds no space left".into(),
        number => daos_sys::der_name(number).map_or(format!("failed ({number})"), str::to_string),
    };
    format!("{what} {text}")
}

fn find_pool(store: &Store, name: &str) -> Result<Pool, String> {
    store
        .pool(name)
        .map_err(|error| explained(error, &format!("pool {name}")))
}

fn pool(root: &str, command: &PoolCommand) -> Result<(), String> {
    let open = || Store::open(root).map_err(|error| explained(error, root));
    match command {
        PoolCommand::Create { pool } => {
            let store = Store::create(root).map_err(|error| explained(error, root))?;
            let made = store.create_pool(pool);
            let made = made.map_err(|error| explained(error, &format!("pool {pool}")))?;
            println!("{} {}", made.label, uuid_text(&made.uuid));
        }
        PoolCommand::List => {
            let store = open()?;
            for pool in store.pools().map_err(|error| explained(error, root))? {
                println!("{} {}", pool.label, uuid_text(&pool.uuid));
            }
        }
        PoolCommand::Destroy { pool, force } => {
            let store = open()?;
            let found = find_pool(&store, pool)?;
            let what = format!("pool {pool}");
            if *force {
                for cont in store
                    .containers(found.id)
                    .map_err(|error| explained(error, &what))?
                {
                    let gone = store.destroy_container(found.id, &cont.label);
                    gone.map_err(|error| explained(error, &cont.label))?;
                }
            }
            store
                .destroy_pool(pool)
                .map_err(|error| explained(error, &what))?;
        }
    }
    Ok(())
}

fn cont(root: &str, command: &ContCommand) -> Result<(), String> {
    let store = Store::open(root).map_err(|error| explained(error, root))?;
    let named = |label: &str| format!("container {label}");
    match command {
        ContCommand::Create {
            pool,
            label,
            balanced,
            chunk_size,
            path,
        } => {
            let pool = find_pool(&store, pool)?;
            let new = NewContainer {
                posix: true,
                balanced: *balanced,
                chunk: *chunk_size,
                oclass: 0,
            };
            let made = store.create_container(pool.id, label, new);
            let made = made.map_err(|error| explained(error, &named(label)))?;
            if let Some(path) = path {
                let linked = link(path, &pool.uuid, &made.uuid);
                if linked.is_err() {
                    let _ = store.destroy_container(pool.id, label);
                }
                linked?;
            }
            println!("{} {}", made.label, uuid_text(&made.uuid));
        }
        ContCommand::Link { pool, label, path } => {
            let pool = find_pool(&store, pool)?;
            let all = store.containers(pool.id);
            let all = all.map_err(|error| explained(error, &pool.label))?;
            let cont = all.into_iter().find(|c| c.label == *label);
            let cont = cont.ok_or(format!("{} does not exist", named(label)))?;
            link(path, &pool.uuid, &cont.uuid)?;
        }
        ContCommand::List { pool } => {
            let pool = find_pool(&store, pool)?;
            for cont in store
                .containers(pool.id)
                .map_err(|error| explained(error, &pool.label))?
            {
                let kind = if cont.balanced { "balanced" } else { "relaxed" };
                let access = if cont.protected { " read-only" } else { "" };
                println!(
                    "{} {} {kind} chunk {}{access}",
                    cont.label,
                    uuid_text(&cont.uuid),
                    cont.chunk
                );
            }
        }
        ContCommand::Destroy { pool, label } => {
            let pool = find_pool(&store, pool)?;
            store
                .destroy_container(pool.id, label)
                .map_err(|error| explained(error, &named(label)))?;
        }
        ContCommand::Protect { pool, label, off } => {
            let pool = find_pool(&store, pool)?;
            store
                .protect(pool.id, label, !off)
                .map_err(|error| explained(error, &named(label)))?;
        }
    }
    Ok(())
}

/// Makes a directory that is the entry point of a container, as `daos cont create --path` does.
fn link(path: &str, pool: &[u8; 16], cont: &[u8; 16]) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{path}: {error}");
    std::fs::create_dir(path).map_err(failed)?;
    let value = format!("DAOS.POSIX://{}/{}\0", uuid_text(pool), uuid_text(cont));
    let name = std::ffi::CString::new(path).map_err(|_| format!("{path}: no path"))?;
    // SAFETY: strings, and a value of its own length.
    let rc = unsafe {
        libc::setxattr(
            name.as_ptr(),
            c"user.daos".as_ptr(),
            value.as_ptr().cast(),
            value.len(),
            libc::XATTR_CREATE,
        )
    };
    if rc == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    let _ = std::fs::remove_dir(path);
    Err(failed(error))
}

fn counters(root: &str, reset: bool) -> Result<(), String> {
    Store::open(root).map_err(|error| explained(error, root))?;
    let counters = Counters::open(root);
    for (name, calls, faults) in counters
        .all()
        .into_iter()
        .filter(|(_, calls, faults)| calls + faults > 0)
    {
        match faults {
            0 => println!("{name} {calls}"),
            faults => println!("{name} {calls} faults {faults}"),
        }
    }
    if reset {
        counters.reset();
    }
    Ok(())
}

/// The causes and their meanings, for the help text.
fn away_help() -> String {
    let line = |(name, _, what): &(&str, _, &str)| format!("  {name:12} {what}\n");
    format!(
        "Causes:\n{}",
        away::CAUSES.iter().map(line).collect::<String>()
    )
}

fn set_away(root: &str, words: &[String]) -> Result<(), String> {
    Store::open(root).map_err(|error| explained(error, root))?;
    let counters = Counters::open(root);
    if words.is_empty() {
        println!(
            "{}",
            away::names(counters.word(Word::Away).load(Ordering::Relaxed)).join(" ")
        );
        return Ok(());
    }
    let mut causes = counters.word(Word::Away).load(Ordering::Relaxed);
    for word in words {
        match word.as_str() {
            "back" => causes = 0,
            "evicted" => drop(
                counters
                    .word(Word::Evictions)
                    .fetch_add(1, Ordering::Relaxed),
            ),
            cause => {
                causes |=
                    away::parse(cause).map_err(|bad| format!("{bad} is no cause (see --help)"))?
            }
        }
    }
    counters.word(Word::Away).store(causes, Ordering::Relaxed);
    Ok(())
}

fn check_store(root: &str) -> Result<(), String> {
    let store = Store::open(root).map_err(|error| explained(error, root))?;
    let found = check(&store).map_err(|error| explained(error, root))?;
    println!(
        "{} names, {} orphans, {} files without a name",
        found.names, found.orphans, found.leaked
    );
    match found.damage.as_slice() {
        [] => Ok(()),
        damage => Err(format!("{root} is damaged:\n{}", damage.join("\n"))),
    }
}

/// The store's directory as an absolute path.
fn absolute(root: Option<String>) -> Result<String, String> {
    let root = root.or_else(|| std::env::var("PIL4DFS_EMBEDDED_ROOT").ok());
    let root = root.filter(|root| !root.is_empty());
    let root = root.ok_or("no store: give --root DIR or set PIL4DFS_EMBEDDED_ROOT")?;
    let path = std::path::absolute(&root).map_err(|error| format!("{root}: {error}"))?;
    path.into_os_string()
        .into_string()
        .map_err(|_| format!("{root} is not UTF-8"))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    pil4dfs_embedded::silence_log();
    let done = absolute(arguments.root).and_then(|root| match &arguments.command {
        Command::Pool(command) => pool(&root, command),
        Command::Cont(command) => cont(&root, command),
        Command::Check => check_store(&root),
        Command::Counters { reset } => counters(&root, *reset),
        Command::Away { causes } => set_away(&root, causes),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("pil4dfs-embedded: {message}");
            ExitCode::from(2)
        }
    }
}
