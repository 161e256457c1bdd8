//! Byte pairs: a piece of text becomes tokens, each pair of which that has the lowest rank is merged first.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use bitgauge_core::{Error, ErrorKind, Result};

/// Longest piece in bytes: merging takes 24 bytes of memory for each.
const PIECE_BYTES: usize = 1 << 23;
/// No symbol.
const NONE: u32 = u32::MAX;

/// Vocabulary and merges.
#[derive(Debug, Clone)]
pub(super) struct Pairs {
    /// The tokens, written in the characters that stand for bytes.
    pub vocabulary: HashMap<String, u32>,
    /// Two tokens -> rank and what they become.
    merges: HashMap<(u32, u32), (u32, u32)>,
    /// The token of each byte, if there is one.
    bytes: Vec<Option<u32>>,
    /// Whether a piece that is a token stays one, whatever the merges say.
    pub ignore_merges: bool,
}

/// A token that merging made, in a list in both directions.
struct Symbol {
    /// `NONE` once it is merged into the one before.
    id: u32,
    before: u32,
    after: u32,
}

impl Pairs {
    /// Merges in the order of their ranks; none if a part, or what they become, is no token.
    pub fn new(
        vocabulary: HashMap<String, u32>,
        list: impl Iterator<Item = (String, String)>,
        ignore_merges: bool,
    ) -> Option<Self> {
        let mut merges = HashMap::new();
        for (rank, (mut first, second)) in (0..).zip(list) {
            let pair = (*vocabulary.get(&first)?, *vocabulary.get(&second)?);
            first.push_str(&second);
            merges.insert(pair, (rank, *vocabulary.get(&first)?));
        }
        // `NONE` marks what is merged.
        if vocabulary.values().any(|id| *id == NONE) {
            return None;
        }
        let bytes =
            (0..=u8::MAX).map(|byte| vocabulary.get(character(byte).encode_utf8(&mut [0; 4])).copied());
        Some(Self { bytes: bytes.collect(), merges, ignore_merges, vocabulary })
    }

    /// Adds the tokens of a piece to `ids`. A byte without a token gives none.
    ///
    /// # Errors
    /// A piece of more than 8 MiB.
    pub fn encode(&self, piece: &str, ids: &mut Vec<u32>) -> Result<()> {
        if piece.len() > PIECE_BYTES {
            return Err(Error::new(ErrorKind::TooLarge, "a document can't be tokenized")
                .expected_found(format!("at most {PIECE_BYTES} bytes in a word"), piece.len()));
        }
        if self.ignore_merges {
            let written: String = piece.bytes().map(character).collect();
            if let Some(id) = self.vocabulary.get(&written) {
                ids.push(*id);
                return Ok(());
            }
        }
        let mut symbols: Vec<Symbol> = Vec::with_capacity(piece.len());
        for (at, id) in (0..).zip(piece.bytes().filter_map(|byte| self.bytes[usize::from(byte)])) {
            symbols.push(Symbol { id, before: if at == 0 { NONE } else { at - 1 }, after: at + 1 });
        }
        if let Some(last) = symbols.last_mut() {
            last.after = NONE;
        }
        self.merge(&mut symbols);
        ids.extend(symbols.iter().map(|symbol| symbol.id).filter(|id| *id != NONE));
        Ok(())
    }

    fn merge(&self, symbols: &mut [Symbol]) {
        // (rank, place of the first, what they become), the lowest first.
        let mut queue = BinaryHeap::new();
        let entry = |symbols: &[Symbol], at: u32| {
            let first = symbols.get(at as usize)?;
            let second = symbols.get(first.after as usize)?;
            let (rank, id) = self.merges.get(&(first.id, second.id))?;
            Some(Reverse((*rank, at, *id)))
        };
        queue.extend((0..symbols.len() as u32).filter_map(|at| entry(symbols, at)));
        while let Some(Reverse((_, at, id))) = queue.pop() {
            // One of the two may have become another since.
            let Some(Reverse((_, _, now))) = entry(symbols, at) else { continue };
            if now != id {
                continue;
            }
            let (before, second) = (symbols[at as usize].before, symbols[at as usize].after);
            let after = symbols[second as usize].after;
            symbols[second as usize].id = NONE;
            symbols[at as usize].id = id;
            symbols[at as usize].after = after;
            if let Some(next) = symbols.get_mut(after as usize) {
                next.before = at;
            }
            queue.extend(entry(symbols, before));
            queue.extend(entry(symbols, at));
        }
    }
}

/// The character that stands for a byte in a vocabulary: itself where it shows, else one from U+0100 on.
pub(super) fn character(byte: u8) -> char {
    let shift = match byte {
        b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => return char::from(byte),
        0..=0x20 => 0x100,
        0x7f..=0xa0 => 0x100 + 0x21 - 0x7f,
        0xad => 0x143 - 0xad,
    };
    char::from_u32(u32::from(byte) + shift).unwrap_or(char::REPLACEMENT_CHARACTER)
}
