//! A model of the descriptor protocol, tried in every interleaving. The kernel's numbers and the
//! table's entries are two arrays; each call is the list of steps that `fd/mod.rs` makes of it
//! (open: kernel, table; close: table, kernel; dup2(ours, n): table, kernel; dup2(kernel's, n):
//! kernel, table; a birth: kernel, then a stale entry goes; a change of ours waits for nobody).
//! It is a model, not the code: it says that the order is right, `tests/fd.rs` and
//! `conform/threads` that the code keeps it.
use std::collections::HashSet;

/// What a number stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Thing {
    /// The placeholder of a file of ours.
    Ours(u8),
    /// A pipe, socket, kernel file.
    Kernels(u8),
}

#[derive(Clone, Copy, Debug)]
enum Call {
    /// Opens file `f` of ours.
    Open(u8),
    /// Opens something of the kernel's.
    Birth(u8),
    /// Closes what this thread opened last.
    Close,
    /// `dup2` of what this thread opened last onto what it opened first.
    DupOntoFirst,
    /// A partner who bypasses us closes what this thread opened last.
    RawClose,
}

const NUMBERS: usize = 3;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Thread {
    call: usize,
    step: u8,
    /// Number the running call is about.
    at: usize,
    /// Numbers it owns.
    own: Vec<usize>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct World {
    kernel: [Option<Thing>; NUMBERS],
    table: [Option<u8>; NUMBERS],
    threads: Vec<Thread>,
}

impl World {
    fn lowest(&self) -> Option<usize> {
        self.kernel.iter().position(Option::is_none)
    }

    /// One step of a thread; false when its program is at its end.
    fn step(&mut self, who: usize, program: &[Call]) -> bool {
        let thread = self.threads[who].clone();
        let Some(call) = program.get(thread.call) else {
            return false;
        };
        let (last, first) = (thread.own.last().copied(), thread.own.first().copied());
        let mut now = thread.clone();
        let done = match (*call, thread.step) {
            (Call::Open(f), 0) => match self.lowest() {
                Some(n) => {
                    self.kernel[n] = Some(Thing::Ours(f));
                    now.at = n;
                    false
                }
                None => true,
            },
            (Call::Open(f), _) => {
                self.table[thread.at] = Some(f);
                now.own.push(thread.at);
                true
            }
            (Call::Birth(f), 0) => match self.lowest() {
                Some(n) => {
                    self.kernel[n] = Some(Thing::Kernels(f));
                    now.at = n;
                    false
                }
                None => true,
            },
            (Call::Birth(_), _) => {
                self.table[thread.at] = None;
                now.own.push(thread.at);
                true
            }
            (Call::Close, 0) => match last {
                Some(n) => {
                    now.at = n;
                    now.own.pop();
                    self.table[n] = None;
                    false
                }
                None => true,
            },
            (Call::Close, _) => {
                self.kernel[thread.at] = None;
                true
            }
            (Call::RawClose, _) => {
                if let Some(n) = last {
                    now.own.pop();
                    self.kernel[n] = None;
                }
                true
            }
            (Call::DupOntoFirst, step) => match (last, first) {
                (Some(from), Some(to)) if from != to => {
                    // Ours: table, kernel. The kernel's: kernel, table.
                    let table_first = self.table[from].is_some();
                    if table_first == (step == 0) {
                        self.table[to] = self.table[from];
                    } else {
                        self.kernel[to] = self.kernel[from];
                    }
                    step == 1
                }
                _ => true,
            },
        };
        match done {
            true => (now.call, now.step) = (now.call + 1, 0),
            false => now.step += 1,
        }
        self.threads[who] = now;
        true
    }

    /// A number whose call has returned is never taken for another thing than it is.
    fn check(&self, trace: &[usize]) {
        for thread in &self.threads {
            if thread.step != 0 {
                continue;
            }
            for &n in &thread.own {
                let right = match (self.table[n], self.kernel[n]) {
                    (Some(f), Some(Thing::Ours(g))) => f == g,
                    (None, Some(Thing::Kernels(_))) => true,
                    _ => false,
                };
                assert!(right, "number {n} after {trace:?}: {self:?}");
            }
        }
    }
}

/// Every order of the threads' steps; the number of different states seen.
fn explore(programs: &[&[Call]]) -> usize {
    let thread = Thread {
        call: 0,
        step: 0,
        at: 0,
        own: Vec::new(),
    };
    let start = World {
        kernel: [None; NUMBERS],
        table: [None; NUMBERS],
        threads: vec![thread; programs.len()],
    };
    let (mut seen, mut todo) = (HashSet::new(), vec![(start, Vec::new())]);
    while let Some((world, trace)) = todo.pop() {
        if !seen.insert(world.clone()) {
            continue;
        }
        world.check(&trace);
        for (who, program) in programs.iter().enumerate() {
            let mut next = world.clone();
            if next.step(who, program) {
                let mut trace = trace.clone();
                trace.push(who);
                todo.push((next, trace));
            }
        }
    }
    seen.len()
}

#[test]
fn no_number_is_taken_for_another_thing() {
    use Call::{Birth, Close, DupOntoFirst, Open, RawClose};
    let ours: &[Call] = &[Open(1), Close, Open(2), Close];
    let births: &[Call] = &[Birth(1), Close, Birth(2), Close];
    let dups: &[Call] = &[Open(3), Open(4), DupOntoFirst, Close, Close];
    let mixed: &[Call] = &[Open(5), Birth(3), DupOntoFirst, Close, Close];
    let other: &[Call] = &[Birth(4), Open(6), DupOntoFirst, Close, Close];
    let bypass: &[Call] = &[Open(7), RawClose, Birth(5), Close, Open(8), Close];
    let all = [ours, births, dups, mixed, other, bypass];
    let mut states = 0;
    for a in all {
        for b in all {
            states += explore(&[a, b]);
        }
        // Three at a time: the state space grows fast, so short ones.
        states += explore(&[&ours[..2], &births[..2], &a[..4]]);
    }
    assert!(states > 10_000, "{states}");
}

/// The model is worth something: with close's steps the other way round it finds the mistake.
#[test]
fn the_wrong_order_is_found() {
    let wrong = std::panic::catch_unwind(|| {
        let mut world = World {
            kernel: [Some(Thing::Ours(1)), None, None],
            table: [Some(1), None, None],
            threads: vec![
                Thread {
                    call: 0,
                    step: 0,
                    at: 0,
                    own: vec![],
                };
                2
            ],
        };
        // close: kernel first; a birth gets the number and drops the entry; close: table; then the
        // other way about, an open in between loses its new entry.
        world.kernel[0] = None;
        assert!(world.step(1, &[Call::Open(2)]) && world.step(1, &[Call::Open(2)]));
        world.table[0] = None;
        world.check(&[]);
    });
    assert!(wrong.is_err());
}
