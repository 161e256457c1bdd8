//! Small systems of linear equations.

/// Gaussian elimination with the largest pivot of each column; the right side is the last column, W - 1.
pub(super) fn eliminate<const W: usize>(rows: &mut [[f64; W]], smallest_pivot: f64) -> Option<[f64; W]> {
    let unknowns = rows.len();
    for i in 0..unknowns {
        let largest = (i..unknowns).max_by(|&a, &b| rows[a][i].abs().total_cmp(&rows[b][i].abs()))?;
        rows.swap(i, largest);
        let pivot = rows[i];
        if pivot[i].abs() <= smallest_pivot {
            return None;
        }
        for (j, row) in rows.iter_mut().enumerate() {
            if j != i {
                let factor = row[i] / pivot[i];
                for (entry, pivot) in row.iter_mut().zip(pivot) {
                    *entry -= factor * pivot;
                }
            }
        }
    }
    let mut solved = [0.0; W];
    for (i, row) in rows.iter().enumerate() {
        solved[i] = row[W - 1] / row[i];
    }
    Some(solved)
}
