//! Every cap of core's `limits` is enforced somewhere.

use std::collections::BTreeSet;

use crate::modules::Modules;
use crate::tree::Tree;

/// Caps that no code outside `limits` names.
fn unused(tree: &Tree) -> Vec<&str> {
    let crates = [
        "core/src/lib.rs",
        "eval/src/lib.rs",
        "texts/src/lib.rs",
        "native-eval/src/lib.rs",
        "inspector-web/src/lib.rs",
    ]
    .map(|root| Modules::of(tree, root));
    let used: BTreeSet<&str> = crates.iter().flat_map(|modules| modules.words_outside("limits")).collect();
    let lines = tree.text("core/src/limits.rs").lines();
    let names = lines.filter_map(|line| line.strip_prefix("pub const ")?.split(':').next());
    names.filter(|name| !used.contains(name)).collect()
}

#[test]
fn every_cap_is_enforced() {
    let tree = Tree::of_repository();
    assert_eq!(unused(&tree), [""; 0]);
    let text = format!("{}pub const EXTRA_BYTES: u64 = 1;\n", tree.text("core/src/limits.rs"));
    assert_eq!(unused(&tree.and("core/src/limits.rs", &text)), ["EXTRA_BYTES"]);
}
