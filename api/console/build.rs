//! Puts the console's modules and style sheets together, for builds that carry them.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

#[path = "src/bundle.rs"]
mod bundle;

fn main() -> Result<(), Box<dyn Error>> {
    let web = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("web");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("app.js"), bundle::script(&web)?)?;
    fs::write(out.join("styles.css"), bundle::styles(&web)?)?;
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/bundle.rs");
    // A debug build reads the files at each request: it need not be built again for them.
    if env::var("PROFILE")? != "debug" {
        println!("cargo::rerun-if-changed=web");
    }
    Ok(())
}
