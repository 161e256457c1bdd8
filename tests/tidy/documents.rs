//! ARCHITECTURE.md and CHANGELOG.md against the tree.

use std::collections::BTreeSet;

use crate::modules::Modules;
use crate::tree::Tree;

/// Names between backquotes in the first cells of the table that follows `heading`.
fn first_cells<'a>(document: &'a str, heading: &str) -> Vec<&'a str> {
    let lines = document.lines().skip_while(|line| !line.starts_with(heading));
    let rows = lines.skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

/// What is wrong with the map of the crates with these roots, whose table follows `heading`.
fn map_faults(tree: &Tree, roots: &[&str], heading: &str) -> Vec<String> {
    let crates: Vec<_> = roots.iter().map(|root| Modules::of(tree, root)).collect();
    let mapped = first_cells(tree.text("ARCHITECTURE.md"), heading);
    let tops: BTreeSet<&str> = mapped.iter().filter_map(|path| path.split('/').next()).collect();
    let unknown = mapped.iter().filter(|path| !crates.iter().any(|modules| modules.has(path)));
    let missing = crates.iter().flat_map(Modules::top).filter(|name| !tops.contains(name));
    let unknown = unknown.map(|path| format!("the tree does not have {path}"));
    unknown.chain(missing.map(|name| format!("the map does not have {name}"))).collect()
}

/// Suites of tests/Cargo.toml that the table of suites does not name.
fn suite_faults(tree: &Tree) -> Vec<&str> {
    let tables = tree.text("tests/Cargo.toml").split("[[test]]\n").skip(1);
    let suites = tables.filter_map(|table| table.split('"').nth(1));
    let cells = first_cells(tree.text("ARCHITECTURE.md"), "## Testing").join(" ");
    let named: BTreeSet<&str> = cells.split_whitespace().collect();
    suites.filter(|suite| !named.contains(suite)).collect()
}

/// Whether the changelog has a section for what is not released, with an entry.
fn has_unreleased(changelog: &str) -> bool {
    let mut lines = changelog.lines().skip_while(|line| *line != "## Unreleased").skip(1);
    lines.by_ref().take_while(|line| !line.starts_with("## ")).any(|line| line.starts_with("- "))
}

#[test]
fn the_map_of_modules_is_the_trees() {
    let tree = Tree::of_repository();
    assert_eq!(
        map_faults(&tree, &["native-eval/src/lib.rs", "native-eval/src/main.rs"], "`native-eval/`"),
        [""; 0]
    );
    assert_eq!(map_faults(&tree, &["eval/src/lib.rs"], "`eval/`"), [""; 0]);
    assert_eq!(map_faults(&tree, &["texts/src/lib.rs"], "`texts/`"), [""; 0]);
    let core_faults = |tree: &Tree| map_faults(tree, &["core/src/lib.rs"], "`core/`");
    assert_eq!(core_faults(&tree), [""; 0]);
    let renamed = tree.with("ARCHITECTURE.md", "| `accounting` |", "| `bookkeeping` |");
    let wanted = ["the tree does not have bookkeeping", "the map does not have accounting"];
    assert_eq!(core_faults(&renamed), wanted);
    let grown = tree.with("core/src/lib.rs", "pub mod accounting;", "pub mod accounting; mod extra;");
    assert_eq!(core_faults(&grown.and("core/src/extra.rs", "")), ["the map does not have extra"]);
}

#[test]
fn the_table_of_suites_is_complete() {
    let tree = Tree::of_repository();
    assert_eq!(suite_faults(&tree), [""; 0]);
    assert_eq!(
        suite_faults(&tree.with("tests/Cargo.toml", "name = \"link\"", "name = \"chain\"")),
        ["chain"]
    );
}

#[test]
fn the_changelog_has_a_section_for_what_is_not_released() {
    assert!(has_unreleased(Tree::of_repository().text("CHANGELOG.md")));
    for faulty in ["# Changelog\n", "## Unreleased\n", "## Unreleased\n## 0.1.0\n- first\n"] {
        assert!(!has_unreleased(faulty), "{faulty}");
    }
}
