//! What people open by accident, by its name and its first bytes, and what to do instead.

use bitgauge_core::{Error, ErrorKind};

/// Longest file that may be a Git LFS pointer, in bytes.
pub const POINTER_BYTES: u64 = 1_024;
/// Bytes of a file's beginning that are enough to tell.
pub const FIRST_BYTES: usize = 64;

const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";
const WEIGHTS: [&str; 3] = [".safetensors", ".gguf", ".zip"];
const PICKLES: [&str; 6] = [".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle"];
/// What a pickle of protocol 2 and later begins with.
const PICKLE: u8 = 0x80;

/// A file as far as it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Path inside the folder, or the file's bare name.
    pub path: String,
    /// Its first bytes, where they were read.
    pub first: Vec<u8>,
}

/// Whether the beginning of a file of a folder is worth a look: it has the name of weights and the length of a pointer.
pub fn may_be_pointer(path: &str, bytes: u64) -> bool {
    bytes <= POINTER_BYTES && ends_in(path, &WEIGHTS)
}

/// What these files are instead of an artifact, if that is known.
pub fn name(files: &[Seen]) -> Option<Error> {
    let has = |name: &str| files.iter().any(|file| base(&file.path) == name);
    if let Some(file) = files.iter().find(|file| file.first.starts_with(LFS)) {
        return Some(accident(
            "this is a Git LFS pointer, not the file itself",
            &file.path,
            "the pointer’s text",
            "run `git lfs pull` in the repository, or download the file from its page, and open that",
        ));
    }
    if (has("adapter_config.json") || has("adapter_model.safetensors")) && !has("config.json") {
        return Some(accident(
            "this is a LoRA adapter, not a model",
            "adapter_model.safetensors",
            "differences from a base model’s weights",
            "merge it into its base model (`merge_and_unload()` of peft), save that, pack it, and open the result",
        ));
    }
    match files {
        [only] if is_pickle(only) => Some(accident(
            "this is a pickle, which can run programs when it is opened",
            &only.path,
            "a file of PyTorch’s own format",
            "save the model as safetensors: `model.save_pretrained(folder)`, and open the folder",
        )),
        [only] if base(&only.path) == "config.json" => Some(accident(
            "this is only the configuration of a model",
            &only.path,
            "config.json without weights",
            "open the whole folder, or all of its files together",
        )),
        files
            if !files.is_empty()
                && !has("config.json")
                && files.iter().any(is_onnx)
                && !files.iter().any(is_weights) =>
        {
            Some(accident(
                "this is an ONNX graph, not a checkpoint",
                &files.iter().find(|file| is_onnx(file))?.path,
                "a program with its weights",
                "open the safetensors or GGUF files that it was exported from",
            ))
        }
        _ => None,
    }
}

/// What a folder is whose files the browser does not show.
pub fn no_files(folder: &str) -> Error {
    let repository = folder.strip_prefix("models--").map(|name| name.replacen("--", "/", 1));
    let hint = match repository {
        Some(repository) => format!("or look at hf://{repository} by its address"),
        None => "or look at the repository by its address".to_owned(),
    };
    Error::new(ErrorKind::Missing, "the browser shows no files in this folder")
        .within(folder)
        .expected_found("a folder with files", "nothing, or links: browsers do not follow links")
        .hint(format!(
            "snapshots in the cache of Hugging Face are links. Copy the folder with the files that they lead to \
             (`cp -rL FOLDER COPY`) and open the copy; or run `bitgauge inspect FOLDER`, which follows them; {hint}"
        ))
}

/// The folder of a repository in the cache of Hugging Face, whose files have lost their names.
pub fn is_cache(paths: &[String]) -> bool {
    let is_blob = |path: &String| path.split('/').rev().nth(1) == Some("blobs");
    !paths.is_empty()
        && paths.iter().any(is_blob)
        && paths.iter().all(|path| is_blob(path) || path.contains("refs/") || path.contains(".no_exist/"))
}

fn accident(what: &str, place: &str, found: &str, hint: &str) -> Error {
    Error::new(ErrorKind::Unsupported, what)
        .within(place)
        .expected_found("a model folder, a zip or tar of one, a safetensors or a GGUF file", found)
        .hint(hint)
}

fn is_pickle(file: &Seen) -> bool {
    let is_protocol =
        file.first.first() == Some(&PICKLE) && file.first.get(1).is_some_and(|v| (2..=5).contains(v));
    is_protocol || ends_in(&file.path, &PICKLES)
}

fn is_onnx(file: &Seen) -> bool {
    file.path.ends_with(".onnx")
}

fn is_weights(file: &Seen) -> bool {
    ends_in(&file.path, &WEIGHTS)
}

fn ends_in(path: &str, ends: &[&str]) -> bool {
    ends.iter().any(|end| path.to_ascii_lowercase().ends_with(end))
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(files: &[(&str, &[u8])]) -> Vec<Seen> {
        files.iter().map(|(path, first)| Seen { path: (*path).into(), first: first.to_vec() }).collect()
    }

    #[track_caller]
    fn check(files: &[(&str, &[u8])], words: &str) {
        let error = name(&seen(files)).expect(words);
        assert!(error.what.contains(words) && error.hint.is_some(), "{error}");
    }

    #[test]
    fn accidents_have_names() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:ab";
        check(&[("model.zip", pointer)], "Git LFS");
        check(&[("config.json", b""), ("model.safetensors", pointer)], "Git LFS");
        check(&[("pytorch_model.bin", b"PK\x03\x04")], "pickle");
        check(&[("weights", b"\x80\x02}q")], "pickle");
        check(&[("adapter_config.json", b""), ("adapter_model.safetensors", b"")], "LoRA");
        check(&[("adapter_model.safetensors", b"")], "LoRA");
        check(&[("config.json", b"{")], "configuration");
        check(&[("model.onnx", b"")], "ONNX");
        check(&[("onnx/model.onnx", b""), ("tokenizer.json", b"")], "ONNX");
    }

    #[test]
    fn artifacts_are_no_accidents() {
        for files in [
            &[("model.zip", &b"PK\x03\x04"[..])][..],
            &[("config.json", b"{"), ("model.safetensors", b"")],
            &[("config.json", b"{"), ("adapter_config.json", b"{"), ("model.safetensors", b"")],
            &[("config.json", b"{"), ("onnx/model.onnx", b""), ("model.safetensors", b"")],
            &[("poem.txt", b"So much")],
            &[],
        ] {
            assert_eq!(name(&seen(files)), None, "{files:?}");
        }
        assert!(may_be_pointer("a/model.safetensors", 134) && !may_be_pointer("a/model.safetensors", 2_000));
        assert!(!may_be_pointer("README.md", 10));
    }

    #[test]
    fn a_folder_of_links_says_whose_it_may_be() {
        assert!(no_files("models--o--m").hint.as_ref().is_some_and(|hint| hint.contains("hf://o/m")));
        assert!(no_files("abc").hint.as_ref().is_some_and(|hint| hint.contains("cp -rL")));
        let paths = |list: &[&str]| list.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
        assert!(is_cache(&paths(&["blobs/ab", "refs/main"])));
        assert!(!is_cache(&paths(&["refs/main"])) && !is_cache(&paths(&["blobs/ab", "config.json"])));
    }
}
