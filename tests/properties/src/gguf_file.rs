//! A writer of GGUF files, by the specification and not by our reader.

/// A value of the metadata.
#[derive(Debug, Clone)]
pub enum Meta {
    /// Type 4.
    U32(u32),
    /// Type 6.
    F32(f32),
    /// Type 7.
    Bool(bool),
    /// Type 8.
    Text(String),
    /// Type 9 of 5.
    I32s(Vec<i32>),
    /// Type 9 of 8.
    Texts(Vec<String>),
}

/// ggml's number of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GgmlType(pub u32);

#[allow(missing_docs, reason = "the names are ggml's")]
impl GgmlType {
    pub const F32: Self = Self(0);
    pub const F16: Self = Self(1);
    pub const Q4_0: Self = Self(2);
    pub const Q8_0: Self = Self(8);
    pub const Q1_0: Self = Self(41);
}

/// A tensor's name, dimensions (outermost first), type and bytes.
type Tensor = (String, Vec<u64>, GgmlType, Vec<u8>);

/// A file that is being put together.
#[derive(Debug, Clone, Default)]
pub struct GgufFile {
    keys: Vec<(String, Meta)>,
    tensors: Vec<Tensor>,
}

const ALIGNMENT: usize = 32;

impl GgufFile {
    /// Adds a key.
    pub fn key(&mut self, name: &str, value: Meta) -> &mut Self {
        self.keys.push((name.to_owned(), value));
        self
    }

    /// Adds a tensor.
    pub fn tensor(&mut self, name: &str, shape: &[u64], kind: GgmlType, bytes: Vec<u8>) -> &mut Self {
        self.tensors.push((name.to_owned(), shape.to_vec(), kind, bytes));
        self
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3_u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.keys.len() as u64).to_le_bytes());
        for (name, value) in &self.keys {
            text(&mut out, name);
            meta(&mut out, value);
        }
        let mut offset = 0_u64;
        for (name, shape, kind, bytes) in &self.tensors {
            text(&mut out, name);
            out.extend((shape.len() as u32).to_le_bytes());
            shape.iter().rev().for_each(|dim| out.extend(dim.to_le_bytes()));
            out.extend(kind.0.to_le_bytes());
            out.extend(offset.to_le_bytes());
            offset += bytes.len().next_multiple_of(ALIGNMENT) as u64;
        }
        out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
        for (_, _, _, bytes) in &self.tensors {
            out.extend_from_slice(bytes);
            out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
        }
        out
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn meta(out: &mut Vec<u8>, value: &Meta) {
    let array = |out: &mut Vec<u8>, kind: u32, len: usize| {
        out.extend(9_u32.to_le_bytes());
        out.extend(kind.to_le_bytes());
        out.extend((len as u64).to_le_bytes());
    };
    match value {
        Meta::U32(n) => out.extend([4_u32.to_le_bytes(), n.to_le_bytes()].concat()),
        Meta::F32(x) => out.extend([6_u32.to_le_bytes(), x.to_le_bytes()].concat()),
        Meta::Bool(flag) => out.extend([&7_u32.to_le_bytes()[..], &[u8::from(*flag)]].concat()),
        Meta::Text(value) => {
            out.extend(8_u32.to_le_bytes());
            text(out, value);
        }
        Meta::I32s(values) => {
            array(out, 5, values.len());
            values.iter().for_each(|value| out.extend(value.to_le_bytes()));
        }
        Meta::Texts(values) => {
            array(out, 8, values.len());
            values.iter().for_each(|value| text(out, value));
        }
    }
}
