// Staging of binary rows whose 128 columns share a scale: their bits become the sign bits of the
// scale, two columns at a time. Rescue rows are read as if they were the first row; what comes of
// them is replaced.

// The signs of a row's next 128 columns, and their scale twice, as f16; per basis.
struct Held {
    signs: array<vec4<u32>, BASES>,
    scales: array<u32, BASES>,
}

// Loads what columns k .. k + 128 of the row at `place` need; k is a multiple of 128. Rows of signs
// are padded to whole quads of words.
fn hold(place: u32, k: u32) -> Held {
    let row = select(place, 0u, (place & RESCUE) != 0u);
    var held: Held;
    for (var basis = 0u; basis < BASES; basis++) {
        let plane_row = basis * weight.binary_rows + row;
        let word = plane_row * weight.sign_words + k / 32u;
        let index = plane_row * weight.scale_groups + k / weight.group_columns;
        let s = scale[index / 2u] >> (index % 2u * 16u) & 0xffffu;
        held.signs[basis] = vec4<u32>(sign[word], sign[word + 1u], sign[word + 2u], sign[word + 3u]);
        held.scales[basis] = s << 16u | s;
    }
    return held;
}

// What the bases give for columns c and c + 16, of which the signs are bits 15 and 31 of `word`
// shifted left by `shift`; word number `half_word` of those held.
fn columns_of(held: Held, half_word: u32, shift: u32) -> vec2<f16> {
    var sum = vec2<f32>();
    for (var basis = 0u; basis < BASES; basis++) {
        let signs = held.signs[basis];
        let words = select(signs.xy, signs.zw, half_word >= 2u);
        let bits = ~select(words.x, words.y, half_word % 2u == 1u) << shift;
        let value = unpack2x16float(held.scales[basis] ^ (bits & 0x80008000u));
        // Not added to 0: one basis alone needs no arithmetic.
        if basis == 0u {
            sum = value;
        } else {
            sum += value;
        }
    }
    return vec2<f16>(sum);
}

// Columns k .. k + 64 of the row at `place`, from quad `slot` of w_tile on: the first or the second
// half of what is held.
fn stage(slot: u32, place: u32, k: u32, half: u32, held: Held) {
    for (var word = 0u; word < 2u; word++) {
        for (var quad = 0u; quad < 8u; quad++) {
            let near = columns_of(held, half * 2u + word, 15u - quad * 2u);
            let far = columns_of(held, half * 2u + word, 14u - quad * 2u);
            w_tile[slot + word * 8u + quad] = vec4<f16>(near, far);
        }
    }
}
