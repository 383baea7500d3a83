//! Claims about the house itself: its documents say what is so.

use std::collections::BTreeSet;
use std::path::Path;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_dependency_has_its_line_of_reason_and_no_reason_outlives_its_dependency() {
    let manifest: toml::Table = read("Cargo.toml").parse().expect("Cargo.toml is TOML");
    let used: BTreeSet<String> = manifest["workspace"]["dependencies"]
        .as_table()
        .expect("a table of dependencies")
        .keys()
        .filter(|name| !name.starts_with("platen-"))
        .cloned()
        .collect();
    let explained = read("docs/dependencies.md");
    let explained = explained.split("## Of the system").next().expect("a first part");
    let explained: BTreeSet<String> = explained
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(used, explained, "docs/dependencies.md and [workspace.dependencies] differ");
}

#[test]
fn the_architecture_fits_four_screens() {
    let lines = read("ARCHITECTURE.md").lines().count();
    assert!(lines <= 160, "ARCHITECTURE.md has {lines} lines; four screens are 160");
}

#[test]
fn every_place_the_architecture_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = read("ARCHITECTURE.md");
    let named = text.split('`').skip(1).step_by(2).filter(|word| {
        ["agent/", "cloud/", "shared/", "packaging/", "testdata/", "tests/"]
            .iter()
            .any(|top| word.starts_with(top))
    });
    let missing: Vec<&str> = named.filter(|place| !root.join(place).exists()).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names what is not there: {missing:?}");
}
