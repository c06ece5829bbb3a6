//! A firmware's variables, from outside the device: by `virt-fw-vars` (Debian's python3-virt-firmware), which knows how OVMF stores
//! them. In: the file of a device that is off. Out: the same file with other boot entries. Fails where the tool is absent or does not
//! know the file.

use std::{fs, path::Path, time::Duration};

use livery_contract::{Fault, Result};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::programs;

/// Whose variables boot entries are (UEFI 2.10, section 3.3).
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// Where the entries of a test begin: above what firmware makes by itself.
const FIRST: u16 = 0xa0;
/// What the tool may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// All of a firmware's, as the tool writes them (of python-uefivars).
#[derive(Debug, Serialize, Deserialize)]
struct Dump {
    version: u32,
    variables: Vec<Variable>,
}

/// One of them; the data in hexadecimal.
#[derive(Debug, Serialize, Deserialize)]
struct Variable {
    name: String,
    guid: String,
    attr: u32,
    data: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
}

/// What the firmware starts: each an attempt, as [`netboot`](super::netboot) makes them, with the variable's attributes before
/// `EFI_LOAD_OPTION`.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a> {
    /// As from the factory: it has no entries and makes its own.
    Factory,
    /// These in this order, whatever it finds besides.
    Order(&'a [Vec<u8>]),
    /// This one once (`BootNext`).
    Next(&'a [u8]),
}

/// Puts boot entries in place of all that were there. Keys and the rest stay.
///
/// # Errors
/// Where the file can't be read or written as a firmware's variables.
pub async fn boot(file: &Path, start: Start<'_>) -> Result<()> {
    let (name, json) = (file.display().to_string(), file.with_extension("json"));
    let dump = json.display().to_string();
    tool(&["--input", &name, "--output-json", &dump]).await?;
    let text = fs::read(&json).map_err(|error| broken(&json, error))?;
    let was: Dump = serde_json::from_slice(&text).map_err(|error| broken(&json, error))?;
    let mut arguments = vec!["--inplace", name.as_str()];
    for variable in was.variables.iter().filter(|variable| is_boot(variable)) {
        arguments.extend(["--delete", variable.name.as_str()]);
    }
    let new = Dump { version: 2, variables: entries(start) };
    let text = serde_json::to_vec(&new).map_err(|error| broken(&json, error))?;
    fs::write(&json, text).map_err(|error| broken(&json, error))?;
    arguments.extend(["--set-json", &dump]);
    tool(&arguments).await
}

/// `Boot0001`, `BootOrder`, `BootNext`; not `BootOptionSupport`, which tells what the firmware can do.
fn is_boot(variable: &Variable) -> bool {
    let number = |rest: &str| rest.len() == 4 && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let rest = variable.name.strip_prefix("Boot");
    variable.guid == GLOBAL && rest.is_some_and(|rest| number(rest) || ["Order", "Next"].contains(&rest))
}

fn entries(start: Start<'_>) -> Vec<Variable> {
    let variable = |name: String, attr: u32, data: &[u8]| Variable {
        name,
        guid: GLOBAL.into(),
        attr,
        data: data.iter().map(|byte| format!("{byte:02x}")).collect(),
        time: None,
    };
    let entry = |number: u16, bytes: &[u8]| {
        let (attributes, option) = bytes.split_at(4);
        let attributes = attributes.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        variable(format!("Boot{number:04X}"), attributes, option)
    };
    match start {
        Start::Factory => Vec::new(),
        Start::Order(list) => {
            let mut order = Vec::new();
            let mut all = Vec::new();
            for (number, bytes) in (FIRST..).zip(list) {
                order.extend(number.to_le_bytes());
                all.push(entry(number, bytes));
            }
            all.push(variable("BootOrder".into(), 7, &order));
            all
        }
        Start::Next(bytes) => vec![entry(FIRST, bytes), variable("BootNext".into(), 7, &FIRST.to_le_bytes())],
    }
}

async fn tool(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("virt-fw-vars");
    command.args(arguments).kill_on_drop(true);
    let done = programs::run(command, "virt-fw-vars", PATIENCE).await.map_err(|fault| fault.fix("run scripts/setup"))?;
    done.good().map(drop)
}

fn broken(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Fault {
    Fault::internal("a firmware's variables can't be changed").cause(error).at(path.display())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::qemu::firmware;

    #[tokio::test]
    async fn other_entries_take_the_place_of_all_that_were_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vars.fd");
        fs::copy(firmware::find().unwrap().vars, &file).unwrap();
        let size = fs::metadata(&file).unwrap().len();
        let entry = [&[7, 0, 0, 0][..], &[1, 2, 3]].concat();
        boot(&file, Start::Next(&entry)).await.unwrap();
        boot(&file, Start::Order(&[entry.clone(), entry])).await.unwrap();
        let json = folder.path().join("after.json");
        tool(&["--input", &file.display().to_string(), "--output-json", &json.display().to_string()]).await.unwrap();
        let after: Dump = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
        let mut boots: Vec<_> = after.variables.iter().filter(|one| is_boot(one)).map(|one| (&*one.name, &*one.data)).collect();
        boots.sort_unstable();
        assert_eq!(boots, [("Boot00A0", "010203"), ("Boot00A1", "010203"), ("BootOrder", "a000a100")]);
        assert_eq!(fs::metadata(&file).unwrap().len(), size);
    }
}
