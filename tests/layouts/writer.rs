//! Writes matrices of random codes as each writer does, from its description alone, with the values that they stand for.

use fastrand::Rng;
use half::{bf16, f16};
use safetensors::tensor::Dtype;
use serde_json::{Value, json};

/// A tensor: what follows the module's name and a dot, type, shape, bytes.
pub type Tensor = (&'static str, Dtype, Vec<usize>, Vec<u8>);

/// A way to store a matrix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Way {
    /// Bits and group.
    Mlx(usize, usize),
    Mxfp4,
    Mxfp8,
    Nvfp4,
    Metal(usize),
    /// Bits, whether zero points are stored 1 too low.
    Gptq(usize, bool),
    Awq,
    /// Bits, whether there are zero points.
    CompressedTensors(usize, bool),
    /// Whether values are multiplied by the scale.
    BitNet(bool),
    /// Whether scales are codes.
    Nf4(bool),
    Int8,
    Torchao,
    Fp8,
}

impl Way {
    /// What config.json says.
    pub fn config(self) -> Value {
        match self {
            Self::Mlx(bits, group) => json!({"bits": bits, "group_size": group, "mode": "affine"}),
            Self::Mxfp4 => json!({"bits": 4, "group_size": 32, "mode": "mxfp4"}),
            Self::Mxfp8 => json!({"bits": 8, "group_size": 32, "mode": "mxfp8"}),
            Self::Nvfp4 => json!({"bits": 4, "group_size": 16, "mode": "nvfp4"}),
            Self::Metal(bits) => json!({"quant_method": "metal", "bits": bits, "group_size": 64}),
            Self::Gptq(bits, low) => json!({
                "quant_method": "gptq", "bits": bits, "group_size": 64, "desc_act": true,
                "checkpoint_format": if low { "gptq" } else { "gptq_v2" },
            }),
            Self::Awq => json!({"quant_method": "awq", "bits": 4, "group_size": 64, "version": "gemm"}),
            Self::CompressedTensors(bits, zeros) => json!({
                "quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"group_0": {
                    "targets": ["Linear"],
                    "weights": {"num_bits": bits, "group_size": 64, "symmetric": !zeros, "strategy": "group"},
                }},
            }),
            Self::BitNet(times) => json!({
                "quant_method": "bitnet", "quantization_mode": "offline",
                "linear_class": if times { "autobitlinear" } else { "bitlinear" },
            }),
            Self::Nf4(_) => {
                json!({"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "nf4"})
            }
            Self::Int8 => {
                json!({"quant_method": "bitsandbytes", "load_in_8bit": true, "bnb_4bit_quant_type": "fp4"})
            }
            Self::Torchao => json!({"quant_method": "torchao", "quant_type": {"default": {}}}),
            Self::Fp8 => json!({"quant_method": "fp8", "weight_block_size": [128, 128]}),
        }
    }

    /// Whether the embedding and the head are packed, too.
    pub fn packs_all(self) -> bool {
        matches!(self, Self::Mlx(..) | Self::Mxfp4 | Self::Mxfp8 | Self::Nvfp4)
    }

    /// Elements that the validator counts of a matrix `[n, k]`.
    pub fn counted(self, [n, k]: [usize; 2]) -> usize {
        match self {
            Self::Gptq(..) | Self::Awq | Self::BitNet(false) => 0,
            Self::CompressedTensors(bits, zeros) => {
                let zeros = if zeros { (n * bits).div_ceil(32) * (k / 64) } else { 0 };
                n * k * bits / 32 + n * k / 64 + zeros + 2
            }
            Self::Nf4(_) => n * k / 2,
            _ => n * k,
        }
    }
}

/// Sets the bits of a code.
fn set(bytes: &mut [u8], bit: usize, bits: usize, code: usize) {
    for at in 0..bits {
        if code >> at & 1 == 1 {
            bytes[(bit + at) / 8] |= 1 << ((bit + at) % 8);
        }
    }
}

/// Codes `[lines, length]` as a stream along each line.
fn along(codes: &[usize], length: usize, bits: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for line in codes.chunks(length) {
        let mut bytes = vec![0; (length * bits).div_ceil(32) * 4];
        line.iter().enumerate().for_each(|(at, code)| set(&mut bytes, at * bits, bits, *code));
        out.extend(bytes);
    }
    out
}

/// Codes `[lines, length]` as a stream down each column, in words of 32 bits.
fn down(codes: &[usize], length: usize, bits: usize) -> Vec<u8> {
    let lines = codes.len() / length;
    let words = (lines * bits).div_ceil(32);
    let mut out = vec![0; words * length * 4];
    for column in 0..length {
        let mut bytes = vec![0; words * 4];
        (0..lines).for_each(|line| set(&mut bytes, line * bits, bits, codes[line * length + column]));
        for word in 0..words {
            out[(word * length + column) * 4..][..4].copy_from_slice(&bytes[word * 4..][..4]);
        }
    }
    out
}

fn turned(values: &[usize], length: usize) -> Vec<usize> {
    (0..length).flat_map(|column| values.iter().skip(column).step_by(length)).copied().collect()
}

fn f16_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect()
}

fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Numbers that are exact in f16 and bf16.
fn scales(random: &mut Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| f32::from(random.u8(64..128)) / 4096.0).collect()
}

/// Values of the 16 codes of e2m1.
const E2M1: [f32; 16] =
    [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0];

/// The value of a code of e4m3.
fn e4m3(code: usize) -> f32 {
    let (exponent, mantissa) = ((code >> 3 & 15) as i32, (code & 7) as f32 / 8.0);
    let size =
        if exponent == 0 { mantissa * 2_f32.powi(-6) } else { (1.0 + mantissa) * 2_f32.powi(exponent - 7) };
    if code >= 128 { -size } else { size }
}

/// A random matrix `[n, k]` in this way, and its values.
pub fn write(way: Way, [n, k]: [usize; 2], random: &mut Rng) -> (Vec<Tensor>, Vec<f32>) {
    let mut codes = |bits: usize| -> Vec<usize> { (0..n * k).map(|_| random.usize(0..1 << bits)).collect() };
    let by = |values: &dyn Fn(usize, usize) -> f32| -> Vec<f32> {
        (0..n * k).map(|at| values(at / k, at % k)).collect()
    };
    match way {
        Way::Mlx(bits, group) => affine(codes(bits), [n, k], (bits, group), "biases", random),
        Way::Metal(bits) => affine(codes(bits), [n, k], (bits, 64), "qbiases", random),
        Way::Mxfp4 | Way::Mxfp8 | Way::Nvfp4 => {
            let bits = if way == Way::Mxfp8 { 8 } else { 4 };
            let group = if way == Way::Nvfp4 { 16 } else { 32 };
            // No number of 8 bits is none.
            let codes: Vec<usize> =
                codes(bits).into_iter().map(|code| code & if bits == 8 { 0xbf } else { 15 }).collect();
            let of: Vec<u8> = (0..n * k / group).map(|_| random.u8(118..122)).collect();
            let scale = |at: usize| match way {
                Way::Nvfp4 => e4m3(usize::from(of[at]) - 100),
                _ => 2_f32.powi(i32::from(of[at]) - 127),
            };
            let level = |code: usize| if bits == 8 { e4m3(code) } else { E2M1[code] };
            let values = by(&|row, col| level(codes[row * k + col]) * scale((row * k + col) / group));
            let stored = of.iter().map(|code| if way == Way::Nvfp4 { code - 100 } else { *code }).collect();
            let tensors = vec![
                ("weight", Dtype::U32, vec![n, k * bits / 32], along(&codes, k, bits)),
                ("scales", Dtype::U8, vec![n, k / group], stored),
            ];
            (tensors, values)
        }
        Way::Gptq(bits, low) => {
            let (codes, groups) = (codes(bits), k / 64);
            let s = scales(random, groups * n);
            // Its own number of a zero point is 1 below the one that is stored.
            let zeros: Vec<usize> = (0..groups * n).map(|_| random.usize(0..(1 << bits) - 1)).collect();
            let of: Vec<usize> = (0..k).map(|_| random.usize(0..groups)).collect();
            let plus = usize::from(low);
            let values = by(&|row, col| {
                let at = of[col] * n + row;
                s[at] * (codes[row * k + col] as f32 - (zeros[at] + plus) as f32)
            });
            let tensors = vec![
                ("qweight", Dtype::I32, vec![k * bits / 32, n], down(&turned(&codes, k), n, bits)),
                ("qzeros", Dtype::I32, vec![groups, n * bits / 32], along(&zeros, n, bits)),
                ("scales", Dtype::F16, vec![groups, n], f16_bytes(&s)),
                ("g_idx", Dtype::I32, vec![k], of.iter().flat_map(|of| (*of as i32).to_le_bytes()).collect()),
            ];
            (tensors, values)
        }
        Way::Awq => {
            let (codes, groups) = (codes(4), k / 64);
            let s = scales(random, groups * n);
            let zeros: Vec<usize> = (0..groups * n).map(|_| random.usize(0..16)).collect();
            let values = by(&|row, col| {
                let at = col / 64 * n + row;
                s[at] * (codes[row * k + col] as f32 - zeros[at] as f32)
            });
            // Nibble j of a word is column ORDER[j] of eight.
            const ORDER: [usize; 8] = [0, 2, 4, 6, 1, 3, 5, 7];
            let shuffled = |codes: &[usize]| -> Vec<usize> {
                codes.chunks(8).flat_map(|eight| ORDER.map(|column| eight[column])).collect()
            };
            let bf16_bytes = s.iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()).collect();
            let tensors = vec![
                ("qweight", Dtype::I32, vec![k, n / 8], along(&shuffled(&turned(&codes, k)), n, 4)),
                ("qzeros", Dtype::I32, vec![groups, n / 8], along(&shuffled(&zeros), n, 4)),
                ("scales", Dtype::BF16, vec![groups, n], bf16_bytes),
            ];
            (tensors, values)
        }
        Way::CompressedTensors(bits, with_zeros) => {
            let (codes, groups) = (codes(bits), k / 64);
            let s = scales(random, n * groups);
            let half = (1 << (bits - 1)) as f32;
            let zeros: Vec<usize> = (0..n * groups).map(|_| random.usize(0..1 << bits)).collect();
            let values = by(&|row, col| {
                let at = row * groups + col / 64;
                let zero = if with_zeros { zeros[at] as f32 - half } else { 0.0 };
                s[at] * (codes[row * k + col] as f32 - half - zero)
            });
            let shape = [n as i64, k as i64].iter().flat_map(|side| side.to_le_bytes()).collect();
            let mut tensors = vec![
                ("weight_packed", Dtype::I32, vec![n, k * bits / 32], along(&codes, k, bits)),
                ("weight_scale", Dtype::F16, vec![n, groups], f16_bytes(&s)),
                ("weight_shape", Dtype::I64, vec![2], shape),
            ];
            if with_zeros {
                let packed = down(&zeros, groups, bits);
                tensors.push((
                    "weight_zero_point",
                    Dtype::I32,
                    vec![(n * bits).div_ceil(32), groups],
                    packed,
                ));
            }
            (tensors, values)
        }
        Way::BitNet(times) => {
            let codes: Vec<usize> = codes(8).into_iter().map(|code| code % 3).collect();
            let s = if times { 0.03125 } else { 32.0 };
            let values = by(&|row, col| {
                let level = codes[row * k + col] as f32 - 1.0;
                if times { level * s } else { level / s }
            });
            let quarter = n / 4;
            let byte = |row: usize, col: usize| {
                (0..4).fold(0, |byte, block| {
                    byte | (codes[(row + block * quarter) * k + col] << (2 * block)) as u8
                })
            };
            let packed = (0..quarter * k).map(|at| byte(at / k, at % k)).collect();
            let tensors = vec![
                ("weight", Dtype::U8, vec![quarter, k], packed),
                ("weight_scale", Dtype::F32, vec![1], f32_bytes(&[s])),
            ];
            (tensors, values)
        }
        Way::Nf4(nested) => {
            let codes = codes(4);
            let table: Vec<f32> = (0..16).map(|code| (code as f32 - 7.0) / 8.0).collect();
            let blocks = n * k / 64;
            let outer = scales(random, blocks.div_ceil(256));
            let outer_table: Vec<f32> = (0..256).map(|code| code as f32 / 256.0).collect();
            let of: Vec<u8> = (0..blocks).map(|_| random.u8(..)).collect();
            let plain = scales(random, blocks);
            let scale = |block: usize| match nested {
                true => outer_table[usize::from(of[block])] * outer[block / 256] + 0.015_625,
                false => plain[block],
            };
            let values = by(&|row, col| table[codes[row * k + col]] * scale((row * k + col) / 64));
            let packed = codes.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect();
            let state = json!({"quant_type": "nf4", "blocksize": 64, "shape": [n, k], "dtype": "float32",
                "nested_blocksize": 256, "nested_offset": 0.015_625});
            let state = state.to_string().into_bytes();
            let mut tensors = vec![
                ("weight", Dtype::U8, vec![n * k / 2, 1], packed),
                ("weight.quant_map", Dtype::F32, vec![16], f32_bytes(&table)),
                ("weight.quant_state.bitsandbytes__nf4", Dtype::U8, vec![state.len()], state),
            ];
            if nested {
                tensors.push(("weight.absmax", Dtype::U8, vec![blocks], of.clone()));
                tensors.push(("weight.nested_absmax", Dtype::F32, vec![outer.len()], f32_bytes(&outer)));
                tensors.push(("weight.nested_quant_map", Dtype::F32, vec![256], f32_bytes(&outer_table)));
            } else {
                tensors.push(("weight.absmax", Dtype::F32, vec![blocks], f32_bytes(&plain)));
            }
            (tensors, values)
        }
        Way::Int8 => {
            let (codes, s) = (codes(8), scales(random, n));
            let values = by(&|row, col| f32::from(codes[row * k + col] as u8 as i8) * s[row] / 127.0);
            let tensors = vec![
                ("weight", Dtype::I8, vec![n, k], codes.iter().map(|code| *code as u8).collect()),
                ("SCB", Dtype::F32, vec![n], f32_bytes(&s)),
                ("weight_format", Dtype::U8, vec![], vec![0]),
            ];
            (tensors, values)
        }
        Way::Torchao => {
            let (codes, s) = (codes(8), scales(random, n * k / 64));
            let zeros: Vec<u8> = (0..n * k / 64).map(|_| random.u8(..)).collect();
            let values = by(&|row, col| {
                let at = (row * k + col) / 64;
                (f32::from(codes[row * k + col] as u8 as i8) - f32::from(zeros[at] as i8)) * s[at]
            });
            let tensors = vec![
                ("_weight_qdata", Dtype::I8, vec![n, k], codes.iter().map(|code| *code as u8).collect()),
                ("_weight_scale", Dtype::F32, vec![n, k / 64], f32_bytes(&s)),
                ("_weight_zero_point", Dtype::I8, vec![n, k / 64], zeros),
            ];
            (tensors, values)
        }
        Way::Fp8 => {
            let codes: Vec<usize> = codes(8).into_iter().map(|code| code & 0xbf).collect();
            let sides = [n.div_ceil(128), k.div_ceil(128)];
            let s = scales(random, sides[0] * sides[1]);
            let values = by(&|row, col| e4m3(codes[row * k + col]) * s[row / 128 * sides[1] + col / 128]);
            let tensors = vec![
                ("weight", Dtype::F8_E4M3, vec![n, k], codes.iter().map(|code| *code as u8).collect()),
                ("weight_scale_inv", Dtype::F32, sides.to_vec(), f32_bytes(&s)),
            ];
            (tensors, values)
        }
    }
}

fn affine(
    codes: Vec<usize>,
    [n, k]: [usize; 2],
    (bits, group): (usize, usize),
    biases: &'static str,
    random: &mut Rng,
) -> (Vec<Tensor>, Vec<f32>) {
    let count = n * k / group;
    // Scales of either sign.
    let s: Vec<f32> =
        scales(random, count).iter().enumerate().map(|(i, s)| if i % 3 == 0 { -s } else { *s }).collect();
    // One bit stands for plus and minus one number.
    let b: Vec<f32> = s.iter().map(|s| if bits == 1 { -s / 2.0 } else { -s }).collect();
    let values = (0..n * k).map(|at| codes[at] as f32 * s[at / group] + b[at / group]).collect();
    let tensors = vec![
        ("weight", Dtype::U32, vec![n, k * bits / 32], along(&codes, k, bits)),
        ("scales", Dtype::F16, vec![n, k / group], f16_bytes(&s)),
        (biases, Dtype::F16, vec![n, k / group], f16_bytes(&b)),
    ];
    (tensors, values)
}
