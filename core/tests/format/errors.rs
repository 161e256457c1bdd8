//! One malformed input per error, with the place, the offset and both sides of the comparison.

use bitgauge_core::container::TensorEntry;
use bitgauge_core::format::{
    Form, Layout, Part, Parts, PayloadCheck, decode, decode_dense, decode_values, group,
};
use bitgauge_core::model::QuantConfig;
use bitgauge_core::{Dtype, Error, ErrorKind};

use crate::sample::{entries, small};

const CONFIG: QuantConfig = QuantConfig { scale_group: 128 };
const SHAPE: [u64; 2] = [7, 133];

/// Changes the stored bytes of one part of the small weight and reads it, whole and then streamed
/// byte by byte: both ways must give the same error.
fn fault(part: Part, change: impl Fn(&mut Vec<u8>)) -> Error {
    let (_, layout, mut bytes) = small();
    change(&mut bytes[part]);
    let error = decode("w.weight", &layout, &bytes.map(Vec::as_slice)).unwrap_err();
    let mut check = PayloadCheck::new(format!("w.weight.{}", part.suffix()), part, &layout);
    let streamed = bytes[part].chunks(1).try_for_each(|byte| check.push(byte));
    assert_eq!(streamed.and_then(|()| check.finish()).as_ref(), Err(&error));
    assert_eq!(error.place, format!("w.weight.{}", part.suffix()));
    assert!(!error.expected.is_empty() && !error.found.is_empty(), "{error}");
    error
}

fn assert_value(error: &Error, what: &str, offset: u64) {
    assert_eq!((error.kind, error.offset), (ErrorKind::BadValue, Some(offset)), "{error}");
    assert!(error.what.contains(what), "{error}");
}

#[test]
fn padding_must_be_zero() {
    // K = 133: 20 bytes a row, column 132 is bit 4 of byte 16. Row 1 of plane 0 starts at byte 20.
    assert_value(&fault(Part::Sign, |b| b[36] |= 0x20), "padding bit", 36);
    assert_value(&fault(Part::Sign, |b| b[39] |= 0x80), "padding bit", 39);
    // 67 bytes of codes a row; the last holds one code.
    assert_value(&fault(Part::RescueCode, |b| b[133] |= 0x10), "padding nibble", 133);
}

#[test]
fn codes_stop_at_minus_seven() {
    assert_value(&fault(Part::RescueCode, |b| b[70] = b[70] & 0xf0 | 8), "-8", 70);
    assert_value(&fault(Part::RescueCode, |b| b[71] = b[71] & 0x0f | 0x80), "-8", 71);
}

/// Pushes a part's bytes in pieces that end at these places.
fn pushed(part: Part, cuts: &[usize], change: impl Fn(&mut Vec<u8>)) -> Result<(), Error> {
    let (_, layout, mut bytes) = small();
    change(&mut bytes[part]);
    let mut check = PayloadCheck::new("w", part, &layout);
    let ends = cuts.iter().copied().chain([bytes[part].len()]);
    let mut start = 0;
    ends.into_iter().try_for_each(|end| {
        check.push(&bytes[part][start..end])?;
        start = end;
        Ok(())
    })?;
    check.finish().map(|_| ())
}

#[test]
fn a_row_that_begins_in_another_piece_is_checked_to_its_end() {
    // 67 bytes of codes a row; the first piece ends within a row.
    for cut in [1, 10, 66, 68, 100] {
        for at in [66, 133] {
            let error = pushed(Part::RescueCode, &[cut], |b| b[at] |= 0x10).unwrap_err();
            assert_value(&error, "padding nibble", at as u64);
        }
        assert_eq!(pushed(Part::RescueCode, &[cut], |_| ()), Ok(()));
    }
    // More bytes than the part has, in the second piece.
    let longer = |b: &mut Vec<u8>| b.push(0);
    assert!(pushed(Part::RescueCode, &[10], longer).is_err() && pushed(Part::Sign, &[10], longer).is_err());
}

#[test]
fn two_faults_do_not_cancel() {
    // At the same place of two words of sixteen codes.
    let twice = |b: &mut Vec<u8>| [0, 8].iter().for_each(|&at| b[at] = b[at] & 0xf0 | 8);
    assert_value(&pushed(Part::RescueCode, &[], twice).unwrap_err(), "-8", 0);
}

#[test]
fn scales_are_finite_and_positive() {
    let cases = [("0", 0x0000u16), ("-0", 0x8000), ("-1", 0xbc00), ("inf", 0x7c00), ("NaN", 0x7e00)];
    for (name, bits) in cases {
        for part in [Part::Scale, Part::RescueScale] {
            let error = fault(part, |b| b[6..8].copy_from_slice(&bits.to_le_bytes()));
            assert_value(&error, "scale", 6);
            assert!(error.found.contains(&format!("{bits:#06x}")), "{name}: {error}");
        }
    }
}

#[test]
fn rescue_rows_increase_and_exist() {
    let set =
        |i: usize, row: u32| move |b: &mut Vec<u8>| b[4 * i..4 * i + 4].copy_from_slice(&row.to_le_bytes());
    assert_value(&fault(Part::RescueRows, set(2, 7)), "out of range", 8);
    assert_value(&fault(Part::RescueRows, set(1, 0)), "do not increase", 4);
    assert_value(&fault(Part::RescueRows, set(0, 6)), "do not increase", 4);
}

#[test]
fn lengths_must_fit() {
    for part in Part::ALL {
        for error in [fault(part, |b| b.truncate(b.len() - 1)), fault(part, |b| b.push(0))] {
            assert_eq!(error.kind, ErrorKind::WrongShape, "{error}");
            assert!(error.what.contains("length"), "{error}");
        }
    }
}

/// Changes the list of tensors of the small weight and derives its layout.
fn layout_fault(change: impl Fn(&mut Vec<TensorEntry>)) -> Error {
    let mut tensors = entries("w.weight", &small().1);
    change(&mut tensors);
    let grouping = group(&tensors, Some(&CONFIG));
    let Form::Bitpacked { parts } = &grouping.weights[0].form else { panic!("not packed") };
    Layout::derive(&tensors, parts, &CONFIG, SHAPE).unwrap_err()
}

fn assert_layout(error: &Error, kind: ErrorKind, what: &str, place: &str) {
    assert_eq!((error.kind, error.place.as_str()), (kind, place), "{error}");
    assert!(error.what.contains(what), "{error}");
    assert!(!error.expected.is_empty() && !error.found.is_empty(), "{error}");
}

// Positions in the list of all five parts.
const SIGN: usize = 0;
const SCALE: usize = 1;
const ROWS: usize = 2;
const CODE: usize = 3;
const RESCUE_SCALE: usize = 4;

#[test]
fn data_types() {
    for i in [SIGN, SCALE, ROWS, CODE, RESCUE_SCALE] {
        let error = layout_fault(|tensors| tensors[i].dtype = Dtype::BF16);
        let place = format!("w.weight.{}", Part::ALL[i].suffix());
        assert_layout(&error, ErrorKind::WrongDtype, "data type", &place);
    }
}

#[test]
fn shapes() {
    use ErrorKind::WrongShape;
    let shape = |i: usize, shape: &'static [u64]| {
        move |tensors: &mut Vec<TensorEntry>| tensors[i].shape = shape.to_vec()
    };
    let error = layout_fault(shape(SIGN, &[2, 4, 16]));
    assert_layout(&error, WrongShape, "wrong shape", "w.weight.sign");
    let error = layout_fault(shape(SIGN, &[2, 5, 20]));
    assert_layout(&error, WrongShape, "wrong shape", "w.weight.sign");
    let error = layout_fault(shape(SIGN, &[5, 4, 20]));
    assert_layout(&error, WrongShape, "bases B", "w.weight.sign");
    let error = layout_fault(shape(SIGN, &[]));
    assert_layout(&error, WrongShape, "bases B", "w.weight.sign");
    let error = layout_fault(shape(SCALE, &[2, 4, 1]));
    assert_layout(&error, WrongShape, "wrong shape", "w.weight.scale");
    let error = layout_fault(shape(SCALE, &[1, 4, 2]));
    assert_layout(&error, WrongShape, "disagree", "w.weight.scale");
    let error = layout_fault(shape(CODE, &[2, 67]));
    assert_layout(&error, WrongShape, "disagree", "w.weight.rescue_code");
    let error = layout_fault(shape(CODE, &[3, 66]));
    assert_layout(&error, WrongShape, "wrong shape", "w.weight.rescue_code");
    let error = layout_fault(shape(RESCUE_SCALE, &[4, 2]));
    assert_layout(&error, WrongShape, "disagree", "w.weight.rescue_scale");
    for rows in [&[8][..], &[0], &[3, 1], &[u64::MAX]] {
        let error = layout_fault(shape(ROWS, rows));
        assert_layout(&error, WrongShape, "list of rescue rows", "w.weight.rescue_rows");
    }
}

#[test]
fn parts_that_are_missing_or_too_many() {
    let missing = |i: usize| layout_fault(move |tensors| drop(tensors.remove(i)));
    for (i, suffix) in [(SIGN, "sign"), (SCALE, "scale"), (CODE, "rescue_code")] {
        let error = missing(i);
        assert_layout(&error, ErrorKind::Missing, "missing", "w.weight");
        assert!(error.expected.ends_with(suffix), "{error}");
    }
    // Without the list of rows nothing says that there are rescue rows.
    let error = missing(ROWS);
    assert_layout(&error, ErrorKind::WrongShape, "should not be there", "w.weight.rescue_code");
    // All rows rescued: no sign planes.
    let error = layout_fault(|tensors| tensors[ROWS].shape = vec![7]);
    assert_layout(&error, ErrorKind::WrongShape, "should not be there", "w.weight.sign");
}

#[test]
fn sizes_over_a_cap() {
    let kind =
        |rows, cols, bases, rescued, group| Layout::new(rows, cols, bases, rescued, group).unwrap_err().kind;
    assert_eq!(kind(u64::MAX, 5, 1, 0, 128), ErrorKind::WrongShape);
    assert_eq!(kind(5, 0, 1, 0, 128), ErrorKind::WrongShape);
    assert_eq!(kind(5, 5, 1, 6, 128), ErrorKind::WrongShape);
    assert_eq!(kind(5, 5, 0, 4, 128), ErrorKind::WrongShape);
    assert_eq!(kind(5, 5, 1, 5, 128), ErrorKind::WrongShape);
    assert_eq!(kind(5, 5, 1, 0, u64::MAX), ErrorKind::TooLarge);
}

#[test]
fn dense_weights() {
    let kind = |dtype, shape, bytes: &[u8]| decode_dense("w", dtype, shape, bytes).unwrap_err().kind;
    assert_eq!(kind(Dtype::F64, [1, 1], &[1; 8]), ErrorKind::WrongDtype);
    assert_eq!(kind(Dtype::F16, [2, 2], &[1; 6]), ErrorKind::WrongShape);
    assert_eq!(kind(Dtype::F16, [u64::MAX, u64::MAX], &[1; 6]), ErrorKind::WrongShape);
    assert_eq!(kind(Dtype::F32, [1, 1], &[1; 5]), ErrorKind::Truncated);
    assert_eq!(decode_values("w", Dtype::I8, &[1]).unwrap_err().place, "w");
}

#[test]
fn a_part_that_does_not_belong_is_refused() {
    let (_, layout, bytes) = small();
    let mut parts: Parts<&[u8]> = bytes.map(Vec::as_slice);
    parts[Part::Sign] = &[];
    assert_eq!(decode("w", &layout, &parts).unwrap_err().kind, ErrorKind::WrongShape);
}
