//! Many threads on one mount, and on one object.
use crate::fixture::*;

struct Shared(Fs, Object);
// SAFETY: all calls may be made concurrently on the same mount and object.
unsafe impl Sync for Shared {}

#[test]
fn threads_share_a_mount_and_an_object() {
    let fs = Fs::new();
    let common = fs.file(ROOT, "common");
    let shared = Shared(fs, common);
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            let shared = &shared;
            scope.spawn(move || {
                let Shared(fs, common) = shared;
                for round in 0..200u64 {
                    let name = format!("t{thread}-{round}");
                    let file = fs.file(ROOT, &name);
                    fs.write(file, name.as_bytes(), 0).unwrap();
                    fs.write(*common, &[thread as u8 + 1], thread * 200 + round)
                        .unwrap();
                    assert_eq!(fs.stat(ROOT, &name).unwrap().st_size, name.len() as i64);
                    fs.release(file);
                    if round % 2 == 0 {
                        fs.remove(ROOT, &name, false).unwrap();
                    }
                }
            });
        }
    });
    let Shared(fs, common) = shared;
    assert_eq!(fs.names(fs.root(), 64).len(), 8 * 100 + 1);
    let bytes = fs.read(common, 2000, 0).unwrap();
    assert!(bytes
        .iter()
        .enumerate()
        .all(|(at, byte)| u64::from(*byte) == at as u64 / 200 + 1));
    assert_eq!(bytes.len(), 1600);
}
