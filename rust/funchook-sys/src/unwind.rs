//! Function ranges from the unwind tables: `.eh_frame_hdr`'s sorted index and
//! the FDEs it points to (LSB Core, chapter "Exception Frames"). Only how a
//! range is encoded is read, never the unwind programs.

use core::ops::Range;

const SIGNED_4: u8 = 0x0b;
const UNSIGNED_4: u8 = 0x03;
const ABSOLUTE: u8 = 0x00;
const SIGNED_8: u8 = 0x0c;
const UNSIGNED_8: u8 = 0x04;
const PC_RELATIVE: u8 = 0x10;
const DATA_RELATIVE_4: u8 = 0x3b;

/// The sorted index of a module's FDEs.
pub struct Unwind {
    header: usize,
    table: usize,
    count: usize,
}

/// # Safety
/// `at` must be the address of a readable value.
unsafe fn read<T: Copy>(at: usize) -> T {
    // SAFETY: the caller's.
    unsafe { (at as *const T).read_unaligned() }
}

impl Unwind {
    /// Reads the header; `None` when it is not the usual one (version 1, a count,
    /// a table of header-relative pairs).
    ///
    /// # Safety
    /// `section` is the `.eh_frame_hdr` of an object that stays readable.
    pub unsafe fn new(section: Range<usize>) -> Option<Unwind> {
        if section.len() < 12 {
            return None;
        }
        // SAFETY: twelve bytes are there.
        let ([version, frame, counts, table], count) = unsafe {
            (
                read::<[u8; 4]>(section.start),
                read::<u32>(section.start + 8) as usize,
            )
        };
        let usual = version == 1
            && frame == PC_RELATIVE | SIGNED_4
            && counts == UNSIGNED_4
            && table == DATA_RELATIVE_4
            && section.len() >= 12 + 8 * count;
        usual.then_some(Unwind {
            header: section.start,
            table: section.start + 12,
            count,
        })
    }

    /// Start address and FDE of entry `index`.
    fn entry(&self, index: usize) -> (usize, usize) {
        // SAFETY: `new` checked that the table has `count` entries.
        let [start, fde] = unsafe { read::<[i32; 2]>(self.table + 8 * index) };
        (
            self.header.wrapping_add_signed(start as isize),
            self.header.wrapping_add_signed(fde as isize),
        )
    }

    /// The range of the FDE that covers `address`, signal frames excepted.
    pub fn function(&self, address: usize) -> Option<Range<usize>> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = (low + high) / 2;
            if self.entry(middle).0 <= address {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let range = self.range(low.checked_sub(1)?)?;
        range.contains(&address).then_some(range)
    }

    /// All ranges, signal frames excepted.
    pub fn functions(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        (0..self.count).filter_map(|index| self.range(index))
    }

    fn range(&self, index: usize) -> Option<Range<usize>> {
        let (start, fde) = self.entry(index);
        // SAFETY: the index points to the FDEs of the same object.
        let (encoding, at) = unsafe {
            let length: u32 = read(fde);
            if length == 0 || length == u32::MAX {
                return None;
            }
            let back: u32 = read(fde + 4);
            (pointer_encoding(fde + 4 - back as usize)?, fde + 8)
        };
        // The range has the format of the start, but is never relative.
        // SAFETY: both follow the FDE's CIE pointer.
        let len = unsafe {
            match encoding & 0x0f {
                SIGNED_4 | UNSIGNED_4 => read::<u32>(at + 4) as usize,
                SIGNED_8 | UNSIGNED_8 | ABSOLUTE => read::<usize>(at + 8),
                _ => return None,
            }
        };
        (len < 1 << 30).then(|| start..start + len)
    }
}

/// How the addresses of a CIE's FDEs are encoded; `None` for signal frames and
/// for augmentations whose shape is unknown.
///
/// # Safety
/// `cie` is the address of a readable CIE.
unsafe fn pointer_encoding(cie: usize) -> Option<u8> {
    // SAFETY: the CIE ends its own strings and numbers.
    unsafe {
        let length: u32 = read(cie);
        if length == u32::MAX || read::<u32>(cie + 4) != 0 {
            return None;
        }
        let augmentation = cie + 9;
        let mut at = augmentation;
        while read::<u8>(at) != 0 {
            if read::<u8>(at) == b'S' {
                return None;
            }
            at += 1;
        }
        at += 1;
        if read::<u8>(augmentation) != b'z' {
            return (read::<u8>(augmentation) == 0).then_some(ABSOLUTE);
        }
        // Code alignment, data alignment, return register, augmentation length.
        let skips = 4;
        for _ in 0..skips {
            while read::<u8>(at) & 0x80 != 0 {
                at += 1;
            }
            at += 1;
        }
        let mut letter = augmentation + 1;
        loop {
            match read::<u8>(letter) {
                b'R' => return Some(read::<u8>(at)),
                b'L' => at += 1,
                b'P' => {
                    at += match read::<u8>(at) & 0x0f {
                        SIGNED_4 | UNSIGNED_4 => 5,
                        SIGNED_8 | UNSIGNED_8 | ABSOLUTE => 9,
                        _ => return None,
                    }
                }
                0 => return Some(ABSOLUTE),
                _ => return None,
            }
            letter += 1;
        }
    }
}
