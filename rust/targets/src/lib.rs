//! Fuzz targets: functions that take bytes and state what must hold whatever they are. Some read the
//! bytes as something from outside ([`parsers`], [`dfuse`], [`environment`]); the others draw a
//! sequence of calls from them and compare with an oracle ([`resolver`], [`descriptors`]: the kernel;
//! [`streams`]: a list). A target that finds something panics.
//!
//! `tests/bounded.rs` feeds them a bounded number of inputs with any compiler; `rust/fuzz` has the same
//! targets under libFuzzer.
pub mod descriptors;
pub mod dfuse;
pub mod dice;
pub mod environment;
pub mod parsers;
pub mod resolver;
pub mod streams;
pub mod tree;
pub mod world;

/// What a target is fed with.
pub enum Input {
    /// Bytes in a format: damage to these is what is interesting.
    Format(Vec<u8>),
    /// Decisions, at most so many bytes of them.
    Decisions(usize),
}

/// One target.
pub struct Target {
    /// As in `cargo fuzz run NAME`.
    pub name: &'static str,
    /// Panics if something does not hold.
    pub feed: fn(&[u8]),
    /// What makes sense to it.
    pub input: Input,
}

/// All targets.
pub fn all() -> Vec<Target> {
    let decided = |name, feed, most| Target {
        name,
        feed,
        input: Input::Decisions(most),
    };
    let mut all = parsers::all();
    all.push(Target {
        name: "dfuse_answers",
        feed: dfuse::answers,
        input: Input::Format(dfuse::valid()),
    });
    all.push(Target {
        name: "environment",
        feed: environment::environment,
        input: Input::Format(environment::VALID.to_vec()),
    });
    all.push(decided("resolver", resolver::resolver, 500));
    all.push(decided("streams", streams::streams, 400));
    all.push(decided("descriptors", descriptors::descriptors, 400));
    all
}
