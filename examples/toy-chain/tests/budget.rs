//! The promise of the README: a whole chain and its scheme in less than 200 lines of code.

use std::path::Path;

const BUDGET: usize = 200;

/// Lines that are neither blank nor comment.
fn code_lines(text: &str) -> usize {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

#[test]
fn the_whole_chain_stays_below_its_budget() {
    let (mut lines, mut files) = (0, 0);
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap() {
        let path = entry.unwrap().path();
        assert!(path.is_file(), "count {} too", path.display());
        let text = std::fs::read_to_string(&path).unwrap();
        // Nothing hides in block comments or beyond the width rustfmt allows.
        assert!(!text.contains("/*"), "{}", path.display());
        let long = text.lines().find(|line| line.chars().count() > 120);
        assert_eq!(long, None, "{} is not as rustfmt leaves it", path.display());
        lines += code_lines(&text);
        files += 1;
    }
    assert!(files >= 3 && lines > 100, "{lines} lines in {files} files cannot be all of it");
    assert!(lines < BUDGET, "{lines} lines of code; the budget is {BUDGET}");
}

#[test]
fn it_stands_on_the_core_and_serde_alone() {
    let manifest = include_str!("../Cargo.toml");
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let names: Vec<_> = dependencies.lines().filter_map(|line| line.split(['.', ' ', '=']).next()).collect();
    let names: Vec<_> = names.into_iter().filter(|name| !name.is_empty()).collect();
    assert_eq!(names, ["serde", "tollway-core"]);
}

#[test]
fn comments_and_blank_lines_are_not_counted() {
    assert_eq!(code_lines("//! doc\n\nfn a() {\n    // why\n    b(); // here\n}\n"), 3);
}
