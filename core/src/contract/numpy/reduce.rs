//! Sums and selections in numpy's order, which decides their last bits and the order of ties.

/// `mean(abs(values))`.
pub fn mean_abs(values: &[f64]) -> f64 {
    let absolute: Vec<f64> = values.iter().map(|value| value.abs()).collect();
    pairwise_sum(&absolute) / values.len() as f64
}

/// The sum in numpy's order: eight accumulators over blocks of up to 128, the blocks pairwise.
fn pairwise_sum(values: &[f64]) -> f64 {
    let n = values.len();
    if n < 8 {
        return values.iter().fold(0.0, |sum, value| sum + value);
    }
    if n > 128 {
        let half = n / 2 - n / 2 % 8;
        return pairwise_sum(&values[..half]) + pairwise_sum(&values[half..]);
    }
    let (blocks, rest) = values.as_chunks::<8>();
    let mut lanes = blocks[0];
    for block in &blocks[1..] {
        lanes.iter_mut().zip(block).for_each(|(lane, value)| *lane += value);
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    let sum = ((a + b) + (c + d)) + ((e + f) + (g + h));
    rest.iter().fold(sum, |sum, value| sum + value)
}

/// `argpartition(values, n - keep)[n - keep:]`: the indices of the `keep` largest values, in the order in
/// which numpy's scalar introselect leaves them. With AVX2 or AVX-512 numpy gives the same set in
/// another order.
pub fn largest(values: &[f64], keep: usize) -> Vec<usize> {
    let n = values.len();
    let mut order: Vec<usize> = (0..n).collect();
    if keep > 0 && keep <= n {
        Introselect { values, order: &mut order }.select(n - keep);
    }
    order.split_off(n - keep.min(n))
}

/// Moves indices until the one of the k-th smallest value is in its place.
struct Introselect<'a> {
    values: &'a [f64],
    order: &'a mut [usize],
}

impl Introselect<'_> {
    fn value(&self, i: usize) -> f64 {
        self.values[self.order[i]]
    }

    /// Whether the value at `i` is below the one at `j`; NaN is above everything.
    fn is_less(&self, i: usize, j: usize) -> bool {
        less(self.value(i), self.value(j))
    }

    fn swap_if_less(&mut self, i: usize, j: usize) {
        if self.is_less(i, j) {
            self.order.swap(i, j);
        }
    }

    fn select(&mut self, k: usize) {
        let n = self.order.len();
        if k < 3 {
            return self.select_front(k);
        }
        if k == n - 1 {
            let last_of_the_largest = (1..n).fold(0, |max, i| if self.is_less(i, max) { max } else { i });
            return self.order.swap(k, last_of_the_largest);
        }
        let (mut low, mut high) = (0, n - 1);
        while low + 1 < high {
            self.median_to_front(low, high);
            let (left, right) = self.partition(low, high);
            self.order.swap(low, right);
            if right >= k {
                high = right - 1;
            }
            if right <= k {
                low = left;
            }
        }
        if high == low + 1 {
            self.swap_if_less(high, low);
        }
    }

    /// Selection sort of places `0..=k`.
    fn select_front(&mut self, k: usize) {
        for i in 0..=k.min(self.order.len() - 1) {
            let least =
                (i + 1..self.order.len()).fold(i, |min, j| if self.is_less(j, min) { j } else { min });
            self.order.swap(i, least);
        }
    }

    /// The median of the ends and the middle goes to `low`, the least of them right behind it.
    fn median_to_front(&mut self, low: usize, high: usize) {
        let middle = low + (high - low) / 2;
        self.swap_if_less(high, middle);
        self.swap_if_less(high, low);
        self.swap_if_less(low, middle);
        self.order.swap(middle, low + 1);
    }

    /// Hoare's partition by the value at `low`; where the two sides met.
    fn partition(&mut self, low: usize, high: usize) -> (usize, usize) {
        let pivot = self.value(low);
        let (mut left, mut right) = (low + 1, high);
        loop {
            left += 1;
            while less(self.value(left), pivot) {
                left += 1;
            }
            right -= 1;
            while less(pivot, self.value(right)) {
                right -= 1;
            }
            if right < left {
                return (left, right);
            }
            self.order.swap(left, right);
        }
    }
}

fn less(a: f64, b: f64) -> bool {
    a < b || (b.is_nan() && !a.is_nan())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::numpy::Generator;

    #[test]
    fn the_largest_are_found_whatever_their_number() {
        let mut generator = Generator::new(3);
        let values: Vec<f64> =
            (0..500).map(|i| if i % 7 == 0 { 0.5 } else { generator.next_f64() }).collect();
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        for keep in [0, 1, 2, 3, 250, 497, 498, 499, 500] {
            let mut found: Vec<f64> = largest(&values, keep).into_iter().map(|i| values[i]).collect();
            found.sort_by(f64::total_cmp);
            assert_eq!(found, sorted[500 - keep..], "{keep}");
        }
    }
}
