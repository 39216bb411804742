//! The dashboard's files, which the program carries: what `ui/` is built into.
//!
//! What always holds:
//! - They are the committed files of `ui/dist`, so a plain `cargo build` needs no Node; `cargo xtask ui` compares them with what `ui/`
//!   is built into.
//! - The page asks nobody but the node that it came from, and runs no script but its own: [`POLICY`] has the browser enforce it.
//! - A file is known by its ETag and asked for again each time (`no-cache`): after an update nobody sees half of two versions.

use std::sync::LazyLock;

/// What a page of the node may load, for `Content-Security-Policy`: itself and nothing else.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                          base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// For `Cache-Control`: kept, and compared by its ETag before it is used.
pub const CACHE: &str = "no-cache";

/// A file of the dashboard.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asset {
    /// Its bytes.
    pub body: &'static [u8],
    /// For `Content-Type`.
    pub content_type: &'static str,
    /// For `ETag`, quotes and all.
    pub etag: String,
}

/// Name, type, bytes.
type File = (&'static str, &'static str, &'static [u8]);

const FILES: [File; 5] = [
    ("index.html", "text/html; charset=utf-8", include_bytes!("../ui/dist/index.html")),
    ("app.js", "text/javascript; charset=utf-8", include_bytes!("../ui/dist/app.js")),
    ("chart.js", "text/javascript; charset=utf-8", include_bytes!("../ui/dist/chart.js")),
    ("app.css", "text/css; charset=utf-8", include_bytes!("../ui/dist/app.css")),
    ("icon.svg", "image/svg+xml", include_bytes!("../ui/dist/icon.svg")),
];

static ASSETS: LazyLock<Vec<(&str, Asset)>> = LazyLock::new(|| {
    let asset = |&(name, content_type, body): &File| {
        (name, Asset { body, content_type, etag: format!("\"{:016x}\"", hash(body)) })
    };
    FILES.iter().map(asset).collect()
});

/// The file at a path of the dashboard; `/` is the page itself.
///
/// ```
/// let page = towpath_node::ui::asset("/").unwrap();
/// assert!(page.content_type.starts_with("text/html"));
/// assert!(towpath_node::ui::asset("/nothing.js").is_none());
/// ```
pub fn asset(path: &str) -> Option<Asset> {
    let name = path.strip_prefix('/').unwrap_or(path);
    let name = if name.is_empty() { "index.html" } else { name };
    ASSETS.iter().find(|(known, _)| *known == name).map(|(_, asset)| asset.clone())
}

/// FNV-1a: whether two versions differ, not who made them.
fn hash(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix)
}
