//! Artifacts whose headers are as long as the limits allow, or as long as asked: nearly all that they hold is structure.

use std::fmt::Write;

/// What the structure is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A zip of so many members without bytes.
    ZipMembers,
    /// A zip of members with names of 600 bytes.
    ZipNames,
    /// A tar of so many members without bytes.
    TarMembers,
    /// A tar of members with pax names of 600 bytes.
    TarNames,
    /// A safetensors file of so many tensors without bytes.
    Safetensors,
    /// A safetensors file of so many entries of metadata.
    SafetensorsMetadata,
    /// A GGUF file of so many tokens without characters.
    GgufTokens,
    /// A GGUF file of so many numbers of one byte.
    GgufNumbers,
    /// A GGUF file of so many tensors.
    GgufTensors,
    /// A JSON artifact of so many small numbers, in an array that nobody looks at.
    JsonNumbers,
    /// The same of empty arrays.
    JsonArrays,
    /// Of empty objects.
    JsonObjects,
    /// Of short strings.
    JsonTexts,
    /// Of strings that are nothing but escapes.
    JsonEscapes,
    /// Of arrays in arrays.
    JsonNested,
    /// An object of so many keys.
    JsonKeys,
    /// So many rescue codes.
    JsonCodes,
    /// So many rows.
    JsonRows,
}

impl Shape {
    /// Every one.
    pub const ALL: [Self; 18] = [
        Self::ZipMembers,
        Self::ZipNames,
        Self::TarMembers,
        Self::TarNames,
        Self::Safetensors,
        Self::SafetensorsMetadata,
        Self::GgufTokens,
        Self::GgufNumbers,
        Self::GgufTensors,
        Self::JsonNumbers,
        Self::JsonArrays,
        Self::JsonObjects,
        Self::JsonTexts,
        Self::JsonEscapes,
        Self::JsonNested,
        Self::JsonKeys,
        Self::JsonCodes,
        Self::JsonRows,
    ];

    /// Whether it is a JSON artifact.
    pub fn is_json(self) -> bool {
        self as usize >= Self::JsonNumbers as usize
    }

    /// A file name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ZipMembers => "members.zip",
            Self::ZipNames => "names.zip",
            Self::TarMembers => "members.tar",
            Self::TarNames => "names.tar",
            Self::Safetensors => "tensors.safetensors",
            Self::SafetensorsMetadata => "metadata.safetensors",
            Self::GgufTokens => "tokens.gguf",
            Self::GgufNumbers => "numbers.gguf",
            Self::GgufTensors => "tensors.gguf",
            Self::JsonNumbers => "numbers.json",
            Self::JsonArrays => "arrays.json",
            Self::JsonObjects => "objects.json",
            Self::JsonTexts => "texts.json",
            Self::JsonEscapes => "escapes.json",
            Self::JsonNested => "nested.json",
            Self::JsonKeys => "keys.json",
            Self::JsonCodes => "codes.json",
            Self::JsonRows => "rows.json",
        }
    }

    /// How many of them the limits allow.
    pub fn most(self) -> usize {
        match self {
            // One less than the cap, and config.json.
            Self::ZipMembers => 99_998,
            // 64 MiB of central directory.
            Self::ZipNames => 99_998,
            Self::TarMembers => 9_998,
            Self::TarNames => 9_998,
            // 100 MB of header each.
            Self::Safetensors => 1_000_000,
            Self::SafetensorsMetadata => 6_000_000,
            // 256 MiB of header each.
            Self::GgufTokens => 33_000_000,
            Self::GgufNumbers => 268_000_000,
            Self::GgufTensors => 1_000_000,
            // 64 MiB of text each.
            Self::JsonNumbers | Self::JsonCodes => 33_000_000,
            Self::JsonArrays | Self::JsonObjects => 22_000_000,
            Self::JsonTexts => 16_000_000,
            Self::JsonEscapes => 6_000_000,
            Self::JsonNested => 37_000,
            Self::JsonKeys => 4_500_000,
            Self::JsonRows => 3_000_000,
        }
    }

    /// The file, of so many of them.
    pub fn bytes(self, count: usize) -> Vec<u8> {
        let long = |index: usize| format!("{:0>600}", index);
        match self {
            Self::ZipMembers => zip((0..count).map(|index| index.to_string())),
            Self::ZipNames => zip((0..count).map(long)),
            Self::TarMembers => tar((0..count).map(|index| index.to_string())),
            Self::TarNames => tar((0..count).map(long)),
            Self::Safetensors => safetensors(count, |out, index| {
                let _ = write!(out, r#""{index}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#);
            }),
            Self::SafetensorsMetadata => {
                let text = list(count, |out, index| {
                    let _ = write!(out, r#""{index}":"""#);
                });
                safetensors(1, |out, _| {
                    let _ = write!(out, r#""__metadata__":{{{text}}}"#);
                })
            }
            Self::GgufTokens => {
                let mut array = array_of(8, count);
                array.resize(array.len() + 8 * count, 0);
                gguf(array, 0)
            }
            Self::GgufNumbers => {
                let mut array = array_of(0, count);
                array.resize(array.len() + count, 7);
                gguf(array, 0)
            }
            Self::GgufTensors => gguf(array_of(0, 0), count),
            Self::JsonNumbers => json("[", &list(count, |out, _| out.push('1')), "]"),
            Self::JsonArrays => json("[", &list(count, |out, _| out.push_str("[]")), "]"),
            Self::JsonObjects => json("[", &list(count, |out, _| out.push_str("{}")), "]"),
            Self::JsonTexts => json("[", &list(count, |out, _| out.push_str(r#""a""#)), "]"),
            Self::JsonEscapes => json("[", &list(count, |out, _| out.push_str(r#""\u0001""#)), "]"),
            Self::JsonNested => {
                let deep = format!("{}{}", "[".repeat(890), "]".repeat(890));
                json("[", &list(count, |out, _| out.push_str(&deep)), "]")
            }
            Self::JsonKeys => json(
                "{",
                &list(count, |out, index| {
                    let _ = write!(out, r#""{index}":[]"#);
                }),
                "}",
            ),
            Self::JsonCodes => {
                let codes = list(count, |out, _| out.push('1'));
                let row =
                    r#"{"layers":[{"name":"embed_proj","high_precision_fraction":0.5,"rescue_values_q4":["#;
                format!("{row}{codes}]}}]}}").into_bytes()
            }
            Self::JsonRows => {
                let rows = list(count, |out, index| {
                    let _ = write!(out, r#"{{"name":{index}}}"#);
                });
                format!(r#"{{"layers":[{rows}]}}"#).into_bytes()
            }
        }
    }
}

/// So many elements with commas between them.
fn list(count: usize, mut element: impl FnMut(&mut String, usize)) -> String {
    let mut out = String::new();
    for index in 0..count {
        out.push_str(if index > 0 { "," } else { "" });
        element(&mut out, index);
    }
    out
}

fn json(open: &str, elements: &str, close: &str) -> Vec<u8> {
    format!(r#"{{"x":{open}{elements}{close},"layers":1}}"#).into_bytes()
}

/// An archive of config.json and of stored members without bytes (APPNOTE 4.3).
fn zip(names: impl Iterator<Item = String>) -> Vec<u8> {
    let (mut out, mut directory, mut entries) = (Vec::new(), Vec::new(), 0_u64);
    for name in names.chain(["config.json".to_owned()]) {
        let contents: &[u8] = if name == "config.json" { b"{}" } else { b"" };
        let crc32 = crc_of(contents);
        let len = contents.len() as u32;
        let middle = [
            &[20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0][..],
            &crc32.to_le_bytes(),
            &len.to_le_bytes(),
            &len.to_le_bytes(),
            &(name.len() as u16).to_le_bytes(),
            &[0, 0],
        ]
        .concat();
        directory.extend([b"PK\x01\x02", &[20, 0][..], &middle, &[0; 10]].concat());
        directory.extend((out.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        out.extend([b"PK\x03\x04", &middle[..], name.as_bytes(), contents].concat());
        entries += 1;
    }
    let (start, len) = (out.len() as u64, directory.len() as u64);
    let end = start + len;
    out.extend(directory);
    // The zip64 end record, its locator, and the plain one that refers to them.
    out.extend([b"PK\x06\x06", &44_u64.to_le_bytes()[..], &[45, 0, 45, 0], &[0; 8]].concat());
    [entries, entries, len, start].iter().for_each(|field| out.extend(field.to_le_bytes()));
    out.extend([b"PK\x06\x07", &[0; 4][..], &end.to_le_bytes(), &[1, 0, 0, 0]].concat());
    out.extend([b"PK\x05\x06", &[0; 4][..], &[0xff; 12], &[0; 2]].concat());
    out
}

/// CRC-32, bit by bit.
fn crc_of(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
    !bytes.iter().fold(!0_u32, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), step))
}

/// A tar of config.json and of files without bytes; names of 100 bytes and more stand in pax records.
fn tar(names: impl Iterator<Item = String>) -> Vec<u8> {
    let mut out = Vec::new();
    for name in names {
        if name.len() < 100 {
            out.extend(tar_header(&name, b'0', 0));
            continue;
        }
        let rest = format!(" path={name}\n");
        let record = format!("{}{rest}", rest.len() + 3);
        out.extend(tar_header("pax", b'x', record.len()));
        out.extend(record.as_bytes());
        out.resize(out.len().next_multiple_of(512), 0);
        out.extend(tar_header("short", b'0', 0));
    }
    out.extend(tar_header("config.json", b'0', 2));
    out.extend(b"{}");
    out.resize(out.len().next_multiple_of(512) + 1024, 0);
    out
}

fn tar_header(name: &str, kind: u8, len: usize) -> [u8; 512] {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[124..136].copy_from_slice(format!("{len:011o}\0").as_bytes());
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn safetensors(count: usize, entry: impl FnMut(&mut String, usize)) -> Vec<u8> {
    let header = format!("{{{}}}", list(count, entry));
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()
}

/// The beginning of an array of ggml's type `kind`.
fn array_of(kind: u32, count: usize) -> Vec<u8> {
    [&9_u32.to_le_bytes()[..], &kind.to_le_bytes(), &(count as u64).to_le_bytes()].concat()
}

/// A file of one key, an array, and of so many tensors of one F32.
fn gguf(array: Vec<u8>, tensors: usize) -> Vec<u8> {
    let mut out = [b"GGUF", &3_u32.to_le_bytes()[..], &(tensors as u64).to_le_bytes()].concat();
    out.extend([1_u64, 1].iter().flat_map(|field| field.to_le_bytes()));
    out.push(b'k');
    out.extend(array);
    for index in 0..tensors as u64 {
        let name = index.to_string();
        out.extend((name.len() as u64).to_le_bytes());
        out.extend(name.as_bytes());
        out.extend(1_u32.to_le_bytes());
        out.extend(1_u64.to_le_bytes());
        out.extend(0_u32.to_le_bytes());
        out.extend((32 * index).to_le_bytes());
    }
    out.resize(out.len().next_multiple_of(32) + 32 * tensors, 0);
    out
}
