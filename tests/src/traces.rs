//! What a test leaves behind: a folder in `out/tests`, with pictures and logs. What is large, such as disks and stores, goes once the test
//! has passed: all of them together would fill a small host's disk. Of a test that fails everything stays.

use std::{
    fs,
    ops::Deref,
    path::{Path, PathBuf},
};

/// The most that a file may have and stay, in bytes.
const LARGE: u64 = 8 << 20;

/// A test's folder; see the module.
#[derive(Debug)]
pub struct Traces(PathBuf);

impl Traces {
    /// An empty folder of this name.
    ///
    /// # Panics
    /// Where it can't be made: there is no test without it.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../out/tests").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        Self(folder)
    }
}

impl Deref for Traces {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            clear(&self.0);
        }
    }
}

fn clear(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.metadata() {
            Ok(about) if about.is_dir() => clear(&path),
            Ok(about) if about.is_file() && about.len() > LARGE => drop(fs::remove_file(&path)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_large_goes_once_the_test_has_passed_and_not_before() {
        let leave = |name: &str, fails: bool| {
            let name = name.to_owned();
            std::thread::spawn(move || {
                let traces = Traces::new(&name);
                fs::create_dir(traces.join("device")).unwrap();
                fs::File::create(traces.join("device/disk.raw")).unwrap().set_len(LARGE + 1).unwrap();
                fs::write(traces.join("page.png"), "picture").unwrap();
                assert!(!fails, "as a test does");
            })
        };
        for (name, fails) in [("traces-passed", false), ("traces-failed", true)] {
            assert_eq!(leave(name, fails).join().is_err(), fails);
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../out/tests").join(name);
            assert!(folder.join("page.png").exists());
            assert_eq!(folder.join("device/disk.raw").exists(), fails);
            fs::remove_dir_all(&folder).unwrap();
        }
    }
}
