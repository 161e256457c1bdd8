//! The modules of a crate and the arrows between them.
//!
//! A module is a file. There is an arrow from one to another if it names something that the other defines: a re-export
//! (`pub use`) is looked through to where the item stands, so that a facade that only passes names on has arrows to
//! nobody. It has one as soon as it uses such a name itself. An arrow from a module to one that lies in it does not
//! count: a parent calls its children, and they may use what it defines.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Import, Path, Source};
use crate::tree::Tree;

/// A crate's modules.
#[derive(Debug, Default)]
pub struct Modules {
    /// Each module, inline ones included, by its path from the root, with the path of its file's module.
    all: BTreeMap<Path, (Path, Source)>,
}

/// From whom to whom, and the path that says so.
type Arrows = BTreeMap<Path, BTreeMap<Path, Path>>;

impl Modules {
    /// Reads the crate whose root is this file.
    pub fn of(tree: &Tree, root: &str) -> Self {
        let folder = &root[..root.rfind('/').map_or(0, |slash| slash + 1)];
        let mut modules = Self::default();
        modules.add_file(tree, folder, Path::new(), tree.text(root));
        modules
    }

    fn add_file(&mut self, tree: &Tree, folder: &str, path: Path, text: &str) {
        let source = Source::parse(text);
        for child in source.children.clone() {
            let child_path = [path.clone(), vec![child]].concat();
            let file = format!("{folder}{}", child_path.join("/"));
            let found = tree.find(&format!("{file}.rs")).or_else(|| tree.find(&format!("{file}/mod.rs")));
            let text = found.unwrap_or_else(|| panic!("there is no file for {file}"));
            self.add_file(tree, folder, child_path, text);
        }
        self.add(path.clone(), path, source);
    }

    fn add(&mut self, path: Path, file: Path, mut source: Source) {
        for (name, inline) in std::mem::take(&mut source.inline) {
            self.add([path.clone(), vec![name]].concat(), file.clone(), inline);
        }
        self.all.insert(path, (file, source));
    }

    /// Names of the modules right below the root.
    pub fn top(&self) -> impl Iterator<Item = &str> {
        self.all.keys().filter(|path| path.len() == 1).map(|path| path[0].as_str())
    }

    /// Whether there is a module with this path, such as `container/gguf`.
    pub fn has(&self, path: &str) -> bool {
        self.all.contains_key(&path.split('/').map(str::to_owned).collect::<Path>())
    }

    /// Every identifier in the code of other modules than this, imports aside.
    pub fn words_outside(&self, module: &str) -> impl Iterator<Item = &str> {
        let others =
            self.all.iter().filter(move |(path, _)| path.first().is_none_or(|first| first != module));
        others.flat_map(|(_, (_, source))| source.words.iter().map(String::as_str))
    }

    /// Paths that take a name from the crate's facade, although a module defines it.
    pub fn through_the_facade(&self) -> Vec<String> {
        let facade = &self.all[&Path::new()].1;
        let passed_on =
            |name: &String| facade.imports.iter().any(|import| import.name.as_ref() == Some(name));
        let mut found = Vec::new();
        for (module, (_, source)) in self.all.iter().filter(|(module, _)| !module.is_empty()) {
            let paths = source.imports.iter().map(|import| &import.path).chain(&source.paths);
            for path in paths.filter(|path| matches!(path[0].as_str(), "crate" | "super")) {
                match self.absolute(module, path).as_deref() {
                    Some([name, ..])
                        if !self.all.contains_key(std::slice::from_ref(name)) && passed_on(name) =>
                    {
                        found.push(format!("{}: {}", named(module), path.join("::")));
                    }
                    _ => {}
                }
            }
        }
        found
    }

    fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (module, (file, source)) in &self.all {
            let used = |import: &&Import| {
                !import.exported || import.name.as_ref().is_some_and(|name| source.words.contains(name))
            };
            let imported =
                source.imports.iter().filter(used).map(|import| (&import.path, import.name.is_none()));
            for (path, is_glob) in imported.chain(source.paths.iter().map(|path| (path, false))) {
                let target = self.absolute(module, path).and_then(|path| match self.all.get(&path) {
                    Some((file, _)) if is_glob => Some(file.clone()),
                    _ => self.definition(&path, 0),
                });
                let passed_on = if is_glob { self.used_through(module, path, source) } else { Vec::new() };
                for target in target.into_iter().chain(passed_on) {
                    if !target.starts_with(file) || file.is_empty() {
                        arrows.entry(file.clone()).or_default().entry(target).or_insert_with(|| path.clone());
                    }
                }
            }
        }
        arrows
    }

    /// Modules that define what `source` uses of the names that another, imported as `glob`, passes on.
    fn used_through(&self, module: &Path, glob: &[String], source: &Source) -> Vec<Path> {
        let facade = self.absolute(module, glob).and_then(|path| Some((self.all.get(&path)?, path)));
        let Some(((_, facade), path)) = facade else { return Vec::new() };
        let names =
            facade.imports.iter().filter(|import| import.exported).filter_map(|import| import.name.as_ref());
        let used = names.filter(|name| source.words.contains(*name));
        used.filter_map(|name| self.definition(&[path.clone(), vec![name.clone()]].concat(), 0)).collect()
    }

    /// What `path`, written in `module`, is called from the root; nothing if it leads into another crate.
    fn absolute(&self, module: &Path, path: &[String]) -> Option<Path> {
        let (first, rest) = path.split_first()?;
        let parent = || module[..module.len().saturating_sub(1)].to_vec();
        let child = [module.clone(), vec![first.clone()]].concat();
        let start = match first.as_str() {
            "crate" => Path::new(),
            "self" => module.clone(),
            "super" if rest.first().is_some_and(|next| next == "super") => {
                return self.absolute(&parent(), rest);
            }
            "super" => parent(),
            _ if self.all.contains_key(&child) => child,
            _ => {
                let mut imports = self.all[module].1.imports.iter();
                let import =
                    imports.find(|import| import.name.as_ref() == Some(first) && import.path[0] != *first)?;
                self.absolute(module, &import.path)?
            }
        };
        Some([start, rest.to_vec()].concat())
    }

    /// The module whose file defines the item at this path; nothing if the path is a module's or leads out of the crate.
    fn definition(&self, path: &[String], depth: usize) -> Option<Path> {
        let known = (0..=path.len()).rev().find(|&length| self.all.contains_key(&path[..length]))?;
        let (module, rest) = (path[..known].to_vec(), &path[known..]);
        let (file, source) = &self.all[&module];
        let (Some(name), true) = (rest.first(), depth < 8) else { return None };
        if let Some(import) = source.imports.iter().find(|import| import.name.as_ref() == Some(name)) {
            let target = self.absolute(&module, &import.path)?;
            return self.definition(&[target, rest[1..].to_vec()].concat(), depth + 1);
        }
        let globs = source.imports.iter().filter(|import| import.name.is_none() && import.exported);
        for glob in globs {
            let target = self.absolute(&module, &glob.path)?;
            if self.all.get(&target).is_some_and(|(_, source)| source.items.contains(name)) {
                return self.definition(&[target, rest.to_vec()].concat(), depth + 1);
            }
        }
        Some(file.clone())
    }

    /// The circles: groups of modules each of which leads to every other one, with one arrow for each that closes it.
    pub fn circles(&self) -> Vec<String> {
        let arrows = self.arrows();
        let mut circles = Vec::new();
        let mut seen = BTreeSet::new();
        for start in arrows.keys() {
            let ahead = reached(&arrows, start);
            if seen.contains(start) || !ahead.contains(start) {
                continue;
            }
            let circle: BTreeSet<_> =
                ahead.into_iter().filter(|other| reached(&arrows, other).contains(start)).collect();
            let mut lines = vec![circle.iter().map(named).collect::<Vec<_>>().join(", ")];
            for (from, to) in circle.iter().filter_map(|from| Some((from, arrows.get(from)?))) {
                let inside = to.iter().filter(|(to, _)| circle.contains(*to));
                lines
                    .extend(inside.map(|(to, why)| {
                        format!("    {} -> {}: {}", named(from), named(to), why.join("::"))
                    }));
            }
            circles.push(lines.join("\n"));
            seen.extend(circle);
        }
        circles
    }
}

/// Every module that can be reached from `start` by one arrow or more.
fn reached(arrows: &Arrows, start: &Path) -> BTreeSet<Path> {
    let mut found = BTreeSet::new();
    let mut open = vec![start];
    while let Some(module) = open.pop() {
        for target in arrows.get(module).into_iter().flat_map(BTreeMap::keys) {
            if found.insert(target.clone()) {
                open.push(target);
            }
        }
    }
    found
}

fn named(path: &Path) -> String {
    if path.is_empty() { "the root".to_owned() } else { path.join("::") }
}
