//! The web console: what a browser gets of it, by path.
//!
//! A page asks for one script and one style sheet, which are put together from `web/` when the program is built. A debug
//! build puts them together at each request, so that an edit shows at the next reload.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

use std::borrow::Cow;

use rust_embed::Embed;

#[cfg(any(debug_assertions, test))]
mod bundle;

/// The content security policy of the console's pages: this origin's own files and API, no inline script and no inline style.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
                          connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                          require-trusted-types-for 'script'";

#[derive(Embed)]
#[folder = "web/"]
struct Web;

/// How long a browser may keep a file without asking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It asks each time, with the entity tag.
    Asking,
    /// For good: the address changes with the bytes.
    Forever,
}

/// A file of the console.
#[derive(Debug)]
pub struct Asset {
    /// Its bytes.
    pub bytes: Cow<'static, [u8]>,
    /// Its media type.
    pub media: &'static str,
    /// An entity tag that changes with the bytes, in quotes.
    pub etag: String,
    /// The time for which it is kept.
    pub keep: Keep,
}

/// The files below `/console/`, with their media types.
const FILES: [(&str, &str); 5] = [
    ("app.js", "text/javascript; charset=utf-8"),
    ("styles.css", "text/css; charset=utf-8"),
    ("theme.js", "text/javascript; charset=utf-8"),
    ("icon.svg", "image/svg+xml"),
    ("vendor/LICENSES.txt", "text/plain; charset=utf-8"),
];
const PAGE: &str = "index.html";

/// The page that every address of the console begins with. It names its files by their bytes.
pub fn page() -> Option<Asset> {
    let mut text = String::from_utf8(bytes(PAGE)?.into_owned()).ok()?;
    for (name, _) in FILES {
        let plain = format!("\"/console/{name}\"");
        if text.contains(&plain) {
            let named = named_by_bytes(name, hash(&bytes(name)?));
            text = text.replace(&plain, &format!("\"/console/{named}\""));
        }
    }
    let etag = format!("\"{}\"", hash(text.as_bytes()));
    Some(Asset { bytes: Cow::Owned(text.into_bytes()), media: "text/html; charset=utf-8", etag, keep: Keep::Asking })
}

/// The file at a path below `/console/`, by its name or by its name with its bytes' hash, if there is one.
pub fn asset(path: &str) -> Option<Asset> {
    for (name, media) in FILES {
        let is_plain = path == name;
        if !is_plain && !is_named(path, name) {
            continue;
        }
        let bytes = bytes(name)?;
        let hash = hash(&bytes);
        // Another version's address gets this version's file, and does not keep it.
        let keep = if path == named_by_bytes(name, &hash) { Keep::Forever } else { Keep::Asking };
        return Some(Asset { bytes, media, etag: format!("\"{hash}\""), keep });
    }
    None
}

fn hash(bytes: &[u8]) -> String {
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(bytes))
}

/// `app.js` with the hash of its bytes: `app-0123456789abcdef.js`.
fn named_by_bytes(name: &str, hash: impl std::fmt::Display) -> String {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    format!("{stem}-{hash}.{extension}")
}

/// Returns whether a path is a name with any hash.
fn is_named(path: &str, name: &str) -> bool {
    let Some((stem, extension)) = name.rsplit_once('.') else { return false };
    let hash =
        path.strip_prefix(stem).and_then(|rest| rest.strip_prefix('-')?.strip_suffix(extension)?.strip_suffix('.'));
    hash.is_some_and(|hash| hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn bytes(name: &str) -> Option<Cow<'static, [u8]>> {
    match name {
        "app.js" => Some(script()),
        "styles.css" => Some(styles()),
        _ => Some(Web::get(name)?.data),
    }
}

#[cfg(debug_assertions)]
mod read_anew {
    //! The files as they are now in the source tree.

    use std::borrow::Cow;
    use std::path::Path;

    use crate::bundle::{self, BundleRefusal};

    const WEB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/web");

    /// The text that was made, or a script that says why it could not be.
    fn told(made: Result<String, BundleRefusal>) -> Cow<'static, [u8]> {
        Cow::Owned(made.unwrap_or_else(|fault| format!("throw new Error({:?});", fault.to_string())).into_bytes())
    }

    pub(crate) fn script() -> Cow<'static, [u8]> {
        told(bundle::script(Path::new(WEB)))
    }

    pub(crate) fn styles() -> Cow<'static, [u8]> {
        told(bundle::styles(Path::new(WEB)))
    }
}
#[cfg(debug_assertions)]
use read_anew::{script, styles};

#[cfg(not(debug_assertions))]
fn script() -> Cow<'static, [u8]> {
    Cow::Borrowed(include_bytes!(concat!(env!("OUT_DIR"), "/app.js")))
}

#[cfg(not(debug_assertions))]
fn styles() -> Cow<'static, [u8]> {
    Cow::Borrowed(include_bytes!(concat!(env!("OUT_DIR"), "/styles.css")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn text(asset: Asset) -> String {
        String::from_utf8(asset.bytes.into_owned()).unwrap()
    }

    #[test]
    fn a_page_names_files_that_are_kept_for_good() {
        let page = text(page().unwrap());
        let linked: Vec<&str> =
            page.split("\"/console/").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)).collect();
        for wanted in ["app-", "styles-", "theme-"] {
            assert!(linked.iter().any(|path| path.starts_with(wanted)), "{wanted} is not in {linked:?}");
        }
        for path in linked {
            assert_eq!(asset(path).unwrap().keep, Keep::Forever, "{path}");
        }
        assert_eq!(asset("app.js").unwrap().keep, Keep::Asking);
        assert_eq!(asset("app-0123456789abcdef.js").unwrap().keep, Keep::Asking);
    }

    #[test]
    fn the_script_has_every_module_once_and_none_is_imported() {
        let script = bundle::script(Path::new("web")).unwrap();
        let mut folders = vec![Path::new("web").to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix("web").unwrap().to_str().unwrap().to_owned();
                if path.is_dir() {
                    folders.push(path);
                } else if (name.ends_with(".js") && name != "theme.js") || name.ends_with(".mjs") {
                    assert_eq!(script.matches(&format!("// {name}\nconst m")).count(), 1, "{name}");
                }
            }
        }
        for line in script.lines() {
            assert!(!line.starts_with("import") && !line.starts_with("export") && !line.contains("export{"), "{line}");
        }
    }

    #[test]
    fn a_form_that_the_bundle_does_not_know_is_refused_by_name() {
        let web = std::env::temp_dir().join(format!("audience-bundle-{}", std::process::id()));
        std::fs::create_dir_all(&web).unwrap();
        let refused = |text: &str| {
            std::fs::write(web.join("app.js"), text).unwrap();
            bundle::script(&web).unwrap_err().to_string()
        };
        assert_eq!(refused("export let a = 1;\n"), "app.js: export let a = 1;");
        assert!(refused("import './absent.js';\n").starts_with("app.js: import"));
        assert!(refused("import { a } from './app.js';\n").contains("imports itself"));
        assert!(refused("import { a } from './absent.js';\n").starts_with("absent.js: "));
        std::fs::remove_dir_all(&web).unwrap();
    }

    #[test]
    fn the_page_keeps_to_its_policy() {
        let text = text(page().unwrap());
        assert!(!text.contains("<style") && !text.contains("style=") && !text.contains("<script>"), "{text}");
    }

    #[test]
    fn outside_is_nothing() {
        for path in ["", "absent.js", "../Cargo.toml", "lib/api.js", "vendor", "/index.html", "app-.js", "app-xyz.js"] {
            assert!(asset(path).is_none(), "{path}");
        }
    }
}
