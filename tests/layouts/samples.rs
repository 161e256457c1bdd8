//! One `k_proj` of each writer, `[128, 256]`, and the values that its own library gives: every one of them, bit by bit.

use std::borrow::Cow;
use std::sync::Arc;

use bitgauge_core::format::Form;
use bitgauge_core::format::layouts::{
    self, Bytes, Coded, Count, Declared, IN_ORDER, Level, Packing, Piece, Pieces, Run, Scale, Scaling,
    Scheme, Share, Slot, Words, Zero, schemes,
};
use bitgauge_core::scan::{Digest, Sha256, hex};
use bitgauge_core::{Result, container::TensorEntry};
use conformance::fixtures;
use native_eval::Source;

/// Each sample, its scheme, and the first half of the SHA-256 of its library's values as f32, 0 without a sign.
const SAMPLES: [(&str, Scheme, &str); 24] = [
    ("mlx1", schemes::MLX, "07aa615a60a292ae"),
    ("mlx2", schemes::MLX, "feae1ee37a82f28a"),
    ("mlx2g32", schemes::MLX, "c80031251d39b190"),
    ("mlx4", schemes::MLX, "fbdaf704ea11ca7f"),
    ("mlx6", schemes::MLX, "9d51a43afa9fba07"),
    ("mlxmxfp4", schemes::MLX, "cb40d4448a336b93"),
    ("mlxmxfp8", schemes::MLX, "00b188cd9a39915f"),
    ("mlxnvfp4", schemes::MLX, "f284b0a816651a8a"),
    ("gptq2", schemes::GPTQ, "4a356a182277611c"),
    ("gptq3", schemes::GPTQ, "91cec84ba4f773c1"),
    ("gptq4", schemes::GPTQ, "2204c081c704f107"),
    ("awq4", schemes::AWQ, "88b5e5b2201edaa2"),
    ("ct1", schemes::COMPRESSED_TENSORS, "fa43239bcee7b97c"),
    ("ct2", schemes::COMPRESSED_TENSORS, "7f39b91f377f7182"),
    ("ct3", schemes::COMPRESSED_TENSORS, "8762a90ef34f2e44"),
    ("ct8", schemes::COMPRESSED_TENSORS, "d69646fb61c0252a"),
    ("ct1asym", schemes::COMPRESSED_TENSORS, "0b66006121d87db0"),
    ("ct2asym", schemes::COMPRESSED_TENSORS, "27decf94d10c97fe"),
    ("ct4asym", schemes::COMPRESSED_TENSORS, "ec09cee1d7c2a68f"),
    ("bitnet", schemes::BITLINEAR, "03424abf06738412"),
    ("bitnet-auto", schemes::AUTOBITLINEAR, "03424abf06738412"),
    ("bnbnf4", schemes::NF4, "3804cdf412df1205"),
    ("bnbint8", schemes::BNB_INT8, "3bbaeaa53a38e3d7"),
    ("aointx1", schemes::TORCHAO, "fa43239bcee7b97c"),
];

/// hqq's matrices, which are only described here: their files are pickles, and these were taken out of them.
const HQQ: [(&str, u32, &str); 4] = [
    ("hqq1", 1, "73277ea0b9b8bbf9"),
    ("hqq2", 2, "9cc868205dcf5a0a"),
    ("hqq3", 3, "da4885fd897760b8"),
    ("hqq4", 4, "e479610f1b0d7686"),
];

/// The tensors of a sample, and their bytes.
fn read(name: &str) -> Result<(Vec<TensorEntry>, Vec<Vec<u8>>)> {
    let mut source = Source::open(&fixtures().join(format!("packings/{name}.safetensors")))?;
    let tensors = source.artifact().tensors.clone();
    let bytes = tensors.iter().map(|tensor| source.read_tensor(tensor)).collect::<Result<_>>()?;
    Ok((tensors, bytes))
}

/// The hash of the values of the matrix in these tensors.
fn hash(tensors: &[TensorEntry], bytes: &[Vec<u8>], pieces: &Pieces, scheme: &Scheme) -> Result<String> {
    let coded = Coded::derive(tensors, pieces, &Arc::new(scheme.clone()), Declared::default(), [128, 256])?;
    let stored = pieces.0.iter().map(|&(piece, index)| Bytes {
        piece,
        dtype: tensors[index].dtype,
        bytes: &bytes[index],
    });
    let matrix = layouts::decode("w", &coded, &stored.collect::<Vec<_>>())?;
    let mut hash = Sha256::new();
    matrix.to_f32().iter().for_each(|value| hash.update((value + 0.0).to_le_bytes()));
    Ok(hex(hash)[..16].to_owned())
}

/// The only module of these tensors.
fn module(name: &str, tensors: &[TensorEntry], scheme: &Scheme) -> Pieces {
    let grouping = layouts::group(tensors, scheme);
    assert_eq!(grouping.weights.len(), 1, "{name}: {grouping:?}");
    assert_eq!(grouping.weights[0].name, "model.layers.0.self_attn.k_proj.weight");
    let Form::Coded { pieces } = &grouping.weights[0].form else { panic!("{name} is not coded") };
    pieces.clone()
}

#[test]
fn values_are_those_of_the_writers_libraries() -> Result<()> {
    for (name, scheme, want) in SAMPLES {
        let (tensors, mut bytes) = read(name)?;
        let pieces = module(name, &tensors, &scheme);
        assert_eq!(hash(&tensors, &bytes, &pieces, &scheme)?, want, "{name}");
        // Rows of zeros in two samples: there a scale of them may change without a trace, a code may not.
        let codes = pieces.get(Piece::Codes).expect("codes");
        let middle = bytes[codes].len() / 2;
        bytes[codes][middle] ^= 1;
        assert_ne!(hash(&tensors, &bytes, &pieces, &scheme)?, want, "{name}: a changed code went unnoticed");
    }
    Ok(())
}

#[test]
fn hqq_is_described_in_the_same_terms() -> Result<()> {
    for (name, bits, want) in HQQ {
        let scheme = Scheme {
            slots: Cow::Owned(vec![
                Slot { piece: Piece::Codes, suffix: "W_q".into() },
                Slot { piece: Piece::Scales, suffix: "scale".into() },
                Slot { piece: Piece::Zeros, suffix: "zero".into() },
            ]),
            packings: Cow::Owned(vec![Packing {
                words: Words { bits, run: Run::Blocks, high_first: true, transposed: false, order: IN_ORDER },
                level: Level::Less(0),
                scale: Scale::Float,
                scaling: Scaling::Times,
                zero: Zero::Number,
                share: Share::Neighbours(64),
                fault: None,
            }]),
            count: Count::Full,
            ..schemes::MLX
        };
        let (tensors, bytes) = read(name)?;
        let of = |suffix: &str| tensors.iter().position(|tensor| tensor.name == suffix).expect(suffix);
        let pieces = Pieces(scheme.slots.iter().map(|slot| (slot.piece, of(&slot.suffix))).collect());
        assert_eq!(hash(&tensors, &bytes, &pieces, &scheme)?, want, "{name}");
        let mut low_first = scheme.clone();
        low_first.packings.to_mut()[0].words.high_first = false;
        assert_ne!(
            hash(&tensors, &bytes, &pieces, &low_first)?,
            want,
            "{name}: another order went unnoticed"
        );
    }
    Ok(())
}

/// Damages the bytes of a sample's tensors.
type Change<'c> = &'c dyn Fn(&[TensorEntry], &mut [Vec<u8>]);

#[test]
fn faulty_tensors_are_named() -> Result<()> {
    let decoded = |name: &str, scheme: &Scheme, change: Change| {
        let (tensors, mut bytes) = read(name)?;
        let pieces = module(name, &tensors, scheme);
        change(&tensors, &mut bytes);
        hash(&tensors, &bytes, &pieces, scheme)
    };
    let at = |tensors: &[TensorEntry], suffix: &str| {
        tensors.iter().position(|tensor| tensor.name.ends_with(suffix)).expect("the tensor")
    };
    let error = decoded("mlx4", &schemes::MLX, &|tensors, bytes| {
        bytes[at(tensors, ".scales")][..2].copy_from_slice(&[0, 0x7c]);
    });
    assert!(error.expect_err("infinite").what.contains("not a finite number"));
    let error = decoded("gptq4", &schemes::GPTQ, &|tensors, bytes| bytes[at(tensors, ".g_idx")][0] = 9);
    assert_eq!(error.expect_err("no such group").expected, "0 to 1");
    let error = decoded("bnbnf4", &schemes::NF4, &|tensors, bytes| {
        let state = at(tensors, "__nf4");
        let text = String::from_utf8(bytes[state].clone()).expect("JSON").replace("128", "127");
        bytes[state] = text.into_bytes();
    });
    assert!(error.expect_err("another shape").what.contains("another shape"));
    Ok(())
}
