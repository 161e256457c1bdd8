//! The block types of ggml: what a GGUF file may store a matrix as.
//!
//! A type is one row of a table: its number in the file, its name, and how many values lie in how many bytes. How the
//! bytes become values is told by [`crate::format`], which the page's judging code does without.

/// Makes the enum and its table from the same rows.
macro_rules! block_types {
    ($($(#[$doc:meta])* $variant:ident $name:literal $id:literal: $values:literal values, $bytes:literal bytes;)*) => {
        /// A block type of ggml, by its name there.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "the names are ggml's")]
        pub enum BlockType {
            $($(#[$doc])* $variant,)*
        }

        /// Every row, in the order of the variants.
        const ROWS: &[Row] = &[
            $(Row {
                block: BlockType::$variant, name: $name, id: $id, values: $values, bytes: $bytes,
            },)*
        ];
    };
}

/// What is known of a type.
struct Row {
    block: BlockType,
    name: &'static str,
    id: u8,
    values: u16,
    bytes: u16,
}

block_types! {
    Q4_0 "Q4_0" 2: 32 values, 18 bytes;
    Q4_1 "Q4_1" 3: 32 values, 20 bytes;
    Q5_0 "Q5_0" 6: 32 values, 22 bytes;
    Q5_1 "Q5_1" 7: 32 values, 24 bytes;
    Q8_0 "Q8_0" 8: 32 values, 34 bytes;
    Q8_1 "Q8_1" 9: 32 values, 36 bytes;
    Q2K "Q2_K" 10: 256 values, 84 bytes;
    Q3K "Q3_K" 11: 256 values, 110 bytes;
    Q4K "Q4_K" 12: 256 values, 144 bytes;
    Q5K "Q5_K" 13: 256 values, 176 bytes;
    Q6K "Q6_K" 14: 256 values, 210 bytes;
    Q8K "Q8_K" 15: 256 values, 292 bytes;
    Iq2Xxs "IQ2_XXS" 16: 256 values, 66 bytes;
    Iq2Xs "IQ2_XS" 17: 256 values, 74 bytes;
    Iq3Xxs "IQ3_XXS" 18: 256 values, 98 bytes;
    Iq1S "IQ1_S" 19: 256 values, 50 bytes;
    Iq4Nl "IQ4_NL" 20: 32 values, 18 bytes;
    Iq3S "IQ3_S" 21: 256 values, 110 bytes;
    Iq2S "IQ2_S" 22: 256 values, 82 bytes;
    Iq4Xs "IQ4_XS" 23: 256 values, 136 bytes;
    Iq1M "IQ1_M" 29: 256 values, 56 bytes;
    Tq1_0 "TQ1_0" 34: 256 values, 54 bytes;
    Tq2_0 "TQ2_0" 35: 256 values, 66 bytes;
    Mxfp4 "MXFP4" 39: 32 values, 17 bytes;
    Nvfp4 "NVFP4" 40: 64 values, 36 bytes;
    Q1_0 "Q1_0" 41: 128 values, 18 bytes;
    Q2_0 "Q2_0" 42: 64 values, 18 bytes;
    /// What PrismML's fork wrote under the number of Q2_0 before ggml had one.
    Q2_0Wide "Q2_0 of 128" 42: 128 values, 34 bytes;
    /// Only in PrismML's fork, like the next: of a rotated basis, so that its values alone are no weights.
    Pq2_0 "PQ2_0" 142: 128 values, 34 bytes;
    Ptq1_0 "PTQ1_0" 143: 128 values, 28 bytes;
}

impl BlockType {
    /// Every type.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.block)
    }

    /// The type of this number in a GGUF file. Where a number has had two meanings, `older` asks for the one before.
    pub(crate) fn of_id(id: u32, older: bool) -> Option<Self> {
        let mut meanings = ROWS.iter().filter(|row| u32::from(row.id) == id).map(|row| row.block);
        let first = meanings.next();
        if older { meanings.next().or(first) } else { first }
    }

    fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    /// Its name in ggml.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Its number in a GGUF file.
    pub fn id(self) -> u32 {
        self.row().id.into()
    }

    /// Values of a block.
    pub fn values(self) -> u64 {
        self.row().values.into()
    }

    /// Bytes of a block.
    pub fn bytes(self) -> u64 {
        self.row().bytes.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_found_by_its_number_and_its_variant() {
        for block in BlockType::all() {
            assert_eq!(block.row().block, block);
            let older = block == BlockType::Q2_0Wide;
            assert_eq!(BlockType::of_id(block.id(), older), Some(block), "{block:?}");
        }
        assert_eq!(BlockType::of_id(14, true), Some(BlockType::Q6K));
        assert_eq!(BlockType::of_id(4, false), None);
    }
}
