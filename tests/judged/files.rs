//! Which file is in which bucket, and what an archive adds.

use std::collections::BTreeMap;

use bitgauge_core::accounting::Bucket;
use bitgauge_core::container::Root;
use bitgauge_core::report::Report;
use properties::write::{borrowed, gzip, tar, zip};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use crate::model::{Model, report};

/// Files beside config.json and the weights, and where their bytes belong.
const FILES: [(&str, Bucket); 17] = [
    ("tokenizer.json", Bucket::Tokenizer),
    ("tokenizer_config.json", Bucket::Tokenizer),
    ("tokenizer.model", Bucket::Tokenizer),
    ("vocab.json", Bucket::Tokenizer),
    ("vocab.txt", Bucket::Tokenizer),
    ("merges.txt", Bucket::Tokenizer),
    ("special_tokens_map.json", Bucket::Tokenizer),
    ("added_tokens.json", Bucket::Tokenizer),
    ("chat_template.jinja", Bucket::Tokenizer),
    ("chat_template.json", Bucket::Tokenizer),
    ("own/tokenizer.json", Bucket::Tokenizer),
    ("own/config.json", Bucket::Config),
    ("modeling_own.py", Bucket::Code),
    ("own/code.py", Bucket::Code),
    ("generation_config.json", Bucket::OtherFiles),
    ("README.md", Bucket::OtherFiles),
    ("tokenizer/own.txt", Bucket::OtherFiles),
];

/// The model with a file of another length for each of [`FILES`].
fn model() -> Model {
    let lengths = (0..).map(|power| 1 << power);
    FILES
        .iter()
        .zip(lengths)
        .fold(Model::dense(), |model, ((name, _), len)| model.file(name, &vec![b' '; len]))
}

fn buckets(report: &Report) -> BTreeMap<&'static str, u64> {
    report.accounting.buckets.iter().map(|entry| (entry.bucket.words(), entry.bits)).collect()
}

#[test]
fn each_file_is_in_its_bucket() {
    let report = model().report();
    let found = buckets(&report);
    // Lengths are distinct powers of two, so a sum says which files are in it.
    for bucket in [Bucket::Tokenizer, Bucket::Code, Bucket::OtherFiles] {
        let lengths =
            FILES.iter().enumerate().filter(|(_, (_, of))| *of == bucket).map(|(power, _)| 1_u64 << power);
        assert_eq!(found[bucket.words()], 8 * lengths.sum::<u64>(), "{}", bucket.words());
    }
    let config = model().config.to_string().len() as u64;
    assert_eq!(found["config.json"], 8 * (config + (1 << 11)));
    let weights = model().safetensors();
    let header = 8 + u64::from_le_bytes(*weights.first_chunk().expect("8 bytes"));
    assert_eq!(found["safetensors headers"], 8 * header);
    assert_eq!(found["archive records"], 0);
    assert_eq!(report.accounting.saved_by_compression_bits, 0);
    assert_eq!(found.values().sum::<u64>(), report.accounting.total_bits);
}

#[test]
fn an_archive_adds_its_records_and_takes_what_it_saves() {
    let files = model().files();
    let plain: u64 = files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    let folder = model().report();
    let archive = |method| zip(&borrowed(&files), SimpleFileOptions::default().compression_method(method));
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let bytes = archive(method);
        let size = bytes.len() as u64;
        // 30 and 46 bytes of headers and the name in both, for each file; 22 at the end.
        let names: u64 = files.iter().map(|(name, _)| name.len() as u64).sum();
        let records = files.len() as u64 * 76 + 2 * names + 22;
        let report = report(&[("m.zip".to_owned(), bytes)], Root::File);
        let mut found = buckets(&report);
        let saved = report.accounting.saved_by_compression_bits;
        let grown = found["archive records"] - 8 * records;
        assert_eq!(report.accounting.total_bits, 8 * size);
        assert_eq!(plain + records + grown / 8 - saved / 8, size, "{method}");
        if method == CompressionMethod::Stored {
            assert_eq!((saved, grown), (0, 0));
        } else {
            // Zeros and spaces: a tenth at most; a file of one byte takes three when it is deflated.
            assert!(saved > 8 * plain * 9 / 10 && (8..1_000).contains(&grown), "{saved}, {grown}");
        }
        // Nothing but the records is another bucket's.
        let mut wanted = buckets(&folder);
        found.remove("archive records");
        wanted.remove("archive records");
        assert_eq!(found, wanted);
    }
}

#[test]
fn a_compressed_tar_takes_what_it_saves_as_a_whole() {
    let plain = tar(&borrowed(&model().files()));
    let packed = gzip(&plain);
    let (size, unpacked) = (packed.len() as u64, plain.len() as u64);
    let of_plain = report(&[("m.tar".to_owned(), plain)], Root::File);
    let of_packed = report(&[("m.tar.gz".to_owned(), packed)], Root::File);
    assert_eq!(of_plain.accounting.saved_by_compression_bits, 0);
    assert_eq!(of_packed.accounting.saved_by_compression_bits, 8 * (unpacked - size));
    assert_eq!((of_plain.accounting.total_bits, of_packed.accounting.total_bits), (8 * unpacked, 8 * size));
    // Headers, padding and the end of the tar are in one bucket, either way.
    assert_eq!(buckets(&of_plain), buckets(&of_packed));
    assert_eq!(buckets(&of_plain).values().sum::<u64>(), 8 * unpacked);
}
