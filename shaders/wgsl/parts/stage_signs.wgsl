// Staging of binary rows whose 128 columns share a scale: their bits become the sign bits of the
// scale, two columns at a time. Rescue rows are read as if they were the first row; what comes of
// them is replaced.
//
// A line with B stands for one per basis, with 0 .. in its place; a line with Q for eight, with 0 to 7.
// sum_B(x_B) is the sum over the bases.

// The signs of a row's next 128 columns, and their scale twice, as f16; per basis.
struct Held {
    signs_B: vec4<u32>,
    scales_B: u32,
}

// The scale for 128 columns from k on in a row of a sign plane, in both halves.
fn scales_at(plane_row: u32, k: u32) -> u32 {
    let index = plane_row * weight.scale_groups + k / weight.group_columns;
    let s = (scale[index / 2u] >> (index % 2u * 16u)) & 0xffffu;
    return (s << 16u) | s;
}

fn signs_at(plane_row: u32, k: u32) -> vec4<u32> {
    let word = plane_row * weight.sign_words + k / 32u;
    return vec4<u32>(sign[word], sign[word + 1u], sign[word + 2u], sign[word + 3u]);
}

// Loads what columns k .. k + 128 of the row at `place` need; k is a multiple of 128. Rows of signs
// are padded to whole quads of words.
fn hold(place: u32, k: u32) -> Held {
    let row = select(place, 0u, (place & RESCUE) != 0u);
    var held = Held();
    held.signs_B = signs_at(B * weight.binary_rows + row, k);
    held.scales_B = scales_at(B * weight.binary_rows + row, k);
    return held;
}

// The scale with the signs that bits 15 and 31 ask for: 1 is +.
fn signed(scales: u32, bits: u32) -> vec2<f32> {
    return unpack2x16float(scales ^ (~bits & 0x80008000u));
}

// One word of signs per basis.
struct Words {
    basis_B: u32,
}

// 32 columns from quad `slot` of w_tile on. A quad holds columns c, c + 16, c + 1, c + 17: each shift
// brings the signs of two of them to where f16 has its own.
fn stage_word(slot: u32, held: Held, words: Words) {
    let near_Q_B = signed(held.scales_B, words.basis_B << (15u - Q * 2u));
    let far_Q_B = signed(held.scales_B, words.basis_B << (14u - Q * 2u));
    w_tile[slot + Q] = vec4<f16>(vec2<f16>(sum_B(near_Q_B)), vec2<f16>(sum_B(far_Q_B)));
}

// Columns k .. k + 64 of the row at `place`, from quad `slot` of w_tile on: the first or the second
// half of what is held.
fn stage(slot: u32, place: u32, k: u32, half: u32, held: Held) {
    var first = Words();
    var second = Words();
    let words_B = select(held.signs_B.xy, held.signs_B.zw, half == 1u);
    first.basis_B = words_B.x;
    second.basis_B = words_B.y;
    stage_word(slot, held, first);
    stage_word(slot + 8u, held, second);
}
