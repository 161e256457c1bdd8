//! Every kernel has its WGSL, its twin, its bound, and cases that the GPU suite runs.

use std::collections::BTreeSet;

use crate::tree::Tree;

const RUST: &str = "shaders/src/kernels/";
const WGSL: &str = "shaders/wgsl/kernels/";

/// Names of the files in a folder.
fn stems<'a>(tree: &'a Tree, folder: &'a str, ending: &'a str) -> BTreeSet<&'a str> {
    let stem = |(path, _): (&'a str, _)| path.strip_prefix(folder)?.strip_suffix(ending);
    tree.below(folder, ending).filter_map(stem).filter(|stem| *stem != "mod" && !stem.contains('/')).collect()
}

/// What is wrong with the kernels.
fn faults(tree: &Tree) -> Vec<String> {
    let (rust, wgsl) = (stems(tree, RUST, ".rs"), stems(tree, WGSL, ".wgsl"));
    let lonely = rust.symmetric_difference(&wgsl).map(|name| format!("{name} is not in both folders"));
    let listed = tree.text(&format!("{RUST}mod.rs"));
    let lacking = rust.iter().flat_map(|name| {
        let text = tree.text(&format!("{RUST}{name}.rs"));
        let words: BTreeSet<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let line = listed.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(": "));
        let variant = line.unwrap_or_default().split(['(', ',']).next().unwrap_or_default();
        // Cases outside the declaration put faults into the kernel, and name it for that.
        let tested = |(_, text): (&str, &str)| text.contains(&format!("Kernel::{variant}"));
        let has_cases = words.contains("trials") || tree.below("tests/gpu/", ".rs").any(tested);
        let needs = [
            ("a line in the list of kernels", line.is_some()),
            ("a twin", words.contains("twin")),
            ("a bound", words.contains("BOUND")),
            ("cases", has_cases),
        ];
        needs.into_iter().filter(|(_, has)| !has).map(move |(what, _)| format!("{name} lacks {what}"))
    });
    lonely.chain(lacking).collect()
}

#[test]
fn every_kernel_has_what_holds_it() {
    let tree = Tree::of_repository();
    assert_eq!(faults(&tree), [""; 0]);
    assert!(stems(&tree, RUST, ".rs").len() > 20);
    let name = |kernel: &str| format!("{RUST}{kernel}.rs");
    let lost = tree.and(&format!("{WGSL}lost.wgsl"), "");
    assert_eq!(faults(&lost), ["lost is not in both folders"]);
    assert_eq!(faults(&tree.with(&name("add"), "BOUND", "OTHER")), ["add lacks a bound"]);
    assert_eq!(faults(&tree.with(&name("add"), "twin", "other")), ["add lacks a twin"]);
    assert_eq!(faults(&tree.with(&name("scatter"), "trials", "others")), ["scatter lacks cases"]);
    let unlisted = tree.with(&name("mod"), "    add: Add,", "");
    assert_eq!(faults(&unlisted), ["add lacks a line in the list of kernels"]);
}
