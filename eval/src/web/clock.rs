//! The twin of `clock` in a browser.

/// A moment, from which time is measured.
#[derive(Debug, Clone, Copy)]
pub struct Moment(f64);

impl Moment {
    /// This moment.
    pub fn now() -> Self {
        Self(js_sys::Date::now())
    }

    /// Seconds from this moment until another, 0 if that was before.
    pub fn seconds_until(self, later: Self) -> f64 {
        ((later.0 - self.0) / 1e3).max(0.0)
    }

    /// Seconds since this moment.
    pub fn seconds(self) -> f64 {
        self.seconds_until(Self::now())
    }
}
