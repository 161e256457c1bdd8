//! Whether values that are stored otherwise are binary all the same.

/// Columns of a group.
const GROUP_COLUMNS: u64 = 128;

/// How the elements of a tensor lie in its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elements {
    /// Rows of so many elements of so many bytes, at most 4.
    Rows {
        /// Bytes of an element.
        width: u64,
        /// Elements of a row.
        columns: u64,
    },
    /// Four codes a byte.
    Quarters,
}

/// Tells whether each group of 128 neighbours in a row holds plus and minus one number; of elements of one byte, which are
/// codes, at most two values; of quarters the whole tensor at most two.
///
/// Bytes are pushed in order and in pieces of any length. Once there is another value nothing more is looked at.
#[derive(Debug, Clone)]
pub struct TwoValues {
    elements: Elements,
    holds: bool,
    /// Bytes of the row so far.
    position: u64,
    partial: [u8; 4],
    seen: [Option<u32>; 2],
    codes: u8,
}

impl TwoValues {
    /// Nothing was pushed.
    pub fn new(elements: Elements) -> Self {
        Self { elements, holds: true, position: 0, partial: [0; 4], seen: [None; 2], codes: 0 }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.holds {
            return;
        }
        match self.elements {
            Elements::Quarters => {
                let codes = |byte: &u8| (0..4).fold(0, |codes, at| codes | 1 << (byte >> (2 * at) & 3));
                self.codes = bytes.iter().fold(self.codes, |all, byte| all | codes(byte));
                self.holds = self.codes.count_ones() <= 2;
            }
            Elements::Rows { width, columns } => {
                for &byte in bytes {
                    let within = self.position % width;
                    self.partial[within as usize] = byte;
                    if within + 1 == width && !self.take(width, self.position / width) {
                        return;
                    }
                    self.position += 1;
                    if self.position == width * columns {
                        self.position = 0;
                    }
                }
            }
        }
    }

    /// Takes the element of a column.
    fn take(&mut self, width: u64, column: u64) -> bool {
        let value = u32::from_le_bytes(self.partial);
        if column.is_multiple_of(GROUP_COLUMNS) {
            self.seen = [None; 2];
        }
        // Numbers differ in their signs alone.
        let (value, others) = if width > 1 { (value & !(1 << (8 * width - 1)), 1) } else { (value, 2) };
        let known = self.seen.iter_mut().take(others).find(|seen| seen.is_none_or(|seen| seen == value));
        self.holds = known.is_some_and(|seen| {
            *seen = Some(value);
            width == 1 || value != 0
        });
        self.holds
    }

    /// Whether there was no other value.
    pub fn holds(&self) -> bool {
        self.holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(elements: Elements, bytes: &[u8]) -> bool {
        let whole = {
            let mut check = TwoValues::new(elements);
            check.push(bytes);
            check.holds()
        };
        let mut check = TwoValues::new(elements);
        bytes.chunks(3).for_each(|piece| check.push(piece));
        assert_eq!(check.holds(), whole, "in pieces");
        whole
    }

    #[test]
    fn a_third_value_of_a_group_is_noticed() {
        let elements = Elements::Rows { width: 2, columns: 200 };
        // Two rows; each group of 128 and of 72 has a value of its own and its opposite.
        let value = |at: usize| {
            (at / 200 * 2 + at % 200 / 128 + 1) as u16 | if usize::is_multiple_of(at, 3) { 0x8000 } else { 0 }
        };
        let bytes = |change: Option<usize>| -> Vec<u8> {
            let values = (0..400).map(|at| if change == Some(at) { 77 } else { value(at) });
            values.flat_map(u16::to_le_bytes).collect()
        };
        assert!(holds(elements, &bytes(None)));
        for at in [0, 127, 128, 199, 200, 399] {
            assert!(!holds(elements, &bytes(Some(at))), "{at}");
        }
        assert!(
            !holds(Elements::Rows { width: 2, columns: 400 }, &bytes(None)),
            "groups end with their rows"
        );
    }

    #[test]
    fn a_third_code_is_noticed() {
        assert!(holds(Elements::Quarters, &[0b1000_0010, 0b0000_1000, 0]));
        assert!(!holds(Elements::Quarters, &[0b1000_0010, 0b0000_1001, 0]));
    }
}
