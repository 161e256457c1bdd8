//! Some rows side by side, so that plain loops over them become vector instructions.
//!
//! Every sum has the same order on every machine, however wide its registers are.

/// Rows that go through the columns together, so that each factor is loaded once for all of them.
pub(super) const LANES: usize = 16;
/// Sums that are kept in registers at once.
const SUMS: usize = 2;

/// One column of [`LANES`] rows.
pub(super) type Lanes = [f32; LANES];

/// For each row i of `rows` in a matrix `[*, n]`, the sum of `matrix[i][first_column + c] * x[c]` over all columns c
/// that x has, handed to `take` in the order of the rows.
pub(super) fn products(
    matrix: &[f32],
    n: usize,
    rows: std::ops::Range<usize>,
    first_column: usize,
    x: &[Lanes],
    mut take: impl FnMut(usize, &Lanes),
) {
    let row = |i: usize| &matrix[i * n + first_column..][..x.len()];
    let mut i = rows.start;
    while i + SUMS <= rows.end {
        let sums = sums(std::array::from_fn::<_, SUMS, _>(|j| row(i + j)), x);
        sums.iter().for_each(|sum| {
            take(i, sum);
            i += 1;
        });
    }
    for i in i..rows.end {
        take(i, &sums([row(i)], x)[0]);
    }
}

fn sums<const N: usize>(rows: [&[f32]; N], x: &[Lanes]) -> [Lanes; N] {
    let rows = rows.map(|row| &row[..x.len()]);
    let mut sums = [[0.0; LANES]; N];
    for (c, x) in x.iter().enumerate() {
        for (sum, row) in sums.iter_mut().zip(rows) {
            let factor = row[c];
            sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += factor * x);
        }
    }
    sums
}

/// The nearest of `levels` to each value, and its number; of equal ones the last.
pub(super) fn nearest(values: &Lanes, levels: &[Lanes]) -> (Lanes, [u32; LANES]) {
    let (mut nearest, mut numbers, mut least) = ([0.0; LANES], [0; LANES], [f32::INFINITY; LANES]);
    for (number, levels) in (0..).zip(levels) {
        for l in 0..LANES {
            let error = (values[l] - levels[l]).abs();
            let closer = error <= least[l];
            least[l] = if closer { error } else { least[l] };
            nearest[l] = if closer { levels[l] } else { nearest[l] };
            numbers[l] = if closer { number } else { numbers[l] };
        }
    }
    (nearest, numbers)
}

/// Sums of N numbers over some values, in f64 and in a fixed order.
pub(super) fn sum<const N: usize>(values: &[f32], of: impl Fn(f32) -> [f64; N]) -> [f64; N] {
    let mut sums = [[0.0; 8]; N];
    let mut add = |values: &[f32]| {
        for (l, &value) in values.iter().enumerate() {
            of(value).into_iter().zip(&mut sums).for_each(|(more, sum)| sum[l] += more);
        }
    };
    let (eights, last) = values.as_chunks::<8>();
    eights.iter().for_each(|values| add(values));
    add(last);
    sums.map(|sum| sum.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_sums_of_products() {
        let n = 7;
        let matrix: Vec<f32> = (0..n * n).map(|i| (i * 37 % 101) as f32 - 50.0).collect();
        let x: Vec<Lanes> = (0..5).map(|c| std::array::from_fn(|l| (c * 3 + l) as f32)).collect();
        let mut rows = Vec::new();
        products(&matrix, n, 1..6, 2, &x, |i, sums| {
            for (l, sum) in sums.iter().enumerate() {
                let expected =
                    |first: usize| (0..5).map(|c| matrix[i * n + first + c] * x[c][l]).sum::<f32>();
                assert_eq!(*sum, expected(2), "row {i}, lane {l}");
                assert_ne!(*sum, expected(1), "another column is noticed");
            }
            rows.push(i);
        });
        assert_eq!(rows, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn of_equal_levels_the_last_is_the_nearest() {
        let levels = [-1.0, 1.0, 3.0, 1.0].map(|level| [level; LANES]);
        let mut values = [0.9; LANES];
        values[..4].copy_from_slice(&[0.0, 2.0, -0.1, 9.0]);
        let (stored, numbers) = nearest(&values, &levels);
        assert_eq!((&stored[..5], &numbers[..5]), (&[1.0, 1.0, -1.0, 3.0, 1.0][..], &[3, 3, 0, 2, 3][..]));
    }

    #[test]
    fn no_value_is_left_out_of_a_sum() {
        let values: Vec<f32> = (0..19).map(|i| i as f32).collect();
        assert_eq!(sum(&values, |value| [f64::from(value), 1.0]), [171.0, 19.0]);
        assert_eq!(sum(&values[..3], |value| [f64::from(value)]), [3.0]);
    }
}
