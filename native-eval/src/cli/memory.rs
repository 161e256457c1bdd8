//! What happens when the system gives no more memory: a message and exit status 2 instead of an abort.
//!
//! Rust's own answer is to abort, and stable Rust has no other hook than the allocator itself. Buffers that an input
//! sizes are compared with their caps before they are asked for; this is for what is within its cap and still too much,
//! and for the many small requests of libraries. Nothing is lost by it: what is kept on disk is written in steps that
//! can be cut off anywhere.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Cursor, Write};

use super::Exit;

/// The system's allocator, which ends the process where that has nothing to give.
struct Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

// SAFETY: every call is handed on to `System` as it is, and what `System` gives is returned unless it is null, in which
// case nothing is returned.
unsafe impl GlobalAlloc for Allocator {
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
    if given.is_null() { end(size_bytes) } else { given }
}

/// Ends the process without asking for memory, and without running what other threads may hold locks of.
#[cold]
fn end(size_bytes: usize) -> ! {
    let mut words = Cursor::new([0; 256]);
    // Neither a cut message nor a closed stderr changes what is to be done.
    let _ = write!(
        words,
        "error: there is not enough memory\n  expected: {size_bytes} bytes more\n  found:    less\n  \
         hint:     ulimit -v and a container's settings are limits\n"
    );
    let length = usize::try_from(words.position()).unwrap_or_default();
    let _ = std::io::stderr().write_all(&words.get_ref()[..length]);
    signal_hook::low_level::exit(Exit::Fault as i32)
}
