//! What a file of Rust names: its modules, imports, paths and items, read from its tokens.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path as it is written: `["super", "Member"]`.
pub type Path = Vec<String>;

/// One name that a `use` binds.
#[derive(Debug, Clone)]
pub struct Import {
    /// What it stands for.
    pub path: Path,
    /// The name, or nothing for `*`.
    pub name: Option<String>,
    /// Whether it has a `pub` of any reach before it.
    pub exported: bool,
}

/// A module: a file, or a `mod name { … }` inside one. Code for tests only is left out.
#[derive(Debug, Default)]
pub struct Source {
    /// What it imports, in functions too.
    pub imports: Vec<Import>,
    /// Paths of two parts and more, outside imports.
    pub paths: BTreeSet<Path>,
    /// Every identifier outside imports.
    pub words: BTreeSet<String>,
    /// Names of functions, types, constants, traits and macros.
    pub items: BTreeSet<String>,
    /// Modules that have a file of their own.
    pub children: BTreeSet<String>,
    /// Modules that are written inside this one.
    pub inline: BTreeMap<String, Source>,
}

impl Source {
    /// Reads a file.
    pub fn parse(text: &str) -> Self {
        let tokens: TokenStream = text.parse().expect("tokens of Rust");
        let mut source = Self::default();
        source.read(&tokens.into_iter().collect::<Vec<_>>());
        source
    }

    fn read(&mut self, tokens: &[TokenTree]) {
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += match token {
                TokenTree::Punct(mark) if mark.as_char() == '#' => attribute(&tokens[at..]),
                TokenTree::Ident(word) => self.read_word(&word.to_string(), tokens, at),
                TokenTree::Group(group) => {
                    self.read(&group.stream().into_iter().collect::<Vec<_>>());
                    1
                }
                _ => 1,
            };
        }
    }

    /// Reads what begins with a word, and says how many tokens it took.
    fn read_word(&mut self, word: &str, tokens: &[TokenTree], at: usize) -> usize {
        let rest = &tokens[at..];
        match (word, ident(rest.get(1))) {
            ("use", _) => {
                let end = rest.iter().position(|token| is_mark(token, ';')).unwrap_or(rest.len());
                let exported =
                    at > 0 && (is_pub(tokens.get(at - 1)) || is_pub(tokens.get(at.wrapping_sub(2))));
                self.import(&rest[1..end], Vec::new(), exported);
                return end;
            }
            ("mod", Some(name)) => match rest.get(2) {
                Some(TokenTree::Group(body)) if body.delimiter() == Delimiter::Brace => {
                    let inline = self.inline.entry(name).or_default();
                    inline.read(&body.stream().into_iter().collect::<Vec<_>>());
                    return 3;
                }
                _ => _ = self.children.insert(name),
            },
            ("fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union", Some(name)) => {
                self.items.insert(name);
            }
            ("macro_rules", _) => self.items.extend(ident(rest.get(2))),
            _ => {}
        }
        let path = path(rest);
        self.words.extend(path.iter().cloned());
        let length = 3 * path.len() - 2;
        if path.len() > 1 {
            self.paths.insert(path);
        }
        length
    }

    /// Reads the tree of one `use` below `prefix`.
    fn import(&mut self, tokens: &[TokenTree], prefix: Path, exported: bool) {
        for part in tokens.split(|token| is_mark(token, ',')).filter(|part| !part.is_empty()) {
            let mut whole = prefix.clone();
            let here = path(part);
            let rest = &part[if here.is_empty() { 0 } else { 3 * here.len() - 2 }..];
            whole.extend(here.into_iter().filter(|name| name != "self" || prefix.is_empty()));
            // What follows the path: `::{…}`, `::*`, `as name`, or nothing.
            let name = match rest {
                [.., TokenTree::Group(group)] => {
                    self.import(&group.stream().into_iter().collect::<Vec<_>>(), whole, exported);
                    continue;
                }
                [.., last] if is_mark(last, '*') => None,
                [_, renamed] => ident(Some(renamed)),
                _ => whole.last().cloned(),
            };
            self.imports.push(Import { path: whole, name, exported });
        }
    }
}

/// How many tokens an attribute takes; with the item after it where that is for tests only.
fn attribute(tokens: &[TokenTree]) -> usize {
    let body = tokens.iter().take(3).position(|token| matches!(token, TokenTree::Group(_)));
    let Some(body) = body else { return 1 };
    let text: String = tokens[body].to_string().split_whitespace().collect();
    if !text.starts_with("[cfg(test)") && !text.starts_with("[cfg(all(test,") {
        return body + 1;
    }
    let is_end = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        token => is_mark(token, ';'),
    };
    tokens.iter().position(is_end).map_or(tokens.len(), |end| end + 1)
}

/// The names at the beginning of these tokens with `::` between them.
fn path(tokens: &[TokenTree]) -> Path {
    let mut names: Path = ident(tokens.first()).into_iter().collect();
    while let [colon, other, ..] = &tokens[(3 * names.len()).saturating_sub(2).min(tokens.len())..] {
        let next = ident(tokens.get(3 * names.len()));
        match next {
            Some(next) if !names.is_empty() && is_mark(colon, ':') && is_mark(other, ':') => names.push(next),
            _ => break,
        }
    }
    names
}

fn ident(token: Option<&TokenTree>) -> Option<String> {
    match token {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
        _ => None,
    }
}

fn is_mark(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == mark)
}

fn is_pub(token: Option<&TokenTree>) -> bool {
    ident(token).is_some_and(|word| word == "pub")
}
