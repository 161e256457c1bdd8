//! The worked example of FORMAT.md is what the packer writes and `format` reads, byte for byte.

use bitgauge_core::format::{Bits, Layout, Parts, decode, encode};
use bitgauge_core::{Dense, Matrix, Values};

use super::super::{Fit, Settings, choose_rescue_rows, row_errors};
use super::quantize;

const FORMAT: &str = include_str!("../../../../../FORMAT.md");
const SETTINGS: Settings = Settings { scale_group: 128, bases: 1, fit: Fit::Mean };

/// The lines of one section of the example: those after `title` up to the next blank line.
fn section(title: &str) -> Vec<&'static str> {
    let example = FORMAT.split_once("```text\n").and_then(|(_, rest)| rest.split_once("```")).unwrap().0;
    let lines = example.lines().skip_while(|line| *line != title).skip(1);
    let lines: Vec<&str> = lines.take_while(|line| !line.is_empty()).map(str::trim).collect();
    assert!(!lines.is_empty(), "no section {title}");
    lines
}

fn numbers(title: &str) -> Vec<f32> {
    section(title).iter().flat_map(|line| line.split_whitespace()).map(|n| n.parse().unwrap()).collect()
}

/// `w.weight.sign  U8  [1, 2, 4]  15 00 ...` -> name, type, shape, bytes.
fn tensor(line: &str) -> (String, String, Vec<u64>, Vec<u8>) {
    let (head, bytes) = line.split_once(']').unwrap();
    let (head, shape) = head.split_once('[').unwrap();
    let mut head = head.split_whitespace().map(str::to_owned);
    let shape = shape.split(", ").map(|n| n.parse().unwrap()).collect();
    let bytes = bytes.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    (head.next().unwrap(), head.next().unwrap(), shape, bytes)
}

fn example() -> Dense {
    Dense { rows: 3, cols: 5, values: Values::F32(numbers("weights")) }
}

#[test]
fn the_packer_writes_the_example() {
    let errors = row_errors(&example(), 0, &[SETTINGS], None).unwrap();
    let rescue_rows = choose_rescue_rows(&errors.binary[0], &errors.rescue, 0.34).unwrap();
    let packed = quantize(&example(), &rescue_rows, SETTINGS).unwrap();
    let layout = packed.layout;
    let written: Vec<_> = encode(&packed)
        .iter()
        .map(|(part, bytes)| {
            let name = format!("w.weight.{}", part.suffix());
            (name, part.dtype().name().to_owned(), layout.shape(part), bytes.clone())
        })
        .collect();
    let shown: Vec<_> = section("tensors").into_iter().map(tensor).collect();
    assert_eq!(written, shown);

    // The comparison can fail: another weight gives other bytes.
    let mut other = example();
    let Values::F32(values) = &mut other.values else { panic!() };
    values[14] = -values[14];
    let other = encode(&quantize(&other, &rescue_rows, SETTINGS).unwrap());
    assert!(other.iter().zip(&shown).any(|((_, bytes), shown)| *bytes != shown.3));
}

#[test]
fn the_reader_reads_the_example() {
    let bytes: Vec<Vec<u8>> = section("tensors").into_iter().map(|line| tensor(line).3).collect();
    let parts: Parts<&[u8]> = Parts::new(std::array::from_fn(|i| bytes[i].as_slice()));
    let layout = Layout::new(3, 5, 1, 1, 128).unwrap();
    let packed = decode("w.weight", &layout, &parts).unwrap();
    assert_eq!(Matrix::Bitpacked(packed).to_f32(), numbers("values"));
}

#[test]
fn the_example_accounts_for_its_bits() {
    let counts = section("bits").concat();
    let counts: Vec<u64> =
        counts.split(", ").map(|item| item.split_once(' ').unwrap().0.parse().unwrap()).collect();
    let bits = Layout::new(3, 5, 1, 1, 128).unwrap().bits();
    let Bits { sign, sign_padding, scale, code, code_padding, rescue_scale, row_numbers } = bits;
    assert_eq!(counts, [sign, sign_padding, scale, code, code_padding, rescue_scale, row_numbers]);
    assert_eq!(bits.total(), 8 * 21);
}
