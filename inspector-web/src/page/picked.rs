//! What the user chose or dropped: one file, several, or a folder.

use js_sys::{Array, Function, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{DataTransfer, File, FileList, FileSystemDirectoryEntry, FileSystemEntry, FileSystemFileEntry};

use bitgauge_core::report::Report;
use bitgauge_core::{Error, ErrorKind, limits};

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
}

impl Picked {
    /// From an `<input type="file">`, of files or of a folder; nothing when it is empty.
    pub fn from_list(list: &FileList) -> Option<Self> {
        let files: Vec<File> = (0..list.length()).filter_map(|i| list.get(i)).collect();
        let relative = |file: &File| {
            let path = Reflect::get(file, &"webkitRelativePath".into()).ok()?.as_string()?;
            (!path.is_empty()).then_some(path)
        };
        match files.iter().map(relative).collect::<Option<Vec<String>>>() {
            Some(paths) if !paths.is_empty() => Some(Self::of_folder(paths, files)),
            _ => Self::of_files(files),
        }
    }

    /// From a drop: folders are read to the bottom.
    pub async fn from_drop(transfer: DataTransfer) -> Result<Option<Self>, JsValue> {
        // The entries must be asked for before the first wait: then the browser takes them back.
        let items = transfer.items();
        let entries: Vec<FileSystemEntry> =
            (0..items.length()).filter_map(|i| items.get(i)?.webkit_get_as_entry().ok().flatten()).collect();
        let [only] = entries.as_slice() else {
            return Ok(transfer.files().and_then(|list| Self::from_list(&list)));
        };
        if !only.is_directory() {
            return Ok(transfer.files().and_then(|list| Self::from_list(&list)));
        }
        let (mut paths, mut files) = (Vec::new(), Vec::new());
        let mut folders: Vec<FileSystemDirectoryEntry> = vec![only.clone().unchecked_into()];
        while let Some(folder) = folders.pop() {
            for entry in entries_of(&folder).await? {
                if entry.is_directory() {
                    folders.push(entry.unchecked_into());
                } else if (files.len() as u64) <= limits::MEMBERS_COUNT {
                    paths.push(entry.full_path().trim_start_matches('/').to_owned());
                    files.push(file_of(entry.unchecked_into()).await?);
                }
            }
        }
        Ok((!files.is_empty()).then(|| Self::of_folder(paths, files)))
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
        let text = JsFuture::from(file.text()).await.ok().and_then(|text| text.as_string());
        let text = text.ok_or_else(|| place(Error::new(ErrorKind::Io, "the file cannot be read")))?;
        let is_report = Report::is_written_in(text.as_bytes());
        is_report.then(|| Report::from_json(&text).map_err(place)).transpose()
    }

    /// Files whose paths begin with the folder's own name.
    fn of_folder(paths: Vec<String>, files: Vec<File>) -> Self {
        let name = paths[0].split('/').next().unwrap_or_default().to_owned();
        let inside = |path: &String| path.split_once('/').map_or(path.clone(), |(_, rest)| rest.to_owned());
        Self { name, folder: true, paths: paths.iter().map(inside).collect(), files }
    }

    /// One file is the artifact itself; several are as if they lay in a folder.
    fn of_files(files: Vec<File>) -> Option<Self> {
        let first = files.first()?.name();
        let folder = files.len() > 1;
        let name = if folder { format!("{} files", files.len()) } else { first };
        Some(Self { name, folder, paths: files.iter().map(File::name).collect(), files })
    }
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
