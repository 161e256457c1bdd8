//! Arrows between modules run down.

use crate::modules::Modules;
use crate::tree::Tree;

const CRATES: [&str; 9] = [
    "core/src/lib.rs",
    "eval/src/lib.rs",
    "native-eval/src/lib.rs",
    "native-eval/src/main.rs",
    "shaders/src/lib.rs",
    "texts/src/lib.rs",
    "inspector-web/src/lib.rs",
    "inspector-web/tokenize/src/lib.rs",
    "inspector-web/evaluate/src/main.rs",
];

#[test]
fn no_module_leads_back_to_itself() {
    let tree = Tree::of_repository();
    let found = CRATES.map(|root| (root, Modules::of(&tree, root).circles()));
    let circles: Vec<_> = found
        .iter()
        .flat_map(|(root, found)| found.iter().map(move |circle| format!("{root} {circle}")))
        .collect();
    assert!(circles.is_empty(), "{} circles:\n{}", circles.len(), circles.join("\n"));
    // The module that all others need, needing one of them.
    let faulty =
        tree.with("core/src/error.rs", "use std::fmt;", "use std::fmt;\nuse crate::inventory::Inventory;");
    assert_eq!(Modules::of(&faulty, "core/src/lib.rs").circles().len(), 1);
}

/// The circles of a crate whose `lib.rs` has the modules `a` and `b` with these texts.
fn circles(a: &str, b: &str) -> Vec<String> {
    let lib = ("src/lib.rs", "pub mod a; mod b; mod facade;");
    let facade = ("src/facade.rs", "pub use crate::b::B; pub use super::a::*;");
    let tree =
        Tree::of(&[lib, facade, ("src/a.rs", a), ("src/b/mod.rs", b), ("src/b/inside.rs", "use super::B;")]);
    Modules::of(&tree, "src/lib.rs").circles()
}

#[test]
fn however_a_circle_is_written() {
    let b = "pub struct B(super::a::A);";
    let ways = [
        "use crate::b::B; pub struct A(Box<B>);",
        "use super::b; pub struct A(Box<b::B>);",
        "use crate::{b::{self as c}}; pub struct A(Box<c::B>);",
        "pub struct A; fn f() { let _ = crate::b::B(A); }",
        "pub struct A; fn f() { println!(\"{}\", crate::b::B(A)) }",
        "pub struct A; fn f() { use crate::b::*; }",
        "pub struct A; mod inline { fn f() -> super::super::b::B { loop {} } }",
        "pub use crate::b::B; pub struct A(Box<B>);",
        // By a name that a facade passes on.
        "use crate::facade::B; pub struct A(Box<B>);",
        "use crate::facade::*; pub struct A(Box<B>);",
    ];
    for a in ways {
        assert_eq!(
            circles(a, b),
            ["a, b\n    a -> b: ".to_owned() + why(a) + "\n    b -> a: super::a::A"],
            "{a}"
        );
    }
    let by_glob = circles("use crate::b::B; pub struct A;", "use crate::facade::A; pub struct B;");
    assert_eq!(by_glob, ["a, b\n    a -> b: crate::b::B\n    b -> a: crate::facade::A"]);
}

/// The path that leads from `a` to `b`, as it is written.
fn why(a: &str) -> &str {
    let written = [
        "crate::facade::B",
        "crate::facade",
        "super::super::b::B",
        "crate::b::B",
        "crate::b",
        "b::B",
        "c::B",
    ];
    if a.contains("crate::b::*") {
        "crate::b"
    } else {
        written.iter().find(|path| a.contains(*path)).expect("a path")
    }
}

#[test]
fn what_is_no_circle() {
    let b = "mod inside; pub struct B(super::a::A); fn f() { inside::g() }";
    let ways = [
        "pub struct A;",
        // For tests only, in a comment, in a text, of another crate, and a name that is only passed on.
        "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }",
        "pub struct A; // crate::b::B",
        "/// [`crate::b::B`] \n pub struct A; const T: &str = \"crate::b::B\";",
        "use other::b::B; pub struct A;",
        "pub use crate::b::B; pub struct A;",
    ];
    for a in ways {
        assert_eq!(circles(a, b), [""; 0], "{a}");
    }
}

#[test]
fn native_evals_modules_import_each_other_and_not_their_facade() {
    let tree = Tree::of_repository();
    for root in ["eval/src/lib.rs", "native-eval/src/lib.rs"] {
        assert_eq!(Modules::of(&tree, root).through_the_facade(), [""; 0]);
    }
    let lib = ("src/lib.rs", "mod a; mod b; pub use b::B; pub fn own() {}");
    let faulty = |a| {
        Modules::of(&Tree::of(&[lib, ("src/a.rs", a), ("src/b.rs", "pub struct B;")]), "src/lib.rs")
            .through_the_facade()
    };
    assert_eq!(
        faulty("use crate::{B, b::B as C}; fn f() -> super::B { crate::own() }"),
        ["a: crate::B", "a: super::B"]
    );
}
