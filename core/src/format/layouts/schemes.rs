//! The writers' formats, a row each.
//!
//! Each was written from the writer's own files, and is held to the values that its library gives.

use std::borrow::Cow;

use super::{Count, IN_ORDER, Level, Packing, Piece, Run, Scale, Scaling, Scheme, Share, Slot, Words, Zero};

const fn slot(piece: Piece, suffix: &'static str) -> Slot {
    Slot { piece, suffix: Cow::Borrowed(suffix) }
}

/// Codes that follow each other along the inputs of an output, low bits first.
const STREAM: Words =
    Words { bits: 0, run: Run::Along, high_first: false, transposed: false, order: IN_ORDER };

/// What most formats share.
const PLAIN: Packing = Packing {
    words: STREAM,
    level: Level::Less(0),
    scale: Scale::Float,
    scaling: Scaling::Times,
    zero: Zero::None,
    share: Share::Inputs(0),
    fault: None,
};

const fn stream(bits: u32) -> Words {
    Words { bits, ..STREAM }
}

const AFFINE: Packing = Packing { zero: Zero::Bias, ..PLAIN };

const SCHEME: Scheme = Scheme {
    name: Cow::Borrowed(""),
    slots: Cow::Borrowed(&[]),
    packings: Cow::Borrowed(&[]),
    count: Count::Full,
    fault: None,
    doubt: None,
    note: "",
    prefix: "",
    is_mlx: false,
    rounds_inputs: false,
    scales_biases: false,
    has_equal_tiles: false,
};

/// MLX: affine codes of 1 to 8 bits, and the small floating-point formats.
pub const MLX: Scheme = Scheme {
    name: Cow::Borrowed("mlx"),
    slots: Cow::Borrowed(&[
        slot(Piece::Codes, "weight"),
        slot(Piece::Scales, "scales"),
        slot(Piece::Zeros, "biases"),
    ]),
    packings: Cow::Borrowed(&[
        AFFINE,
        Packing {
            words: stream(8),
            level: Level::E4m3,
            scale: Scale::E8m0,
            share: Share::Inputs(32),
            ..PLAIN
        },
        Packing {
            words: stream(4),
            level: Level::E2m1,
            scale: Scale::E8m0,
            share: Share::Inputs(32),
            ..PLAIN
        },
        Packing {
            words: stream(4),
            level: Level::E2m1,
            scale: Scale::E4m3,
            share: Share::Inputs(16),
            ..PLAIN
        },
    ]),
    fault: Some(
        "transformers refuses the quantization that config.json describes, which is MLX's: it has no quant_method",
    ),
    note: "MLX's weights are loaded by MLX alone; pack the model, or store what it stands for as dense weights.",
    prefix: "language_model.",
    is_mlx: true,
    ..SCHEME
};

/// transformers' own kernels for Apple's devices.
pub const METAL: Scheme = Scheme {
    name: Cow::Borrowed("metal"),
    slots: Cow::Borrowed(&[
        slot(Piece::Codes, "weight"),
        slot(Piece::Scales, "scales"),
        slot(Piece::Zeros, "qbiases"),
    ]),
    packings: Cow::Borrowed(&[AFFINE]),
    doubt: Some("`metal` weights load without Apple's devices only where the validator sets a device map"),
    ..SCHEME
};

/// Codes and zero points of GPTQ follow each other down the inputs of an output.
const fn gptq(plus: u32) -> Packing {
    Packing {
        words: Words { run: Run::Down, transposed: true, ..STREAM },
        zero: Zero::Packed { run: Run::Along, plus },
        ..PLAIN
    }
}

/// Said of whatever transformers keeps in buffers.
const BUFFERS: &str = "Its packed weights are buffers, which the validator does not count: the budget is that of the other \
                       weights alone, so such a model is not eligible whatever its size. Pack the model instead.";

static GPTQ_SLOTS: [Slot; 4] = [
    slot(Piece::Codes, "qweight"),
    slot(Piece::Scales, "scales"),
    slot(Piece::Zeros, "qzeros"),
    slot(Piece::GroupOfInput, "g_idx"),
];

const fn gptq_scheme(packings: &'static [Packing]) -> Scheme {
    Scheme {
        name: Cow::Borrowed("gptq"),
        slots: Cow::Borrowed(&GPTQ_SLOTS),
        packings: Cow::Borrowed(packings),
        count: Count::Nothing,
        note: BUFFERS,
        ..SCHEME
    }
}

/// GPTQ whose zero points are stored 1 too low.
pub const GPTQ: Scheme = gptq_scheme(&[gptq(1)]);

/// GPTQ whose zero points are stored as they are.
pub const GPTQ_V2: Scheme = gptq_scheme(&[gptq(0)]);

/// AWQ: words hold eight outputs of an input, in an order of their own.
pub const AWQ: Scheme = Scheme {
    name: Cow::Borrowed("awq"),
    slots: Cow::Borrowed(&GPTQ_SLOTS),
    packings: Cow::Borrowed(&[Packing {
        words: Words { bits: 4, transposed: true, order: [0, 2, 4, 6, 1, 3, 5, 7], ..STREAM },
        zero: Zero::Packed { run: Run::Along, plus: 0 },
        ..PLAIN
    }]),
    count: Count::Nothing,
    note: BUFFERS,
    ..SCHEME
};

/// compressed-tensors' `pack-quantized`.
pub const COMPRESSED_TENSORS: Scheme = Scheme {
    name: Cow::Borrowed("compressed-tensors"),
    slots: Cow::Borrowed(&[
        slot(Piece::Codes, "weight_packed"),
        slot(Piece::Scales, "weight_scale"),
        slot(Piece::Zeros, "weight_zero_point"),
        slot(Piece::GroupOfInput, "weight_g_idx"),
        slot(Piece::Other, "weight_shape"),
    ]),
    packings: Cow::Borrowed(&[
        Packing { level: Level::LessHalf, ..PLAIN },
        Packing {
            level: Level::LessHalf,
            zero: Zero::Packed { run: Run::Down, plus: 0 },
            fault: Some(
                "compressed-tensors 0.20.1 can't load packed zero points: it expects one for each group of each output",
            ),
            ..PLAIN
        },
    ]),
    count: Count::Tensors,
    note: "Its weights stay packed: the validator counts words, scales and shapes, not what they stand for, and the budget \
           shrinks with the count. Pack the model instead.",
    ..SCHEME
};

/// Codes 0 to 2 for -1 to 1, the outputs in four blocks.
const BITNET_WORDS: Words = Words { bits: 2, run: Run::Blocks, ..STREAM };
static BITNET_SLOTS: [Slot; 2] = [slot(Piece::Codes, "weight"), slot(Piece::Scales, "weight_scale")];

const fn bitnet(scaling: Scaling) -> Packing {
    Packing { words: BITNET_WORDS, level: Level::Less(1), scaling, ..PLAIN }
}

const fn bitnet_scheme(packings: &'static [Packing], count: Count, note: &'static str) -> Scheme {
    Scheme {
        name: Cow::Borrowed("bitnet"),
        slots: Cow::Borrowed(&BITNET_SLOTS),
        packings: Cow::Borrowed(packings),
        count,
        note,
        rounds_inputs: true,
        scales_biases: matches!(count, Count::Full),
        ..SCHEME
    }
}

/// BitNet's `bitlinear`.
pub const BITLINEAR: Scheme = bitnet_scheme(
    &[bitnet(Scaling::Over)],
    Count::Nothing,
    "Packed weights of `bitlinear` are buffers, which the validator does not count: the budget is that of the other weights \
     alone, so such a model is not eligible whatever its size. `linear_class: autobitlinear` with the reciprocal of each \
     weight_scale counts in full.",
);

/// BitNet's `autobitlinear`, unpacked when it is loaded.
pub const AUTOBITLINEAR: Scheme = bitnet_scheme(&[bitnet(Scaling::Times)], Count::Full, "");

/// Two codes a byte, high half first, the matrix laid end to end.
const BNB4: Packing = Packing {
    words: Words { high_first: true, ..stream(4) },
    level: Level::Table,
    share: Share::Neighbours(0),
    ..PLAIN
};

/// The tensors of a matrix of nf4 or fp4.
const fn bnb4_slots(state: &'static str) -> [Slot; 6] {
    [
        slot(Piece::Codes, "weight"),
        slot(Piece::Scales, "weight.absmax"),
        slot(Piece::Table, "weight.quant_map"),
        slot(Piece::OuterTable, "weight.nested_quant_map"),
        slot(Piece::OuterScales, "weight.nested_absmax"),
        slot(Piece::State, state),
    ]
}

static NF4_SLOTS: [Slot; 6] = bnb4_slots("weight.quant_state.bitsandbytes__nf4");
static FP4_SLOTS: [Slot; 6] = bnb4_slots("weight.quant_state.bitsandbytes__fp4");

const fn bnb4_scheme(slots: &'static [Slot]) -> Scheme {
    Scheme {
        name: Cow::Borrowed("bitsandbytes"),
        slots: Cow::Borrowed(slots),
        packings: Cow::Borrowed(&[BNB4, Packing { scale: Scale::Nested, ..BNB4 }]),
        count: Count::Codes,
        note: "Its weights stay packed: the validator counts their bytes, not the two values in each, and the budget shrinks \
               with the count. Pack the model instead.",
        ..SCHEME
    }
}

/// bitsandbytes' nf4.
pub const NF4: Scheme = bnb4_scheme(&NF4_SLOTS);

/// bitsandbytes' fp4, whose table differs.
pub const FP4: Scheme = bnb4_scheme(&FP4_SLOTS);

/// bitsandbytes' int8.
pub const BNB_INT8: Scheme = Scheme {
    name: Cow::Borrowed("bitsandbytes"),
    slots: Cow::Borrowed(&[
        slot(Piece::Codes, "weight"),
        slot(Piece::Scales, "SCB"),
        slot(Piece::Other, "weight_format"),
    ]),
    packings: Cow::Borrowed(&[Packing {
        words: stream(8),
        level: Level::Signed,
        scaling: Scaling::TimesOver127,
        ..PLAIN
    }]),
    ..SCHEME
};

/// torchao's integers of 1 to 8 bits, a byte each.
pub const TORCHAO: Scheme = Scheme {
    name: Cow::Borrowed("torchao"),
    slots: Cow::Borrowed(&[
        slot(Piece::Codes, "_weight_qdata"),
        slot(Piece::Scales, "_weight_scale"),
        slot(Piece::Zeros, "_weight_zero_point"),
    ]),
    packings: Cow::Borrowed(&[
        Packing { words: stream(8), level: Level::Signed, zero: Zero::Number, ..PLAIN },
        Packing { words: stream(8), level: Level::Signed, ..PLAIN },
    ]),
    note: "Each value takes a byte, whatever its bits: only an archive that compresses can bring it under the budget.",
    ..SCHEME
};

/// 8-bit floating-point numbers with a scale for each block, as Qwen publishes them.
pub const FP8: Scheme = Scheme {
    name: Cow::Borrowed("fp8"),
    slots: Cow::Borrowed(&[slot(Piece::Codes, "weight"), slot(Piece::Scales, "weight_scale_inv")]),
    packings: Cow::Borrowed(&[Packing {
        words: stream(8),
        level: Level::E4m3,
        share: Share::Tiles(128),
        ..PLAIN
    }]),
    has_equal_tiles: true,
    note: "Without a GPU for 8-bit floats transformers unpacks the weights when it loads them, and the validator counts them all.",
    ..SCHEME
};
