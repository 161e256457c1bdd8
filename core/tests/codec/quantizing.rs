//! What quantization promises about errors, scales and the choice of rescue rows.

use bitgauge_core::codec::{Settings, choose_rescue_rows, quantize};
use bitgauge_core::{Dense, ErrorKind, Matrix, Packed, Values};
use half::f16;

use crate::sample::{Random, dense};

const ROW: Settings = Settings { scale_group: 0, bases: 1 };
const GROUPED: Settings = Settings { scale_group: 128, bases: 1 };

fn matrix(rows: usize, values: &[f32]) -> Dense {
    Dense { rows, cols: values.len() / rows, values: Values::F32(values.to_vec()) }
}

/// Squared error of the whole matrix.
fn error(dense: &Dense, packed: Packed) -> f64 {
    let pairs = dense.values.to_f32().into_iter().zip(Matrix::Packed(packed).to_f32());
    pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

#[test]
fn signs_and_the_mean_magnitude() {
    let packed = quantize(&matrix(1, &[0.5, -1.5, 0.0, -2.0]), &[], ROW).unwrap();
    assert_eq!(packed.sign, [0b0101]);
    assert_eq!(packed.scale, [f16::ONE]);
    assert_eq!(Matrix::Packed(packed).to_f32(), [1.0, -1.0, 1.0, -1.0]);
}

#[test]
fn each_group_has_its_own_scale() {
    let values: Vec<f32> = (0..300).map(|c| if c < 128 { 1.0 } else { -2.0 }).collect();
    assert_eq!(
        quantize(&matrix(1, &values), &[], GROUPED).unwrap().scale,
        [1.0, 2.0, 2.0].map(f16::from_f32)
    );
}

/// No scale near the chosen one has a smaller error: it is the least-squares scale, as f16.
#[test]
fn the_scale_is_the_best_f16() {
    let dense = dense(4, 200, 3);
    let best = quantize(&dense, &[], GROUPED).unwrap();
    for i in 0..best.scale.len() {
        for step in [-1i16, 1] {
            let mut other = best.clone();
            other.scale[i] = f16::from_bits(other.scale[i].to_bits().wrapping_add_signed(step));
            assert!(error(&dense, other) >= error(&dense, best.clone()), "scale {i}, step {step}");
        }
    }
}

#[test]
fn each_basis_leaves_less() {
    let dense = dense(8, 300, 4);
    let errors: Vec<f64> = (1..=4)
        .map(|bases| error(&dense, quantize(&dense, &[], Settings { bases, ..GROUPED }).unwrap()))
        .collect();
    assert!(errors.windows(2).all(|pair| pair[1] < 0.6 * pair[0]), "{errors:?}");
}

#[test]
fn scales_stay_storable() {
    let scale = |value: f32| quantize(&matrix(1, &[value; 40]), &[], ROW).unwrap().scale[0];
    for tiny in [0.0, -0.0, 1e-40, 1e-9] {
        assert_eq!(scale(tiny).to_bits(), 1, "{tiny}");
    }
    assert_eq!(scale(1e30), f16::MAX);
    let second = quantize(&matrix(1, &[1.0; 40]), &[], Settings { bases: 2, ..ROW }).unwrap();
    assert_eq!(second.scale.iter().map(|s| s.to_bits()).collect::<Vec<_>>(), [0x3c00, 1]);
}

#[test]
fn rescue_codes_round_half_to_even() {
    // The largest magnitude is 7, so the scale is 1.
    let values = [7.0, -7.0, 0.5, 1.5, 2.5, -0.5, -1.5, 3.2];
    let packed = quantize(&matrix(1, &values), &[0], ROW).unwrap();
    assert_eq!((packed.bases, packed.sign.len()), (0, 0));
    assert_eq!(packed.rescue_scale, [f16::ONE]);
    assert_eq!(Matrix::Packed(packed).to_f32(), [7.0, -7.0, 0.0, 2.0, 2.0, 0.0, -2.0, 3.0]);
}

#[test]
fn rescue_scales_that_f16_cannot_hold_are_one() {
    for value in [0.0, 1e-30, 1e30] {
        let packed = quantize(&matrix(1, &[value, 0.0, -value]), &[0], ROW).unwrap();
        assert_eq!(packed.rescue_scale, [f16::ONE]);
        let code = if value > 1.0 { 7.0 } else { 0.0 };
        assert_eq!(Matrix::Packed(packed).to_f32(), [code, 0.0, -code]);
    }
}

#[test]
fn the_rows_that_gain_most_are_rescued() {
    let mut dense = dense(20, 129, 6);
    let Values::F32(values) = &mut dense.values else { panic!() };
    for row in [3, 17] {
        values[row * 129..][..129].iter_mut().for_each(|value| *value *= 5.0);
    }
    assert_eq!(choose_rescue_rows(&dense, 0.1, GROUPED).unwrap(), [3, 17]);
    assert_eq!(choose_rescue_rows(&dense, 0.05, GROUPED).unwrap().len(), 1);
    assert_eq!(choose_rescue_rows(&dense, 0.049, GROUPED).unwrap().len(), 0);
    assert_eq!(choose_rescue_rows(&dense, 1.0, GROUPED).unwrap(), (0..20).collect::<Vec<_>>());

    // No other pair of rows does as well.
    let gain = |rows: &[u32]| error(&dense, quantize(&dense, rows, GROUPED).unwrap());
    let mut random = Random(8);
    for _ in 0..50 {
        let mut pair = [random.below(20) as u32, random.below(20) as u32];
        pair.sort();
        if pair[0] < pair[1] && pair != [3, 17] {
            assert!(gain(&pair) > gain(&[3, 17]), "{pair:?}");
        }
    }
}

#[test]
fn a_row_that_is_exact_already_is_not_rescued() {
    assert_eq!(choose_rescue_rows(&matrix(2, &[1.0, -1.0, 0.3, -0.7]), 1.0, ROW).unwrap(), [1]);
}

#[test]
fn equal_rows_are_taken_in_order() {
    let row = [0.1, -0.9, 0.4];
    let same: Vec<f32> = row.iter().copied().cycle().take(12).collect();
    assert_eq!(choose_rescue_rows(&matrix(4, &same), 0.5, ROW).unwrap(), [0, 1]);
}

#[test]
fn what_cannot_be_packed() {
    let good = matrix(2, &[1.0, 2.0, 3.0, 4.0]);
    let kind = |dense: &Dense, rows: &[u32], settings| quantize(dense, rows, settings).unwrap_err().kind;
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let bad = matrix(2, &[1.0, 2.0, 3.0, value]);
        assert_eq!(kind(&bad, &[], ROW), ErrorKind::BadValue);
        assert!(quantize(&bad, &[], ROW).unwrap_err().found.ends_with("row 1, column 1"));
        assert_eq!(choose_rescue_rows(&bad, 0.5, ROW).unwrap_err().kind, ErrorKind::BadValue);
    }
    assert_eq!(kind(&good, &[2], ROW), ErrorKind::BadValue);
    assert_eq!(kind(&good, &[1, 0], ROW), ErrorKind::BadValue);
    assert_eq!(kind(&good, &[], Settings { bases: 0, ..ROW }), ErrorKind::WrongShape);
    assert_eq!(kind(&good, &[], Settings { bases: 5, ..ROW }), ErrorKind::WrongShape);
    for fraction in [-0.1, 1.1, f64::NAN] {
        assert_eq!(choose_rescue_rows(&good, fraction, ROW).unwrap_err().kind, ErrorKind::BadValue);
    }
}
