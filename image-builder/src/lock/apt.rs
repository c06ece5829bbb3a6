//! An apt of our own: Debian's resolver and downloader in a folder that is thrown away, untouched by what the host has
//! installed, pinned or configured. Only its proxies are taken over.
//!
//! Indexes are believed as apt believes them: signed by Debian's archive keys. From there on digests hold.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use deb822_fast::borrowed::{BorrowedField, BorrowedParagraph, iter_paragraphs_borrowed};
use livery_contract::{Digest, Fault, Result};
use livery_profile::{Debian, Mirrors};

use super::file::{Package, Request};
use crate::sandbox;

/// The keys that Debian signs its archive with; the package of the same name.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// More than any index has: Debian's largest is 60 MB.
const MAX_INDEX: u64 = 1 << 30;

#[derive(Debug)]
pub(crate) struct Apt {
    folder: tempfile::TempDir,
    mirrors: Mirrors,
    debian: Debian,
}

/// What an index says of a package that apt chose.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// Suite and component.
    pub(crate) origin: String,
    /// What the index says of it, field by field (Debian Policy 5.1).
    pub(crate) fields: BTreeMap<String, String>,
}

impl Apt {
    /// Sets one up in `folder`; nothing is fetched yet.
    ///
    /// # Errors
    /// Exit 3 where neither the profile nor this machine's apt names a mirror.
    pub(crate) fn new(folder: tempfile::TempDir, debian: &Debian) -> Result<Self> {
        let mirrors = match &debian.mirrors {
            Some(mirrors) => mirrors.clone(),
            None => mirrors_of_this_machine()?,
        };
        let apt = Self { folder, mirrors, debian: debian.clone() };
        for path in [
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "etc/apt/sources.list.d",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
            "var/lib/dpkg",
        ] {
            let path = apt.path(path);
            fs::create_dir_all(&path).map_err(|error| failed(&path, error))?;
        }
        apt.write("var/lib/dpkg/status", "")?;
        apt.write("etc/apt/sources.list", &apt.sources())?;
        apt.write("apt.conf", &apt.configuration()?)?;
        Ok(apt)
    }

    /// Besides the mirrors, an archive in a folder, and the versions that are to be preferred wherever they are to be had.
    ///
    /// # Errors
    /// Exit 1 where the files can't be written.
    pub(crate) fn prefer(&self, archive: &Path, packages: &[&Package]) -> Result<()> {
        self.write("etc/apt/sources.list", &format!("{}deb [trusted=yes] copy:{} ./\n", self.sources(), archive.display()))?;
        // Above 1000: also where that is a step back (apt_preferences(5)).
        let pins = packages
            .iter()
            .map(|package| format!("Package: {}\nPin: version {}\nPin-Priority: 1001\n\n", package.name, package.version));
        self.write("etc/apt/preferences.d/locked", &pins.collect::<String>())
    }

    /// Fetches the indexes.
    ///
    /// # Errors
    /// Exit 5 where a mirror can't be reached or what it has is not signed.
    pub(crate) fn update(&self) -> Result<()> {
        // By itself apt goes on with old or missing indexes.
        self.run("apt-get", ["update", "--quiet", "-o", "APT::Update::Error-Mode=any"], "apt-get update", Fault::source)
            .map(drop)
            .map_err(|fault| fault.fix("check the network and `debian.mirror`; indexes must be signed by Debian's archive keys"))
    }

    /// What one root comes to: the .debs of all that is asked for and needed, with Debian's essential packages.
    ///
    /// # Errors
    /// Exit 3 where apt knows no such package, or they exclude one another.
    pub(crate) fn resolve(&self, request: &Request) -> Result<Vec<Digest>> {
        let recommends = format!("APT::Install-Recommends={}", request.recommends);
        let arguments =
            ["install", "--print-uris", "-qq", "--yes", "-o", "Acquire::ForceHash=SHA256", "-o", &recommends, "?essential"];
        let arguments = arguments.into_iter().chain(request.packages.iter().map(String::as_str));
        let said = self.run("apt-get", arguments, "apt", Fault::refused).map_err(|fault| {
            let mirror = if self.debian.mirrors.is_some() { "`debian.mirror`" } else { "Debian" };
            fault.fix(format!("correct {}: {mirror} has no such package, or the packages conflict", request.name.asked_by()))
        })?;
        let odd = || Fault::internal("apt's answer could not be parsed");
        // 'URI' FILE SIZE SHA256:DIGEST
        String::from_utf8_lossy(&said)
            .lines()
            .filter(|line| line.starts_with('\''))
            .map(|line| line.rsplit_once("SHA256:").ok_or_else(odd)?.1.trim().parse().map_err(|fault| odd().cause(fault)))
            .collect()
    }

    /// What the signed indexes say of these .debs.
    ///
    /// # Errors
    /// Exit 1 where an index can't be read.
    pub(crate) fn listed(&self, wanted: &[Digest]) -> Result<HashMap<Digest, Listed>> {
        let wanted: HashMap<String, Digest> = wanted.iter().map(|digest| (digest.to_string(), *digest)).collect();
        let mut found = HashMap::new();
        let arguments = ["indextargets", "--format", "$(REPO_URI) $(RELEASE)/$(COMPONENT) $(FILENAME)", "Created-By: Packages"];
        let targets = self.run("apt-get", arguments, "apt-get indextargets", Fault::internal)?;
        // The archive of versions to keep has no suite or component: those are in the lock that they are from.
        let targets = String::from_utf8_lossy(&targets);
        let mirrors = targets.lines().filter(|line| !line.starts_with("copy:")).filter_map(|line| line.split_once(' '));
        for (origin, path) in mirrors.filter_map(|(_, target)| target.split_once(' ')) {
            let path = Path::new(path);
            let length = fs::metadata(path).map_err(|error| failed(path, error))?.len();
            if length > MAX_INDEX {
                return Err(
                    Fault::source(format!("an index of {length} bytes is over the limit of {MAX_INDEX}")).at(path.display())
                );
            }
            let index = fs::read(path).map_err(|error| failed(path, error))?;
            for paragraph in iter_paragraphs_borrowed(&String::from_utf8_lossy(&index)) {
                let odd = |error| Fault::source("an index of packages does not parse").at(path.display()).cause(error);
                let paragraph = paragraph.map_err(odd)?;
                if let Some(digest) = paragraph.get_single("SHA256").and_then(|text| wanted.get(text)) {
                    let listed = Listed { origin: origin.to_owned(), fields: fields(&paragraph) };
                    found.entry(*digest).or_insert(listed);
                }
            }
        }
        Ok(found)
    }

    /// Fetches .debs into `into`, each under its digest; apt checks size and digest.
    ///
    /// # Errors
    /// Exit 5 where one can't be had, or is not the one that was locked.
    pub(crate) fn download(&self, packages: &[&Package], into: &Path) -> Result<()> {
        let mut arguments = vec!["download-file".to_owned()];
        for package in packages {
            let mirror = if package.is_security() { &self.mirrors.security } else { &self.mirrors.main };
            arguments.push(format!("{}/{}", mirror.as_str().trim_end_matches('/'), package.path));
            arguments.push(into.join(package.sha256.to_string()).display().to_string());
            arguments.push(format!("SHA256:{}", package.sha256));
        }
        let names = || packages.iter().map(|package| package.name.as_str()).collect::<Vec<_>>().join(", ");
        self.run("/usr/lib/apt/apt-helper", arguments, "fetching packages", Fault::source).map(drop).map_err(|fault| {
            fault.at(names()).fix(
                "check the network; mirrors drop a version when a newer one comes: copy the .debs from a store that has them (folder `debs`), or take newer ones: livery lock --update",
            )
        })
    }

    fn run(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        what: &str,
        fault: fn(String) -> Fault,
    ) -> Result<Vec<u8>> {
        let mut command = Command::new(program);
        sandbox::clean_environment(&mut command);
        command.env("APT_CONFIG", self.path("apt.conf")).args(arguments);
        sandbox::run(command, what, fault)
    }

    fn sources(&self) -> String {
        let Debian { suite, components, .. } = &self.debian;
        let components = components.join(" ");
        [(&self.mirrors.main, ""), (&self.mirrors.main, "-updates"), (&self.mirrors.security, "-security")]
            .map(|(mirror, pocket)| format!("deb [signed-by={KEYRING}] {mirror} {suite}{pocket} {components}\n"))
            .concat()
    }

    fn configuration(&self) -> Result<String> {
        let folder = self.folder.path().display();
        let architecture = &self.debian.architecture;
        // No translations, no contents, no phasing: the same question has the same answer everywhere.
        Ok(format!(
            "Dir \"{folder}\";\nDir::State::status \"{folder}/var/lib/dpkg/status\";\n\
             APT::Architecture \"{architecture}\";\nAPT::Architectures {{ \"{architecture}\"; }};\nAPT::Sandbox::User \"\";\n\
             APT::Get::Always-Include-Phased-Updates \"true\";\n\
             Acquire::Languages \"none\";\nAcquire::Retries \"5\";\nAcquire::http::Timeout \"30\";\nAcquire::https::Timeout \"30\";\n\
             Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled \"false\";\n{}",
            proxies_of_this_machine()?
        ))
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn write(&self, below: &str, text: &str) -> Result<()> {
        let path = self.path(below);
        fs::write(&path, text).map_err(|error| failed(&path, error))
    }
}

/// A package's fields; of one that goes over several lines, the first.
fn fields(paragraph: &BorrowedParagraph<'_>) -> BTreeMap<String, String> {
    let first = |field: &BorrowedField<'_>| field.lines().first().map(|line| line.trim()).unwrap_or_default().to_owned();
    paragraph.iter().map(|field| (field.name().to_owned(), first(field))).collect()
}

/// The mirrors of Debian that this machine itself is kept up to date from.
fn mirrors_of_this_machine() -> Result<Mirrors> {
    let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let codename = os_release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap_or_default().trim_matches('"');
    let mirror = |codename: String| -> Result<url::Url> {
        let mut command = Command::new("apt-get");
        command.args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", &format!("Codename: {codename}")]);
        let said = sandbox::run(command, "apt-get indextargets", Fault::refused)?;
        let first = String::from_utf8_lossy(&said).lines().next().and_then(|line| line.parse().ok());
        first.ok_or_else(|| {
            Fault::refused(format!("apt of this machine knows no mirror of {codename}"))
                .fix("apt-get update, or name `debian.mirror` and `debian.security-mirror` in the profile")
        })
    };
    Ok(Mirrors { main: mirror(codename.to_owned())?, security: mirror(format!("{codename}-security"))? })
}

/// How this machine's apt reaches the outside.
fn proxies_of_this_machine() -> Result<String> {
    let mut command = Command::new("apt-config");
    command.arg("dump");
    let said = sandbox::run(command, "apt-config", Fault::refused)?;
    let is_proxy = |line: &&str| line.starts_with("Acquire::http") && line.to_ascii_lowercase().contains("proxy");
    Ok(String::from_utf8_lossy(&said).lines().filter(is_proxy).map(|line| format!("{line}\n")).collect())
}

fn failed(path: &Path, error: std::io::Error) -> Fault {
    Fault::internal("apt's own folder can't be used").at(path.display()).cause(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_has_fields() {
        let index = "Package: cage\nVersion: 0.2.0-2\nDescription: kiosk\n Compositor: no field\nSize: 5";
        let fields = fields(&iter_paragraphs_borrowed(index).next().unwrap().unwrap());
        assert_eq!(fields["Version"], "0.2.0-2");
        assert_eq!(fields["Size"], "5");
        assert_eq!(fields.len(), 4);
    }
}
