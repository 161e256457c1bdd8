// Staging of packed weights. A row of one basis whose 128 columns share a scale takes the short way:
// its bits become the sign bits of the scale, two columns at a time.

// The signs of a row's next 128 columns, and their scale twice, as f16.
struct Held {
    signs: vec4<u32>,
    scales: u32,
}

fn is_short(place: u32) -> bool {
    return (place & RESCUE) == 0u && weight.bases == 1u && weight.group_columns % 128u == 0u;
}

// Loads what columns k .. k + 128 of the row at `place` need; k is a multiple of 128. Rows of signs
// are padded to whole quads of words.
fn hold(place: u32, k: u32) -> Held {
    if !is_short(place) {
        return Held();
    }
    let word = place * weight.sign_words + k / 32u;
    let index = place * weight.scale_groups + k / weight.group_columns;
    let s = scale[index / 2u] >> (index % 2u * 16u) & 0xffffu;
    return Held(vec4<u32>(sign[word], sign[word + 1u], sign[word + 2u], sign[word + 3u]), s << 16u | s);
}

// The scale for columns c and c + 16, negative where the bits 15 and 31 are set.
fn signed(scales: u32, bits: u32) -> vec2<f16> {
    return vec2<f16>(unpack2x16float(scales ^ (bits & 0x80008000u)));
}

fn stage_word(slot: u32, scales: u32, word: u32) {
    for (var quad = 0u; quad < 8u; quad++) {
        let bits = ~word << (14u - quad * 2u);
        w_tile[slot + quad] = vec4<f16>(signed(scales, bits << 1u), signed(scales, bits));
    }
}

// Columns k .. k + 64 of the row at `place`, from quad `slot` of w_tile on: the first or the second
// half of what is held.
fn stage(slot: u32, place: u32, k: u32, half: u32, held: Held) {
    if !is_short(place) {
        stage_decoded(slot, place, k);
        return;
    }
    let words = select(held.signs.xy, held.signs.zw, half == 1u);
    stage_word(slot, held.scales, words.x);
    stage_word(slot + 8u, held.scales, words.y);
}
