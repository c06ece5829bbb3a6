//! A stand-in for the package of Citrix's client, which may not be passed on: the same name, the same layout, the same questions at
//! installation, a library of Debian's that it needs; and nothing of Citrix's in it.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use livery_contract::{Digest, Fault, Result};
use tokio::process::Command;

use crate::programs;

/// Its version.
pub const VERSION: &str = "24.11.0.85";
/// What it needs besides debconf: a library that no image of ours has otherwise.
pub const NEEDS: &str = "libspeex1";
/// An authority that comes with it.
pub const OWN_AUTHORITY: &str = "opt/Citrix/ICAClient/keystore/cacerts/Own_Root.pem";

const TEMPLATES: &str = "\
Template: app_protection/install_app_protection
Type: select
Choices: yes, no
Default: no
Description: Install app protection?
 A component of its own.

Template: devicetrust/install_devicetrust
Type: select
Choices: yes, no
Default: no
Description: Install device trust?
 A component of its own.

Template: epa/install_epa
Type: select
Choices: yes, no
Default: no
Description: Install endpoint analysis?
 A component of its own.
";

const CONFIG: &str = "#!/bin/sh\nset -e\n. /usr/share/debconf/confmodule\n\
for question in app_protection/install_app_protection devicetrust/install_devicetrust epa/install_epa; do\n\
    db_input high $question || true\ndone\ndb_go || true\n";

const POSTINST: &str = "#!/bin/sh\nset -e\n. /usr/share/debconf/confmodule\n\
for question in app_protection/install_app_protection devicetrust/install_devicetrust epa/install_epa; do\n\
    db_get $question\n    echo \"$question=$RET\" >> /opt/Citrix/ICAClient/installed\ndone\ndb_stop\n";

/// As OpenSSL's c_rehash does it, which the real one follows.
const REHASH: &str = "#!/bin/sh\nset -e\ncd \"$ICAROOT/keystore/cacerts\"\n\
for file in *.pem; do\n    hash=$(openssl x509 -noout -subject_hash -in \"$file\")\n    number=0\n\
    while [ -e \"$hash.$number\" ]; do number=$((number + 1)); done\n    ln -s \"$file\" \"$hash.$number\"\ndone\n\
# What the client's tool leaves to be seen.\nln -s nowhere by-ctx_rehash\n";

/// The client that opens a window and nothing else; see `standin-client`.
///
/// # Errors
/// Where it is not built.
pub fn program() -> Result<Vec<u8>> {
    let path = programs::built("standin-client")?;
    fs::read(&path).map_err(|error| Fault::refused("the stand-in client can't be read").at(path.display()).cause(error))
}

/// Makes the .deb; the same bytes each time. `client` is what `.ica` files are handed to; without `rehash` it lacks its tool for hash
/// links.
///
/// # Errors
/// Where it can't be made.
pub async fn make(path: &Path, authority: &str, rehash: bool, client: &[u8]) -> Result<Digest> {
    let broken = |error: std::io::Error| Fault::internal("the stand-in can't be made").cause(error).at(path.display());
    let tree = tempfile::tempdir().map_err(broken)?;
    let control = format!(
        "Package: icaclient\nVersion: {VERSION}\nArchitecture: amd64\nDepends: debconf | debconf-2.0, {NEEDS}\n\
         Maintainer: Nobody <nobody@assurance.example>\nDescription: stand-in for a client\n It opens a window.\n"
    );
    let files: [(&str, &[u8], u32); 12] = [
        ("DEBIAN/control", control.as_bytes(), 0o644),
        ("DEBIAN/templates", TEMPLATES.as_bytes(), 0o644),
        ("DEBIAN/config", CONFIG.as_bytes(), 0o755),
        ("DEBIAN/postinst", POSTINST.as_bytes(), 0o755),
        ("opt/Citrix/ICAClient/wfica", client, 0o755),
        ("opt/Citrix/ICAClient/util/storebrowse", b"#!/bin/sh\nexit 0\n", 0o755),
        ("opt/Citrix/ICAClient/util/ctx_rehash", REHASH.as_bytes(), 0o755),
        (
            "opt/Citrix/ICAClient/config/module.ini",
            b"; theirs\r\n[ICA 3.0]\r\nFIDO2=Off\r\nVersion=1\r\n\r\n[WFClient]\r\nVersion=2\r\n",
            0o644,
        ),
        ("opt/Citrix/ICAClient/config/wfclient.template", b"[WFClient]\nVersion=2\n", 0o644),
        ("opt/Citrix/ICAClient/config/All_Regions.ini", b"[Virtual Channels\\Drives]\nCDMAllowed=*\n", 0o644),
        ("opt/Citrix/ICAClient/keystore/intcerts/README", b"intermediates\n", 0o644),
        (OWN_AUTHORITY, authority.as_bytes(), 0o644),
    ];
    for (name, text, mode) in files.into_iter().filter(|(name, ..)| rehash || !name.ends_with("ctx_rehash")) {
        let path = tree.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(tree.path()))
            .and_then(|()| fs::write(&path, text))
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
            .map_err(broken)?;
    }
    // A folder made by tempfile is its owner's alone; it becomes the package's top.
    fs::set_permissions(tree.path(), fs::Permissions::from_mode(0o755)).map_err(broken)?;
    let mut build = Command::new("dpkg-deb");
    build.env("SOURCE_DATE_EPOCH", "1700000000").args(["--build", "--root-owner-group"]).arg(tree.path()).arg(path);
    programs::run(build, "dpkg-deb", std::time::Duration::from_secs(60)).await?.good()?;
    Ok(Digest::of(&fs::read(path).map_err(broken)?))
}
