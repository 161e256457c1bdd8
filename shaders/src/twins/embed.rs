use bitgauge_core::Matrix;

/// `out[t, :] = table[ids[t], :]`. table is `[V, H]`, ids is `[T]`, out is `[T, H]` f32.
pub fn embed(table: &Matrix, ids: &[u32], out: &mut [f32]) {
    let h = table.cols();
    assert_eq!(out.len(), ids.len() * h);
    let rows = table.to_f32();
    for (t, &id) in ids.iter().enumerate() {
        out[t * h..][..h].copy_from_slice(&rows[id as usize * h..][..h]);
    }
}
