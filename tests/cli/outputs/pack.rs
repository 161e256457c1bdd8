//! What `pack` replaces, and what it leaves alone.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Output;

use tempfile::TempDir;

use super::{
    MODEL, after, bitgauge, contents, copy_folder, expect_refused, is_fifo, make_fifo, mode, path, run,
    run_mounted, set_mode, text,
};

/// A folder P that holds a copy of the model, P/M.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        copy_folder(Path::new(MODEL), &folder.path().join("M"));
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Packs with these paths of P.
    fn pack(&self, model: &str, out: &str, extra: &[&str]) -> Output {
        let own =
            ["pack", path(&self.path(model)), path(&self.path(out)), "--fit", "mean"].map(str::to_owned);
        bitgauge(&[&own.each_ref().map(String::as_str), extra].concat())
    }

    /// Packs to a new place, which must do.
    fn packed(&self, out: &str) {
        let output = self.pack("M", out, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }

    /// Expects that packing is refused with these words, forced or not, and that all is as it was.
    fn expect_untouched(&self, model: &str, out: &str, words: &str) {
        let before = contents(self.folder.path());
        for extra in [&["--force"][..], &[]] {
            let output = self.pack(model, out, extra);
            assert_eq!(contents(self.folder.path()).len(), before.len(), "{model} {out}");
            assert!(contents(self.folder.path()) == before, "{model} {out}: something was changed");
            expect_refused(&output, if extra.is_empty() { "" } else { words });
        }
    }

    /// A zip with these files.
    fn zip(&self, name: &str, files: &[(&str, &[u8])]) {
        let mut zip = zip::ZipWriter::new(fs::File::create(self.path(name)).expect("a file"));
        for (name, bytes) in files {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).expect("a member");
            zip.write_all(bytes).expect("a member");
        }
        zip.finish().expect("a zip");
    }
}

#[test]
fn the_model_is_neither_replaced_nor_written_into() {
    let place = Place::new();
    let apart = "overwrite its own model";
    symlink("M", place.path("link")).expect("a link");
    symlink("M/config.json", place.path("config.zip")).expect("a link");
    symlink("M/new.zip", place.path("dangling.zip")).expect("a link");
    fs::hard_link(place.path("M/model.safetensors"), place.path("hard.zip")).expect("a link");
    fs::create_dir(place.path("M/below")).expect("a folder");
    symlink("M/below", place.path("way in")).expect("a link");
    for (model, out) in [
        ("M", "M"),
        ("M", "M/../M"),
        ("M", "M/"),
        ("M", "M/."),
        ("M", "."),
        ("M", ""),
        ("M", "M/.."),
        ("M", "link"),
        ("link", "M"),
        ("link", "link"),
        ("M", "link/out.zip"),
        ("M", "M/out.zip"),
        ("M", "M/out"),
        ("M", "M/below"),
        ("M", "M/below/out.tar"),
        ("M", "way in/out.zip"),
        ("M", "config.zip"),
        ("M", "dangling.zip"),
        ("M", "hard.zip"),
        ("M/../M/below/..", "M"),
    ] {
        place.expect_untouched(model, out, apart);
    }
    // A model that is one file.
    place.zip("dense.zip", &[("config.json", b"{}")]);
    place.expect_untouched("dense.zip", "dense.zip", apart);
    // A neighbour whose name begins alike is no part of it.
    place.packed("M.zip");
    place.packed("M2");
}

/// Where this process may mount: elsewhere there is nothing to test.
#[test]
fn a_mount_of_the_model_is_the_model() {
    let place = Place::new();
    fs::create_dir_all(place.path("M/below")).expect("a folder");
    for (mounted, out) in [("M", "mount"), ("M", "mount/out.zip"), ("M/below", "mount/out.zip")] {
        fs::create_dir_all(place.path("mount")).expect("a folder");
        let (model, out) = (place.path("M"), place.path(out));
        let before = contents(&model);
        let pack = ["pack", path(&model), path(&out), "--force"];
        if let Some(output) = run_mounted(&place.path(mounted), &place.path("mount"), &pack) {
            expect_refused(&output, "overwrite its own model");
        }
        assert!(contents(&model) == before);
    }
}

#[test]
fn force_replaces_only_what_pack_wrote() {
    let place = Place::new();
    let kept = "is not replaced";
    fs::create_dir(place.path("photos")).expect("a folder");
    fs::write(place.path("photos/1.jpg"), b"a photo").expect("a file");
    fs::write(place.path("text.zip"), b"not a zip").expect("a file");
    place.zip("photos.zip", &[("1.jpg", b"a photo")]);
    copy_folder(Path::new(MODEL), &place.path("dense"));
    for (name, with) in [("noted", "notes.txt"), ("versioned", ".git")] {
        place.packed(name);
        fs::write(place.path(name).join(with), "mine").expect("a file");
    }
    fs::create_dir(place.path("deep")).expect("a folder");
    place.packed("deep/artifact");
    for out in ["photos", "text.zip", "photos.zip", "dense", "noted", "versioned", "deep"] {
        place.expect_untouched("M", out, kept);
    }
    make_fifo(&place.path("fifo.zip"));
    place.expect_untouched("M", "fifo.zip", "can't be an artifact");
    assert!(is_fifo(&place.path("fifo.zip")));

    fs::create_dir(place.path("empty")).expect("a folder");
    fs::write(place.path("empty.zip"), "").expect("a file");
    place.packed("whole.zip");
    place.packed("whole.tar");
    place.packed("whole");
    let expected =
        ["whole.zip", "whole.tar", "whole/config.json"].map(|name| fs::read(place.path(name)).expect("it"));
    for out in ["empty", "empty.zip", "whole.zip", "whole.tar", "whole"] {
        let output = place.pack("M", out, &["--force"]);
        assert_eq!(output.status.code(), Some(0), "{out}: {}", text(&output.stderr));
    }
    let found =
        ["whole.zip", "whole.tar", "whole/config.json"].map(|name| fs::read(place.path(name)).expect("it"));
    assert!(found == expected);
    // One file of the artifact may be the model's, under another name.
    fs::hard_link(place.path("M/config.json"), place.path("whole/vocab.json")).expect("a link");
    place.expect_untouched("M", "whole", "overwrite its own model");
}

#[test]
fn the_working_folder_is_nobody_elses() {
    let place = Place::new();
    let work = ".out.zip.bitgauge-pack";
    // Somebody's folder that happens to have its name, and a link to one.
    fs::create_dir_all(place.path("photos/model")).expect("a folder");
    fs::write(place.path("photos/model/1.jpg"), b"a photo").expect("a file");
    symlink("photos", place.path(work)).expect("a link");
    place.expect_untouched("M", "out.zip", "holds something else");
    fs::remove_file(place.path(work)).expect("the link");
    fs::rename(place.path("photos"), place.path(work)).expect("a rename");
    fs::write(place.path(work).join("2.jpg"), b"a photo").expect("a file");
    place.expect_untouched("M", "out.zip", "holds something else");
    fs::remove_dir_all(place.path(work)).expect("a folder");
    // The model in it, and the target in another one's.
    fs::create_dir(place.path(work)).expect("a folder");
    fs::rename(place.path("M"), place.path(work).join("model")).expect("a rename");
    place.expect_untouched(&format!("{work}/model"), "out.zip", "overwrite its own model");
    fs::rename(place.path(work).join("model"), place.path("M")).expect("a rename");
    place.expect_untouched("M", &format!("{work}/other.zip"), "in a working folder of");
    // Empty it is taken over.
    place.packed("out.zip");
    assert!(!place.path(work).exists());
}

#[test]
fn other_inputs_are_not_replaced_either() {
    let place = Place::new();
    place.packed("artifact.zip");
    place.packed("artifact");
    let texts = "one text\nanother text\n";
    fs::write(place.path("texts.zip"), texts).expect("a file");
    fs::write(place.path("artifact/vocab.json"), texts).expect("a file");
    let calibrated = |out: &str, documents: &str| {
        let before = contents(place.folder.path());
        let (documents, model) = (place.path(documents), place.path("M"));
        let (documents, model) = (path(&documents), path(&model));
        let out = place.path(out);
        let output = bitgauge(&[
            "pack",
            model,
            path(&out),
            "--force",
            "--calibration",
            documents,
            "--tokenizer",
            "byte-utf8",
        ]);
        assert!(contents(place.folder.path()) == before);
        expect_refused(&output, "overwrite its own model");
    };
    calibrated("texts.zip", "texts.zip");
    calibrated("artifact", "artifact/vocab.json");
}

#[test]
fn a_target_that_cannot_be_is_said_before_the_model_is_read() {
    let place = Place::new();
    fs::write(place.path("M/model.safetensors"), b"not a model").expect("a file");
    for (out, words) in [
        ("absent/out.zip", "absent"),
        ("M/config.json/out.zip", "config.json"),
        ("/sys/out.zip", "cannot be written"),
    ] {
        place.expect_untouched("M", out, words);
    }
    place.expect_untouched("M", "out.gguf", ".zip, .tar or .tar.xz");
    // Where the target can be, it is the model that is wrong.
    let output = place.pack("M", "out.zip", &[]);
    assert!(text(&output.stderr).contains("model.safetensors"), "{}", text(&output.stderr));
}

#[test]
fn links_and_rights_of_a_target_are_kept() {
    let place = Place::new();
    fs::create_dir(place.path("elsewhere")).expect("a folder");
    for (link, target) in [("out.zip", "elsewhere/real.zip"), ("out", "elsewhere/real")] {
        symlink(target, place.path(link)).expect("a link");
        place.packed(link);
        let output = place.pack("M", link, &["--force"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(fs::read_link(place.path(link)).expect("still a link"), Path::new(target));
        assert!(fs::symlink_metadata(place.path(target)).is_ok_and(|metadata| !metadata.is_symlink()));
    }
    assert_eq!(fs::read_dir(place.path("elsewhere")).expect("a folder").count(), 2, "nothing temporary");

    for (umask, file, folder) in [("022", 0o644, 0o755), ("077", 0o600, 0o700), ("002", 0o664, 0o775)] {
        let (model, zip, out) = (place.path("M"), place.path(&format!("{umask}.zip")), place.path(umask));
        for out in [&zip, &out] {
            let output =
                run(after(&format!("umask {umask}"), &["pack", path(&model), path(out), "--fit", "mean"]));
            assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        }
        assert_eq!((mode(&zip), mode(&out), mode(&out.join("config.json"))), (file, folder, file), "{umask}");
    }
    for (out, kept) in [("022.zip", 0o640), ("022", 0o750)] {
        set_mode(&place.path(out), kept);
        assert_eq!(place.pack("M", out, &["--force"]).status.code(), Some(0));
        assert_eq!(mode(&place.path(out)), kept, "{out}");
    }
}
