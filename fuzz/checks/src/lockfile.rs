//! A lockfile: TOML that decides which packages a build takes, and where on a mirror and in a folder they are looked for.

use crate::lock::file::Lock;

/// Checks one input; whether it is a lockfile.
///
/// # Panics
/// Where it is not written and read back the same, or where a package's place leads out of the archive or of a folder.
pub fn check(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let Ok(lock) = Lock::parse(text) else { return false };
    let encoded = lock.encode().unwrap_or_else(|fault| panic!("a lock does not encode: {fault}"));
    let again = Lock::parse(&encoded).unwrap_or_else(|fault| panic!("what was written is not read: {fault}"));
    assert_eq!(again, lock);
    for package in &lock.packages {
        assert_eq!(package.supplied, package.origin.is_empty(), "{}", package.origin);
        assert!(
            package.supplied || package.path.split('/').all(|part| !part.is_empty() && !part.starts_with('.')),
            "{}",
            package.path
        );
        let name = package.file_name();
        assert!(!name.contains('/') && name.ends_with(".deb"), "{name}");
    }
    let supplied: Vec<_> = lock.packages.iter().filter(|package| package.supplied).cloned().collect();
    lock.fits(&lock.debian, &lock.roots, &supplied).unwrap_or_else(|fault| panic!("a lock does not fit itself: {fault}"));
    true
}
