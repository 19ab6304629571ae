//! A file system of its own, that fills up or takes no writes.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A tmpfs, until it is dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one at a directory, with these options of `mount`. That takes root: else it is said, and there is none.
    pub fn mount(at: &Path, options: &str) -> Option<SmallDisk> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at);
        if !mount.status().is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: no tmpfs could be mounted (this needs root)");
            return None;
        }
        Some(SmallDisk(at.to_owned()))
    }

    /// The mount point.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, for a process that was killed may not have let go of it yet.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
