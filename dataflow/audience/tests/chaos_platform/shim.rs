//! A slow disk and a clock that jumps, for the program alone: a library that is preloaded into it.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The library, and the file by which it is told what to do.
pub(super) struct PreloadedShim {
    library: PathBuf,
    control: PathBuf,
    file: File,
}

impl PreloadedShim {
    /// Compiles it; the error is why there is none.
    pub(super) fn build(directory: &Path) -> Result<PreloadedShim, String> {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chaos_platform/shim.c");
        let (library, control) = (directory.join("shim.so"), directory.join("shim.control"));
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source);
        match compiler.output() {
            Ok(output) if output.status.success() => {}
            Ok(output) => return Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => return Err(format!("there is no C compiler: {error}")),
        }
        fs::write(&control, [0; 16]).map_err(|error| error.to_string())?;
        let file = OpenOptions::new().write(true).open(&control).map_err(|error| error.to_string())?;
        Ok(PreloadedShim { library, control, file })
    }

    /// The variables of a program that obeys it.
    pub(super) fn variables(&self) -> Vec<(String, String)> {
        let text = |path: &Path| path.display().to_string();
        vec![("LD_PRELOAD".to_owned(), text(&self.library)), ("AUDIENCE_CHAOS_CONTROL".to_owned(), text(&self.control))]
    }

    /// Lets each sync of a file wait, and the clock be ahead, by so many milliseconds.
    pub(super) fn set(&self, sync: i64, clock: i64) {
        let bytes = [sync.to_ne_bytes(), clock.to_ne_bytes()].concat();
        // In place: the program reads the file while it is written.
        self.file.write_all_at(&bytes, 0).expect("the file can be written");
    }
}
