//! A model of the slot table, tried in every interleaving: cells are handed out from a list without
//! locks, shared with a child, given back, and left behind by who is killed between any two steps.
//! The steps are the loads, stores and exchanges that `fd/slots.rs` and `fd/slot.rs` make on the shared
//! memory. It is a model, not the code: it says that the protocol is right; the unit tests beside the
//! code, `fault/beside` and the races under ThreadSanitizer that the code keeps it.
use std::collections::HashSet;

/// Cells that can be handed out; 0 is the head.
const CELLS: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Call {
    /// A new description.
    New,
    /// Another process gets a reference to what this one made last, as a child does.
    Share(usize),
    /// Gives back the reference it has had longest.
    Close,
}

/// A reference as its owner knows it, with who made the description.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Held {
    index: usize,
    generation: u8,
    maker: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Cell {
    generation: u8,
    refs: u8,
    next: usize,
    /// Stands for offset, flags and identity.
    content: u8,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Process {
    call: usize,
    step: u8,
    dead: bool,
    /// What the running call has read: the free list, the cell it is about, its next one.
    free: (u8, usize),
    index: usize,
    next: usize,
    held: Vec<Held>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct World {
    cells: [Cell; CELLS + 1],
    /// Count of changes and first free cell.
    free: (u8, usize),
    /// The first cell never used.
    fresh: usize,
    processes: Vec<Process>,
    made: u8,
}

/// What a protocol without one of its precautions would be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    AsItIs,
    /// The free list has no count of changes.
    Uncounted,
    /// A cell is put on the list before its generation changes.
    PushedFirst,
}

impl World {
    fn new(processes: usize) -> World {
        World {
            cells: [Cell::default(); CELLS + 1],
            free: (0, 0),
            fresh: 1,
            processes: vec![Process::default(); processes],
            made: 0,
        }
    }

    /// The list's exchange: true if nothing has changed since `seen`.
    fn exchange(&mut self, seen: (u8, usize), first: usize, how: Protocol) -> bool {
        if self.free != seen {
            return false;
        }
        let count = match how {
            Protocol::Uncounted => seen.0,
            _ => seen.0.wrapping_add(1),
        };
        self.free = (count, first);
        true
    }

    /// One step of a process; false when it has none.
    fn step(&mut self, who: usize, program: &[Call], how: Protocol) -> bool {
        let mut p = self.processes[who].clone();
        let Some(call) = program.get(p.call).filter(|_| !p.dead) else {
            return false;
        };
        let next = match call {
            Call::New => self.create(&mut p, how),
            Call::Share(with) => self.share(&mut p, *with),
            Call::Close => self.close(&mut p, how),
        };
        match next {
            Some(step) => p.step = step,
            None => (p.call, p.step) = (p.call + 1, 0),
        }
        self.processes[who] = p;
        true
    }

    /// The next step of `Slot::new`, or its end.
    fn create(&mut self, p: &mut Process, how: Protocol) -> Option<u8> {
        match p.step {
            0 => p.free = self.free,
            1 if p.free.1 == 0 => {
                // nothing on the list: a fresh one
                if self.fresh > CELLS {
                    return None;
                }
                p.index = self.fresh;
                self.fresh += 1;
                return Some(4);
            }
            1 => p.next = self.cells[p.free.1].next,
            2 => {
                if !self.exchange(p.free, p.next, how) {
                    p.free = self.free;
                    return Some(1);
                }
                p.index = p.free.1;
                return Some(4);
            }
            4 => {
                self.made += 1;
                self.cells[p.index].content = self.made;
            }
            5 => self.cells[p.index].refs = 1,
            _ => {
                let cell = &mut self.cells[p.index];
                cell.generation = cell.generation.max(1);
                let (index, generation, maker) = (p.index, cell.generation, cell.content);
                p.held.push(Held {
                    index,
                    generation,
                    maker,
                });
                return None;
            }
        }
        Some(p.step + 1)
    }

    fn share(&mut self, p: &mut Process, with: usize) -> Option<u8> {
        let last = *p.held.last()?;
        match p.step {
            0 => self.cells[last.index].refs += 1,
            // born with it
            _ => {
                self.processes[with].held.push(last);
                return None;
            }
        }
        Some(1)
    }

    /// The next step of `release`, or its end.
    fn close(&mut self, p: &mut Process, how: Protocol) -> Option<u8> {
        let pushed_first = how == Protocol::PushedFirst;
        match p.step {
            0 => {
                if p.held.is_empty() {
                    return None;
                }
                let held = p.held.remove(0);
                p.index = held.index;
                if self.cells[p.index].generation != held.generation {
                    return None;
                }
            }
            1 => {
                let cell = &mut self.cells[p.index];
                let before = cell.refs;
                cell.refs = before.saturating_sub(1);
                if before != 1 {
                    return None;
                }
                return Some(if pushed_first { 3 } else { 2 });
            }
            2 => {
                let cell = &mut self.cells[p.index];
                cell.generation = cell.generation.wrapping_add(1).max(1);
                if pushed_first {
                    return None;
                }
            }
            3 => p.free = self.free,
            4 => self.cells[p.index].next = p.free.1,
            _ => {
                if !self.exchange(p.free, p.index, how) {
                    p.free = self.free;
                    return Some(4);
                }
                return if pushed_first { Some(2) } else { None };
            }
        }
        Some(p.step + 1)
    }

    /// Whoever holds a reference, dead or alive, finds his own description behind it.
    fn check(&self) -> Result<(), String> {
        for held in self.processes.iter().flat_map(|p| &p.held) {
            let cell = self.cells[held.index];
            if cell.refs == 0 || cell.generation != held.generation || cell.content != held.maker {
                return Err(format!("{held:?}: {self:?}"));
            }
        }
        Ok(())
    }
}

/// Every order of the processes' steps, with at most one death anywhere; the number of states seen.
fn explore(programs: &[&[Call]], how: Protocol) -> Result<usize, String> {
    let start = World::new(programs.len());
    let (mut seen, mut todo) = (HashSet::new(), vec![start]);
    while let Some(world) = todo.pop() {
        if !seen.insert(world.clone()) {
            continue;
        }
        world.check()?;
        let alive = world.processes.iter().all(|p| !p.dead);
        for (who, program) in programs.iter().enumerate() {
            let mut next = world.clone();
            if next.step(who, program, how) {
                todo.push(next);
            }
            if alive && world.processes[who].call < program.len() {
                let mut next = world.clone();
                next.processes[who].dead = true;
                todo.push(next);
            }
        }
    }
    Ok(seen.len())
}

use Call::{Close, New, Share};

const OPENS: &[Call] = &[New, Close, New, Close];
const TWO: &[Call] = &[New, New, Close, Close];
const SHARES: &[Call] = &[New, Share(1), Close, New];
const ENDS: &[Call] = &[New, Close, Close, Close];

#[test]
fn a_cell_is_one_description_at_a_time() {
    let mut states = 0;
    for programs in [
        &[OPENS, TWO][..],
        &[SHARES, ENDS],
        &[SHARES, OPENS],
        &[&OPENS[..2], &OPENS[..2], &OPENS[..2]],
        &[&SHARES[..2], &ENDS[..2], &OPENS[..1]],
    ] {
        states += explore(programs, Protocol::AsItIs).unwrap();
    }
    assert!(states > 10_000, "{states}");
}

/// The model is worth something: it finds what each precaution is for.
#[test]
fn missing_precautions_are_found() {
    let swap: &[&[Call]] = &[&[New, New, Close, Close, New, New, Close], &[New, New]];
    assert!(explore(swap, Protocol::AsItIs).is_ok());
    assert!(explore(swap, Protocol::Uncounted).is_err());
    assert!(explore(&[OPENS, OPENS], Protocol::PushedFirst).is_err());
}
