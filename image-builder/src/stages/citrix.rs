//! Citrix's client, where IT supplies it (`packages.supplied`): its installer's questions, its own store of authorities, its
//! settings, and what it needs in each session.
//!
//! It trusts neither the system's authorities nor the browser's: those of the profile go into `keystore/cacerts` as well, with the
//! links by subject hash that OpenSSL looks for. The client's own `ctx_rehash` makes them, in the packages' root, which still has
//! what scripts need; only the keystore can be written there. That they are there is checked, whoever made them.

use std::{fs, path::Path};

use livery_contract::{Fault, Result};
use livery_profile::{Authority, CLIENT_PACKAGE as PACKAGE, Client, ClientSetting, Desk};
use serde_json::{Value, json};

use super::{furnish::Furnish, ini, roots::Root, settings::CITRIX};
use crate::sandbox::Sandbox;

/// Where the client is installed.
const HOME: &str = "opt/Citrix/ICAClient";
/// Where it keeps what belongs to authorities.
const KEYSTORE: &str = "keystore";
/// Authorities' certificates, within that.
const AUTHORITIES: &str = "keystore/cacerts";
/// Its own tool for the links, within its folder.
const REHASH: &str = "util/ctx_rehash";
/// The program that `.ica` files are handed to.
const WFICA: &str = "/opt/Citrix/ICAClient/wfica";

/// Firefox' policy `Handlers`: `.ica` files go to the client, without asking.
pub(crate) fn handlers() -> Value {
    let client = json!({"action": "useHelperApp", "ask": false, "handlers": [{"name": "Citrix Workspace", "path": WFICA}]});
    json!({"mimeTypes": {"application/x-ica": client}, "extensions": {"ica": client}})
}

/// Writes the client's files into `tree`; `root` is the packages' root that it comes from.
///
/// # Errors
/// Exit 3 where the package is not laid out as Citrix's is, 1 where something can't be written.
pub(crate) fn furnish(tree: &Path, desk: &Desk, client: &Client, root: &Root, epoch: i64) -> Result<()> {
    let furnish = Furnish::new(tree);
    let home = tree.join(HOME);
    for path in ["wfica", "config", AUTHORITIES] {
        if !home.join(path).exists() {
            return Err(Fault::refused(format!("the supplied {PACKAGE} has no {path}"))
                .at(format!("/{HOME}/{path}"))
                .fix("supply Citrix's full package for Debian, not the one for web launches or only for USB"));
        }
    }
    furnish.lay(&CITRIX)?;
    furnish.file("etc/livery/citrix-store", format!("{}\n", desk.citrix.store_url))?;
    for authority in &desk.authorities {
        furnish.file(&format!("{HOME}/{AUTHORITIES}/{}", pem(authority)), &authority.pem)?;
    }
    rehash(&home, &desk.authorities, root, epoch)?;
    let fido2 = ClientSetting {
        file: "module.ini".into(),
        section: "ICA 3.0".into(),
        key: "FIDO2".into(),
        value: if client.fido2 { "On" } else { "Off" }.into(),
    };
    for setting in [&fido2].into_iter().chain(&client.settings) {
        set(&furnish, &home, setting)?;
    }
    Ok(())
}

/// The file name of an authority's certificate. Not one that the package itself has: that stays.
fn pem(authority: &Authority) -> String {
    format!("livery-{}.pem", authority.name)
}

/// Links by subject hash, `9d66eef0.0`, for all certificates of the client.
fn rehash(home: &Path, authorities: &[Authority], root: &Root, epoch: i64) -> Result<()> {
    let at = |path: &str| format!("/{HOME}/{path}");
    let sandbox = Sandbox::new(&root.path, epoch).read_only().bind(&home.join(KEYSTORE), &at(KEYSTORE));
    if root.path.join(HOME).join(REHASH).exists() {
        sandbox.run("env", [format!("ICAROOT=/{HOME}"), at(REHASH)])?;
    } else {
        sandbox.run("openssl", ["rehash", &at(AUTHORITIES)])?;
    }
    for authority in authorities {
        let path = at(&format!("{AUTHORITIES}/{}", pem(authority)));
        let hash = sandbox.run("openssl", ["x509", "-noout", "-subject_hash", "-in", &path])?;
        let hash = String::from_utf8_lossy(&hash).trim().to_owned();
        // Several authorities may have one hash: .0, .1 and so on.
        let linked = (0..100).any(|number| {
            let link = home.join(AUTHORITIES).join(format!("{hash}.{number}"));
            fs::read(link).is_ok_and(|bytes| bytes == authority.pem.as_bytes())
        });
        if !linked {
            return Err(Fault::refused(format!(
                "the client would not find the authority {}: no link {hash}.0 points to it",
                authority.subject
            ))
            .at(path)
            .fix("this version of the client stores its authorities in a way that Livery does not know: please report it"));
        }
    }
    Ok(())
}

/// One setting, in the file that Citrix's documentation says counts for all users of a device.
fn set(furnish: &Furnish, home: &Path, setting: &ClientSetting) -> Result<()> {
    // A user's wfclient.ini is made from the template when it is not there, and ours is new each time.
    let name = if setting.file == "wfclient.ini" { "wfclient.template" } else { &setting.file };
    let path = home.join("config").join(name);
    let text = match fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Fault::internal("a setting can't be read").at(path.display()).cause(error)),
    };
    furnish.file(&format!("{HOME}/config/{name}"), ini::set(&text, &setting.section, &setting.key, &setting.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_go_into_the_files_that_count_for_all_users() {
        let tree = tempfile::tempdir().unwrap();
        let home = tree.path().join(HOME);
        fs::create_dir_all(home.join("config")).unwrap();
        fs::write(home.join("config/wfclient.template"), "[WFClient]\nVersion=2\n").unwrap();
        for text in ["wfclient.ini [WFClient] KeyboardLayout=French", "All_Regions.ini [Virtual Channels\\Drives] CDMAllowed=False"]
        {
            set(&Furnish::new(tree.path()), &home, &ClientSetting::parse(text).unwrap()).unwrap();
        }
        let text = |name: &str| fs::read_to_string(home.join("config").join(name)).unwrap();
        assert_eq!(text("wfclient.template"), "[WFClient]\nVersion=2\nKeyboardLayout=French\n");
        assert_eq!(text("All_Regions.ini"), "[Virtual Channels\\Drives]\nCDMAllowed=False\n");
    }
}
