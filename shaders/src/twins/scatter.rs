/// `out[:, places[c]] = x[:, c]`. x is `[T, C]` f32, places is `[C]`, out is `[T, columns]` f32.
pub fn scatter(x: &[f32], places: &[u32], columns: usize, out: &mut [f32]) {
    for (x, out) in x.chunks_exact(places.len()).zip(out.chunks_exact_mut(columns)) {
        for (value, place) in x.iter().zip(places) {
            out[*place as usize] = *value;
        }
    }
}
