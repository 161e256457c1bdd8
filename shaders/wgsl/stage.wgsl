// Decodes weights into workgroup memory for matmul_coop.wgsl, whatever the codec.

// [64 rows, 64 columns] f16 in quads: the factors of the next products. Two quads between rows keep
// neighbouring rows out of each other's memory banks.
const W_STRIDE = 18u;
var<workgroup> w_tile: array<vec4<f16>, 1152>;

// Columns k ..= k + 3 of the row at `place`; 0 past the last column.
fn decode4_or_zero(place: u32, k: u32) -> vec4<f32> {
    if k >= p.columns {
        return vec4<f32>();
    }
    return decode4(place, k);
}

// Columns k .. k + 64 of the row at `place`, in the order of to_f16.wgsl, from quad `slot` on.
fn stage_decoded(slot: u32, place: u32, k: u32) {
    for (var quad = 0u; quad < 16u; quad += 2u) {
        let c = k + quad / 8u * 32u + quad % 8u * 2u;
        let near = decode4_or_zero(place, c);
        let far = decode4_or_zero(place, c + 16u);
        w_tile[slot + quad] = vec4<f16>(vec4<f32>(near.x, far.x, near.y, far.y));
        w_tile[slot + quad + 1u] = vec4<f16>(vec4<f32>(near.z, far.z, near.w, far.w));
    }
}
