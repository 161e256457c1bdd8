//! Makes the browser inspector's folder of static files:
//!
//!     inspector-bundle inspector-web.wasm formats.wasm inspector-web/ dist/ [NODE_MODULES]
//!
//! What Trunk does from the same `index.html` and `Trunk.toml`, for machines where Trunk would first
//! have to be compiled: JavaScript for the WebAssembly, names that change with the contents, and the
//! page that names them. Where NODE_MODULES has binaryen and esbuild, wasm-opt and esbuild make it small.

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
        [paths @ .., modules] if paths.len() == 4 => (paths, Some(Path::new(modules).join(".bin"))),
        paths => (paths, None),
    };
    let [wasm, formats, source, dist] = paths else {
        eprintln!("usage: inspector-bundle WASM FORMATS_WASM SOURCE_DIR DIST_DIR [NODE_MODULES]");
        return ExitCode::from(2);
    };
    let modules = [("inspector", Path::new(wasm)), ("formats", Path::new(formats))];
    match bundle(modules, Path::new(source), Path::new(dist), tools.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bundle(modules: [(&str, &Path); 2], source: &Path, dist: &Path, tools: Option<&Path>) -> Result<()> {
    // Files of an earlier build would be published with this one.
    if dist.exists() {
        fs::remove_dir_all(dist)?;
    }
    fs::create_dir_all(dist)?;
    let index = fs::read_to_string(source.join("index.html"))?;
    let mut names = Vec::new();
    for (name, wasm) in modules {
        names.push(module(name, wasm, dist, &index, tools)?);
    }
    let (index, copied) = expand(&index, &names)?;
    fs::write(dist.join("url.html"), page(&index, "url", &[("connect-src 'self'", CONNECT_ANYWHERE)])?)?;
    fs::write(dist.join("compare.html"), page(&index, "compare", &[])?)?;
    fs::write(dist.join("index.html"), index)?;
    for file in copied {
        fs::copy(source.join(&file), dist.join(&file))?;
        if let (Some(tools), true) = (tools, file.ends_with(".js") || file.ends_with(".css")) {
            minify(tools, &dist.join(&file))?;
        }
    }
    write_offline(source, dist, tools)
}

/// The names of a module's files.
struct Module {
    js: String,
    wasm: String,
}

/// Writes a module's WebAssembly and the JavaScript that loads it.
fn module(name: &str, wasm: &Path, dist: &Path, index: &str, tools: Option<&Path>) -> Result<Module> {
    let mut bindgen = Bindgen::new();
    bindgen.input_path(wasm).web(true)?.typescript(false).out_name(name);
    bindgen.generate(dist)?;
    let (script, compiled) = (dist.join(format!("{name}.js")), dist.join(format!("{name}_bg.wasm")));
    if let Some(tools) = tools {
        run(Command::new(tools.join("wasm-opt"))
            .args(wasm_opt_arguments(index))
            .arg(&compiled)
            .arg("-o")
            .arg(&compiled))?;
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

/// Another page of the same module: index.html with a name in its first tag, and with `changes`.
fn page(index: &str, name: &str, changes: &[(&str, &str)]) -> Result<String> {
    let named = format!("<html data-page=\"{name}\" ");
    let mut page = index.to_owned();
    for (from, to) in [("<html ", named.as_str())].iter().chain(changes) {
        if page.matches(from).count() != 1 {
            return Err(format!("index.html: `{from}` must be there once").into());
        }
        page = page.replacen(from, to, 1);
    }
    Ok(page)
}

/// Writes the service worker last, since it names all other files and a hash of their contents.
fn write_offline(source: &Path, dist: &Path, tools: Option<&Path>) -> Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dist)? {
        names.push(entry?.file_name().into_string().map_err(|_| "a file name that is not UTF-8")?);
    }
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

/// What the page asks of wasm-opt, in Trunk's attributes.
fn wasm_opt_arguments(index: &str) -> Vec<String> {
    let level = attribute(index, "data-wasm-opt").map(|level| format!("-O{level}"));
    let parameters = attribute(index, "data-wasm-opt-params").unwrap_or_default();
    level.into_iter().chain(parameters.split_whitespace().map(str::to_owned)).collect()
}

/// The value of the first attribute of that name.
fn attribute<'a>(html: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = html.split_once(&format!(" {name}=\""))?;
    value.split_once('"').map(|(value, _)| value)
}

/// index.html without comments and Trunk's marks, and the files that it names.
///
/// Every `<link data-trunk>` stands for one thing: the style sheet and the icon stay links, what is
/// only copied goes, the page's WebAssembly becomes the script that starts it, which names the worker's, too.
fn expand(index: &str, modules: &[Module]) -> Result<(String, Vec<String>)> {
    let [page, formats] = modules else { return Err("two modules are wanted".into()) };
    let index = without_comments(index)?;
    let (mut out, mut rest, mut copied) = (String::new(), index.as_str(), Vec::new());
    while let Some((before, link)) = rest.split_once("<link") {
        let (link, after) = link.split_once('>').ok_or("index.html: a link that does not end")?;
        out.push_str(before);
        let rel = attribute(link, "rel").ok_or("index.html: a link without rel")?;
        let href = attribute(link, "href");
        copied.extend(href.map(str::to_owned));
        match (rel, href) {
            ("css", Some(href)) => out.push_str(&format!("<link rel=\"stylesheet\" href=\"./{href}\" />")),
            ("icon", Some(href)) => out.push_str(&format!("<link rel=\"icon\" href=\"./{href}\" />")),
            ("copy-file", Some(_)) => out.truncate(out.trim_end().len()),
            ("rust", None) if attribute(link, "data-type") == Some("worker") => {
                out.truncate(out.trim_end().len());
            }
            ("rust", None) => out.push_str(&format!(
                "<script type=\"module\" src=\"./boot.js\" data-js=\"./{}\" data-wasm=\"./{}\" \
                 data-formats-js=\"./{}\" data-formats-wasm=\"./{}\" data-offline=\"./{OFFLINE}\"></script>",
                page.js, page.wasm, formats.js, formats.wasm
            )),
            _ => return Err(format!("index.html: a link that is not known here: {rel}").into()),
        }
        rest = after;
    }
    out.push_str(rest);
    Ok((out, copied))
}

fn without_comments(html: &str) -> Result<String> {
    let mut parts = html.split("<!--");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, after) = part.split_once("-->").ok_or("index.html: a comment that does not end")?;
        out.truncate(out.trim_end().len());
        out.push_str(after);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_trunk_become_what_they_stand_for() {
        let index = "<head>\n  <link data-trunk rel=\"css\" href=\"style.css\" />\n  \
                     <link data-trunk rel=\"copy-file\" href=\"boot.js\" />\n  \
                     <!-- why -->\n  <link\n data-trunk rel=\"rust\"\n/>\n  \
                     <link data-trunk rel=\"rust\" data-type=\"worker\" />\n</head>";
        let module = |js: &str, wasm: &str| Module { js: js.into(), wasm: wasm.into() };
        let modules = [module("a-1.js", "b-2.wasm"), module("c-3.js", "d-4.wasm")];
        let (html, copied) = expand(index, &modules).unwrap();
        assert_eq!(
            html,
            "<head>\n  <link rel=\"stylesheet\" href=\"./style.css\" />\n  \
             <script type=\"module\" src=\"./boot.js\" data-js=\"./a-1.js\" data-wasm=\"./b-2.wasm\" \
             data-formats-js=\"./c-3.js\" data-formats-wasm=\"./d-4.wasm\" data-offline=\"./offline.js\"></script>\n</head>"
        );
        assert_eq!(copied, ["style.css", "boot.js"]);
        let rust = "<link data-trunk rel=\"rust\"\n data-wasm-opt=\"z\" data-wasm-opt-params=\"--a --b\" />";
        assert_eq!(wasm_opt_arguments(rust), ["-Oz", "--a", "--b"]);
        let url = page("<html lang=\"en\">", "url", &[]).unwrap();
        assert_eq!(url, "<html data-page=\"url\" lang=\"en\">");
        assert!(page("<html lang=\"en\">", "url", &[("connect-src 'self'", "")]).is_err());
        assert!(expand("<!-- <link", &modules).is_err());
        assert!(expand("<link rel=\"preload\" href=\"x\">", &modules).is_err());
    }
}
