//! What happens when the system gives no more memory: an error and exit status 2 instead of an abort.
//!
//! Rust's own answer is to abort, and in stable Rust only an allocator can give another. Large buffers whose size an
//! input decides are [asked for](bitgauge_eval::memory::ask), and their callers say what did not fit. Everything else,
//! such as the many small requests of libraries, ends the process here. Nothing is lost by it: what is kept on disk is
//! written in steps that may be cut off anywhere.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Cursor, Write};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use bitgauge_eval::memory::is_asking;

/// The exit status of every error.
const STATUS: i32 = 2;

/// What is kept back for the end, in bytes: a thread that begins while the process ends asks the C library for memory,
/// which aborts where it gets none.
const RESERVE_BYTES: usize = 64 << 10;
const RESERVE: Layout = match Layout::from_size_align(RESERVE_BYTES, 16) {
    Ok(layout) => layout,
    Err(_) => unreachable!(),
};

static KEPT: AtomicPtr<u8> = AtomicPtr::new(null_mut());

/// The system's allocator, which ends the process where that has nothing to give to who can't do without.
pub struct EndingAllocator;

impl EndingAllocator {
    /// Keeps some memory back until the process ends for want of it. Called once, at the start.
    pub fn keep_reserve() {
        // SAFETY: the layout is not of zero size.
        KEPT.store(unsafe { System.alloc(RESERVE) }, Ordering::Release);
    }

    fn give_reserve_back() {
        let kept = KEPT.swap(null_mut(), Ordering::AcqRel);
        if !kept.is_null() {
            // SAFETY: it comes from `System` with this layout, and only one thread takes it out.
            unsafe { System.dealloc(kept, RESERVE) };
        }
    }
}

// SAFETY: every call is handed on to `System` as it is, and what `System` gives is returned, if anything is.
unsafe impl GlobalAlloc for EndingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps to the same contract.
        expect_some(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps to the same contract.
        expect_some(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller keeps to the same contract.
        expect_some(unsafe { System.realloc(old, layout, new_size) }, new_size)
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.dealloc(old, layout) }
    }
}

fn expect_some(given: *mut u8, size_bytes: usize) -> *mut u8 {
    if given.is_null() && !is_asking() { end(size_bytes) } else { given }
}

/// Ends the process without asking for memory, and without running what other threads may hold locks of.
#[cold]
fn end(size_bytes: usize) -> ! {
    EndingAllocator::give_reserve_back();
    let mut words = Cursor::new([0; 256]);
    // Neither a cut message nor a closed stderr changes what is to be done.
    let _ = write!(
        words,
        "error: there is not enough memory\n  expected: {size_bytes} bytes more\n  found:    less\n  \
         hint:     ulimit -v and a container's settings are limits\n"
    );
    let length = usize::try_from(words.position()).unwrap_or_default();
    let _ = std::io::stderr().write_all(&words.get_ref()[..length]);
    signal_hook::low_level::exit(STATUS)
}
