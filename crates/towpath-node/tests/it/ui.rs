//! The dashboard's files: complete, small, and asking for nothing from elsewhere.

use std::{collections::BTreeSet, fs, path::Path};

use towpath_node::ui::{POLICY, asset};

fn dist() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/dist");
    let names = fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name());
    names.map(|it| it.into_string().unwrap()).collect()
}

#[test]
fn every_file_that_is_built_is_carried() {
    let mut etags = BTreeSet::new();
    for name in dist() {
        let asset = asset(&format!("/{name}")).unwrap_or_else(|| panic!("{name} is not carried"));
        assert!(!asset.body.is_empty());
        assert!(etags.insert(asset.etag.clone()), "{name} has the ETag of another");
    }
    assert_eq!(asset("/"), asset("/index.html"));
    assert_eq!(asset("/../Cargo.toml"), None);
}

/// What one file names of the others must be there, or the page stays empty.
#[test]
fn the_page_names_files_that_are_there() {
    let page = String::from_utf8(asset("/").unwrap().body.to_vec()).unwrap();
    let named: Vec<&str> = page.split('"').filter_map(|word| word.strip_prefix("./")).collect();
    assert!(named.len() >= 3, "{page}");
    for name in named {
        assert!(asset(name).is_some(), "there is no {name}");
    }
    // The policy allows no script and no style inside the page.
    assert!(POLICY.contains("script-src 'self'") && !POLICY.contains("unsafe"));
    assert!(!page.contains("<style") && !page.contains("onload="), "{page}");
    assert!(page.split("<script").skip(1).all(|it| it.contains("src=\"./")), "{page}");
}

#[test]
fn nothing_is_fetched_from_elsewhere() {
    for name in dist() {
        let text = String::from_utf8_lossy(asset(&name).unwrap().body).into_owned();
        for (at, _) in text.match_indices("://") {
            let around = &text[at.saturating_sub(6)..(at + 30).min(text.len())];
            // Names of XML dialects, which nobody fetches.
            assert!(around.contains("://www.w3.org/"), "{name}: {around}");
        }
    }
}
