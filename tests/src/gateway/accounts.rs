//! Who may sign in: a TOML file with one `[[account]]` table for each person, or accounts made from a roster.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use livery_contract::{Fault, Result, roster::Employee};
use serde::{Deserialize, Serialize};

use super::totp::Secret;

const MAX_BYTES: u64 = 4 << 20;

/// One person.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Sign-in name.
    pub login: String,
    /// The person's name, as shown.
    pub name: String,
    /// Password. In the clear: these accounts open nothing but this stand-in.
    pub password: String,
    /// One-time codes' secret, Base32.
    pub secret: String,
    /// The desktop published to this person.
    pub desktop: String,
}

/// All of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    /// In the file's order.
    #[serde(default)]
    pub account: Vec<Account>,
}

impl Accounts {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Where it can't be read, is too long, does not parse, or a login stands twice.
    pub fn read(path: &Path) -> Result<Self> {
        let wrong = |what: &str| Fault::refused(what).at(path.display());
        let length = fs::metadata(path).map_err(|error| wrong("the accounts can't be read").cause(error))?.len();
        if length > MAX_BYTES {
            return Err(wrong(&format!("a file of {length} bytes is over the limit of {MAX_BYTES}")));
        }
        let text = fs::read_to_string(path).map_err(|error| wrong("the accounts can't be read").cause(error))?;
        let accounts: Self = toml::from_str(&text).map_err(|error| wrong("the accounts do not parse").cause(error))?;
        for (index, account) in accounts.account.iter().enumerate() {
            if account.login.is_empty() || accounts.account[..index].iter().any(|other| other.login == account.login) {
                return Err(wrong(&format!("the login {:?} is empty or stands twice", account.login)));
            }
            Secret::parse(&account.secret).map_err(|fault| fault.at(format!("{}, {}", path.display(), account.login)))?;
        }
        Ok(accounts)
    }

    /// One account for each employee, with a new password and a new secret.
    ///
    /// # Errors
    /// Where the system gives no randomness.
    pub fn for_roster(employees: &[Employee], desktop: &str) -> Result<Self> {
        let account = |employee: &Employee| {
            Ok(Account {
                login: employee.user.clone(),
                name: employee.name.clone(),
                password: Secret::generate()?.to_base32().to_lowercase(),
                secret: Secret::generate()?.to_base32(),
                desktop: desktop.to_owned(),
            })
        };
        Ok(Self { account: employees.iter().map(account).collect::<Result<_>>()? })
    }

    /// Writes them for the owner only.
    ///
    /// # Errors
    /// Where the file can't be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = toml::to_string(self).map_err(|error| Fault::internal("accounts do not serialise").cause(error))?;
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| Fault::refused("the accounts can't be written").cause(error).at(path.display()))
    }

    /// The account of this login.
    pub fn find(&self, login: &str) -> Option<&Account> {
        self.account.iter().find(|account| account.login == login)
    }
}
