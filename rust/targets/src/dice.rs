//! Decisions drawn from the bytes of an input. When the bytes are at their end, everything is 0 and
//! [`Dice::done`] says so.
use arbitrary::Unstructured;

/// A source of decisions.
pub struct Dice<'a>(Unstructured<'a>);

impl<'a> Dice<'a> {
    /// The decisions in `data`.
    pub fn new(data: &'a [u8]) -> Dice<'a> {
        Dice(Unstructured::new(data))
    }

    /// Nothing is left to be decided.
    pub fn done(&self) -> bool {
        self.0.is_empty()
    }

    /// A number below `n`, which is at most 256.
    pub fn below(&mut self, n: usize) -> usize {
        usize::from(self.0.arbitrary::<u8>().unwrap_or(0)) % n
    }

    /// True one time in `n`, never at the end.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}
