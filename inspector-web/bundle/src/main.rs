//! Makes the browser inspector's folder of static files:
//!
//!     inspector-bundle inspector-web.wasm worker.wasm formats.wasm evaluate.wasm tokenize.wasm library.wasm \
//!         inspector-web/ dist/ [NODE_MODULES]
//!
//! JavaScript for each WebAssembly module, names that carry a hash of their contents, and the pages and the service
//! worker that name them. Where NODE_MODULES has binaryen and esbuild, wasm-opt and esbuild make it small.

use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use sha2::{Digest, Sha256};
use wasm_bindgen_cli_support::Bindgen;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let (paths, tools) = match arguments.as_slice() {
        [paths @ .., tools] if paths.len() == MODULES.len() + 2 => {
            (paths, Some(Path::new(tools).join(".bin")))
        }
        paths => (paths, None),
    };
    let [modules @ .., source, dist] = paths else { return usage() };
    if modules.len() != MODULES.len() {
        return usage();
    }
    let modules: Vec<_> = MODULES.into_iter().zip(modules.iter().map(Path::new)).collect();
    match bundle(&modules, Path::new(source), Path::new(dist), tools.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The names of the modules, in the order of the arguments.
const MODULES: [&str; 6] = ["inspector", "worker", FORMATS, EVALUATE, TOKENIZE, LIBRARY];

/// Those that few ask for: they are fetched then, and not kept for use without a network.
const ON_REQUEST: [&str; 3] = [EVALUATE, TOKENIZE, LIBRARY];

/// The modules that measure, that tokenize, and that do so with tokenizers of other kinds.
const EVALUATE: &str = "evaluate";
const TOKENIZE: &str = "tokenize";
const LIBRARY: &str = "library";

fn usage() -> ExitCode {
    let modules: String = MODULES.iter().map(|name| format!("{}_WASM ", name.to_uppercase())).collect();
    eprintln!("usage: inspector-bundle {modules}SOURCE_DIR DIST_DIR [NODE_MODULES]");
    ExitCode::from(2)
}

fn bundle(modules: &[(&str, &Path)], source: &Path, dist: &Path, tools: Option<&Path>) -> Result<()> {
    // Files of an earlier build would be published with this one.
    if dist.exists() {
        fs::remove_dir_all(dist)?;
    }
    fs::create_dir_all(dist)?;
    let mut index = fs::read_to_string(source.join("index.html"))?;
    for &(name, wasm) in modules {
        let module = module(name, wasm, dist, tools)?;
        let mark = name.to_uppercase();
        index = replace_once(&index, &format!("{mark}_JS"), &module.js)?;
        index = replace_once(&index, &format!("{mark}_WASM"), &module.wasm)?;
    }
    fs::write(dist.join("compare.html"), page(&index, "compare", "Compare two")?)?;
    let url = replace_once(&index, "connect-src 'self'", CONNECT_ANYWHERE)?;
    fs::write(dist.join("url.html"), page(&url, "url", "By address")?)?;
    fs::write(dist.join("index.html"), index)?;
    for file in COPIED {
        fs::copy(source.join(file), dist.join(file))?;
        if let (Some(tools), true) = (tools, file.ends_with(".js") || file.ends_with(".css")) {
            minify(tools, &dist.join(file))?;
        }
    }
    write_offline(source, dist, tools)?;
    // Behind the list of what is kept for use without a network: they are fetched only on request.
    for (file, name) in EXAMPLES {
        fs::copy(source.join(file), dist.join(name))?;
    }
    Ok(())
}

/// The artifact that the page offers to try, and the documents to measure its perplexity on.
const EXAMPLES: [(&str, &str); 2] =
    [("../demo/model.zip", "example.zip"), ("../demo/documents.json", "example-documents.json")];

/// Files of the page that keep their names.
const COPIED: [&str; 3] = ["boot.js", "icon.svg", "style.css"];

/// The names of a module's files.
struct Module {
    js: String,
    wasm: String,
}

/// Writes a module's WebAssembly and the JavaScript that loads it.
fn module(name: &str, wasm: &Path, dist: &Path, tools: Option<&Path>) -> Result<Module> {
    let mut bindgen = Bindgen::new();
    bindgen.input_path(wasm).web(true)?.typescript(false).out_name(name);
    bindgen.generate(dist)?;
    let (script, compiled) = (dist.join(format!("{name}.js")), dist.join(format!("{name}_bg.wasm")));
    if let Some(tools) = tools {
        let mut wasm_opt = Command::new(tools.join("wasm-opt"));
        run(wasm_opt.args(WASM_OPT).arg(&compiled).arg("-o").arg(&compiled))?;
        minify(tools, &script)?;
    }
    Ok(Module { js: with_hash(&script)?, wasm: with_hash(&compiled)? })
}

/// Writes a script or a style sheet without what only people need.
fn minify(tools: &Path, file: &Path) -> Result<()> {
    let mut esbuild = Command::new(tools.join("esbuild"));
    esbuild.args(["--minify", "--log-level=warning", "--allow-overwrite"]).arg(file);
    run(esbuild.arg(format!("--outfile={}", file.display())))
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().display().to_string();
    let status = command.status().map_err(|error| format!("{program}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{program} failed: {status}").into()) }
}

/// The policy of the page that opens addresses: any host by TLS, and this machine.
const CONNECT_ANYWHERE: &str = "connect-src 'self' https: http://localhost:* http://127.0.0.1:*";

/// Another page of the same module: index.html with a name in its first tag, and a title of its own.
fn page(index: &str, name: &str, title: &str) -> Result<String> {
    let titled = replace_once(index, TITLE, &format!("<title>{title} "))?;
    replace_once(&titled, "<html ", &format!("<html data-page=\"{name}\" "))
}

/// The beginning of index.html's title.
const TITLE: &str = "<title>Inspect ";

/// `text` with `to` instead of `from`, which must be there once.
fn replace_once(text: &str, from: &str, to: &str) -> Result<String> {
    match text.matches(from).count() {
        1 => Ok(text.replacen(from, to, 1)),
        count => Err(format!("index.html: `{from}` must be there once, and is {count} times").into()),
    }
}

/// Writes the service worker last, since it names all other files and a hash of their contents.
fn write_offline(source: &Path, dist: &Path, tools: Option<&Path>) -> Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dist)? {
        names.push(entry?.file_name().into_string().map_err(|_| "a file name that is not UTF-8")?);
    }
    names.retain(|name| !ON_REQUEST.iter().any(|module| name.starts_with(module)));
    names.sort();
    let mut hash = Sha256::new();
    for name in &names {
        hash.update(name);
        hash.update(fs::read(dist.join(name))?);
    }
    let files: String = names.iter().map(|name| format!("\"./{name}\", ")).collect();
    let script = fs::read_to_string(source.join(OFFLINE))?;
    let script = script.replacen("\"FILES\"", &format!("\"./\", {}", files.trim_end_matches(", ")), 1);
    let path = dist.join(OFFLINE);
    fs::write(&path, script.replacen("VERSION", &short(hash), 1))?;
    tools.map_or(Ok(()), |tools| minify(tools, &path))
}

/// The service worker's file.
const OFFLINE: &str = "offline.js";

/// Puts the first digits of a file's hash into its name, which is returned.
fn with_hash(path: &Path) -> Result<String> {
    let hash = short(Sha256::new_with_prefix(fs::read(path)?));
    let part = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let name = format!("{}-{hash}.{}", part(path.file_stem()), part(path.extension()));
    fs::rename(path, PathBuf::from(path).with_file_name(&name))?;
    Ok(name)
}

/// The first 16 hexadecimal digits of a hash.
fn short(hash: Sha256) -> String {
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The module that reads rarer formats.
const FORMATS: &str = "formats";

/// What wasm-opt is told: to make the module small, without the sections that no browser reads, and what rustc already
/// uses, since older releases of it do not assume so. Functions of one Rust module lie side by side, where brotli sees
/// what they have in common.
const WASM_OPT: [&str; 13] = [
    "-Oz",
    "--one-caller-inline-max-function-size=0",
    "--converge",
    "--reorder-functions-by-name",
    "--strip-producers",
    "--strip-target-features",
    "--enable-bulk-memory",
    "--enable-mutable-globals",
    "--enable-multivalue",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-simd",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_differ_in_their_names_and_titles_alone() {
        let index = include_str!("../../index.html");
        let compare = page(index, "compare", "Compare two").unwrap();
        assert!(compare.contains("<html data-page=\"compare\" lang=\"en\">"), "{compare}");
        assert!(compare.contains("<title>Compare two · bitgauge inspector</title>"), "{compare}");
        let back = compare.replacen("data-page=\"compare\" ", "", 1).replacen("Compare two", "Inspect", 1);
        assert_eq!(back, index);
    }

    #[test]
    fn what_is_replaced_is_there_once() {
        assert_eq!(replace_once("a b", "b", "c").unwrap(), "a c");
        assert!(replace_once("a b", "c", "d").is_err());
        assert!(replace_once("a b b", "b", "c").is_err());
        let index = include_str!("../../index.html");
        let names = MODULES.map(str::to_uppercase);
        let marks = names.iter().flat_map(|name| [format!("{name}_JS"), format!("{name}_WASM")]);
        for mark in marks.chain(["connect-src 'self'".to_owned()]) {
            assert!(replace_once(index, &mark, "").is_ok(), "{mark}");
        }
        for file in COPIED.iter().chain([&OFFLINE]) {
            assert!(index.contains(&format!("\"./{file}\"")), "{file}");
        }
    }
}
