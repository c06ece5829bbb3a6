//! `livery saas update LIST`: takes a newer endpoint list, shows the change, and writes it once it is accepted.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use jiff::Timestamp;
use livery_contract::{Fault, Result};
use livery_profile::EndpointList;
use serde::Serialize;
use url::Url;

use super::{change::Change, microsoft};
use crate::replace::{folder_of, replace};

/// The most bytes of a list; Microsoft's has a twentieth of it.
const MAX_BYTES: u64 = 1 << 20;
/// How long a provider may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to take, and whether it is accepted.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// The list's file, such as profiles/saas/microsoft365.toml; created if it does not exist.
    pub(crate) list: PathBuf,
    /// The newer list: a file or an https URL. By default, the provider's address in the list.
    #[arg(long)]
    pub(crate) from: Option<String>,
    /// The version (YYYYMMDDNN) of a list of Microsoft's that comes from a file, since the file does not contain it.
    #[arg(long = "list-version")]
    pub(crate) list_version: Option<String>,
    /// The date on which the file was downloaded, if not today.
    #[arg(long)]
    pub(crate) date: Option<String>,
    /// Take the shown changes.
    #[arg(long)]
    pub(crate) accept: bool,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Updated {
    /// The list's file.
    pub(crate) list: PathBuf,
    /// What changes.
    pub(crate) change: Change,
    /// Whether it was written.
    pub(crate) accepted: bool,
}

/// Runs the command.
///
/// # Errors
/// Exit 2 where it is not said from where, 3 where a list is none, 5 where its source does not answer.
pub(crate) async fn update(options: &Options) -> Result<Updated> {
    let before = match options.list.exists() {
        true => {
            let text = read(&options.list)?;
            Some(EndpointList::parse(&text).map_err(|(why, fix)| bad(&options.list.display().to_string(), why).fix(fix))?)
        }
        false => None,
    };
    let from = match (&options.from, &before) {
        (Some(from), _) => from.clone(),
        (None, Some(list)) if !list.source.is_empty() => list.source.clone(),
        (None, Some(_)) => {
            return Err(Fault::usage("the list does not name its provider's address").fix("give --from FILE or URL"));
        }
        (None, None) => {
            return Err(Fault::usage("this list does not exist yet")
                .at(options.list.display())
                .fix(format!("give --from FILE or URL, such as --from {}", microsoft::SOURCE)));
        }
    };
    let after = take(&from, options, before.as_ref()).await?;
    if let Some(before) = before.as_ref().filter(|before| before.service != after.service) {
        return Err(Fault::refused(format!("it is a list of {}, not of {}", after.service, before.service)).at(from));
    }
    let change = Change::new(before.as_ref(), &after);
    let same = before.as_ref().is_some_and(|before| before.digest() == after.digest());
    if options.accept && !same {
        write(&options.list, &after.to_toml())?;
    }
    Ok(Updated { list: options.list.clone(), change, accepted: options.accept })
}

/// The newer list, from wherever it is.
async fn take(from: &str, options: &Options, before: Option<&EndpointList>) -> Result<EndpointList> {
    let today = Timestamp::now().strftime("%Y-%m-%d").to_string();
    let date = options.date.clone().unwrap_or(today);
    let (text, version, source) = match from.strip_prefix("https://") {
        Some(_) => {
            let url: Url =
                from.parse().map_err(|error: url::ParseError| Fault::usage(format!("{from:?} is not a URL")).cause(error))?;
            let version = match microsoft::version_of(&url) {
                Some(address) => Some(microsoft::latest(&get(&address).await?).map_err(|why| Fault::source(why).at(from))?),
                None => None,
            };
            (get(&microsoft::request(&url)).await?, version, from.to_owned())
        }
        None if from.contains("://") => return Err(Fault::usage("a list must come from a file or an https URL").at(from)),
        None => {
            let source = before.map_or_else(|| microsoft::SOURCE.to_owned(), |list| list.source.clone());
            (read(Path::new(from))?, None, source)
        }
    };
    if microsoft::is_list(&text) {
        let version = options.list_version.clone().or(version).unwrap_or_else(|| date.clone());
        return microsoft::parse(&text, &version, &date, &source).map_err(|why| bad(from, why));
    }
    EndpointList::parse_unsealed(&text).map_err(|(why, fix)| bad(from, why).fix(fix))
}

/// One answer of a provider, bounded.
async fn get(url: &Url) -> Result<String> {
    let failed = |what: &str| {
        Fault::source(what.to_owned()).at(url.as_str()).fix("try again later, or take the list as a file: --from FILE")
    };
    let client = reqwest::Client::builder()
        .https_only(true)
        .timeout(PATIENCE)
        .user_agent(concat!("livery/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| failed("no connection can be made").cause(error))?;
    let mut response = client.get(url.clone()).send().await.map_err(|error| failed("the provider does not answer").cause(error))?;
    if !response.status().is_success() {
        return Err(failed(&format!("the provider answers {}", response.status())));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed("the answer was interrupted").cause(error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > MAX_BYTES {
            return Err(failed(&format!("the answer has more than {MAX_BYTES} bytes")));
        }
    }
    String::from_utf8(bytes).map_err(|_| failed("the answer is not UTF-8 text"))
}

fn read(path: &Path) -> Result<String> {
    livery_profile::read_text(path).map_err(|why| Fault::refused(format!("the list can't be read: {why}")).at(path.display()))
}

fn bad(at: &str, why: String) -> Fault {
    Fault::refused(format!("this is not an endpoint list: {why}")).at(at)
}

fn write(path: &Path, text: &str) -> Result<()> {
    let failed = |error: std::io::Error| Fault::refused("the list can't be written").at(path.display()).cause(error);
    fs::create_dir_all(folder_of(path)).map_err(failed)?;
    replace(path, &mut text.as_bytes()).map_err(failed)
}

impl std::fmt::Display for Updated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}: {}", self.list.display(), self.change)?;
        match self.accepted {
            true => write!(f, "taken"),
            false => write!(f, "nothing was written; to take the changes: --accept"),
        }
    }
}
