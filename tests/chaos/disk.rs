//! The agent's disk: a small file system of its own, which can be filled and emptied.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Room for the agent's key, its state and a journal of many commands.
const SIZE: &str = "size=64m";

/// A file system that ends with the value.
pub struct Disk(TempDir);

impl Disk {
    /// Mounts one.
    ///
    /// # Panics
    /// Without root: the disk of a process cannot be full otherwise.
    pub fn mount() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", SIZE, "tmpfs"])
            .arg(dir.path());
        let mounted = mount.status().expect("mount starts").success();
        assert!(mounted, "mounting needs root: run the tests as root");
        Self(dir)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        let mut file = File::create(self.filler()).expect("made");
        let block = vec![0; 64 << 10];
        while file.write_all(&block).is_ok() {}
        while file.write_all(&[0]).is_ok() {}
    }

    /// Gives it back.
    pub fn empty(&self) {
        // It may not be full.
        let _ = fs::remove_file(self.filler());
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}
