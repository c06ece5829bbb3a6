//! What the image says of telling: written when the image is built, below its verity. In: that file. Out: [`Settings`]. Fails where it
//! can't be read or has what this program does not know.

use std::{fs, path::Path};

use livery_contract::{Fault, Result};
use serde::{Deserialize, Serialize};
use url::Url;

pub(crate) const PLACE: &str = "/usr/lib/livery/confirm.json";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Settings {
    /// The station as devices at home see it.
    pub station: Url,
    /// The file (PEM) with the authorities that may vouch for it.
    pub authorities: String,
    /// Where the data partition is mounted; `None` on a device that keeps nothing.
    pub data: Option<String>,
    /// The services that draw the desk, and whose first one has the employee's keyboard where it is the compositor.
    pub screen: Vec<String>,
    /// The page that the browser's policy shall open.
    pub page: Url,
    /// The time zone where the employee has none of his own.
    pub timezone: String,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// Exit 3 where they can't be read or do not parse.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let wrong = |what: &str| Fault::refused(what).at(path.display());
        let text = fs::read_to_string(path).map_err(|error| wrong("the file that names the station can't be read").cause(error))?;
        serde_json::from_str(&text).map_err(|error| wrong("the file that names the station does not parse").cause(error))
    }
}
