//! How a browser and a security key talk over USB: messages cut into reports of 64 bytes, on channels (FIDO CTAP 2.0, section 8.1).
//! In: the browser's reports. Out: the key's.

use livery_contract::Result;

use super::ctap::{Authenticator, Command};

/// Bytes of a report.
pub const REPORT: usize = 64;
/// One of them.
pub type Report = [u8; REPORT];

/// What a key is on the wire: a report descriptor of FIDO's usage page, one report in and one out (section 8.1.8.2).
pub const DESCRIPTOR: [u8; 34] = [
    0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x01, 0x09, 0x20, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x40, 0x81, 0x02, 0x09,
    0x21, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x40, 0x91, 0x02, 0xc0,
];

/// Before a channel is given.
const BROADCAST: u32 = u32::MAX;
/// The first that is given.
const FIRST: u32 = 0x0001_0000;
/// Set in the first report of a message: the next byte is a command, not a number.
const BEGINS: u8 = 0x80;
/// Bytes before the content in the first report of a message, and in the others.
const HEADERS: (usize, usize) = (7, 5);
/// The longest message: a first report, and 128 others.
const LONGEST: usize = REPORT - HEADERS.0 + 128 * (REPORT - HEADERS.1);

/// Commands.
const PING: u8 = 0x01;
const INIT: u8 = 0x06;
const CBOR: u8 = 0x10;
const CANCEL: u8 = 0x11;
const KEEPALIVE: u8 = 0x3b;
const ERROR: u8 = 0x3f;
/// The key can do CBOR, and nothing of U2F.
const CAPABILITIES: u8 = 0x04 | 0x08;
/// Status of a key that wants to be touched.
const UP_NEEDED: u8 = 0x02;
/// CTAP's answer to a command that was taken back.
const KEEPALIVE_CANCEL: u8 = 0x2d;
const ERR_INVALID_COMMAND: u8 = 0x01;
const ERR_INVALID_LENGTH: u8 = 0x03;
const ERR_INVALID_SEQUENCE: u8 = 0x04;

/// The key's end.
#[derive(Debug)]
pub struct Hid {
    authenticator: Authenticator,
    channels: u32,
    coming: Option<Message>,
    waiting: Option<(u32, Command)>,
}

/// One that is not whole yet.
#[derive(Debug)]
struct Message {
    channel: u32,
    command: u8,
    length: usize,
    content: Vec<u8>,
    next: u8,
}

impl Hid {
    /// In front of this authenticator.
    pub fn new(authenticator: Authenticator) -> Self {
        Self { authenticator, channels: FIRST, coming: None, waiting: None }
    }

    /// Whether it waits for a touch.
    pub fn waits(&self) -> bool {
        self.waiting.is_some()
    }

    /// Takes a report.
    ///
    /// # Errors
    /// Where an answer can't be made.
    pub fn take(&mut self, report: &[u8]) -> Result<Vec<Report>> {
        let Some((channel, rest)) = report.split_first_chunk().filter(|_| report.len() == REPORT) else { return Ok(Vec::new()) };
        let channel = u32::from_be_bytes(*channel);
        if rest[0] & BEGINS != 0 {
            let length = usize::from(u16::from_be_bytes([rest[1], rest[2]]));
            if length > LONGEST {
                return Ok(reports(channel, ERROR, &[ERR_INVALID_LENGTH]));
            }
            let content = rest[3..].iter().copied().take(length).collect();
            self.coming = Some(Message { channel, command: rest[0] & !BEGINS, length, content, next: 0 });
        } else {
            let Some(message) = self.coming.as_mut().filter(|message| message.channel == channel) else { return Ok(Vec::new()) };
            if message.next != rest[0] {
                self.coming = None;
                return Ok(reports(channel, ERROR, &[ERR_INVALID_SEQUENCE]));
            }
            message.next += 1;
            let missing = message.length - message.content.len();
            message.content.extend(rest[1..].iter().take(missing));
        }
        match self.coming.take_if(|message| message.content.len() == message.length) {
            Some(message) => self.whole(&message),
            None => Ok(Vec::new()),
        }
    }

    fn whole(&mut self, message: &Message) -> Result<Vec<Report>> {
        let Message { channel, command, content, .. } = message;
        Ok(match *command {
            INIT if content.len() == 8 => {
                let given = if *channel == BROADCAST {
                    self.channels += 1;
                    self.channels
                } else {
                    *channel
                };
                // The nonce, the channel, the protocol's version, the key's own in three numbers, what it can do.
                let answer = [&content[..], &given.to_be_bytes(), &[2, 1, 0, 0, CAPABILITIES]].concat();
                reports(*channel, INIT, &answer)
            }
            PING => reports(*channel, PING, content),
            CBOR => {
                let command = Command::parse(content);
                if command.needs_touch() {
                    self.waiting = Some((*channel, command));
                    return Ok(self.keep_alive());
                }
                reports(*channel, CBOR, &self.authenticator.answer(&command)?)
            }
            CANCEL => match self.waiting.take_if(|(waiting, _)| waiting == channel) {
                Some(_) => reports(*channel, CBOR, &[KEEPALIVE_CANCEL]),
                None => Vec::new(),
            },
            _ => reports(*channel, ERROR, &[ERR_INVALID_COMMAND]),
        })
    }

    /// Somebody touches the key.
    ///
    /// # Errors
    /// Where an answer can't be made.
    pub fn touch(&mut self) -> Result<Vec<Report>> {
        let Some((channel, command)) = self.waiting.take() else { return Ok(Vec::new()) };
        Ok(reports(channel, CBOR, &self.authenticator.answer(&command)?))
    }

    /// What it says ten times a second while it waits (section 8.1.9.1.8).
    pub fn keep_alive(&self) -> Vec<Report> {
        self.waiting.as_ref().map_or_else(Vec::new, |(channel, _)| reports(*channel, KEEPALIVE, &[UP_NEEDED]))
    }
}

/// A message, cut.
fn reports(channel: u32, command: u8, content: &[u8]) -> Vec<Report> {
    let (first, rest) = content.split_at(content.len().min(REPORT - HEADERS.0));
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut all = vec![[&channel.to_be_bytes()[..], &[command | BEGINS], &length, first].concat()];
    for (number, part) in (0u8..).zip(rest.chunks(REPORT - HEADERS.1)) {
        all.push([&channel.to_be_bytes()[..], &[number], part].concat());
    }
    all.into_iter()
        .map(|mut bytes| {
            bytes.resize(REPORT, 0);
            bytes.try_into().unwrap_or([0; REPORT])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ciborium::Value;
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::{
        gateway::webauthn::{self, Assertion, BASE64URL},
        security_key::PrivateCredential,
    };

    /// What the key answered, put together again.
    fn message(reports: &[Report]) -> (u8, Vec<u8>) {
        let length = usize::from(u16::from_be_bytes([reports[0][5], reports[0][6]]));
        let mut content = reports[0][HEADERS.0..].to_vec();
        reports[1..].iter().for_each(|report| content.extend(&report[HEADERS.1..]));
        content.truncate(length);
        (reports[0][4] & !BEGINS, content)
    }

    fn asked(hid: &mut Hid, command: u8, content: &[u8]) -> Vec<Report> {
        reports(0x0001_0001, command, content).iter().flat_map(|report| hid.take(report).unwrap()).collect()
    }

    #[test]
    fn what_it_signs_is_accepted_once_it_was_touched() {
        use base64::Engine as _;
        let credential = PrivateCredential::generate(&[7; 40]).unwrap();
        let public = credential.public();
        let mut hid = Hid::new(Authenticator::new("gateway.example", credential));
        let (command, answer) = message(&hid.take(&reports(BROADCAST, INIT, &[9; 8])[0]).unwrap());
        assert_eq!((command, &answer[..8], &answer[8..12]), (INIT, &[9; 8][..], &[0, 1, 0, 1][..]));

        let client_data = br#"{"type":"webauthn.get","challenge":"AAAA","origin":"https://gateway.example","crossOrigin":false}"#;
        let request = |party: &str, up: bool| {
            let descriptor = Value::Map(vec![("id".into(), Value::Bytes(vec![7; 40])), ("type".into(), "public-key".into())]);
            let map = Value::Map(vec![
                (1.into(), party.into()),
                (2.into(), Value::Bytes(Sha256::digest(client_data).to_vec())),
                (3.into(), Value::Array(vec![descriptor])),
                (5.into(), Value::Map(vec![("up".into(), up.into())])),
            ]);
            let mut bytes = vec![0x02];
            ciborium::into_writer(&map, &mut bytes).unwrap();
            bytes
        };
        assert_eq!(message(&asked(&mut hid, CBOR, &request("other.example", false))), (CBOR, vec![0x2e]), "not its party");
        // To find out which is in it, nobody need touch it.
        assert_eq!(message(&asked(&mut hid, CBOR, &request("gateway.example", false))).1[0], 0);
        assert_eq!(message(&asked(&mut hid, CBOR, &request("gateway.example", true))), (KEEPALIVE, vec![UP_NEEDED]));
        assert_eq!(message(&asked(&mut hid, CANCEL, &[])), (CBOR, vec![KEEPALIVE_CANCEL]));
        asked(&mut hid, CBOR, &request("gateway.example", true));
        let (command, answer) = message(&hid.touch().unwrap());
        assert_eq!((command, answer[0]), (CBOR, 0));
        assert!(!hid.waits());
        let map: Value = ciborium::from_reader(&answer[1..]).unwrap();
        let part = |number: u64| {
            map.as_map().unwrap().iter().find(|(key, _)| *key == Value::from(number)).unwrap().1.as_bytes().unwrap().clone()
        };
        let assertion = Assertion {
            id: BASE64URL.encode([7; 40]),
            client_data: BASE64URL.encode(client_data),
            authenticator_data: BASE64URL.encode(part(2)),
            signature: BASE64URL.encode(part(3)),
        };
        assert_eq!(webauthn::verify(&public, 0, "gateway.example", &[0; 3], &assertion), Ok(1));
    }

    #[test]
    fn what_makes_no_message_is_refused() {
        let credential = PrivateCredential::generate(&[7; 40]).unwrap();
        let mut hid = Hid::new(Authenticator::new("gateway.example", credential));
        assert!(hid.take(&[0; 10]).unwrap().is_empty(), "no report");
        assert_eq!(message(&asked(&mut hid, 0x20, &[])), (ERROR, vec![ERR_INVALID_COMMAND]));
        let mut long = reports(1, PING, &[1; 200]);
        assert!(hid.take(&long[0]).unwrap().is_empty());
        assert_eq!(message(&hid.take(&long[2]).unwrap()), (ERROR, vec![ERR_INVALID_SEQUENCE]));
        long[0][5..7].copy_from_slice(&u16::MAX.to_be_bytes());
        assert_eq!(message(&hid.take(&long[0]).unwrap()), (ERROR, vec![ERR_INVALID_LENGTH]));
        assert_eq!(message(&asked(&mut hid, PING, &[3; 200])), (PING, vec![3; 200]));
        assert_eq!(message(&asked(&mut hid, CBOR, &[2, 0xff])), (CBOR, vec![0x12]));
    }
}
