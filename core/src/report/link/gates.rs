//! The gates of a link: known ones by their number.

use super::wire::{Reader, Writer};
use crate::report::{Gate, Outcome, Unit};
use crate::{Result, limits};

/// Identifier and title of the gates that version 1 knows, by their number less one. A link is read
/// for ever, so entries are appended and never changed.
const KNOWN: [(&str, &str, Unit); 8] = [
    ("artifact_size", "size under the reference budget", Unit::Bytes),
    ("loadable", "loads as a model", Unit::Files),
    ("tensors", "every weight once", Unit::Tensors),
    ("shapes", "shapes fit config.json", Unit::Tensors),
    ("payload", "codes and scales are valid", Unit::Tensors),
    ("parameter_count", "parameter count", Unit::Parameters),
    ("model_budget", "size under the model's own budget", Unit::Bytes),
    ("non_binary", "non-binary fraction", Unit::Parameters),
];

/// What a gate counted: nothing, a number that follows, or the first or second of the known counts.
const NOTHING: u8 = 0;
const NUMBER: u8 = 1;
const KNOWN_COUNT: u8 = 2;
/// Where the byte of a gate's marks, after two bits for the outcome, says which of these.
const GOT_SHIFT: u8 = 2;
/// Bit of a gate's marks that says that there is a limit.
const HAS_WANTED: u8 = 16;

pub(super) fn write(out: &mut Writer, gates: &[Gate], counts: &[Option<u64>; 2]) {
    let gates = &gates[..gates.len().min(limits::LINK_GATES_COUNT as usize)];
    let in_order = gates.iter().enumerate().all(|(i, gate)| number(gate) == Some(i));
    out.number((gates.len() as u64) << 1 | u64::from(in_order));
    for gate in gates {
        if !in_order {
            write_name(out, gate);
        }
        let known = counts.iter().position(|count| count.is_some() && *count == gate.got);
        let got = match (gate.got, known) {
            (None, _) => NOTHING,
            (_, Some(index)) => KNOWN_COUNT + index as u8,
            _ => NUMBER,
        };
        let limited = if gate.wanted.is_some() { HAS_WANTED } else { 0 };
        out.byte(gate.outcome as u8 | got << GOT_SHIFT | limited);
        let spelled = gate.got.filter(|_| got == NUMBER);
        spelled.into_iter().chain(gate.wanted).for_each(|number| out.number(number));
    }
}

/// Number of a gate in the table of known ones.
fn number(gate: &Gate) -> Option<usize> {
    KNOWN.iter().position(|known| *known == (&*gate.id, &*gate.title, gate.unit))
}

/// A known gate's number, counted from 1, or 0 and its own identifier, title and unit.
fn write_name(out: &mut Writer, gate: &Gate) {
    let number = number(gate);
    out.byte(number.map_or(0, |index| index as u8 + 1));
    if number.is_none() {
        out.text(&gate.id);
        out.text(&gate.title);
        out.byte(gate.unit as u8);
    }
}

pub(super) fn read(from: &mut Reader, counts: &[Option<u64>; 2]) -> Result<Vec<Gate>> {
    let number = from.number()?;
    let (count, in_order) = (number >> 1, number & 1 == 1);
    if count > limits::LINK_GATES_COUNT {
        return Err(from.fault("too many gates", format!("at most {}", limits::LINK_GATES_COUNT), count));
    }
    let gate = |i: u64| {
        // At most 64.
        let number = if in_order { i as u8 + 1 } else { from.byte()? };
        read_gate(from, number, counts)
    };
    (0..count).map(gate).collect()
}

fn read_gate(from: &mut Reader, number: u8, counts: &[Option<u64>; 2]) -> Result<Gate> {
    let (id, title, unit) = match number {
        0 => {
            let (id, title) = (from.text()?, from.text()?);
            let unit = from.byte()?;
            (id.into(), title.into(), from.entry(&Unit::ALL, unit, "a unit")?)
        }
        _ => {
            let (id, title, unit) = from.entry(&KNOWN, number - 1, "a gate")?;
            (id.into(), title.into(), unit)
        }
    };
    let marks = from.byte()?;
    if marks >= 2 * HAS_WANTED {
        return Err(from.fault("a gate's marks are not known", "bits 0 to 4", marks));
    }
    let outcome = from.entry(&Outcome::ALL, marks & 3, "an outcome")?;
    let got = match marks >> GOT_SHIFT & 3 {
        NOTHING => None,
        NUMBER => Some(from.number()?),
        known => counts[usize::from(known - KNOWN_COUNT)],
    };
    let wanted = if marks & HAS_WANTED != 0 { Some(from.number()?) } else { None };
    let margin =
        got.zip(wanted).and_then(|(got, wanted)| i64::try_from(i128::from(wanted) - i128::from(got)).ok());
    let over = got.zip(wanted).is_some_and(|(got, wanted)| got > wanted);
    if over && outcome == Outcome::Pass {
        return Err(from.fault("a gate passes that is over its limit", "a count within the limit", "more"));
    }
    let (rule, details, hint) = (String::new(), Vec::new(), None);
    Ok(Gate { id, title, outcome, got, wanted, margin, unit, rule, details, hint })
}
