//! What the user chose or dropped: files, folders, or several of them.

use js_sys::{Array, Function, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{DataTransfer, File, FileList, FileSystemDirectoryEntry, FileSystemEntry, FileSystemFileEntry};

use bitgauge_core::report::Report;
use bitgauge_core::{Error, ErrorKind, limits};

use crate::accident::{self, FIRST_BYTES, Seen};
use crate::arrange::{Arrangement, arrange, item};
use crate::layout;

/// Files to inspect.
#[derive(Clone)]
pub struct Picked {
    /// File or folder name.
    pub name: String,
    /// Whether they are the files of a folder.
    pub folder: bool,
    /// Path of each file inside the folder, or the file's bare name.
    pub paths: Vec<String>,
    /// The files.
    pub files: Vec<File>,
    /// How the weights lie in tensors, as a table in JSON, where a layout came with them.
    pub layout: Option<String>,
}

/// What came together, put in order.
pub enum Arranged {
    /// One artifact or report.
    One(Picked),
    /// Two to compare.
    Two([Picked; 2]),
    /// A layout for what is open, as a table in JSON.
    Layout(String),
    /// A report, and a copy of its artifact.
    Check {
        /// The report's file.
        claim: Picked,
        /// The artifact.
        copy: Picked,
    },
}

impl Picked {
    /// From an `<input type="file">`, of files or of a folder.
    pub fn from_list(list: &FileList) -> Vec<Self> {
        let files: Vec<File> = (0..list.length()).filter_map(|i| list.get(i)).collect();
        let relative = |file: &File| {
            let path = Reflect::get(file, &"webkitRelativePath".into()).ok()?.as_string()?;
            (!path.is_empty()).then_some(path)
        };
        match files.iter().map(relative).collect::<Option<Vec<String>>>() {
            Some(paths) if !paths.is_empty() => vec![Self::of_folder(paths, files)],
            _ => files.into_iter().map(Self::of_file).collect(),
        }
    }

    /// From a drop: folders are read to the bottom.
    pub async fn from_drop(transfer: DataTransfer) -> Result<Vec<Self>, Error> {
        // The entries must be asked for before the first wait: then the browser takes them back.
        let items = transfer.items();
        let entries: Vec<FileSystemEntry> =
            (0..items.length()).filter_map(|i| items.get(i)?.webkit_get_as_entry().ok().flatten()).collect();
        let files = transfer.files();
        if entries.is_empty() {
            return Ok(files.map_or_else(Vec::new, |list| Self::from_list(&list)));
        }
        let mut picked = Vec::new();
        for entry in entries {
            let name = entry.name();
            let read = if entry.is_directory() {
                Self::of_entries(entry.unchecked_into()).await
            } else {
                file_of(entry.unchecked_into()).await.map(Self::of_file)
            };
            picked.push(read.map_err(|_| accident::no_files(&name))?);
        }
        Ok(picked)
    }

    async fn of_entries(folder: FileSystemDirectoryEntry) -> Result<Self, JsValue> {
        let name = folder.name();
        let (mut paths, mut files) = (Vec::new(), Vec::new());
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            for entry in entries_of(&folder).await? {
                if entry.is_directory() {
                    folders.push(entry.unchecked_into());
                } else if (files.len() as u64) <= limits::MEMBERS_COUNT {
                    let path = entry.full_path().trim_start_matches('/').to_owned();
                    paths.push(path.split_once('/').map_or(path.clone(), |(_, rest)| rest.to_owned()));
                    files.push(file_of(entry.unchecked_into()).await?);
                }
            }
        }
        Ok(Self { name, folder: true, paths, files, layout: None })
    }

    /// Puts in order what came together; nothing of nothing. A layout belongs to what came with it.
    pub async fn arranged(mut picked: Vec<Self>) -> Result<Option<Arranged>, Error> {
        let is_layout = |one: &Self| !one.folder && layout::is_named(&one.name);
        if let Some(place) = picked.iter().position(is_layout) {
            let file = picked.remove(place);
            let text = file.text().await?;
            let layout = layout::to_json(&text).map_err(|error| error.within(&file.name))?;
            if picked.is_empty() {
                return Ok(Some(Arranged::Layout(layout)));
            }
            picked.iter_mut().for_each(|one| one.layout = Some(layout.clone()));
        }
        let mut items = Vec::new();
        // More are parts of one model, or too many.
        for one in picked.iter().take(3) {
            let is_report = picked.len() > 1 && matches!(one.report().await, Ok(Some(_)));
            items.push(item(&one.name, one.folder, is_report));
        }
        items.extend(picked.iter().skip(3).map(|one| item(&one.name, one.folder, false)));
        match arrange(&items) {
            Arrangement::TooMany => Err(Error::new(ErrorKind::Unsupported, "these are several artifacts")
                .expected_found("one, or two to compare", picked.len())
                .hint("drop one or two at a time")),
            Arrangement::Together => Ok(Self::together(picked).map(Arranged::One)),
            Arrangement::Checked(report) => {
                let claim = picked.remove(report);
                Ok(picked.pop().map(|copy| Arranged::Check { claim, copy }))
            }
            Arrangement::Compared => {
                let second = picked.pop();
                Ok(picked.pop().zip(second).map(|(first, second)| Arranged::Two([first, second])))
            }
        }
    }

    /// Several as if they lay in one folder.
    fn together(mut picked: Vec<Self>) -> Option<Self> {
        if picked.len() < 2 {
            return picked.pop();
        }
        let name = format!("{} files", picked.len());
        let layout = picked[0].layout.clone();
        let mut all = Self { name, folder: true, paths: Vec::new(), files: Vec::new(), layout };
        for one in picked {
            let inside = |path: String| if one.folder { format!("{}/{path}", one.name) } else { path };
            all.paths.extend(one.paths.into_iter().map(inside));
            all.files.extend(one.files);
        }
        Some(all)
    }

    /// The report in a JSON file, when that is what was chosen.
    pub async fn report(&self) -> Result<Option<Report>, Error> {
        let [file] = self.files.as_slice() else { return Ok(None) };
        if self.folder || !self.name.to_ascii_lowercase().ends_with(".json") {
            return Ok(None);
        }
        let place = |error: Error| error.within(&self.name);
        if file.size() > limits::REPORT_BYTES as f64 {
            return Err(place(Report::too_long(file.size() as u64)));
        }
        let text = self.text().await?;
        let is_report = Report::is_written_in(text.as_bytes());
        is_report.then(|| Report::from_json(&text).map_err(place)).transpose()
    }

    /// The text of its first file.
    async fn text(&self) -> Result<String, Error> {
        let file = self.files.first().map(|file| JsFuture::from(file.text()));
        let text = match file {
            Some(file) => file.await.ok().and_then(|text| text.as_string()),
            None => None,
        };
        text.ok_or_else(|| Error::new(ErrorKind::Io, "the file cannot be read").within(&self.name))
    }

    /// What it is instead of an artifact, where it was opened by accident.
    pub async fn accident(&self) -> Option<Error> {
        if self.folder && (self.files.is_empty() || accident::is_cache(&self.paths)) {
            return Some(accident::no_files(&self.name));
        }
        let mut seen = Vec::new();
        for (path, file) in self.paths.iter().zip(&self.files) {
            let is_read = !self.folder || accident::may_be_pointer(path, file.size() as u64);
            let first = if is_read { first_of(file).await.unwrap_or_default() } else { Vec::new() };
            seen.push(Seen { path: path.clone(), first });
        }
        accident::name(&seen)
    }

    /// Files whose paths begin with the folder's own name.
    fn of_folder(paths: Vec<String>, files: Vec<File>) -> Self {
        let name = paths[0].split('/').next().unwrap_or_default().to_owned();
        let inside = |path: &String| path.split_once('/').map_or(path.clone(), |(_, rest)| rest.to_owned());
        Self { name, folder: true, paths: paths.iter().map(inside).collect(), files, layout: None }
    }

    /// One file, the artifact itself.
    pub fn of_file(file: File) -> Self {
        Self { name: file.name(), folder: false, paths: vec![file.name()], files: vec![file], layout: None }
    }
}

async fn first_of(file: &File) -> Option<Vec<u8>> {
    let slice = file.slice_with_f64_and_f64(0.0, FIRST_BYTES as f64).ok()?;
    let buffer = JsFuture::from(slice.array_buffer()).await.ok()?;
    Some(Uint8Array::new(&buffer).to_vec())
}

/// Everything in a folder: the browser hands it over in portions, until one is empty.
async fn entries_of(folder: &FileSystemDirectoryEntry) -> Result<Vec<FileSystemEntry>, JsValue> {
    let reader = folder.create_reader();
    let mut entries = Vec::new();
    loop {
        let portion = await_callbacks(&reader, "readEntries").await?.unchecked_into::<Array>();
        if portion.length() == 0 || entries.len() as u64 > limits::MEMBERS_COUNT {
            return Ok(entries);
        }
        entries.extend(portion.iter().map(JsValue::unchecked_into));
    }
}

async fn file_of(entry: FileSystemFileEntry) -> Result<File, JsValue> {
    Ok(await_callbacks(&entry, "file").await?.unchecked_into())
}

/// Calls a method that takes two callbacks, for success and for failure.
async fn await_callbacks(object: &JsValue, method: &str) -> Result<JsValue, JsValue> {
    let function: Function = Reflect::get(object, &method.into())?.unchecked_into();
    let promise = Promise::new(&mut |resolve, reject| {
        drop(function.call2(object, &resolve, &reject));
    });
    JsFuture::from(promise).await
}
