//! Building as an ordinary user: the program starts itself again in a user namespace, where it is root over the user's own range of
//! user numbers (`subuid(5)`). Files in an image then have their owners, and nothing outside changes.

use std::{fs, os::unix::process::CommandExt as _, path::Path, process::Command};

use livery_contract::{Fault, Result};
use nix::{
    sys::stat::{Mode, umask},
    unistd::{Uid, User, geteuid},
};

/// System users and groups of a root need numbers too.
const LEAST: u64 = 65_536;

/// Returns as root: the real one, or the user namespace's. Also sets the mask that files are made with, so that the user's own
/// does not get into an image.
///
/// # Errors
/// Exit 3 where this user can't have a user namespace with a range of numbers.
pub(crate) fn enter() -> Result<()> {
    umask(Mode::from_bits_truncate(0o022));
    let user = geteuid();
    if user.is_root() {
        return Ok(());
    }
    for file in ["/etc/subuid", "/etc/subgid"] {
        has_range(Path::new(file), user)?;
    }
    let us = std::env::current_exe().map_err(|error| Fault::internal("this program can't find its own path").cause(error))?;
    let error = Command::new("unshare")
        .args(["--user", "--map-auto", "--map-root-user", "--"])
        .arg(us)
        .args(std::env::args_os().skip(1))
        .exec();
    Err(Fault::refused("a user namespace can't be entered").cause(error).fix("install util-linux, or build as root"))
}

/// Whether a user has a range of numbers.
fn has_range(file: &Path, user: Uid) -> Result<()> {
    let name = User::from_uid(user).ok().flatten().map(|user| user.name);
    let text = fs::read_to_string(file).unwrap_or_default();
    let range = text.lines().find_map(|line| {
        // subuid(5): name or number, first of the range, count
        let (owner, range) = line.split_once(':')?;
        let ours = Some(owner) == name.as_deref() || owner.parse() == Ok(user.as_raw());
        ours.then(|| range.split_once(':')?.1.trim().parse::<u64>().ok()).flatten()
    });
    if range.is_some_and(|count| count >= LEAST) && on_path("newuidmap") && on_path("newgidmap") {
        return Ok(());
    }
    let name = name.unwrap_or_else(|| user.to_string());
    Err(Fault::refused("to build as an ordinary user, you need a range of user and group numbers, and newuidmap")
        .at(file.display())
        .fix(format!("as root: apt-get install uidmap && usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}; or build as root")))
}

fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_the_users_own_and_large_enough() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let user = Uid::from_raw(54_321);
        let says = |text: &str| {
            fs::write(file.path(), text).unwrap();
            has_range(file.path(), user)
        };
        let fault = says("54322:100000:65536\n").unwrap_err();
        assert_eq!(fault.exit().code(), 3);
        assert!(fault.render().contains("usermod --add-subuids"), "{}", fault.render());
        assert!(says("54321:100000:1000\n").is_err());
        assert!(says("54321\n54321:x\n").is_err());
        assert_eq!(says("54321:100000:65536\n").is_ok(), on_path("newuidmap"));
    }
}
