//! How much memory the longest headers take, and that the work on them grows no faster than they do: both are counted
//! where memory is asked for, without a clock.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bitgauge_core::container::{Root, Window, fetch_and_open};
use bitgauge_core::contract::Rules;
use bitgauge_core::contract::proxy::inspect as inspect_json;
use bitgauge_core::contract::python::Json;
use bitgauge_core::inspect::report;
use bitgauge_core::inventory::Inventory;
use bitgauge_core::scan::Scan;
use conformance::largest::Shape;

/// Counts what each thread asks for.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { held: 0, peak: 0, asked: 0 }) };
}

/// Bytes.
#[derive(Clone, Copy)]
struct Counts {
    /// Held at this moment.
    held: isize,
    /// Held at most.
    peak: isize,
    /// Asked for in all.
    asked: isize,
}

fn count(more: usize, less: usize) {
    let _ = COUNTS.try_with(|cell| {
        let mut counts = cell.get();
        counts.held += more as isize - less as isize;
        counts.peak = counts.peak.max(counts.held);
        counts.asked += more as isize;
        cell.set(counts);
    });
}

// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promises are the system's allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(old, layout) }
    }
}

/// Bytes that `work` holds at most, and that it asks for in all, beside what is held already.
fn measure(work: impl FnOnce()) -> (f64, f64) {
    let before = COUNTS.get();
    COUNTS.set(Counts { peak: before.held, ..before });
    work();
    let after = COUNTS.get();
    ((after.peak - before.held) as f64, (after.asked - before.asked) as f64)
}

/// From bytes in memory to a report, with all that is read.
fn judge(name: &str, bytes: &[u8]) {
    let mut window = Window::new(vec![(name.to_owned(), bytes.len() as u64)]);
    let opened = fetch_and_open(&mut window, Root::File, |need| {
        Ok(bytes[need.offset as usize..(need.offset + need.len) as usize].to_vec())
    });
    let Ok(artifact) = opened else { return };
    let Ok(inventory) = Inventory::of(&artifact) else { return };
    let mut scan = Scan::new(&inventory);
    scan.begin_file(0).unwrap();
    bytes.chunks(1 << 20).for_each(|piece| scan.push(piece).unwrap());
    let findings = scan.finish().unwrap();
    report(name, &inventory, Rules::Binary, Some(&findings));
}

/// Bytes held at most for each byte of the file, which is not among them.
fn most_held(shape: Shape) -> f64 {
    match shape {
        Shape::ZipMembers => 10.0,
        Shape::ZipNames | Shape::TarMembers | Shape::TarNames => 3.0,
        Shape::Safetensors => 24.0,
        Shape::SafetensorsMetadata | Shape::GgufTokens | Shape::GgufNumbers | Shape::GgufTensors => 10.0,
        _ => 5.0,
    }
}

#[test]
fn the_longest_headers_take_a_bounded_multiple_of_their_bytes() {
    for shape in Shape::ALL {
        let bytes = shape.bytes(shape.most() / 16);
        let (held, asked) = measure(|| match shape.is_json() {
            true => {
                let report = inspect_json("a.json", &bytes, Rules::Binary).unwrap();
                assert!(report.weights.is_empty());
            }
            false => judge(shape.name(), &bytes),
        });
        let [held, asked] = [held, asked].map(|sum| sum / bytes.len() as f64);
        println!("{:<24} {:>11} bytes, {held:>6.2} held, {asked:>7.2} asked for", shape.name(), bytes.len());
        assert!(held <= most_held(shape), "{shape:?}: {held:.2} bytes for each byte");
    }
}

#[test]
fn the_canonical_text_takes_a_bounded_multiple_too() {
    for shape in Shape::ALL.into_iter().filter(|shape| shape.is_json()) {
        let text = String::from_utf8(shape.bytes(shape.most() / 16)).unwrap();
        let (held, asked) = measure(|| {
            struct Nothing;
            impl std::fmt::Write for Nothing {
                fn write_str(&mut self, _: &str) -> std::fmt::Result {
                    Ok(())
                }
            }
            Json::parse(&*text).unwrap().root().write_canonical(&mut Nothing).unwrap();
        });
        let [held, asked] = [held, asked].map(|sum| sum / text.len() as f64);
        println!("{:<24} {:>11} bytes, {held:>6.2} held, {asked:>7.2} asked for", shape.name(), text.len());
        assert!(held <= 6.0, "{shape:?}: {held:.2} bytes for each byte");
    }
}

/// What four times as many members take, over what they take.
fn growth(make: impl Fn(usize) -> Vec<u8>, judge: impl Fn(&[u8])) -> f64 {
    // Enough for every structure to be asked for at once.
    let asked = [2_200, 8_800].map(|count| {
        let bytes = make(count);
        measure(|| judge(&bytes)).1
    });
    asked[1] / asked[0]
}

#[test]
fn work_grows_as_the_members_do() {
    for shape in [Shape::ZipMembers, Shape::ZipNames, Shape::TarMembers, Shape::TarNames, Shape::Safetensors]
    {
        let growth = growth(|count| shape.bytes(count), |bytes| judge(shape.name(), bytes));
        println!("{:<24} {growth:.2} times the memory asked for", shape.name());
        assert!(growth < 6.0, "{shape:?}: {growth:.2} times as much for four times as many");
    }
}

#[test]
fn a_tar_is_walked_through_once_however_far_its_headers_lie_apart() {
    // Each header lies beyond what was read ahead with the one before.
    let make = |count: usize| {
        let small = Shape::TarMembers.bytes(1);
        let header = &small[..512];
        let mut size = header.to_vec();
        size[124..136].copy_from_slice(b"00000300000\0");
        let mut bytes = Vec::new();
        for index in 0..count / 10 {
            let mut block = size.clone();
            block[..8].copy_from_slice(format!("{index:08}").as_bytes());
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            bytes.extend(block);
            bytes.resize(bytes.len() + 0o300_000, 0);
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
        bytes.extend(&small[512..]);
        bytes
    };
    let growth = growth(make, |bytes| judge("a.tar", bytes));
    println!("{growth:.2} times the memory asked for");
    assert!(growth < 6.0, "{growth:.2} times as much for four times as many");
}

#[test]
fn the_folder_of_config_json_is_found_however_deep() {
    let growth = growth(
        |count| vec![0; count],
        |bytes| {
            let folder = "d/".repeat(bytes.len());
            let names: Vec<String> = (0..8).map(|index| format!("{folder}{index}/config.json")).collect();
            let found = bitgauge_core::container::find_model_dir(names.iter().map(String::as_str));
            assert!(found.is_err(), "{found:?}");
        },
    );
    println!("{growth:.2} times the memory asked for");
    assert!(growth < 6.0, "{growth:.2} times as much for four times as deep");
}
