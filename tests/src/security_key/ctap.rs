//! What a security key is asked and answers: CTAP 2.0 (FIDO Client to Authenticator Protocol, section 5), as far as signing in needs
//! it. One credential of one relying party, no PIN, nothing kept in the key.

use ciborium::Value;
use livery_contract::{Fault, Result};

use super::PrivateCredential;

/// Commands (section 6.1).
const GET_ASSERTION: u8 = 0x02;
const GET_INFO: u8 = 0x04;

/// Status codes (section 6.3).
const OK: u8 = 0x00;
const INVALID_COMMAND: u8 = 0x01;
const INVALID_CBOR: u8 = 0x12;
const MISSING_PARAMETER: u8 = 0x14;
const NO_CREDENTIALS: u8 = 0x2e;
const PIN_NOT_SET: u8 = 0x35;

/// One command, understood.
#[derive(Debug)]
pub enum Command {
    /// What the key can do.
    Info,
    /// To sign.
    Assertion {
        /// The relying party.
        party: String,
        /// SHA-256 of the client data.
        client_data: Vec<u8>,
        /// Which credentials would do.
        allowed: Vec<Vec<u8>>,
        /// Whether somebody must touch the key. Without it a browser only finds out which credential is in it.
        present: bool,
    },
    /// To be touched, where there are several keys and the browser wants to know which.
    Select,
    /// None of these: the status that says so.
    Wrong(u8),
}

impl Command {
    /// Of a message: a command's number, then CBOR.
    pub fn parse(message: &[u8]) -> Self {
        match message.split_first() {
            Some((&GET_INFO, _)) => Self::Info,
            Some((&GET_ASSERTION, parameters)) => Self::assertion(parameters).unwrap_or_else(Self::Wrong),
            _ => Self::Wrong(INVALID_COMMAND),
        }
    }

    fn assertion(parameters: &[u8]) -> std::result::Result<Self, u8> {
        let map: Value = ciborium::from_reader(parameters).map_err(|_| INVALID_CBOR)?;
        let map = map.as_map().ok_or(INVALID_CBOR)?;
        let get = |key: u64| map.iter().find(|(name, _)| *name == Value::from(key)).map(|(_, value)| value);
        if get(6).and_then(Value::as_bytes).is_some_and(Vec::is_empty) {
            return Ok(Self::Select);
        }
        let allowed = get(3).and_then(Value::as_array).ok_or(NO_CREDENTIALS)?;
        let present = get(5).and_then(Value::as_map).and_then(|options| named(options, "up")).and_then(Value::as_bool);
        Ok(Self::Assertion {
            party: get(1).and_then(Value::as_text).ok_or(MISSING_PARAMETER)?.to_owned(),
            client_data: get(2).and_then(Value::as_bytes).ok_or(MISSING_PARAMETER)?.clone(),
            allowed: allowed.iter().filter_map(|one| named(one.as_map()?, "id")?.as_bytes().cloned()).collect(),
            present: present.unwrap_or(true),
        })
    }

    /// Whether it is answered only when somebody has touched the key.
    pub fn needs_touch(&self) -> bool {
        matches!(self, Self::Select | Self::Assertion { present: true, .. })
    }
}

fn named<'a>(map: &'a [(Value, Value)], name: &str) -> Option<&'a Value> {
    map.iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value)
}

/// What is in the key.
#[derive(Debug)]
pub struct Authenticator {
    party: String,
    credential: PrivateCredential,
    count: u32,
}

impl Authenticator {
    /// With this credential for this relying party.
    pub fn new(party: &str, credential: PrivateCredential) -> Self {
        Self { party: party.to_owned(), credential, count: 0 }
    }

    /// Answers a command; somebody has touched the key where that was needed.
    ///
    /// # Errors
    /// Where it can't be signed or encoded.
    pub fn answer(&mut self, command: &Command) -> Result<Vec<u8>> {
        match command {
            Command::Info => encoded(vec![
                (1, Value::Array(vec!["FIDO_2_0".into()])),
                (3, Value::Bytes(vec![0; 16])),
                (4, Value::Map(vec![("rk".into(), false.into()), ("up".into(), true.into())])),
                (5, 1024.into()),
            ]),
            Command::Select => Ok(vec![PIN_NOT_SET]),
            Command::Wrong(status) => Ok(vec![*status]),
            Command::Assertion { party, client_data, allowed, present } => {
                let id = self.credential.id();
                if *party != self.party || !allowed.iter().any(|one| one == id) {
                    return Ok(vec![NO_CREDENTIALS]);
                }
                self.count += u32::from(*present);
                let (data, signature) = self.credential.assert(party, client_data, *present, self.count)?;
                let descriptor = vec![("id".into(), Value::Bytes(id.to_vec())), ("type".into(), "public-key".into())];
                encoded(vec![(1, Value::Map(descriptor)), (2, Value::Bytes(data)), (3, Value::Bytes(signature))])
            }
        }
    }
}

fn encoded(map: Vec<(u64, Value)>) -> Result<Vec<u8>> {
    let map = Value::Map(map.into_iter().map(|(key, value)| (key.into(), value)).collect());
    let mut answer = vec![OK];
    ciborium::into_writer(&map, &mut answer).map_err(|error| Fault::internal("CBOR does not encode").cause(error))?;
    Ok(answer)
}
