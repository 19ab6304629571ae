//! The web console: what a browser gets of it, by path.
//!
//! Everything lies in `web/` as the browser reads it: there is no build step. A release has the files inside; a debug
//! build reads them from the source tree at each request, so that an edit shows at the next reload.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

use std::borrow::Cow;
use std::fmt::Write as _;

use rust_embed::Embed;

/// The content security policy of the console's pages: this origin's own files and API, no inline script and no inline style.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
                          connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(Embed)]
#[folder = "web/"]
struct Web;

/// A file of the console.
#[derive(Debug)]
pub struct Asset {
    /// Its bytes.
    pub bytes: Cow<'static, [u8]>,
    /// Its media type.
    pub media: &'static str,
    /// An entity tag that changes with the bytes, in quotes.
    pub etag: String,
}

/// The place at which the page names its modules.
const MODULES: &str = "<!-- modules -->";

/// The page that every address of the console begins with. It names all modules, so that a browser asks for them at once
/// and not one import behind the other.
pub fn page() -> Option<Asset> {
    let page = asset("index.html")?;
    let mut links = String::new();
    for path in Web::iter().filter(|path| path.ends_with("js") && path != "theme.js") {
        let _ = write!(links, "<link rel=\"modulepreload\" href=\"/console/{path}\">");
    }
    let text = String::from_utf8_lossy(&page.bytes).replace(MODULES, &links);
    let etag = format!("\"{:016x}\"", xxhash_rust::xxh3::xxh3_64(text.as_bytes()));
    Some(Asset { bytes: Cow::Owned(text.into_bytes()), media: page.media, etag })
}

/// The file at a path below `web/`, if there is one.
pub fn asset(path: &str) -> Option<Asset> {
    let media = media(path)?;
    let file = Web::get(path)?;
    let mut etag = String::from("\"");
    for byte in &file.metadata.sha256_hash()[..12] {
        let _ = write!(etag, "{byte:02x}");
    }
    etag.push('"');
    Some(Asset { bytes: file.data, media, etag })
}

/// The media type that goes with the end of a name; what is of no known kind is not given out.
fn media(path: &str) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once('.')?;
    Some(match extension {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_and_its_files() {
        let page = page().unwrap();
        let text = String::from_utf8(page.bytes.into_owned()).unwrap();
        let linked: Vec<&str> =
            text.split("\"/console/").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)).collect();
        for wanted in ["app.js", "vendor/preact.mjs", "rules/form.js", "styles/base.css"] {
            assert!(linked.contains(&wanted), "{wanted} is not in {linked:?}");
        }
        for path in linked {
            assert!(asset(path).is_some(), "{path} is linked and is not there");
        }
    }

    #[test]
    fn the_page_keeps_to_its_policy() {
        let text = String::from_utf8(page().unwrap().bytes.into_owned()).unwrap();
        assert!(!text.contains("<style") && !text.contains("style=") && !text.contains("<script>"), "{text}");
    }

    #[test]
    fn outside_is_nothing() {
        for path in ["", "absent.js", "../Cargo.toml", "../src/lib.rs", "vendor", "/index.html"] {
            assert!(asset(path).is_none(), "{path}");
        }
    }
}
