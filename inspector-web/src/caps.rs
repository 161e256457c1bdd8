//! The caps of `bitgauge_core::limits`, in words: what the page refuses to read, and how much of it.

use bitgauge_core::limits;
use bitgauge_core::report::words::count;

/// One cap on untrusted input, ready to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cap {
    /// What is capped, as the beginning of a table row.
    pub subject: &'static str,
    /// The most that is accepted, with its unit: `64 MiB`, `1,000,000`.
    pub most: String,
}

/// Every cap that the page enforces, in the order in which a file meets them.
#[must_use]
pub fn all() -> Vec<Cap> {
    [
        ("Files in one archive or folder", count(limits::MEMBERS_COUNT)),
        ("Central directory of a zip", bytes(limits::ZIP_DIRECTORY_BYTES)),
        ("Growth of a zip member when inflated", format!("{}×", count(limits::INFLATE_RATIO))),
        ("All members together, unpacked", bytes(limits::UNPACKED_BYTES)),
        ("config.json", bytes(limits::CONFIG_BYTES)),
        ("model.safetensors.index.json", bytes(limits::INDEX_BYTES)),
        ("tokenizer.json", bytes(limits::TOKENIZER_BYTES)),
        ("Header of a safetensors file", bytes(limits::SAFETENSORS_HEADER_BYTES)),
        ("Tensors in one artifact", count(limits::TENSORS_COUNT as u64)),
        ("JSON artifact of a proxy", bytes(limits::PROXY_BYTES)),
    ]
    .into_iter()
    .map(|(subject, most)| Cap { subject, most })
    .collect()
}

/// `amount` bytes exactly, in the largest binary or decimal unit that divides it.
fn bytes(amount: u64) -> String {
    const UNITS: [(u64, &str); 6] = [
        (1 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1_000_000_000, "GB"),
        (1 << 20, "MiB"),
        (1_000_000, "MB"),
        (1 << 10, "KiB"),
    ];
    match UNITS.iter().find(|(size, _)| amount >= *size && amount.is_multiple_of(*size)) {
        Some((size, unit)) => format!("{} {unit}", count(amount / size)),
        None => format!("{} bytes", count(amount)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_exact_in_the_largest_unit_that_fits() {
        let cases = [
            (0, "0 bytes"),
            (1_023, "1,023 bytes"),
            (1_024, "1 KiB"),
            (4 << 20, "4 MiB"),
            ((4 << 20) + 1, "4,194,305 bytes"),
            (100_000_000, "100 MB"),
            (3_000_000_000, "3 GB"),
            (1 << 40, "1 TiB"),
        ];
        for (amount, expected) in cases {
            assert_eq!(bytes(amount), expected);
        }
    }

    #[test]
    fn no_cap_is_named_twice() {
        let mut subjects: Vec<_> = all().into_iter().map(|cap| cap.subject).collect();
        let listed = subjects.len();
        subjects.sort_unstable();
        subjects.dedup();
        assert_eq!(subjects.len(), listed);
    }
}
