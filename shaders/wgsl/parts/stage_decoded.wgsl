// Staging of weights in any stored form, through what decodes four columns at a time.

// Nothing is held back.
alias Held = u32;

fn hold(place: u32, k: u32) -> Held {
    return 0u;
}

// Columns k ..= k + 3 of the row at `place`; 0 past the last column.
fn decode4_or_zero(place: u32, k: u32) -> vec4<f32> {
    if k >= p.columns {
        return vec4<f32>();
    }
    return decode4(place, k);
}

// Columns k .. k + 64 of the row at `place`, from quad `slot` of w_tile on.
fn stage(slot: u32, place: u32, k: u32, half: u32, held: Held) {
    for (var quad = 0u; quad < 16u; quad += 2u) {
        let c = k + quad / 8u * 32u + quad % 8u * 2u;
        let near = decode4_or_zero(place, c);
        let far = decode4_or_zero(place, c + 16u);
        w_tile[slot + quad] = vec4<f16>(vec4<f32>(near.x, far.x, near.y, far.y));
        w_tile[slot + quad + 1u] = vec4<f16>(vec4<f32>(near.z, far.z, near.w, far.w));
    }
}
