//! Who may sign in: a TOML file with one `[[account]]` table for each person, or accounts made from a roster.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use clap::ValueEnum;
use livery_contract::{Fault, Result, roster::Employee};
use serde::{Deserialize, Serialize};

use super::{totp::Secret, webauthn::PublicKeyCredential};

const MAX_BYTES: u64 = 4 << 20;

/// What a person proves besides the password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Factor {
    /// A one-time code, as a smartphone shows it.
    #[default]
    Totp,
    /// A tap on the smartphone.
    Push,
    /// A touch of a security key.
    Fido2,
}

/// What a published desktop opens in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Receiver {
    /// The browser itself, in the same tab.
    #[default]
    Html5,
    /// Citrix's client, which is given a file.
    Native,
}

/// One person.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Sign-in name.
    pub login: String,
    /// The person's name, as shown.
    pub name: String,
    /// Password. In the clear: these accounts open nothing but this stand-in.
    pub password: String,
    /// One-time codes' secret, Base32; needed for [`Factor::Totp`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub secret: String,
    /// The desktop published to this person.
    pub desktop: String,
    /// The second factor.
    #[serde(default)]
    pub factor: Factor,
    /// What the desktop opens in.
    #[serde(default)]
    pub receiver: Receiver,
    /// The security key; needed for [`Factor::Fido2`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<PublicKeyCredential>,
}

impl Account {
    /// What its second factor needs is there and can be used.
    ///
    /// # Errors
    /// Where it is not.
    pub fn check(&self) -> Result<()> {
        match (self.factor, &self.credential) {
            (Factor::Totp, _) => Secret::parse(&self.secret).map(|_| ()),
            (Factor::Push, _) => Ok(()),
            (Factor::Fido2, Some(credential)) => credential.check(),
            (Factor::Fido2, None) => Err(Fault::refused("the second factor is fido2, but there is no [account.credential]")),
        }
    }
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
                return Err(wrong(&format!("the login {:?} is empty or appears twice", account.login)));
            }
            account.check().map_err(|fault| fault.at(format!("{}, {}", path.display(), account.login)))?;
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
                ..Account::default()
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str) -> Result<Accounts> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.toml");
        fs::write(&path, text).unwrap();
        Accounts::read(&path)
    }

    const PERSON: &str = "[[account]]\nlogin = \"a\"\nname = \"A\"\npassword = \"p\"\ndesktop = \"D\"\n";

    #[test]
    fn each_factor_needs_its_own() {
        let with = |more: &str| read(&format!("{PERSON}{more}"));
        let totp = with("secret = \"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\"\n").unwrap();
        assert_eq!((totp.account[0].factor, totp.account[0].receiver), (Factor::Totp, Receiver::Html5), "what older files mean");
        assert!(with("").is_err());
        assert_eq!(with("factor = \"push\"\nreceiver = \"native\"\n").unwrap().account[0].receiver, Receiver::Native);
        assert!(with("factor = \"fido2\"\n").is_err());
        let credential = PublicKeyCredential::of_point(b"key", &[&[4][..], &[7; 64]].concat());
        let text = format!("factor = \"fido2\"\n[account.credential]\nid = \"{}\"\npublic-key = ", credential.id);
        assert_eq!(with(&format!("{text}\"{}\"\n", credential.public_key)).unwrap().account[0].credential, Some(credential));
        assert!(with(&format!("{text}\"AAAA\"\n")).is_err());
        assert!(with("factor = \"sms\"\n").is_err());
    }

    #[test]
    fn written_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.toml");
        let credential = Some(PublicKeyCredential::of_point(b"key", &[&[4][..], &[7; 64]].concat()));
        let account = Account { login: "a".into(), factor: Factor::Fido2, credential: credential.clone(), ..Account::default() };
        Accounts { account: vec![account] }.write(&path).unwrap();
        assert_eq!(Accounts::read(&path).unwrap().account[0].credential, credential);
    }
}
