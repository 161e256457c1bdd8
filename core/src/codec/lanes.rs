//! Some rows side by side, so that plain loops over them become vector instructions.
//!
//! Every sum has the same order on every machine, however wide its registers are.

/// Rows that go through the columns together, so that each factor is loaded once for all of them.
pub(super) const LANES: usize = 16;
/// Sums that are kept in registers at once.
const SUMS: usize = 2;

/// One column of [`LANES`] rows.
pub(super) type Lanes = [f32; LANES];

/// For each row i of `rows` in a matrix `[*, n]`, the sum of `matrix[i][columns.start + c] * x[c]` over all columns c
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
