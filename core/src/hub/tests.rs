use super::*;

fn read(text: &str) -> HubAddress {
    HubAddress::parse(text, HUB).expect(text).expect(text)
}

/// Repository, revision, path, and whether that is a file.
#[track_caller]
fn check(text: &str, wanted: (&str, &str, &str, bool)) {
    let address = read(text);
    let found = (&*address.repository, &*address.revision, &*address.path, address.is_file);
    assert_eq!(found, wanted, "{text}");
    assert_eq!(address.endpoint, HUB, "{text}");
}

#[test]
fn every_form_of_an_address_is_read() {
    for text in ["https://huggingface.co/o/m", "huggingface.co/o/m/", "https://hf.co/o/m?x=1#y", "hf://o/m"] {
        check(text, ("o/m", "main", "", false));
    }
    check("hf://models/o/m", ("o/m", "main", "", false));
    check("https://huggingface.co/o/m/tree/v1.0", ("o/m", "v1.0", "", false));
    check("https://huggingface.co/o/m/tree/main/a/b", ("o/m", "main", "a/b", false));
    check("https://huggingface.co/o/m/blob/main/a/m.zip", ("o/m", "main", "a/m.zip", true));
    check("https://huggingface.co/o/m/resolve/main/m.zip?download=true", ("o/m", "main", "m.zip", true));
    check("hf://o/m@abc123/m%20n.gguf", ("o/m", "abc123", "m n.gguf", true));
    check("hf://o/m/folder", ("o/m", "main", "folder", false));
}

#[test]
fn revisions_may_have_slashes() {
    for text in [
        "https://huggingface.co/o/m/tree/refs%2Fpr%2F7/a",
        "https://huggingface.co/o/m/tree/refs/pr/7/a",
        "hf://o/m@refs/pr/7/a",
        "hf://o/m@refs%2Fpr%2F7/a",
    ] {
        check(text, ("o/m", "refs/pr/7", "a", false));
    }
    let url = read("hf://o/m@refs/pr/7/a/m.zip").file_url("a/m n.zip");
    assert_eq!(url, "https://huggingface.co/o/m/resolve/refs%2Fpr%2F7/a/m%20n.zip");
}

#[test]
fn other_hosts_are_hubs_where_the_address_says_so() {
    let parse = |text| HubAddress::parse(text, "http://127.0.0.1:80/").expect(text);
    let address = parse("https://mirror.example/o/m/resolve/main/m.zip").expect("a hub");
    assert_eq!(address.endpoint, "https://mirror.example");
    assert_eq!(parse("hf://o/m").expect("a hub").endpoint, "http://127.0.0.1:80");
    assert!(parse("http://127.0.0.1:80/o/m").is_some() && parse("https://huggingface.co/o/m").is_some());
    for other in [
        "https://mirror.example/o/m",
        "https://mirror.example/o/m/resolve/main",
        "https://huggingface.co/o/m/resolve",
        "https://huggingface.co/o",
        "https://huggingface.co",
        "https://example.org/model.zip",
        "/a/folder",
        "model.zip",
        "",
    ] {
        assert_eq!(HubAddress::parse(other, HUB).expect(other), None, "{other}");
    }
}

#[test]
fn what_is_no_name_is_refused() {
    for text in [
        "hf://",
        "hf://o",
        "hf://o/@main",
        "hf://o/m x",
        "hf://../m",
        "hf://o/m/../../x",
        "hf://o/m/%2e%2e/x",
        "hf://o/m/%zz",
        "hf://o/m/%ff",
        "hf://o/m/%é",
        "https://huggingface.co/o/m/tree/../x",
    ] {
        assert!(HubAddress::parse(text, HUB).is_err(), "{text}");
    }
}

#[test]
fn the_hub_is_asked_for_the_folder() {
    let url = |text| read(text).listing_url();
    assert_eq!(url("hf://o/m"), "https://huggingface.co/api/models/o/m/tree/main?recursive=true");
    let shard =
        "https://huggingface.co/datasets/o/d/blob/refs%2Fpr%2F7/a%20b/model-00001-of-00002.safetensors";
    assert_eq!(url(shard), "https://huggingface.co/api/datasets/o/d/tree/refs%2Fpr%2F7/a%20b?recursive=true");
    assert_eq!(read(shard).folder(), "a b");
    assert_eq!(
        read("hf://spaces/o/s/m.zip").file_url("m.zip"),
        "https://huggingface.co/spaces/o/s/resolve/main/m.zip"
    );
}

#[test]
fn an_archive_needs_no_listing_and_a_part_of_a_model_does() {
    for alone in ["m.zip", "a/m.tar.xz", "m.gguf", "proxy.json", "m-00001-of-00001.gguf"] {
        assert!(read(&format!("hf://o/m/{alone}")).stands_alone(), "{alone}");
    }
    for part in
        ["model.safetensors", "m-00001-of-00002.gguf", "config.json", "model.safetensors.index.json", "a"]
    {
        assert!(!read(&format!("hf://o/m/{part}")).stands_alone(), "{part}");
    }
}

fn entry(kind: &str, path: &str, size: u64) -> String {
    format!(r#"{{"type":"{kind}","oid":"1","size":{size},"path":"{path}"}}"#)
}

#[test]
fn a_listing_has_the_lengths_of_its_files() {
    let stored = r#"{"type":"file","oid":"1","size":5,"path":"m.zip","lfs":{"oid":"ab","size":5,"pointerSize":134},"xetHash":"cd"}"#;
    let text = format!("[{},{},{stored}]", entry("directory", "a", 0), entry("file", "a/b", 7));
    let files = listing(text.as_bytes()).expect("a listing");
    let found: Vec<_> = files.iter().map(|f| (&*f.path, f.bytes, f.sha256.as_deref())).collect();
    assert_eq!(found, [("a/b", 7, None), ("m.zip", 5, Some("ab"))]);
    for damaged in ["", "{}", r#"{"error":"Repository not found"}"#, r#"[{"type":"file","path":"a"}]"#] {
        assert!(listing(damaged.as_bytes()).is_err(), "{damaged}");
    }
}

#[track_caller]
fn chosen(address: &str, paths: &[&str], name: &str, is_folder: bool, wanted: &[&str]) {
    let file = |path: &&str| ListedFile { path: (*path).to_owned(), bytes: 1, sha256: None };
    let chosen = read(address).choose(paths.iter().map(file).collect()).expect(address);
    let inner: Vec<&str> = chosen.files.iter().map(|file| chosen.inner(file)).collect();
    assert_eq!((&*chosen.name, chosen.is_folder, &*inner), (name, is_folder, wanted));
}

#[test]
fn a_repository_is_a_folder_an_only_archive_or_a_set_of_shards() {
    let model = ["README.md", "config.json", "model.safetensors", "extra.zip"];
    chosen("hf://o/m", &model, "m", true, &model);
    chosen("hf://o/m/model.safetensors", &model, "m", true, &model);
    chosen("hf://o/m", &["README.md", "a/model.zip"], "model.zip", false, &["model.zip"]);
    chosen("hf://o/m", &["a.zip", "b.zip"], "m", true, &["a.zip", "b.zip"]);
    let nested = ["a/config.json", "a/model.safetensors", "ab/config.json", "config.json"];
    chosen(
        "https://huggingface.co/o/m/tree/main/a",
        &nested,
        "a",
        true,
        &["config.json", "model.safetensors"],
    );
    let sets = ["x-00001-of-00002.gguf", "x-00002-of-00002.gguf", "y-00001-of-00002.gguf", "config.json"];
    chosen("hf://o/m/x-00002-of-00002.gguf", &sets, "m", true, &sets[..2]);
    assert!(read("hf://o/m/b").choose(vec![]).is_err());
}

#[test]
fn short_texts_are_asked_for_as_a_whole() {
    let address = read("hf://o/m@v 1");
    assert_eq!(address.text_url("a/config.json"), "https://huggingface.co/o/m/raw/v%201/a/config.json");
    let file = |path: &str, bytes, sha256: Option<&str>| ListedFile {
        path: path.to_owned(),
        bytes,
        sha256: sha256.map(str::to_owned),
    };
    assert!(file("config.json", 4 << 20, None).is_short_text());
    assert!(file("a/model.safetensors.index.json", 1, None).is_short_text());
    assert!(!file("config.json", (4 << 20) + 1, None).is_short_text());
    assert!(!file("config.json", 1, Some("ab")).is_short_text());
    assert!(!file("tokenizer.json", 1, None).is_short_text());
    assert!(!file("model.safetensors", 1, None).is_short_text());
}
