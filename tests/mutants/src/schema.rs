//! Rewrites one file so that every mutant of it is there, each behind its number.

use std::collections::BTreeMap;

use proc_macro2::LineColumn;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::list::{Genre, Mutant, Position};

/// A range of bytes of the original file.
type Range = (usize, usize);

/// One mutant's change: what stands in `range` instead, as text.
struct Change {
    number: usize,
    range: Range,
    kind: Kind,
}

enum Kind {
    /// Evaluates this text instead of the range.
    Instead(String),
    /// Returns this value at the start of the function's body.
    Return(String),
    /// Skips a match arm; `guard` says whether it has a condition already, which is the range.
    Skip { guard: bool },
}

/// A file with its mutants, and those that can't be switched at run time.
pub struct Schema {
    pub text: String,
    /// Mutants in constants, which no run reaches, and in functions that return `impl Trait`, whose
    /// returns must all have one type.
    pub left_out: Vec<usize>,
}

/// The text of a file with its mutants behind switches.
pub fn instrument(source: &str, mutants: &[(usize, &Mutant)], switch: &str) -> Schema {
    let lines = Lines::of(source);
    let syntax = syn::parse_file(source).expect("the file is Rust");
    let mut finder = Finder { lines: &lines, nodes: Nodes::default(), root: None, constant: false };
    finder.visit_file(&syntax);
    let nodes = finder.nodes;

    let mut left_out = Vec::new();
    let mut changes = Vec::new();
    for &(number, mutant) in mutants {
        match change(source, &lines, &nodes, number, mutant) {
            Some(change) => changes.push(change),
            None => left_out.push(number),
        }
    }
    let mut sites: BTreeMap<(usize, std::cmp::Reverse<usize>), Vec<Change>> = BTreeMap::new();
    for change in changes {
        sites.entry((change.range.0, std::cmp::Reverse(change.range.1))).or_default().push(change);
    }
    let sites: Vec<Vec<Change>> = sites.into_values().collect();
    let mut writer = Writer { source, switch, sites, next: 0, text: String::new() };
    writer.range((0, source.len()));
    Schema { text: writer.text, left_out }
}

fn change(source: &str, lines: &Lines, nodes: &Nodes, number: usize, mutant: &Mutant) -> Option<Change> {
    let (start, end) = (lines.byte(mutant.span.start), lines.byte(mutant.span.end));
    let instead = |range: Range| {
        let text = format!("{}{}{}", &source[range.0..start], mutant.replacement, &source[end..range.1]);
        Change { number, range, kind: Kind::Instead(text) }
    };
    match mutant.genre {
        Genre::FnValue => nodes.bodies.contains(&start).then(|| Change {
            number,
            range: (start, start),
            kind: Kind::Return(mutant.replacement.clone()),
        }),
        Genre::MatchArmGuard => Some(instead((start, end))),
        Genre::BinaryOperator | Genre::UnaryOperator => {
            nodes.operators.get(&start).map(|&root| instead(root))
        }
        Genre::StructField => nodes.fields.get(&start).map(|&range| {
            // The comma goes with the field, whether or not the list counts it.
            let rest = &source[end..range.1];
            let rest = rest.trim_start().strip_prefix(',').unwrap_or(rest);
            let text = format!("{}{rest}", &source[range.0..start]);
            Change { number, range, kind: Kind::Instead(text) }
        }),
        Genre::MatchArm => {
            nodes.arms.get(&start).map(|&(guard, range)| Change { number, range, kind: Kind::Skip { guard } })
        }
    }
}

/// Where the parts of a file lie that a mutant can change. Keys are the first byte of what it replaces.
#[derive(Default)]
struct Nodes {
    /// Operators, each with the expression that is evaluated otherwise: changing an operator may change
    /// how its neighbours bind, so it is the whole chain of operators.
    operators: BTreeMap<usize, Range>,
    /// Fields of struct expressions, each with the expression.
    fields: BTreeMap<usize, Range>,
    /// Arms of matches: whether there is a guard, and its range or the end of the pattern.
    arms: BTreeMap<usize, (bool, Range)>,
    /// First bytes of functions' bodies.
    bodies: Vec<usize>,
}

struct Finder<'a> {
    lines: &'a Lines,
    nodes: Nodes,
    /// The outermost expression of the chain of operators that is being visited.
    root: Option<Range>,
    /// Whether what is being visited is evaluated by the compiler.
    constant: bool,
}

impl Finder<'_> {
    fn range(&self, node: &impl Spanned) -> Range {
        let span = node.span();
        (self.lines.byte_of(span.start()), self.lines.byte_of(span.end()))
    }

    fn within_constant(&mut self, visit: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.constant, true);
        visit(self);
        self.constant = before;
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        use quote::ToTokens;
        let returns = signature.output.to_token_stream().to_string();
        if signature.constness.is_none() && !returns.contains("impl ") {
            let (open, close) = self.range(block);
            let first = block.stmts.first().map_or(close - 1, |statement| self.range(statement).0);
            self.nodes.bodies.push(first.max(open + 1));
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_expr(&mut self, node: &'ast syn::Expr) {
        let before = self.root;
        let operator = match node {
            syn::Expr::Binary(binary) => Some(self.range(&binary.op)),
            syn::Expr::Unary(unary) => Some(self.range(&unary.op)),
            _ => None,
        };
        // No other operator may stand in the place of `&&` beside a `let`, and no `match` around it.
        let operator = operator.filter(|_| !holds_let(node));
        let chains = operator.is_some() || matches!(node, syn::Expr::Cast(_));
        if !chains {
            self.root = None;
        } else if self.root.is_none() {
            self.root = Some(self.range(node));
        }
        if let (Some((start, _)), Some(root), false) = (operator, self.root, self.constant) {
            self.nodes.operators.insert(start, root);
        }
        if let (syn::Expr::Struct(node), false) = (node, self.constant) {
            let range = self.range(node);
            for field in &node.fields {
                let start = self.range(field).0;
                self.nodes.fields.insert(start, range);
            }
        }
        visit::visit_expr(self, node);
        self.root = before;
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let start = self.range(arm).0;
        let place = match &arm.guard {
            Some((_, guard)) => (true, self.range(guard)),
            None => {
                let end = self.range(&arm.pat).1;
                (false, (end, end))
            }
        };
        if !self.constant {
            self.nodes.arms.insert(start, place);
        }
        visit::visit_arm(self, arm);
    }

    fn visit_item_fn(&mut self, node: &'ast syn::ItemFn) {
        self.function(&node.sig, &node.block);
        let constant = std::mem::replace(&mut self.constant, node.sig.constness.is_some());
        visit::visit_item_fn(self, node);
        self.constant = constant;
    }

    fn visit_impl_item_fn(&mut self, node: &'ast syn::ImplItemFn) {
        self.function(&node.sig, &node.block);
        let constant = std::mem::replace(&mut self.constant, node.sig.constness.is_some());
        visit::visit_impl_item_fn(self, node);
        self.constant = constant;
    }

    fn visit_trait_item_fn(&mut self, node: &'ast syn::TraitItemFn) {
        if let Some(block) = &node.default {
            self.function(&node.sig, block);
        }
        visit::visit_trait_item_fn(self, node);
    }

    fn visit_item_const(&mut self, node: &'ast syn::ItemConst) {
        self.within_constant(|finder| visit::visit_item_const(finder, node));
    }

    fn visit_item_static(&mut self, node: &'ast syn::ItemStatic) {
        self.within_constant(|finder| visit::visit_item_static(finder, node));
    }

    fn visit_impl_item_const(&mut self, node: &'ast syn::ImplItemConst) {
        self.within_constant(|finder| visit::visit_impl_item_const(finder, node));
    }

    fn visit_type(&mut self, node: &'ast syn::Type) {
        self.within_constant(|finder| visit::visit_type(finder, node));
    }

    fn visit_pat(&mut self, node: &'ast syn::Pat) {
        self.within_constant(|finder| visit::visit_pat(finder, node));
    }

    fn visit_expr_repeat(&mut self, node: &'ast syn::ExprRepeat) {
        self.visit_expr(&node.expr);
        self.within_constant(|finder| finder.visit_expr(&node.len));
    }
}

/// Whether an expression is a chain of conditions with a `let` among them.
fn holds_let(node: &syn::Expr) -> bool {
    match node {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(binary) => holds_let(&binary.left) || holds_let(&binary.right),
        _ => false,
    }
}

/// Writes the file, site by site; a site may hold others.
struct Writer<'a> {
    source: &'a str,
    switch: &'a str,
    /// Sorted by start, the longer first.
    sites: Vec<Vec<Change>>,
    next: usize,
    text: String,
}

impl Writer<'_> {
    /// Writes the original text of `range` with the sites in it.
    fn range(&mut self, range: Range) {
        let mut at = range.0;
        while let Some(site) = self.sites.get_mut(self.next) {
            let inner = site[0].range;
            if inner.0 >= range.1 {
                break;
            }
            let changes = std::mem::take(site);
            self.next += 1;
            self.text.push_str(&self.source[at..inner.0]);
            self.site(inner, &changes);
            at = inner.1;
        }
        self.text.push_str(&self.source[at..range.1]);
    }

    fn site(&mut self, range: Range, changes: &[Change]) {
        let (skips, others): (Vec<&Change>, Vec<&Change>) =
            changes.iter().partition(|c| matches!(c.kind, Kind::Skip { .. }));
        for skip in &skips {
            let Kind::Skip { guard } = skip.kind else { unreachable!("parted above") };
            let (before, after) = if guard { ("", " && (") } else { (" if ", "") };
            self.text.push_str(&format!("{before}!{}::on({}){after}", self.switch, skip.number));
        }
        self.values(range, &others);
        for skip in &skips {
            if matches!(skip.kind, Kind::Skip { guard: true }) {
                self.text.push(')');
            }
        }
    }

    fn values(&mut self, range: Range, changes: &[&Change]) {
        let (returns, instead): (Vec<&Change>, Vec<&Change>) =
            changes.iter().partition(|c| matches!(c.kind, Kind::Return(_)));
        for change in returns {
            let Kind::Return(value) = &change.kind else { unreachable!("parted above") };
            let marked = marked(change.number, value);
            self.text.push_str(&format!("if {}::on({}) {{ return {marked}; }} ", self.switch, change.number));
        }
        if instead.is_empty() {
            return self.range(range);
        }
        let numbers: Vec<String> = instead.iter().map(|change| change.number.to_string()).collect();
        self.text.push_str(&format!("(match {}::pick(&[{}]) {{ 0 => {{ ", self.switch, numbers.join(", ")));
        self.range(range);
        self.text.push_str(" }");
        for (place, change) in instead.iter().enumerate() {
            let Kind::Instead(text) = &change.kind else { unreachable!("parted above") };
            let place = if place + 1 == instead.len() { "_".to_owned() } else { (place + 1).to_string() };
            self.text.push_str(&format!(" {place} => {{ {} }}", marked(change.number, text)));
        }
        self.text.push_str(" })");
    }
}

fn marked(number: usize, text: &str) -> String {
    format!("/*<{number}*/{text}/*{number}>*/")
}

/// The byte ranges that each mutant's text has in an instrumented file.
pub fn marks(text: &str) -> Vec<(usize, Range)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("/*<") {
        let digits: String = text[at + 3..].chars().take_while(char::is_ascii_digit).collect();
        let end = text.find(&format!("/*{digits}>*/")).expect("each mark is closed");
        found.push((digits.parse().expect("a mark is a number"), (at, end)));
    }
    found
}

/// The mutants that skip arms of the `match` whose scrutinee `text` begins with.
pub fn skipped_arms(text: &str) -> Vec<usize> {
    let mut depth = 0;
    let mut found = Vec::new();
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth <= 1 => break,
            b'}' => depth -= 1,
            b'!' if depth == 1 => {
                let call = text[at..].split_once("mutants::on(").filter(|(path, _)| path.len() < 20);
                found.extend(call.and_then(|(_, rest)| rest.split(')').next()?.parse::<usize>().ok()));
            }
            _ => {}
        }
    }
    found
}

/// The first byte of each line.
struct Lines {
    text: Vec<String>,
    starts: Vec<usize>,
}

impl Lines {
    fn of(source: &str) -> Self {
        let mut starts = vec![0];
        starts.extend(source.match_indices('\n').map(|(at, _)| at + 1));
        Self { text: source.split('\n').map(str::to_owned).collect(), starts }
    }

    /// The byte at a position as cargo-mutants counts: columns from 1.
    fn byte(&self, position: Position) -> usize {
        self.byte_of(LineColumn { line: position.line, column: position.column - 1 })
    }

    /// The byte at a position as the parser counts: columns from 0.
    fn byte_of(&self, position: LineColumn) -> usize {
        let line = &self.text[position.line - 1];
        let within: usize = line.chars().take(position.column).map(char::len_utf8).sum();
        self.starts[position.line - 1] + within
    }
}
