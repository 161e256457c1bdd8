//! Packing by the error of outputs.

use bitgauge_core::format::{decode, encode};
use bitgauge_core::{Bitpacked, Dense, Values};

use super::super::{Feedback, Fit, Moments, Settings, quantize_block, row_errors};
use super::dense;

const COLS: usize = 640;
const ROWS: usize = 21;

/// Inputs `[T, COLS]` of a few directions and some noise.
fn inputs() -> Vec<f32> {
    let noise = dense(200, COLS, 3).values.to_f32();
    let directions = dense(6, COLS, 4).values.to_f32();
    let strengths = dense(200, 6, 5).values.to_f32();
    let at = |i: usize| {
        let (t, c) = (i / COLS, i % COLS);
        let common: f32 = (0..6).map(|d| strengths[t * 6 + d] * directions[d * COLS + c]).sum();
        50.0 * common + 0.5 * noise[i]
    };
    (0..200 * COLS).map(at).collect()
}

fn feedback_of(inputs: &[f32]) -> Feedback {
    let mut moments = Moments::new(COLS);
    for (columns, block) in moments.blocks_mut() {
        Moments::add(block, columns, 0, inputs, COLS);
    }
    moments.feedback(0.03).unwrap()
}

fn values(packed: &Bitpacked) -> Vec<f32> {
    let parts = encode(packed);
    let read = decode("w", &packed.layout, &parts.map(Vec::as_slice)).unwrap();
    bitgauge_core::Matrix::Bitpacked(read).to_f32()
}

/// Squared error of the outputs for all inputs.
fn output_error(weights: &[f32], packed: &Bitpacked, inputs: &[f32]) -> f64 {
    let stored = values(packed);
    let rows = weights.chunks(COLS).zip(stored.chunks(COLS));
    let of_row = |(weights, stored): (&[f32], &[f32])| {
        let of_input = |x: &[f32]| {
            let terms = weights.iter().zip(stored).zip(x);
            terms.map(|((w, q), x)| f64::from(w - q) * f64::from(*x)).sum::<f64>().powi(2)
        };
        inputs.chunks(COLS).map(of_input).sum::<f64>()
    };
    rows.map(of_row).sum()
}

fn every_setting() -> impl Iterator<Item = Settings> {
    let all = [(128, 1), (0, 1), (128, 2), (0, 3), (128, 4)];
    all.into_iter().map(|(scale_group, bases)| Settings { scale_group, bases, fit: Fit::LeastSquares })
}

#[test]
fn outputs_err_much_less() {
    let (inputs, matrix) = (inputs(), dense(ROWS, COLS, 9));
    let (weights, feedback) = (matrix.values.to_f32(), feedback_of(&inputs));
    for settings in every_setting() {
        for rescued in [vec![], vec![0, 7, 20], (0..ROWS as u32).collect::<Vec<u32>>()] {
            let by = |feedback| {
                output_error(
                    &weights,
                    &quantize_block(&matrix, 0, &rescued, settings, feedback).unwrap(),
                    &inputs,
                )
            };
            let (plain, carried) = (by(None), by(Some(&feedback)));
            assert!(carried < 0.7 * plain, "{settings:?} {}: {carried} of {plain}", rescued.len());
            // Moments of other inputs are no help.
            let other: Vec<f32> = inputs.chunks(COLS).flat_map(|x| x.iter().rev().copied()).collect();
            assert!(by(Some(&feedback_of(&other))) > carried, "{settings:?}");
        }
    }
}

/// How much of the rows' outputs for some inputs is left in what is stored, by least squares.
fn part_left(weights: &[f32], stored: &[f32], inputs: &[f32]) -> f64 {
    let output = |row: &[f32], x: &[f32]| row.iter().zip(x).map(|(w, x)| f64::from(w * x)).sum::<f64>();
    let (mut both, mut own) = (0.0, 0.0);
    for (weights, stored) in weights.chunks(COLS).zip(stored.chunks(COLS)) {
        for x in inputs.chunks(COLS) {
            let wanted = output(weights, x);
            both += output(stored, x) * wanted;
            own += wanted * wanted;
        }
    }
    both / own
}

#[test]
fn strong_inputs_are_shrunk_like_all_others() {
    let (inputs, matrix) = (inputs(), dense(ROWS, COLS, 9));
    let (weights, feedback) = (matrix.values.to_f32(), feedback_of(&inputs));
    let settings = Settings { scale_group: 0, bases: 1, fit: Fit::LeastSquares };
    let stored = values(&quantize_block(&matrix, 0, &[], settings, Some(&feedback)).unwrap());
    let others = dense(200, COLS, 6).values.to_f32();
    let (strong, all) = (part_left(&weights, &stored, &inputs), part_left(&weights, &stored, &others));
    println!("{strong} {all}");
    assert!((strong / all - 1.0).abs() < 0.15, "{strong} of the outputs for strong inputs, {all} for all");
}

#[test]
fn blocks_of_rows_are_coded_like_the_whole() {
    let (matrix, feedback) = (dense(ROWS, COLS, 9), feedback_of(&inputs()));
    let weights = matrix.values.to_f32();
    for settings in every_setting() {
        let whole = values(&quantize_block(&matrix, 0, &[3, 12], settings, Some(&feedback)).unwrap());
        let part = |rows: std::ops::Range<usize>, rescued: &[u32]| {
            let values = Values::F32(weights[rows.start * COLS..rows.end * COLS].to_vec());
            let block = Dense { rows: rows.len(), cols: COLS, values };
            let mut packed = quantize_block(&block, rows.start, rescued, settings, Some(&feedback)).unwrap();
            packed.rescue_rows.iter_mut().for_each(|row| *row -= rows.start as u32);
            self::values(&packed)
        };
        let parts = [part(0..5, &[3]), part(5..ROWS, &[12])].concat();
        assert!(whole == parts, "{settings:?}");
    }
}

#[test]
fn independent_inputs_change_nothing() {
    let matrix = dense(ROWS, COLS, 9);
    let units: Vec<f32> = (0..COLS * COLS).map(|i| f32::from(u8::from(i / COLS == i % COLS))).collect();
    let settings = Settings { scale_group: 128, bases: 1, fit: Fit::LeastSquares };
    let by = |feedback| quantize_block(&matrix, 0, &[2], settings, feedback).unwrap();
    let (units, related) = (feedback_of(&units), feedback_of(&inputs()));
    assert_eq!(by(Some(&units)), by(None));
    assert_ne!(by(Some(&related)), by(None));
}

#[test]
fn importance_weighs_columns() {
    let matrix = dense(3, COLS, 9);
    let settings = [Settings { scale_group: 128, bases: 2, fit: Fit::LeastSquares }];
    let errors = |importance: Option<&[f32]>| row_errors(&matrix, 0, &settings, importance).unwrap();
    let (plain, doubled) = (errors(None), errors(Some(&[2.0; COLS])));
    for (plain, doubled) in [(&plain.binary[0], &doubled.binary[0]), (&plain.rescue, &doubled.rescue)] {
        for (plain, doubled) in plain.iter().zip(doubled) {
            assert!((2.0 * plain - doubled).abs() < 1e-5 * doubled, "{plain} {doubled}");
        }
    }
    let mut first = [0.0; COLS];
    first[0] = 1.0;
    let first = errors(Some(&first));
    let stored = values(&quantize_block(&matrix, 0, &[], settings[0], None).unwrap());
    let expected = (matrix.values.to_f32()[0] - stored[0]).powi(2);
    assert!((first.binary[0][0] - expected).abs() <= 1e-6 * expected, "{} {expected}", first.binary[0][0]);
}

#[test]
fn moments_of_another_weight_are_refused() {
    let settings = Settings { scale_group: 128, bases: 1, fit: Fit::LeastSquares };
    let error =
        quantize_block(&dense(2, 64, 1), 0, &[], settings, Some(&feedback_of(&inputs()))).unwrap_err();
    assert_eq!(error.kind, bitgauge_core::ErrorKind::WrongShape);
}
