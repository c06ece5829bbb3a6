//! What came to a root after it was locked: installed after all that was there before.
//!
//! The root as it was then is a root of its own in the cache; one package more is then installed into a copy of that, in a second
//! instead of a whole root's half minute. Since the lock says what came later, a build from nothing installs in the same order, and
//! the same bytes come out.

use std::collections::{BTreeMap, BTreeSet};

use livery_contract::Digest;

use super::file::{Lock, Package, RootName};

/// The names of packages of one root that came later than those of `before`; none where anything of that is gone or is another now:
/// then the root is made anew, all at once.
pub(crate) fn added(before: &Lock, now: &[Package], root: RootName) -> Vec<String> {
    let late: BTreeSet<&str> = before.added(root).collect();
    let first = before.of(root).filter(|package| !late.contains(package.name.as_str()));
    let first: BTreeMap<&str, Digest> = first.map(|package| (package.name.as_str(), package.sha256)).collect();
    let now: BTreeMap<&str, Digest> =
        now.iter().filter(|package| package.roots.contains(&root)).map(|package| (package.name.as_str(), package.sha256)).collect();
    if first.is_empty() || first.iter().any(|(name, digest)| now.get(name) != Some(digest)) {
        return Vec::new();
    }
    now.into_keys().filter(|name| !first.contains_key(name)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{
        super::file::tests::{lock, package},
        *,
    };

    #[test]
    fn what_came_later_follows_what_was_there() {
        let of = |names: &[(&str, &str)]| -> Vec<Package> {
            names.iter().map(|(name, version)| package(name, version, &[RootName::Device])).collect()
        };
        let first = lock(of(&[("cage", "1"), ("libc6", "2")]));
        let later = |before: &Lock, names| added(before, &of(names), RootName::Device);
        assert!(later(&first, &[("cage", "1"), ("libc6", "2")]).is_empty(), "nothing came");
        let one_more = [("cage", "1"), ("libc6", "2"), ("nano", "8")];
        assert_eq!(later(&first, &one_more), ["nano"]);

        let mut second = lock(of(&one_more));
        second.roots[0].added = vec!["nano".into()];
        assert_eq!(later(&second, &one_more), ["nano"], "locking again changes nothing");
        assert_eq!(
            later(&second, &[("cage", "1"), ("hello", "2"), ("libc6", "2"), ("nano", "9")]),
            ["hello", "nano"],
            "and what is newer"
        );
        assert!(later(&second, &[("cage", "1"), ("libc6", "2")]).is_empty(), "what came later has gone again");
        assert!(later(&second, &[("cage", "1"), ("libc6", "3"), ("nano", "8")]).is_empty(), "another version of what was there");
        assert!(later(&second, &[("libc6", "2"), ("nano", "8")]).is_empty(), "something that was there is gone");
        assert!(added(&first, &of(&one_more), RootName::Boot).is_empty(), "a root that was not locked");
    }
}
