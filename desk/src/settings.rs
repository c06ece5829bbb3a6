//! What the image says of this desk: `/etc/livery/desk.json`, written when the image is built. In: that file. Out: [`Settings`].
//! Fails where it can't be read or has what this program does not know.

use std::{fs, path::Path};

use livery_contract::{Fault, Result};
use serde::{Deserialize, Serialize};
use url::Url;

pub(crate) const PLACE: &str = "/etc/livery/desk.json";

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Settings {
    /// The page that a session begins with.
    pub home: Url,
    /// Where the Gateway signs a person out: a session ends when the browser was there.
    pub sign_out: Url,
    /// Whether an `.ica` file goes to Citrix's client; every other download is cancelled.
    pub client: bool,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// Exit 3 where they can't be read or do not parse.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let wrong = |what: &str| Fault::refused(what).at(path.display());
        let text = fs::read_to_string(path).map_err(|error| wrong("the desk's settings can't be read").cause(error))?;
        serde_json::from_str(&text).map_err(|error| wrong("the desk's settings do not parse").cause(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_read_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("desk.json");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            Settings::read(&path)
        };
        let good = r#"{"home": "https://g.example/", "sign-out": "https://g.example/cgi/logout", "client": false}"#;
        assert_eq!(read(good).unwrap().home.as_str(), "https://g.example/");
        for bad in ["", "{}", &good.replace("https:", ""), &good.replace("client", "klient")] {
            assert!(read(bad).unwrap_err().to_string().contains("do not parse"), "{bad}");
        }
    }
}
