//! Every bit of the artifact in exactly one bucket.

use std::collections::HashSet;

use crate::container::Member;
use crate::inventory::{Inventory, Stored, Weight};
use crate::json::{fields, names};
use crate::model::Presence;
use crate::tensor::{BlockType, Dtype};

names! {
    /// What a bit of the artifact is spent on, in the order of reports. Links hold the place of each, so new ones are
    /// appended.
    pub enum Bucket {
        /// One bit per binary parameter (per basis).
        SignBits = "sign-bits": "sign bits",
        /// Zero bits that fill a row of signs up to 32.
        SignPadding = "sign-padding": "sign padding",
        /// 16-bit scales of binary rows.
        Scales = "scales",
        /// 4-bit codes of rescue rows.
        RescueCodes = "rescue-codes": "rescue codes",
        /// The unused nibble of rescue rows of odd length.
        RescueCodePadding = "rescue-code-padding": "rescue code padding",
        /// 16-bit scales of rescue rows.
        RescueScales = "rescue-scales": "rescue scales",
        /// 32-bit numbers of the rescue rows.
        RescueRowNumbers = "rescue-row-numbers": "rescue row numbers",
        /// Weights stored without packing: norms, and matrices left dense.
        Unpacked = "unpacked": "unpacked tensors",
        /// Tensors that the architecture does not know, that repeat a weight or that do not fit.
        OtherTensors = "other-tensors": "other tensors",
        /// Headers of safetensors and GGUF files.
        Headers = "headers": "safetensors headers",
        /// config.json.
        Config = "config": "config.json",
        /// Tokenizer files.
        Tokenizer = "tokenizer",
        /// Python code.
        Code = "code",
        /// Every other file.
        #[default]
        OtherFiles = "other-files": "other files",
        /// The archive's own records and alignment.
        Archive = "archive": "archive records",
    }
}

fields! {
    /// Bits in one bucket.
    #[derive(Copy, Eq)]
    pub struct Entry {
        /// What they are spent on.
        pub bucket: Bucket,
        /// How many, before the archive's compression.
        pub bits: u64,
    }
}

fields! {
    /// Where the artifact's bits go: the buckets minus what compression saves is its exact size.
    pub struct Accounting {
        /// Every bucket, in the order of [`Bucket::ALL`].
        pub buckets: Vec<Entry>,
        /// Bits that the archive's compression saves.
        pub saved_by_compression_bits: u64,
        /// Eight times the artifact's bytes.
        pub total_bits: u64,
        /// Logical parameters in binary rows.
        pub binary_parameters: u64,
        /// Logical parameters in rescue rows.
        pub rescue_parameters: u64,
        /// Parameters of weights stored without packing.
        pub unpacked_parameters: u64,
        /// `total_bits` over the model's parameters, when those are known.
        pub bits_per_parameter: Option<f64>,
    }
}

impl Accounting {
    /// Counts every bit of an artifact.
    pub fn of(inventory: &Inventory) -> Self {
        let mut accounting = Self {
            buckets: Bucket::ALL.map(|bucket| Entry { bucket, bits: 0 }).to_vec(),
            saved_by_compression_bits: 0,
            total_bits: 8 * inventory.artifact.size_bytes,
            binary_parameters: 0,
            rescue_parameters: 0,
            unpacked_parameters: 0,
            bits_per_parameter: None,
        };
        accounting.count_weights(inventory);
        accounting.count_files(inventory);
        let parameters = inventory.parameters().filter(|&p| p > 0);
        accounting.bits_per_parameter = parameters.map(|p| accounting.total_bits as f64 / p as f64);
        accounting
    }

    fn add(&mut self, bucket: Bucket, bits: u64) {
        self.buckets[bucket as usize].bits += bits;
    }

    fn count_weights(&mut self, inventory: &Inventory) {
        for Weight { stored, expected, .. } in &inventory.weights {
            match stored {
                Stored::Bitpacked(layout) => {
                    let bits = layout.bits();
                    self.add(Bucket::SignBits, bits.sign);
                    self.add(Bucket::SignPadding, bits.sign_padding);
                    self.add(Bucket::Scales, bits.scale);
                    self.add(Bucket::RescueCodes, bits.code);
                    self.add(Bucket::RescueCodePadding, bits.code_padding);
                    self.add(Bucket::RescueScales, bits.rescue_scale);
                    self.add(Bucket::RescueRowNumbers, bits.row_numbers);
                    self.rescue_parameters += stored.rescue_parameters();
                    self.binary_parameters += stored.parameters() - stored.rescue_parameters();
                }
                Stored::Coded(coded) => {
                    let is_binary = coded.bits() == 1;
                    let codes = if is_binary { Bucket::SignBits } else { Bucket::Unpacked };
                    self.add(codes, coded.code_bits());
                    self.add(Bucket::Scales, stored.bits() - coded.code_bits());
                    let of_kind =
                        if is_binary { &mut self.binary_parameters } else { &mut self.unpacked_parameters };
                    let is_copy = expected.as_ref().is_some_and(|e| e.presence == Presence::TiedCopy);
                    *of_kind += if is_copy { 0 } else { stored.parameters() };
                }
                Stored::Plain { dtype: Dtype::Block(BlockType::Q1_0), .. } if expected.is_some() => {
                    self.add(Bucket::SignBits, stored.sign_bits());
                    self.add(Bucket::Scales, stored.bits() - stored.sign_bits());
                    self.binary_parameters += stored.parameters();
                }
                Stored::Plain { .. } if expected.is_some() => {
                    self.add(Bucket::Unpacked, stored.bits());
                    // A head that is the embedding again is no parameter of its own.
                    let is_copy = expected.as_ref().is_some_and(|e| e.presence == Presence::TiedCopy);
                    self.unpacked_parameters += if is_copy { 0 } else { stored.parameters() };
                }
                Stored::Plain { .. } | Stored::Misfit { .. } => self.add(Bucket::OtherTensors, stored.bits()),
            }
        }
        self.add(Bucket::OtherTensors, inventory.surplus_bits);
    }

    fn count_files(&mut self, inventory: &Inventory) {
        let artifact = inventory.artifact;
        // A compressed tar is compressed as a whole: its members lie plain in what it unpacks to.
        let unpacked_bytes =
            artifact.compressed.map_or(artifact.size_bytes, |compressed| compressed.unpacked_bytes);
        let mut stored_bytes = 0;
        // Bytes that several names share are counted once: as tensors, if one of the names makes them that.
        let is_link = |member: &&Member| member.hard_link.is_some();
        let of_tensors = artifact.members.iter().filter(is_link).filter(|member| member.header.is_some());
        let counted_as_tensors: HashSet<usize> = of_tensors.filter_map(|member| member.hard_link).collect();
        for (index, member) in artifact.members.iter().enumerate() {
            if counted_as_tensors.contains(&index) || (is_link(&member) && member.header.is_none()) {
                continue;
            }
            match &member.header {
                Some(header) => self.add(Bucket::Headers, 8 * header.bytes),
                None => self.add(file_bucket(member), 8 * member.bytes),
            }
            self.saved_by_compression_bits += 8 * member.bytes.saturating_sub(member.stored_bytes);
            self.add(Bucket::Archive, 8 * member.stored_bytes.saturating_sub(member.bytes));
            stored_bytes += member.stored_bytes;
        }
        self.add(Bucket::Archive, 8 * unpacked_bytes.saturating_sub(stored_bytes));
        self.add(Bucket::Archive, 8 * artifact.size_bytes.saturating_sub(unpacked_bytes));
        self.saved_by_compression_bits += 8 * unpacked_bytes.saturating_sub(artifact.size_bytes);
    }
}

fn file_bucket(member: &Member) -> Bucket {
    let name = member.name.rsplit('/').next().unwrap_or(&member.name);
    const TOKENIZER_FILES: [&str; 7] = [
        "vocab.json",
        "vocab.txt",
        "merges.txt",
        "special_tokens_map.json",
        "added_tokens.json",
        "chat_template.jinja",
        "chat_template.json",
    ];
    match name {
        "config.json" => Bucket::Config,
        _ if name.starts_with("tokenizer") || TOKENIZER_FILES.contains(&name) => Bucket::Tokenizer,
        _ if name.ends_with(".py") => Bucket::Code,
        _ => Bucket::OtherFiles,
    }
}
