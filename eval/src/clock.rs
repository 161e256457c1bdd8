//! The time that something takes.

use std::time::Instant;

/// A moment, from which time is measured.
#[derive(Debug, Clone, Copy)]
pub struct Moment(Instant);

impl Moment {
    /// This moment.
    pub fn now() -> Self {
        Self(Instant::now())
    }

    /// Seconds from this moment until another, 0 if that was before.
    pub fn seconds_until(self, later: Self) -> f64 {
        (later.0 - self.0).as_secs_f64()
    }

    /// Seconds since this moment.
    pub fn seconds(self) -> f64 {
        self.seconds_until(Self::now())
    }
}
