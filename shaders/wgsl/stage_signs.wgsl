// Staging of binary rows whose 128 columns share a scale: their bits become the sign bits of the
// scale, two columns at a time. Rescue rows are read as if they were the first row; what comes of
// them is replaced.
//
// A line with $b stands for one per basis, with 0 .. in its place; a line with $q for eight, with 0 to
// 7. $near and $far stand for the sums of near_$q_$b and far_$q_$b over the bases.

// The signs of a row's next 128 columns, and their scale twice, as f16; per basis.
struct Held {
    signs_$b: vec4<u32>,
    scales_$b: u32,
}

// The scale for 128 columns from k on in a row of a sign plane, in both halves.
fn scales_at(plane_row: u32, k: u32) -> u32 {
    let index = plane_row * weight.scale_groups + k / weight.group_columns;
    let s = scale[index / 2u] >> (index % 2u * 16u) & 0xffffu;
    return s << 16u | s;
}

fn signs_at(plane_row: u32, k: u32) -> vec4<u32> {
    let word = plane_row * weight.sign_words + k / 32u;
    return vec4<u32>(sign[word], sign[word + 1u], sign[word + 2u], sign[word + 3u]);
}

// Loads what columns k .. k + 128 of the row at `place` need; k is a multiple of 128. Rows of signs
// are padded to whole quads of words.
fn hold(place: u32, k: u32) -> Held {
    let row = select(place, 0u, (place & RESCUE) != 0u);
    var held: Held;
    held.signs_$b = signs_at($bu * weight.binary_rows + row, k);
    held.scales_$b = scales_at($bu * weight.binary_rows + row, k);
    return held;
}

// The scale with the signs that bits 15 and 31 ask for: 1 is +.
fn signed(scales: u32, bits: u32) -> vec2<f32> {
    return unpack2x16float(scales ^ (~bits & 0x80008000u));
}

// One word of signs per basis.
struct Words {
    basis_$b: u32,
}

// 32 columns from quad `slot` of w_tile on. A quad holds columns c, c + 16, c + 1, c + 17: each shift
// brings the signs of two of them to where f16 has its own.
fn stage_word(slot: u32, held: Held, words: Words) {
    let near_$q_$b = signed(held.scales_$b, words.basis_$b << (15u - $qu * 2u));
    let far_$q_$b = signed(held.scales_$b, words.basis_$b << (14u - $qu * 2u));
    w_tile[slot + $qu] = vec4<f16>(vec2<f16>($near), vec2<f16>($far));
}

// Columns k .. k + 64 of the row at `place`, from quad `slot` of w_tile on: the first or the second
// half of what is held.
fn stage(slot: u32, place: u32, k: u32, half: u32, held: Held) {
    var first: Words;
    var second: Words;
    let words_$b = select(held.signs_$b.xy, held.signs_$b.zw, half == 1u);
    first.basis_$b = words_$b.x;
    second.basis_$b = words_$b.y;
    stage_word(slot, held, first);
    stage_word(slot + 8u, held, second);
}
