//! Undoes the orders of rows and columns that llama.cpp gives to some weights.

use bitgauge_core::model::{Decoder, LayerPart, Role};
use bitgauge_core::plan::Convention;

/// Where a row or column of a checkpoint's weight lies in the stored one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Order {
    /// At the same place.
    #[default]
    Same,
    /// The channels of a head that turn together lie side by side.
    Turned {
        /// Channels of a head.
        head: usize,
    },
    /// Value heads go by turns of the key heads.
    ByTurns {
        /// What comes before the first value head, in the same order.
        first: usize,
        /// Key heads.
        key_heads: usize,
        /// Value heads of a key head.
        each: usize,
        /// Rows or columns of a value head.
        width: usize,
    },
}

impl Order {
    /// The place in the stored weight of place `at` of the checkpoint's.
    pub(super) fn place(self, at: usize) -> usize {
        match self {
            Self::Same => at,
            Self::Turned { head } => {
                let half = head / 2;
                at / head * head + at % half * 2 + at % head / half
            }
            Self::ByTurns { first, key_heads, each, width } if at >= first => {
                let (head, within) = ((at - first) / width, (at - first) % width);
                first + (head / each + head % each * key_heads) * width + within
            }
            Self::ByTurns { .. } => at,
        }
    }

    /// The orders of the rows and columns of a weight.
    pub(super) fn of(role: Role, decoder: &Decoder, convention: Convention) -> [Self; 2] {
        use LayerPart::{
            BetaProj, Convolution, DecayBias, DecayLog, DecayProj, DeltaOut, KBias, KProj, MixedProj, QBias,
            QProj, ZProj,
        };
        let Role::Layer { part, .. } = role else { return Default::default() };
        if convention != Convention::LlamaCpp {
            return Default::default();
        }
        if decoder.family.defaults().gguf_pairs_channels {
            let is_turned = matches!(part, QProj | QBias | KProj | KBias);
            let turned = Self::Turned { head: decoder.head_dim as usize };
            return [if is_turned { turned } else { Self::Same }, Self::Same];
        }
        let Some(sizes) = decoder.delta_net else { return Default::default() };
        let by_turns = |first: u64, width: u64| Self::ByTurns {
            first: first as usize,
            key_heads: sizes.key_heads as usize,
            each: (sizes.value_heads / sizes.key_heads).max(1) as usize,
            width: width as usize,
        };
        match part {
            MixedProj | Convolution => [by_turns(2 * sizes.key_width(), sizes.value_dim), Self::Same],
            ZProj => [by_turns(0, sizes.value_dim), Self::Same],
            BetaProj | DecayProj | DecayLog | DecayBias => [by_turns(0, 1), Self::Same],
            DeltaOut => [Self::Same, by_turns(0, sizes.value_dim)],
            _ => Default::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_llama_cpp() {
        let turned = Order::Turned { head: 6 };
        assert_eq!(
            (0..12).map(|at| turned.place(at)).collect::<Vec<_>>(),
            [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]
        );
        // Two key heads with three value heads each: place k + 2 j holds head 3 k + j.
        let by_turns = Order::ByTurns { first: 1, key_heads: 2, each: 3, width: 2 };
        let places: Vec<usize> = (0..13).map(|at| by_turns.place(at)).collect();
        assert_eq!(places, [0, 1, 2, 5, 6, 9, 10, 3, 4, 7, 8, 11, 12]);
    }
}
