//! Memory that a caller can do without: an allocator that ends the process where there is none lets such a request fail.

use std::cell::Cell;

thread_local! {
    static IS_ASKING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `request`, which knows what to do where there is no memory, as `Vec::try_reserve` does.
pub fn ask<T>(request: impl FnOnce() -> T) -> T {
    IS_ASKING.set(true);
    let answer = request();
    IS_ASKING.set(false);
    answer
}

/// Whether this thread asks for memory that it can do without.
pub fn is_asking() -> bool {
    IS_ASKING.get()
}
