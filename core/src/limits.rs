//! Every cap on untrusted input, with its unit in the name. A declared size is compared with its
//! cap before anything is allocated for it.

/// Longest safetensors header. The reference crate's own cap is 100 MB.
pub const SAFETENSORS_HEADER_BYTES: u64 = 100_000_000;
/// Longest beginning of a GGUF file, up to its tensors: a vocabulary of a million tokens takes 30 MB.
pub const GGUF_HEADER_BYTES: u64 = 256 << 20;
/// Most metadata keys of a GGUF file; real ones have about 40.
pub const GGUF_KEYS_COUNT: u64 = 65_536;
/// Most tensors in one artifact.
pub const TENSORS_COUNT: usize = 1_000_000;
/// Most dimensions of one tensor.
pub const TENSOR_DIMENSIONS: usize = 8;
/// Longest part of a member's path between slashes: Linux's own limit.
pub const NAME_BYTES: usize = 255;
/// Longest path of a member: Linux's own limit is 4,095, which the folder that the validator unpacks into counts to.
pub const PATH_BYTES: usize = 4_000;
/// Most members of one archive or files of one folder.
pub const MEMBERS_COUNT: u64 = 100_000;
/// Longest central directory of a zip.
pub const ZIP_DIRECTORY_BYTES: u64 = 64 << 20;
/// Most that a zip member or a compressed tar may grow by when unpacked: deflate's own ceiling is 1032.
pub const INFLATE_RATIO: u64 = 1_032;
/// Bytes that a compressed tar may unpack to beyond that: short ones are mostly padding.
pub const UNPACK_SLACK_BYTES: u64 = 64 << 20;
/// Most members, and most folders, of a tar: its headers are found one after the other.
pub const TAR_MEMBERS_COUNT: u64 = 10_000;
/// Longest pax records or long name of a tar's member.
pub const TAR_EXTENSION_BYTES: u64 = 1 << 20;
/// Most bytes that pax records and long names of one tar take together.
pub const TAR_EXTENSIONS_BYTES: u64 = 64 << 20;
/// Most bytes of one safetensors header's metadata that a report repeats.
pub const METADATA_BYTES: usize = 4_096;
/// Most bytes of headers and JSON files that are kept of a compressed tar.
pub const TAR_KEPT_BYTES: u64 = 256 << 20;
/// Most memory, in KiB, that unpacking xz may take; `xz -9` takes 65 MiB.
pub const XZ_MEMORY_KIB: u32 = 256 << 10;
/// Most bytes that one archive may unpack to.
pub const UNPACKED_BYTES: u64 = 1 << 40;
/// Longest config.json.
pub const CONFIG_BYTES: u64 = 4 << 20;
/// Longest model.safetensors.index.json.
pub const INDEX_BYTES: u64 = 64 << 20;
/// Longest tokenizer.json.
pub const TOKENIZER_BYTES: u64 = 64 << 20;
/// Longest JSON report that is read back; one with 100,000 weights has about 30 MB.
pub const REPORT_BYTES: u64 = 256 << 20;
/// Longest report in a link, in characters; a real one has up to 2,000.
pub const LINK_CHARACTERS: usize = 16_384;
/// Longest text in a link's report: names, versions.
pub const LINK_TEXT_BYTES: usize = 255;
/// Longest address of an artifact in a report; a link's longest text.
pub const SOURCE_URL_BYTES: usize = LINK_TEXT_BYTES;
/// Most gates in a link's report.
pub const LINK_GATES_COUNT: u64 = 64;
/// Most additive sign bases of one packed weight (the format's own limit).
pub const BASES_COUNT: usize = 4;
/// Most layers of one model; the largest dense models have about 130.
pub const LAYERS_COUNT: u64 = 4_096;
/// Most taps of a causal convolution; published models have 4.
pub const CONVOLUTION_TAPS: u64 = 64;
/// Largest single dimension of a weight: hidden size, MLP width, all heads together, vocabulary.
pub const MODEL_DIMENSION: u64 = 1 << 24;
/// Most held-out documents that one evaluation chooses.
pub const HELDOUT_DOCUMENTS: u64 = 1_000_000;
/// Most additive bases of one proxy matrix; a real artifact has a few.
pub const PROXY_BASES: usize = 1_024;
/// Most accounting entries of a proxy's artifact; a real one has a few.
pub const PROXY_ENTRIES: usize = 65_536;
/// Longest JSON artifact of a proxy; one that rescues every weight has about 1 MB.
pub const PROXY_BYTES: u64 = 64 << 20;
