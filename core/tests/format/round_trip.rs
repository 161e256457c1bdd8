//! encode and decode are inverse, whole or streamed, at awkward sizes.

use bitgauge_core::format::{Form, Layout, Part, PayloadCheck, decode, decode_dense, encode, group};
use bitgauge_core::model::QuantConfig;
use bitgauge_core::{Bitpacked, Dtype, Matrix, Values};

use crate::sample::{dense, entries, packed};

const COLS: [usize; 8] = [1, 5, 31, 32, 33, 127, 128, 129];
const ROWS: usize = 6;

/// Every combination of K, B, R (none, some, all) and scale group.
fn for_each_case(mut f: impl FnMut(&Bitpacked, &str)) {
    for cols in COLS {
        for bases in 1..=4 {
            for rescued in [0, 1, 4, ROWS] {
                for scale_group in [0, 128] {
                    let matrix = packed(ROWS, cols, rescued, bases, scale_group);
                    f(&matrix, &format!("K {cols}, R {rescued}, B {bases}, group {scale_group}"));
                }
            }
        }
    }
}

#[test]
fn decode_undoes_encode() {
    for_each_case(|matrix, case| {
        let layout = matrix.layout;
        let bytes = encode(matrix);
        for (part, bytes) in bytes.iter() {
            assert_eq!(bytes.len() as u64, layout.part_bytes(part), "{case}: {part:?}");
            assert_eq!(bytes.is_empty(), !layout.has(part), "{case}: {part:?}");
        }
        let again = decode("w.weight", &layout, &bytes.map(Vec::as_slice)).unwrap();
        assert_eq!(&again, matrix, "{case}");
        assert_eq!(encode(&again), bytes, "{case}");
    });
}

#[test]
fn one_flipped_bit_is_another_matrix() {
    for_each_case(|matrix, case| {
        let layout = matrix.layout;
        let whole = Matrix::Bitpacked(matrix.clone()).to_f32();
        for part in [Part::Sign, Part::Scale, Part::RescueCode, Part::RescueScale] {
            let mut bytes = encode(matrix);
            let Some(first) = bytes[part].first_mut() else { continue };
            *first ^= 1;
            match decode("w.weight", &layout, &bytes.map(Vec::as_slice)) {
                Ok(other) => assert_ne!(Matrix::Bitpacked(other).to_f32(), whole, "{case}: {part:?}"),
                Err(error) => assert!(error.place.ends_with(part.suffix()), "{case}: {error}"),
            }
        }
    });
}

#[test]
fn the_layout_follows_from_the_stored_shapes() {
    for_each_case(|matrix, case| {
        let layout = matrix.layout;
        let tensors = entries("w.weight", &layout);
        let config = QuantConfig { scale_group: layout.scale_group() as usize };
        let grouping = group(&tensors, Some(&config));
        assert_eq!(grouping.weights.len(), 1, "{case}");
        let Form::Bitpacked { parts } = &grouping.weights[0].form else { panic!("{case}") };
        let shape = [layout.rows(), layout.cols()];
        assert_eq!(Layout::derive(&tensors, parts, &config, shape), Ok(layout), "{case}");
    });
}

#[test]
fn every_bit_is_accounted_for() {
    for_each_case(|matrix, case| {
        let layout = matrix.layout;
        let bytes: u64 = Part::ALL.into_iter().map(|part| layout.part_bytes(part)).sum();
        let bits = layout.bits();
        assert_eq!(bits.total(), 8 * bytes, "{case}");
        let (r, k, b) = (matrix.rescue_rows.len() as u64, layout.cols(), layout.bases());
        let m = ROWS as u64 - r;
        assert_eq!(bits.sign, m * k * b, "{case}");
        assert_eq!(bits.sign_padding, m * b * ((32 - k % 32) % 32), "{case}");
        assert_eq!(bits.scale, 16 * matrix.scale.len() as u64, "{case}");
        assert_eq!((bits.code, bits.code_padding), (4 * r * k, 4 * r * (k % 2)), "{case}");
        assert_eq!(bits.rescue_scale, 16 * r * k.div_ceil(128), "{case}");
        assert_eq!(bits.row_numbers, 32 * r, "{case}");
        assert_eq!(layout.parameters(), (m + r) * k, "{case}");
    });
}

#[test]
fn any_chunking_streams() {
    let mut random = fastrand::Rng::with_seed(5);
    for_each_case(|matrix, case| {
        let layout = matrix.layout;
        for (part, bytes) in encode(matrix).iter() {
            let mut check = PayloadCheck::new("w.weight", part, &layout);
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(1 + random.usize(..rest.len().min(9)));
                check.push(piece).unwrap_or_else(|error| panic!("{case}: {error}"));
                rest = after;
            }
            check.finish().unwrap_or_else(|error| panic!("{case}: {error}"));
        }
    });
}

#[test]
fn dense_values_keep_their_type() {
    let matrix = dense(3, 5, 11);
    let values = matrix.values.to_f32();
    let f32_bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(decode_dense("w", Dtype::F32, [3, 5], &f32_bytes).unwrap(), matrix);

    let bf16: Vec<half::bf16> = values.iter().map(|&v| half::bf16::from_f32(v)).collect();
    let mut bytes: Vec<u8> = bf16.iter().flat_map(|v| v.to_le_bytes()).collect();
    let read = |bytes: &[u8]| decode_dense("w", Dtype::BF16, [3, 5], bytes).unwrap().values;
    assert_eq!(read(&bytes), Values::BF16(bf16.clone()));
    bytes[9] ^= 1;
    assert_ne!(read(&bytes), Values::BF16(bf16));

    let f16: Vec<half::f16> = values.iter().map(|&v| half::f16::from_f32(v)).collect();
    let bytes: Vec<u8> = f16.iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(decode_dense("w", Dtype::F16, [3, 5], &bytes).unwrap().values, Values::F16(f16));
}
