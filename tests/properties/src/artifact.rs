//! What holds for any artifact: opened at once or piece by piece it is the same, and so is what the inspection of it
//! says; every bit is counted once; its report can be stored and shared without loss.

use bitgauge_core::container::{Artifact, Inflater, Member, Need, Pause, Root, TarStream, Window, open};
use bitgauge_core::contract::Rules;
use bitgauge_core::inspect;
use bitgauge_core::inventory::Inventory;
use bitgauge_core::scan::{Findings, Scan};
use bitgauge_core::{Error, Result};

use crate::pieces::Cuts;
use crate::report::check_own;

/// Times that a parser may ask before it is given all that it asks for.
const STINGY_ROUNDS: usize = 12;
/// Bytes that a range may be longer on either side than it was asked for.
const EXTRA_BYTES: u64 = 5;

/// The files of an artifact.
pub struct Files<'a> {
    files: Vec<(&'a str, &'a [u8])>,
    root: Root,
}

impl<'a> Files<'a> {
    /// A single file.
    pub fn single(name: &'a str, bytes: &'a [u8]) -> Self {
        Self { files: vec![(name, bytes)], root: Root::File }
    }

    /// A folder of these files.
    pub fn folder(files: Vec<(&'a str, &'a [u8])>) -> Self {
        Self { files, root: Root::Folder }
    }

    /// Opens the artifact both ways, compares the two, then inspects it.
    pub fn check(&self, cuts: &mut Cuts) -> Option<Artifact> {
        let artifact = self.open_both_ways(cuts).ok()?;
        check_structure(&artifact);
        self.inspect(&artifact, cuts);
        Some(artifact)
    }

    /// Opens the artifact with all bytes known, and piece by piece; the outcome must be the same.
    pub fn open_both_ways(&self, cuts: &mut Cuts) -> Result<Artifact> {
        let (at_once, in_pieces) = (self.open(), self.open_in_pieces(cuts));
        match (&at_once, &in_pieces) {
            (Ok(at_once), Ok(in_pieces)) => assert_same(at_once, in_pieces),
            // A decoder that stops keeps what it unpacked in that step: which of two faults of a compressed file is met
            // first depends on the pieces.
            (Err(at_once), Err(in_pieces)) => {
                let stops = |error: &Error| error.what.ends_with("file is damaged");
                assert!(
                    at_once == in_pieces || stops(at_once) || stops(in_pieces),
                    "at once {at_once:?}, in pieces {in_pieces:?}"
                );
            }
            _ => panic!("at once {at_once:?}, in pieces {in_pieces:?}"),
        }
        at_once
    }

    /// Opens the artifact with every byte known from the start.
    pub fn open(&self) -> Result<Artifact> {
        let mut window = self.window();
        for (file, (_, bytes)) in self.files.iter().enumerate() {
            window.feed(file, 0, bytes.to_vec()).expect("room for a few bytes");
        }
        match open(&window, self.root) {
            Ok(artifact) => Ok(artifact),
            Err(Pause::Failed(error)) => Err(error),
            Err(Pause::Need(needs)) => panic!("all is known, yet these are needed: {needs:?}"),
            Err(Pause::Unpack(compressor)) => {
                let mut tar = TarStream::new(self.files[0].0, compressor)?;
                tar.push(self.files[0].1)?;
                tar.finish()
            }
        }
    }

    /// Opens the artifact from no more than what is asked for, and often less.
    fn open_in_pieces(&self, cuts: &mut Cuts) -> Result<Artifact> {
        let mut window = self.window();
        for round in 0.. {
            let needs = match open(&window, self.root) {
                Ok(artifact) => return Ok(artifact),
                Err(Pause::Failed(error)) => return Err(error),
                Err(Pause::Unpack(compressor)) => {
                    let mut tar = TarStream::new(self.files[0].0, compressor)?;
                    cuts.cut(self.files[0].1, |piece| tar.push(piece))?;
                    return tar.finish();
                }
                Err(Pause::Need(needs)) => needs,
            };
            assert!(!needs.is_empty(), "a pause without a need");
            for need in needs {
                self.feed(&mut window, need, cuts, round < STINGY_ROUNDS);
            }
        }
        unreachable!("the loop has no end")
    }

    fn window(&self) -> Window {
        Window::new(self.files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.len() as u64)).collect())
    }

    /// Feeds what is needed with a little more around it, or, stingily, only its beginning.
    fn feed(&self, window: &mut Window, need: Need, cuts: &mut Cuts, stingy: bool) {
        let bytes = self.files[need.file].1;
        let end = need.offset + need.len;
        assert!(need.len > 0 && end <= bytes.len() as u64, "a need outside its file: {need:?}");
        let start = need.offset - cuts.below(EXTRA_BYTES.min(need.offset) + 1);
        let end = match stingy && cuts.below(2) == 0 {
            true => need.offset + 1 + cuts.below(need.len),
            false => (end + cuts.below(EXTRA_BYTES)).min(bytes.len() as u64),
        };
        let bytes = bytes[start as usize..end as usize].to_vec();
        window.feed(need.file, start, bytes).expect("room for a few bytes");
    }

    /// Inspects the artifact at once and in pieces; the findings must be the same, and the reports sound.
    fn inspect(&self, artifact: &Artifact, cuts: &mut Cuts) {
        let Ok(inventory) = Inventory::of(artifact) else { return };
        check_own(&inspect::report("a", &inventory, Rules::Binary, None));
        let at_once = self.scan(&inventory, |bytes, scan| scan.push(bytes));
        let in_pieces = self.scan(&inventory, |bytes, scan| cuts.cut(bytes, |piece| scan.push(piece)));
        assert_eq!(at_once.as_ref().ok(), in_pieces.as_ref().ok(), "the pieces changed what was found");
        if let Ok(findings) = at_once {
            check_own(&inspect::report("a", &inventory, Rules::Ternary, Some(&findings)));
        }
    }

    fn scan(
        &self,
        inventory: &Inventory,
        mut push: impl FnMut(&[u8], &mut Scan) -> Result<()>,
    ) -> Result<Findings> {
        let mut scan = Scan::new(inventory);
        scan.hash_tensors();
        for (file, (_, bytes)) in self.files.iter().enumerate() {
            scan.begin_file(file)?;
            push(bytes, &mut scan)?;
        }
        scan.finish()
    }
}

/// Bytes of one member of a single file, its checksum compared.
pub fn member_bytes(file: &[u8], member: &Member) -> Result<Vec<u8>, Error> {
    let stored = &file[member.offset as usize..][..member.stored_bytes as usize];
    if member.stored_bytes == member.bytes
        && member.compression == bitgauge_core::container::Compression::Stored
    {
        return Ok(stored.to_vec());
    }
    let mut inflater = Inflater::of(member);
    let (mut out, mut taken, mut buffer) = (Vec::new(), 0, vec![0; 4096]);
    loop {
        let step = inflater.inflate(&stored[taken..], &mut buffer)?;
        taken += step.taken;
        out.extend_from_slice(&buffer[..step.written]);
        if step.taken == 0 && step.written == 0 {
            break;
        }
    }
    inflater.finish()?;
    Ok(out)
}

/// Members and tensors lie inside what holds them, and each name is there once.
fn check_structure(artifact: &Artifact) {
    let mut names: Vec<&str> = artifact.members.iter().map(|member| member.name.as_str()).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a member twice: {names:?}");
    let mut names: Vec<&str> = artifact.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a tensor twice: {names:?}");
    for tensor in &artifact.tensors {
        let elements: u128 = tensor.shape.iter().map(|&dim| u128::from(dim)).product();
        let bits =
            u128::from(tensor.dtype.bytes()) * 8 * elements / u128::from(tensor.dtype.block_elements());
        assert_eq!(bits, 8 * u128::from(tensor.bytes), "{tensor:?}");
        assert!(tensor.offset + tensor.bytes <= artifact.members[tensor.member].bytes, "{tensor:?}");
    }
}

/// Compares two readings of one artifact.
pub fn assert_same(left: &Artifact, right: &Artifact) {
    assert_eq!(
        (left.kind, left.compressed, left.size_bytes),
        (right.kind, right.compressed, right.size_bytes)
    );
    assert_same_contents(left, right);
}

/// Compares what two artifacts hold, however it is packed.
pub fn assert_same_contents(left: &Artifact, right: &Artifact) {
    assert_eq!(left.members, right.members);
    assert_eq!(left.model_dir, right.model_dir);
    assert_eq!(left.config, right.config);
    assert_eq!(left.tensors, right.tensors);
    // As text, for which one NaN equals another.
    assert_eq!(format!("{:?}", left.gguf), format!("{:?}", right.gguf));
}
