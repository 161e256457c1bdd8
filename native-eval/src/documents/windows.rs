//! Long documents in windows that overlap, so that all of their tokens are scored.
//!
//! Every token of a document but its first is scored once, as transformers' guide to perplexity does it: a window is
//! `window` tokens long and begins `stride` tokens after the one before; in each but the first only the tokens that no
//! window before it held are scored, with at least `window - stride` tokens before them. The last window ends with
//! the document.

use std::ops::Range;

use bitgauge_core::{Error, ErrorKind, Result};

/// How documents are cut into windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    window: usize,
    stride: usize,
}

/// A part of a document that goes through the model by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Which of the document's tokens.
    pub tokens: Range<usize>,
    /// How many of its predictions were made in the window before, and are not scored again.
    pub context: usize,
}

/// The parts of several documents, in order.
#[derive(Debug, Clone, Default)]
pub struct Pieces {
    /// Token ids of each.
    pub ids: Vec<Vec<u32>>,
    /// How many of its predictions are not scored, of each.
    pub context: Vec<usize>,
    /// The document of each.
    pub owners: Vec<usize>,
}

impl Pieces {
    /// Documents of token ids in windows, or as they are.
    pub fn of(documents: Vec<Vec<u32>>, windows: Option<Windows>) -> Self {
        let Some(windows) = windows else {
            let count = documents.len();
            return Self { ids: documents, context: vec![0; count], owners: (0..count).collect() };
        };
        let mut pieces = Self::default();
        for (owner, ids) in documents.iter().enumerate() {
            for piece in windows.pieces(ids.len()) {
                pieces.ids.push(ids[piece.tokens].to_vec());
                pieces.context.push(piece.context);
                pieces.owners.push(owner);
            }
        }
        pieces
    }
}

impl Windows {
    /// Windows of so many tokens, each begun so many after the one before.
    ///
    /// # Errors
    /// A stride that is not below the window: some tokens would have nothing before them.
    pub fn new(window: usize, stride: usize) -> Result<Self> {
        if stride == 0 || stride >= window {
            return Err(Error::new(ErrorKind::BadValue, "the stride does not fit the window")
                .expected_found(format!("1 to {} tokens", window.saturating_sub(1)), stride));
        }
        Ok(Self { window, stride })
    }

    /// Tokens of a window.
    pub fn window(self) -> usize {
        self.window
    }

    /// Tokens from the beginning of one window to that of the next.
    pub fn stride(self) -> usize {
        self.stride
    }

    /// The pieces of a document of so many tokens, at least one.
    pub fn pieces(self, tokens: usize) -> Vec<Piece> {
        let (mut pieces, mut begin, mut done) = (Vec::new(), 0, 1);
        loop {
            let end = tokens.min(begin + self.window);
            pieces.push(Piece { tokens: begin..end, context: done - 1 - begin });
            if end == tokens {
                return pieces;
            }
            (begin, done) = (begin + self.stride, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens that a piece scores.
    fn scored(piece: &Piece) -> Range<usize> {
        piece.tokens.start + piece.context + 1..piece.tokens.end
    }

    #[test]
    fn every_token_but_the_first_is_scored_once_with_enough_before_it() {
        for (window, stride) in [(2, 1), (5, 1), (5, 2), (5, 4), (8, 4), (512, 256)] {
            let windows = Windows::new(window, stride).unwrap();
            for tokens in 2..40 {
                let pieces = windows.pieces(tokens);
                let all: Vec<usize> = pieces.iter().flat_map(scored).collect();
                assert_eq!(all, (1..tokens).collect::<Vec<_>>(), "{window}, {stride}, {tokens}");
                for piece in &pieces {
                    assert!(piece.tokens.len() <= window);
                    let before = scored(piece).start - piece.tokens.start;
                    assert!(piece.tokens.start == 0 || before >= window - stride, "{piece:?}");
                }
            }
            assert_eq!(windows.pieces(window).len(), 1);
            assert_eq!(windows.pieces(window + 1).len(), 2);
        }
        assert_eq!(Windows::new(4, 2).unwrap().pieces(1), [Piece { tokens: 0..1, context: 0 }]);
        assert_eq!(Windows::new(4, 2).unwrap().pieces(0), [Piece { tokens: 0..0, context: 0 }]);
    }

    #[test]
    fn a_stride_that_leaves_gaps_is_refused() {
        for (window, stride) in [(4, 0), (4, 4), (4, 5), (1, 1), (0, 0)] {
            assert!(Windows::new(window, stride).is_err(), "{window}, {stride}");
        }
    }
}
