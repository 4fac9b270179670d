//! Which bytes around a `syscall` may become a jump. A window is a run of whole
//! instructions of at least five bytes that nobody enters but at its head, and
//! that mean the same wherever they stand (a rip-relative address is corrected).

use super::flow::{Function, Unreadable, Value, RAX};
use super::funnel::is_cancellation_funnel;
use super::near::{self, Finding};
use crate::module::Module;
use crate::sites::{Kind, Refusal, Scan, Site};

/// A `jmp rel32`.
pub const JUMP: usize = 5;

/// Finds the sites of `module` whose number is wanted, or dynamic.
pub fn scan(module: &Module, scan: &mut Scan<'_>) {
    let mut function = Function::default();
    // `syscall` takes its number from the caller; it is known by name.
    let by_name = module.symbol(c"syscall");
    for text in &module.text {
        let Some(code) = module.code(text.clone()) else {
            continue;
        };
        let mut current = 0..0;
        // Whether `function` is that of `current`, and what reading it said.
        let mut readable = None;
        search(code, &mut |offset| {
            let address = text.start + offset;
            scan.census.seen += 1;
            if obviously_unwanted(code, offset, scan) {
                return;
            }
            if !current.contains(&address) {
                let Some(range) = module.function(address) else {
                    let nr = number_before(code, offset);
                    scan.refuse(module, address, nr, Refusal::NoFunction);
                    return;
                };
                current = range;
                readable = None;
            }
            let Some(body) = module.code(current.clone()) else {
                scan.refuse(module, address, None, Refusal::Undecodable);
                return;
            };
            match near::look(body, address - current.start) {
                Finding::Nothing => {
                    scan.census.seen -= 1;
                    return;
                }
                Finding::Call(nr, _) if !(scan.wanted)(nr) => {
                    scan.census.unwanted += 1;
                    return;
                }
                Finding::Call(nr, Some(window)) => {
                    let site = near_site(module, current.start, address, nr, &window, body);
                    match site {
                        Some(site) if !overlaps(scan.found.last(), &site) => scan.found.push(site),
                        _ => scan.refuse(module, address, Some(nr), Refusal::NoWindow),
                    }
                    return;
                }
                Finding::Call(_, None) | Finding::Unknown => (),
            }
            let readable = *readable.get_or_insert_with(|| function.read(current.start, body));
            let site = match readable {
                Ok(()) => examine(
                    module,
                    &mut function,
                    address,
                    by_name == Some(current.start),
                    scan,
                ),
                Err(Unreadable::Instruction) => Err((None, Refusal::Undecodable)),
                Err(Unreadable::Branch) => Err((None, Refusal::OddBranch)),
            };
            match site {
                Ok(Some(site)) if overlaps(scan.found.last(), &site) => {
                    scan.refuse(module, address, site.nr, Refusal::NoWindow);
                }
                Ok(Some(site)) => scan.found.push(site),
                Ok(None) => (),
                Err((nr, why)) => scan.refuse(module, address, nr, why),
            }
        });
    }
}

/// Whether the window of `site` begins inside that of the site before it.
fn overlaps(previous: Option<&Site>, site: &Site) -> bool {
    let inside = |p: &Site| (p.addr..p.addr + p.window().len()).contains(&site.addr);
    previous.is_some_and(inside)
}

/// A cheap look before anything is decoded: most sites have their number
/// in the five bytes before them. A wrong guess can only skip a site whose bytes
/// happen to look like that; decoding would not have proven it either.
fn obviously_unwanted(code: &[u8], offset: usize, scan: &mut Scan<'_>) -> bool {
    let number = number_before(code, offset);
    let unwanted = number.is_some_and(|nr| !(scan.wanted)(nr));
    scan.census.unwanted += usize::from(unwanted);
    unwanted
}

/// The number of a `mov $number,%eax` that seems to stand right before the call.
fn number_before(code: &[u8], offset: usize) -> Option<u32> {
    match code[offset.checked_sub(JUMP)?..offset].first_chunk() {
        Some(&[0xb8, a, b, 0, 0]) => Some(u32::from(u16::from_le_bytes([a, b]))),
        _ => None,
    }
}

/// The site of a call at `address` with a proven window in the function `body` at `start`.
fn near_site(
    module: &Module,
    start: usize,
    address: usize,
    nr: u32,
    window: &near::Window,
    body: &[u8],
) -> Option<Site> {
    let bytes = &body[window.start..address - start];
    let mut original = [0; Site::LONGEST];
    original.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(Site {
        module: module.id,
        addr: start + window.start,
        window_len: bytes.len() as u8,
        insns: window.count as u8,
        syscall: address,
        nr: Some(nr),
        kind: if window.mov { Kind::Mov } else { Kind::Before },
        original,
    })
}

/// Calls `found` with the offset of each `0f 05`, in order.
fn search(code: &[u8], found: &mut dyn FnMut(usize)) {
    use core::arch::x86_64::*;
    const STEP: usize = 64;
    // SAFETY: SSE2 is part of x86-64; the caller has seventeen bytes at `at`.
    let pairs = |at: usize| unsafe {
        let here = code.as_ptr().add(at);
        let first = _mm_cmpeq_epi8(_mm_loadu_si128(here.cast()), _mm_set1_epi8(0x0f));
        let second = _mm_cmpeq_epi8(_mm_loadu_si128(here.add(1).cast()), _mm_set1_epi8(0x05));
        _mm_and_si128(first, second)
    };
    let mut at = 0;
    while at + STEP < code.len() {
        let hits = [pairs(at), pairs(at + 16), pairs(at + 32), pairs(at + 48)];
        // SAFETY: as above.
        let any = unsafe {
            let any = _mm_or_si128(
                _mm_or_si128(hits[0], hits[1]),
                _mm_or_si128(hits[2], hits[3]),
            );
            _mm_movemask_epi8(any)
        };
        if any != 0 {
            for (part, &hits) in hits.iter().enumerate() {
                // SAFETY: as above.
                let mut hits = unsafe { _mm_movemask_epi8(hits) } as u32;
                while hits != 0 {
                    found(at + 16 * part + hits.trailing_zeros() as usize);
                    hits &= hits - 1;
                }
            }
        }
        at += STEP;
    }
    for (offset, pair) in code[at..].windows(2).enumerate() {
        if pair == [0x0f, 0x05] {
            found(at + offset);
        }
    }
}

/// One site of a readable function. `Ok(None)`: no site of ours.
fn examine(
    module: &Module,
    function: &mut Function,
    address: usize,
    by_name: bool,
    scan: &mut Scan<'_>,
) -> Result<Option<Site>, (Option<u32>, Refusal)> {
    let Some(index) = function.at(address) else {
        // The two bytes stand inside another instruction.
        scan.census.seen -= 1;
        return Ok(None);
    };
    let nr = match function.value(RAX, index) {
        Value::Constant(nr) if !(scan.wanted)(nr) => {
            scan.census.unwanted += 1;
            return Ok(None);
        }
        Value::Constant(nr) => Some(nr),
        Value::Unknown if by_name || is_cancellation_funnel(module, function, index) => None,
        Value::Unknown => return Err((None, Refusal::UnknownNumber)),
    };
    let window = before(function, index)
        .or_else(|| after(function, index))
        .ok_or((nr, Refusal::NoWindow))?;
    let start = function.address(window.first);
    let last = window.first + window.count - 1;
    let end = function.address(last) + usize::from(function.insn(last).map_or(0, |i| i.len));
    let kind = match window.kind {
        Kind::After => Kind::After,
        _ if nr.is_none() => Kind::Dynamic,
        kind => kind,
    };
    let mut original = [0; Site::LONGEST];
    let len = end - start;
    let code = module.code(start..end).ok_or((nr, Refusal::NoWindow))?;
    original
        .get_mut(..len)
        .ok_or((nr, Refusal::NoWindow))?
        .copy_from_slice(code);
    Ok(Some(Site {
        module: module.id,
        addr: start,
        window_len: len as u8,
        insns: window.count as u8,
        syscall: address,
        nr,
        kind,
        original,
    }))
}

struct Window {
    kind: Kind,
    first: usize,
    count: usize,
}

/// The last instructions before the call that make room for a jump. Nobody may
/// enter behind the head, the call itself included: it would not be seen.
fn before(function: &Function, site: usize) -> Option<Window> {
    let end = function.address(site);
    let mut first = site;
    while end - function.address(first) < JUMP {
        first = first.checked_sub(1)?;
        if !function.insn(first)?.is_straight() {
            return None;
        }
    }
    let start = function.address(first);
    let count = site - first;
    let mov = count == 1 && function.insn(first)?.opcode == 0xb8 && end - start == JUMP;
    let closed =
        !function.is_entered(start + 1, end + 1) && (count == 1 || !function.has_unknown_targets());
    closed.then_some(Window {
        kind: if mov { Kind::Mov } else { Kind::Before },
        first,
        count,
    })
}

/// The call itself and what follows it.
fn after(function: &Function, site: usize) -> Option<Window> {
    let start = function.address(site);
    let mut last = site;
    let mut end = start + 2;
    while end - start < JUMP {
        last += 1;
        let insn = function.insn(last)?;
        if !insn.is_straight() {
            return None;
        }
        end += usize::from(insn.len);
    }
    let closed = !function.is_entered(start + 1, end) && !function.has_unknown_targets();
    closed.then_some(Window {
        kind: Kind::After,
        first: site,
        count: last - site + 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_neighbourhood_proves_decoding_proves() {
        for module in Module::of_process() {
            let mut wanted = Scan {
                wanted: &|_| true,
                found: Vec::new(),
                census: Default::default(),
            };
            let mut function = Function::default();
            let mut proven = 0;
            for site in crate::sites::scan(&module, &|_| true) {
                let range = module.function(site.syscall).unwrap();
                let code = module.code(range.clone()).unwrap();
                let found = near::look(code, site.syscall - range.start);
                if !matches!(found, Finding::Call(_, Some(_))) {
                    continue;
                }
                proven += 1;
                function.read(range.start, code).unwrap();
                let same = examine(&module, &mut function, site.syscall, false, &mut wanted);
                let same = same.unwrap().unwrap();
                assert_eq!((same.addr, same.window()), (site.addr, site.window()));
                assert_eq!(
                    (same.nr, same.kind, same.insns),
                    (site.nr, site.kind, site.insns)
                );
            }
            assert!(proven > 20);
        }
    }

    #[test]
    fn the_search_finds_pairs_at_every_offset() {
        for len in 2..200 {
            for at in 0..len - 1 {
                let mut code = vec![0x0fu8; len];
                code[at + 1] = 0x05;
                let mut seen = Vec::new();
                search(&code, &mut |offset| seen.push(offset));
                assert_eq!(seen, [at]);
            }
        }
    }
}
