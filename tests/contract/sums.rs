//! Sums in numpy's order, by hand: beside 2^53 a one is lost, unless others have joined it before.

use bitgauge_core::contract::documents::allocate;
use bitgauge_core::contract::numpy::{largest, mean_abs};

const LARGE: f64 = 9_007_199_254_740_992.0;

/// What the sum of 2^53 and ones, `n` numbers in all, is above 2^53.
fn above(n: usize) -> f64 {
    let mut values = vec![1.0; n];
    values[0] = -LARGE;
    let sum = mean_abs(&values) * n as f64;
    // `n` is chosen so that the division is exact.
    sum - LARGE
}

#[test]
fn sums_are_pairwise_from_eight_numbers_on() {
    // One after the other below eight.
    assert_eq!((above(2), above(4)), (0.0, 0.0));
    // Eight lanes in pairs: ((2^53 + 1) + 2) + 4, where the first one is lost.
    assert_eq!(above(8), 6.0);
    // A second round: each other lane has two.
    assert_eq!(above(16), 14.0);
    assert_eq!(above(64), 56.0);
    // Sixteen rounds are the most, in one block.
    assert_eq!(above(128), 112.0);
    // Two blocks of 128: 112 and 128.
    assert_eq!(above(256), 240.0);
    assert_eq!(above(512), 496.0);
}

#[test]
fn blocks_are_cut_at_a_multiple_of_eight() {
    let sum = |n: usize| {
        let mut values = vec![1.0; n];
        values[0] = LARGE;
        mean_abs(&values)
    };
    // 64 and 65 of 129 numbers: 56, and 65, of which one is lost to rounding.
    assert_eq!(sum(129), (LARGE + 120.0) / 129.0);
    // 64 and 72 of 136.
    assert_eq!(sum(136), (LARGE + 128.0) / 136.0);
    // A block of eight, and seven one after the other: the first of them rounds up, the others are lost.
    assert_eq!(sum(15), (LARGE + 8.0) / 15.0);
    assert_eq!(sum(7), LARGE / 7.0);
    assert_eq!(sum(1), LARGE);
}

#[test]
fn the_largest_are_the_largest() {
    let values: Vec<f64> = (0..40).map(|i| f64::from(i * 7 % 40)).collect();
    for keep in 0..=40 {
        let mut found: Vec<f64> = largest(&values, keep).into_iter().map(|i| values[i]).collect();
        found.sort_by(f64::total_cmp);
        let wanted: Vec<f64> = (40 - keep..40).map(|value| value as f64).collect();
        assert_eq!(found, wanted, "{keep}");
    }
    // More than there are: all of them.
    assert_eq!(largest(&[1.0, 2.0], 3).len(), 2);
    assert!(largest(&[], 3).is_empty() && largest(&[], 0).is_empty());
}

#[test]
fn shares_of_nothing_are_nothing() {
    assert_eq!(allocate(0, &[1.0, 2.0]), [0, 0]);
    assert_eq!(allocate(5, &[0.0, 0.0]), [0, 0]);
    assert_eq!(allocate(5, &[-1.0, 0.5]), [0, 0]);
    assert_eq!(allocate(5, &[f64::NAN, 1.0]), [0, 0]);
    assert_eq!(allocate(5, &[]), [] as [u64; 0]);
    assert_eq!(allocate(5, &[1.0, 1.0]), [3, 2]);
    assert_eq!(allocate(7, &[2.0, 1.0]), [5, 2]);
}
