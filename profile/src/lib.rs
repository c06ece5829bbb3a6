//! What IT writes: a profile in TOML, checked, resolved over what it `extends`, and typed for the stages.
//!
//! In comes a path. Out comes a [`Profile`] whose every value has been checked, or *all* the errors of *all* the files at
//! once, each with its file, line, column, cause and mend ([`Diagnostics`]).
//!
//! ```text
//! report     what is wrong, and where: files, places, problems, diagnostics
//! words      what a text can stand for: types, and checks of one value alone
//! settings   the one table of settings, and what is made of it: guide, schema
//! files      one file: layer. The chain of files that it `extends`. All of them merged: nearest wins, unless locked
//! resolve    required settings, contradictions between settings -> Profile
//! explain    what came of merging, and by which lines
//! start      starters
//! ```
//!
//! Each imports only from those above it. [`TABLE`] is the one list of settings: the parser, the resolver,
//! [`reference()`] (the guide's key reference), [`schema()`] (for editors) and [`start()`] (starters) all read it, so that
//! none can know a key that another does not. [`explain()`] tells what came of merging, and by which lines.

#![warn(unreachable_pub)]

mod explain;
mod files;
mod report;
mod resolve;
mod settings;
mod start;
#[cfg(test)]
mod tests;
mod words;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use livery_contract::{Fault, Result as FaultResult, envelope::PublicKey};
use url::Url;

pub use explain::explained::{Brought, Explained, Explanation, explain, explain_at};
pub use files::merge::{Action, Origin, Origins};
pub use report::{
    diagnose::{Diagnostic, Diagnostics, Style},
    problem::Problem,
    source::read_text,
};
pub use resolve::{
    import::{Import, PersonalPlace},
    model::{Agent, Boot, Citrix, Confirm, Debian, Desk, Image, Kiosk, Locale, Mirrors, Packages, Profile, Role, Time, Updates},
    routing::{Internet, Routing, Saas, Tunnel},
};
pub use settings::{
    choice::{After, Hardware, Kind},
    form::{Form, Word},
    reference::reference,
    schema::schema,
    setting::{Need, Setting},
    table::TABLE,
};
pub use start::{
    starter::Starter,
    write::{Started, start},
};
pub use words::{
    certificate::Authority,
    client::{Client, ClientSetting, PACKAGE as CLIENT_PACKAGE},
    endpoints::{Endpoint, EndpointList, Service},
    exception::Exception,
    host::Host,
    pattern::Pattern,
    supplied::Supplied,
    way::{Reason, Way},
};

use report::diagnose::Sink;
use resolve::read::{Purpose, Resolved, resolve};
use words::{certificate, job_key, urls};

/// Loads a profile that can be built: an abstract one is refused here.
///
/// # Errors
/// Every error of the profile and of the files that it extends.
pub fn load(path: &Path) -> Result<Profile, Diagnostics> {
    load_at(path, Timestamp::now())
}

/// [`load`] at a given time, which decides whether certificates have expired.
///
/// # Errors
/// As [`load`].
pub fn load_at(path: &Path, now: Timestamp) -> Result<Profile, Diagnostics> {
    match resolved(path, now)? {
        Resolved::Build(profile) => Ok(*profile),
        Resolved::Import(_) => Err(Diagnostics::one(
            Diagnostic::of_file(
                path,
                "kind = \"import\": this profile says how a ready-made image is taken, nothing is built of it",
            )
            .help("livery import RAW --profile PROFILE"),
        )),
    }
}

/// Loads a profile of a ready-made image.
///
/// # Errors
/// Every error of the profile and of the files that it extends.
pub fn load_import(path: &Path) -> Result<Import, Diagnostics> {
    match resolved(path, Timestamp::now())? {
        Resolved::Import(import) => Ok(*import),
        Resolved::Build(profile) => Err(Diagnostics::one(
            Diagnostic::of_file(path, format!("kind = \"{}\": this profile is built, no image is imported by it", profile.kind()))
                .help("use a profile of kind = \"import\""),
        )),
    }
}

fn resolved(path: &Path, now: Timestamp) -> Result<Resolved, Diagnostics> {
    let mut sink = Sink::default();
    let resolved = resolve(path, now, Purpose::Build, &mut sink);
    match (resolved, sink.finish()) {
        (Some(resolved), None) => Ok(resolved),
        (_, Some(diagnostics)) => Err(diagnostics),
        (None, None) => Err(Diagnostics::one(
            Diagnostic::of_file(path, "the profile did not resolve, and no setting says why")
                .help("this is a fault of Livery: please report it, with the profile"),
        )),
    }
}

/// Checks profiles as `livery check` does: abstract ones pass too, and a file that several extend is reported once.
///
/// # Errors
/// Every error of every file.
pub fn check(paths: &[PathBuf]) -> Result<(), Diagnostics> {
    check_at(paths, Timestamp::now())
}

/// [`check`] at a given time.
///
/// # Errors
/// As [`check`].
pub fn check_at(paths: &[PathBuf], now: Timestamp) -> Result<(), Diagnostics> {
    let mut sink = Sink::default();
    for path in paths {
        resolve(path, now, Purpose::Check, &mut sink);
    }
    sink.finish().map_or(Ok(()), Err)
}

/// Certificate authorities from a file, with the checks that `trust.authorities` has.
///
/// # Errors
/// [`Exit::Refused`](livery_contract::Exit::Refused) where the file is missing or is not what it should be.
pub fn read_authorities(path: &Path) -> FaultResult<Vec<Authority>> {
    certificate::read(path, Timestamp::now()).map_err(|problem| problem.fault().at(path.display()))
}

/// A station's job-signing public key from a file, with the checks that `agent.job-key` has.
///
/// # Errors
/// [`Exit::Refused`](livery_contract::Exit::Refused) where the file is missing or is not what it should be.
pub fn read_job_key(path: &Path) -> FaultResult<PublicKey> {
    job_key::read(path).map_err(|problem| problem.fault().at(path.display()))
}

/// A station's URL, with the checks that `agent.station` has.
///
/// # Errors
/// [`Exit::Refused`](livery_contract::Exit::Refused) where it is not https, or has more than a host and a port.
pub fn read_station(text: &str) -> FaultResult<Url> {
    urls::origin(text).map_err(|problem| -> Fault { problem.fault().at(text) })
}
