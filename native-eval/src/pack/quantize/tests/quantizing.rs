//! What quantization promises about errors, scales and the choice of rescue rows.

use bitgauge_core::{Bitpacked, Dense, ErrorKind, Matrix, Values};
use half::f16;

use super::super::{Fit, Settings, choose_rescue_rows, quantize_block, row_errors};
use super::{dense, quantize};

const ROW: Settings = Settings { scale_group: 0, bases: 1, fit: Fit::Mean };
const GROUPED: Settings = Settings { scale_group: 128, bases: 1, fit: Fit::Mean };

fn matrix(rows: usize, values: &[f32]) -> Dense {
    Dense { rows, cols: values.len() / rows, values: Values::F32(values.to_vec()) }
}

/// The rows that are best rescued.
fn choose(matrix: &Dense, fraction: f64, settings: Settings) -> Vec<u32> {
    let errors = row_errors(matrix, 0, &[settings], None).unwrap();
    choose_rescue_rows(&errors.binary[0], &errors.rescue, fraction).unwrap()
}

/// Squared error of the whole matrix.
fn error(dense: &Dense, packed: Bitpacked) -> f64 {
    let pairs = dense.values.to_f32().into_iter().zip(Matrix::Bitpacked(packed).to_f32());
    pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

#[test]
fn signs_and_the_mean_magnitude() {
    let packed = quantize(&matrix(1, &[0.5, -1.5, 0.0, -2.0]), &[], ROW).unwrap();
    assert_eq!(packed.sign, [0b0101]);
    assert_eq!(packed.scale, [f16::ONE]);
    assert_eq!(Matrix::Bitpacked(packed).to_f32(), [1.0, -1.0, 1.0, -1.0]);
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
    assert_eq!((packed.bases(), packed.sign.len()), (0, 0));
    assert_eq!(packed.rescue_scale, [f16::ONE]);
    assert_eq!(Matrix::Bitpacked(packed).to_f32(), [7.0, -7.0, 0.0, 2.0, 2.0, 0.0, -2.0, 3.0]);
}

#[test]
fn rescue_scales_that_f16_cannot_hold_are_one() {
    for value in [0.0, 1e-30, 1e30] {
        let packed = quantize(&matrix(1, &[value, 0.0, -value]), &[0], ROW).unwrap();
        assert_eq!(packed.rescue_scale, [f16::ONE]);
        let code = if value > 1.0 { 7.0 } else { 0.0 };
        assert_eq!(Matrix::Bitpacked(packed).to_f32(), [code, 0.0, -code]);
    }
}

#[test]
fn the_rows_that_gain_most_are_rescued() {
    let mut dense = dense(20, 129, 6);
    let Values::F32(values) = &mut dense.values else { panic!() };
    for row in [3, 17] {
        values[row * 129..][..129].iter_mut().for_each(|value| *value *= 5.0);
    }
    assert_eq!(choose(&dense, 0.1, GROUPED), [3, 17]);
    assert_eq!(choose(&dense, 0.05, GROUPED).len(), 1);
    assert_eq!(choose(&dense, 0.049, GROUPED).len(), 0);
    assert_eq!(choose(&dense, 1.0, GROUPED), (0..20).collect::<Vec<_>>());

    // No other pair of rows does as well.
    let gain = |rows: &[u32]| error(&dense, quantize(&dense, rows, GROUPED).unwrap());
    let mut random = fastrand::Rng::with_seed(8);
    for _ in 0..50 {
        let mut pair = [random.u32(..20), random.u32(..20)];
        pair.sort();
        if pair[0] < pair[1] && pair != [3, 17] {
            assert!(gain(&pair) > gain(&[3, 17]), "{pair:?}");
        }
    }
}

#[test]
fn a_row_that_is_exact_already_is_not_rescued() {
    assert_eq!(choose(&matrix(2, &[1.0, -1.0, 0.3, -0.7]), 1.0, ROW), [1]);
}

#[test]
fn equal_rows_are_taken_in_order() {
    let row = [0.1, -0.9, 0.4];
    let same: Vec<f32> = row.iter().copied().cycle().take(12).collect();
    assert_eq!(choose(&matrix(4, &same), 0.5, ROW), [0, 1]);
}

/// Squared errors of all rows, binary or all rescued, by either fit.
fn errors_by_fit(dense: &Dense, settings: Settings, rescued: bool) -> [f64; 2] {
    let rows: Vec<u32> = if rescued { (0..dense.rows as u32).collect() } else { Vec::new() };
    let by = |fit| error(dense, quantize(dense, &rows, Settings { fit, ..settings }).unwrap());
    [by(Fit::Mean), by(Fit::LeastSquares)]
}

#[test]
fn least_squares_is_never_worse_and_mostly_better() {
    for bases in 2..=4 {
        for scale_group in [0, 128] {
            let settings = Settings { scale_group, bases, fit: Fit::Mean };
            for seed in 0..20 {
                let cols = 1 + 37 * seed as usize;
                let [mean, least] = errors_by_fit(&dense(3, cols, seed), settings, false);
                assert!(least <= mean, "{settings:?} {cols}: {least} > {mean}");
            }
            let [mean, least] = errors_by_fit(&dense(16, 512, 5), settings, false);
            assert!(least < 0.97 * mean, "{settings:?}: {least} of {mean}");
        }
    }
    for seed in 0..20 {
        let [mean, least] = errors_by_fit(&dense(3, 1 + 37 * seed as usize, seed), ROW, true);
        assert!(least <= mean, "codes: {least} > {mean}");
    }
    let [mean, least] = errors_by_fit(&dense(16, 512, 5), ROW, true);
    assert!(least < 0.95 * mean, "codes: {least} of {mean}");
}

/// One basis is the same by either fit: its mean magnitude is the least-squares scale already.
#[test]
fn one_basis_has_nothing_to_refine() {
    let dense = dense(9, 300, 2);
    let by = |fit| quantize(&dense, &[], Settings { fit, ..GROUPED }).unwrap();
    assert_eq!(by(Fit::Mean), by(Fit::LeastSquares));
}

/// Weights that two bases can express exactly are found exactly, which the greedy choice misses.
#[test]
fn refined_scales_solve_what_can_be_solved() {
    let values: Vec<f32> = [1.0, -1.0, 0.25, 1.0, -0.25, 1.0, 1.0, 1.0].repeat(9);
    let two = Settings { bases: 2, ..ROW };
    let [mean, least] = errors_by_fit(&matrix(1, &values), two, false);
    assert!(mean > 0.1 && least < 1e-5 * mean, "{mean} {least}");
}

#[test]
fn awkward_weights_stay_storable() {
    let largest = f32::MAX;
    for values in
        [vec![0.0; 40], vec![1e-9; 40], vec![1e30; 40], vec![largest, -largest, 0.0, 1.0], vec![3.0]]
    {
        for bases in 1..=4 {
            let settings = Settings { bases, fit: Fit::LeastSquares, scale_group: 128 };
            let packed = quantize(&matrix(1, &values), &[], settings).unwrap();
            assert!(packed.scale.iter().all(|scale| scale.is_finite() && *scale > f16::ZERO), "{packed:?}");
        }
        let rescued =
            quantize(&matrix(1, &values), &[0], Settings { fit: Fit::LeastSquares, ..ROW }).unwrap();
        assert!(rescued.rescue_scale.iter().all(|scale| scale.is_finite() && *scale > f16::ZERO));
    }
}

/// The errors that rows are chosen by are those that the packed rows then have.
#[test]
fn row_errors_are_the_errors_of_the_rows() {
    let dense = dense(6, 300, 11);
    let settings = Settings { bases: 2, scale_group: 128, fit: Fit::LeastSquares };
    let errors = row_errors(&dense, 0, &[settings, Settings { bases: 1, ..settings }], None).unwrap();
    let total = |errors: &[f32]| errors.iter().map(|&e| f64::from(e)).sum::<f64>();
    let packed =
        |rows: &[u32], bases| error(&dense, quantize(&dense, rows, Settings { bases, ..settings }).unwrap());
    let close = |a: f64, b: f64| (a - b).abs() < 1e-4 * b;
    assert!(close(total(&errors.binary[0]), packed(&[], 2)));
    assert!(close(total(&errors.binary[1]), packed(&[], 1)));
    assert!(close(total(&errors.rescue), packed(&[0, 1, 2, 3, 4, 5], 1)));
    assert!(!close(total(&errors.binary[0]), packed(&[], 1)));
}

#[test]
fn blocks_of_rows_pack_like_the_whole_matrix() {
    let whole = dense(10, 200, 12);
    let settings = Settings { bases: 2, ..GROUPED };
    let packed = quantize(&whole, &[1, 6, 8], settings).unwrap();
    let values = whole.values.to_f32();
    let block = matrix(4, &values[6 * 200..]);
    let part = quantize_block(&block, 6, &[6, 8], settings, None).unwrap();
    assert_eq!(part.rescue_rows, [6, 8]);
    assert_eq!(part.rescue_code, packed.rescue_code[100..]);
    // Rows 7 and 9 are the last two of seven binary rows, in each basis.
    for b in 0..2 {
        assert_eq!(part.sign_words(b, 0..2), packed.sign_words(b, 5..7));
    }
    let mut bad = values[6 * 200..].to_vec();
    bad[203] = f32::NAN;
    let error = quantize_block(&matrix(4, &bad), 6, &[6, 8], settings, None).unwrap_err();
    assert!(error.found.ends_with("row 7, column 3"), "{error}");
}

#[test]
fn what_cannot_be_packed() {
    let good = matrix(2, &[1.0, 2.0, 3.0, 4.0]);
    let kind = |dense: &Dense, rows: &[u32], settings| quantize(dense, rows, settings).unwrap_err().kind;
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let bad = matrix(2, &[1.0, 2.0, 3.0, value]);
        assert_eq!(kind(&bad, &[], ROW), ErrorKind::BadValue);
        assert!(quantize(&bad, &[], ROW).unwrap_err().found.ends_with("row 1, column 1"));
        assert_eq!(row_errors(&bad, 0, &[ROW], None).unwrap_err().kind, ErrorKind::BadValue);
    }
    assert_eq!(kind(&good, &[2], ROW), ErrorKind::BadValue);
    assert_eq!(kind(&good, &[1, 0], ROW), ErrorKind::BadValue);
    assert_eq!(kind(&good, &[], Settings { bases: 0, ..ROW }), ErrorKind::WrongShape);
    assert_eq!(kind(&good, &[], Settings { bases: 5, ..ROW }), ErrorKind::WrongShape);
    for fraction in [-0.1, 1.1, f64::NAN] {
        assert_eq!(choose_rescue_rows(&[1.0], &[0.5], fraction).unwrap_err().kind, ErrorKind::BadValue);
    }
}
