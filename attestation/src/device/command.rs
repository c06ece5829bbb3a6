//! Commands to a TPM and its answers, as bytes (Part 1, section 18; Part 3).

use std::{
    io::{Read, Write},
    time::Duration,
};

use livery_contract::{Fault, Result};

/// No TPM gives a longer answer.
const MOST: usize = 4096;
/// A TPM that is busy with itself says so, and is asked again.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(100);
/// `TPM_RC_YIELDED`, `TPM_RC_TESTING`, `TPM_RC_RETRY`.
const BUSY: [u32; 3] = [0x908, 0x90a, 0x922];
/// `TPM_RC_HANDLE` of the first handle: there is no such object.
const ABSENT: u32 = 0x18b;
/// `TPM_RH_NULL`.
const NULL: u32 = 0x4000_0007;

/// A command's code (Part 2, section 6.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Code {
    CreatePrimary = 0x131,
    ActivateCredential = 0x147,
    NvRead = 0x14e,
    PolicySecret = 0x151,
    Quote = 0x158,
    FlushContext = 0x165,
    NvReadPublic = 0x169,
    ReadPublic = 0x173,
    StartAuthSession = 0x176,
    PcrRead = 0x17e,
}

/// How a handle is used.
#[derive(Clone, Copy, Debug)]
pub(super) enum Auth {
    /// By its password, which is empty.
    Password,
    /// By a policy session.
    Session(u32),
}

/// A `TPM2B`.
pub(super) fn sized(bytes: &[u8]) -> Result<Vec<u8>> {
    let length = u16::try_from(bytes.len()).map_err(|_| Fault::internal("a TPM's parameter is too long"))?;
    Ok([&length.to_be_bytes()[..], bytes].concat())
}

/// The parameters of an answer, read from the front.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    code: Code,
    bytes: &'a [u8],
}

impl<'a> Answer<'a> {
    pub(super) fn new(code: Code, bytes: &'a [u8]) -> Self {
        Self { code, bytes }
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(length)
            .ok_or_else(|| Fault::device(format!("the TPM's answer to {:?} is cut off", self.code)))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn u16(&mut self) -> Result<u16> {
        Ok(self.take(2)?.iter().fold(0, |number, byte| number << 8 | u16::from(*byte)))
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        Ok(self.take(4)?.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    /// A `TPM2B`.
    pub(super) fn sized(&mut self) -> Result<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// All that is left.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes
    }
}

/// What carries commands.
#[derive(Debug)]
pub(super) struct Channel<C>(pub(super) C);

/// What came back: the TPM's code, and what follows the header.
type Raw = (u32, Vec<u8>);

impl<C: Read + Write> Channel<C> {
    /// A command that makes no object; gives its parameters.
    pub(super) fn call(&mut self, code: Code, handles: &[u32], auths: &[Auth], parameters: &[u8]) -> Result<Vec<u8>> {
        let answer = self.ask(code, handles, auths, parameters)?;
        Self::parameters(code, &answer, auths)
    }

    /// A command that makes an object; gives its handle and the parameters.
    pub(super) fn create(&mut self, code: Code, handles: &[u32], auths: &[Auth], parameters: &[u8]) -> Result<(u32, Vec<u8>)> {
        let answer = self.ask(code, handles, auths, parameters)?;
        let mut reader = Answer::new(code, &answer);
        Ok((reader.u32()?, Self::parameters(code, reader.rest(), auths)?))
    }

    /// Where there is an authorisation, the parameters say how long they are, and more follows.
    fn parameters(code: Code, answer: &[u8], auths: &[Auth]) -> Result<Vec<u8>> {
        if auths.is_empty() {
            return Ok(answer.to_vec());
        }
        let mut reader = Answer::new(code, answer);
        let length = reader.u32()?;
        Ok(reader.take(usize::try_from(length).unwrap_or(usize::MAX))?.to_vec())
    }

    /// Begins a policy session by SHA-256.
    pub(super) fn start_policy(&mut self) -> Result<u32> {
        let mut parameters = sized(&[0; 16])?; // a nonce: only sessions that encrypt need a random one
        parameters.extend([0, 0, 1, 0, 0x10, 0, 0x0b]); // no salt; a policy; no encryption; SHA-256
        Ok(self.create(Code::StartAuthSession, &[NULL, NULL], &[], &parameters)?.0)
    }

    /// Who has this hierarchy's password may go on.
    pub(super) fn policy_secret(&mut self, hierarchy: u32, session: u32) -> Result<()> {
        self.call(Code::PolicySecret, &[hierarchy, session], &[Auth::Password], &[0; 10]).map(|_| ())
    }

    pub(super) fn flush(&mut self, handle: u32) -> Result<()> {
        self.call(Code::FlushContext, &[handle], &[], &[]).map(|_| ())
    }

    /// An object's public area; `None` where it is not there.
    pub(super) fn read_public(&mut self, handle: u32) -> Result<Option<Vec<u8>>> {
        match self.exchange(Code::ReadPublic, &[handle], &[], &[])? {
            (0, answer) => Ok(Some(Answer::new(Code::ReadPublic, &answer).sized()?.to_vec())),
            // Whatever keeps it away, it can be made.
            _ => Ok(None),
        }
    }

    /// How many bytes an NV index has; `None` where it is not there.
    pub(super) fn nv_length(&mut self, index: u32) -> Result<Option<u16>> {
        match self.exchange(Code::NvReadPublic, &[index], &[], &[])? {
            (0, answer) => {
                let area = Answer::new(Code::NvReadPublic, &answer).sized()?.to_vec();
                let mut reader = Answer::new(Code::NvReadPublic, &area);
                reader.take(10)?; // index, digest, attributes
                reader.sized()?; // policy
                Ok(Some(reader.u16()?))
            }
            (ABSENT, _) => Ok(None),
            (refused, _) => Err(Self::refusal(Code::NvReadPublic, refused)),
        }
    }

    pub(super) fn nv_read(&mut self, index: u32, size: u16, offset: u16) -> Result<Vec<u8>> {
        let parameters = [size.to_be_bytes(), offset.to_be_bytes()].concat();
        let answer = self.call(Code::NvRead, &[index, index], &[Auth::Password], &parameters)?;
        Ok(Answer::new(Code::NvRead, &answer).sized()?.to_vec())
    }

    fn ask(&mut self, code: Code, handles: &[u32], auths: &[Auth], parameters: &[u8]) -> Result<Vec<u8>> {
        match self.exchange(code, handles, auths, parameters)? {
            (0, answer) => Ok(answer),
            (refused, _) => Err(Self::refusal(code, refused)),
        }
    }

    fn refusal(code: Code, refused: u32) -> Fault {
        Fault::device(format!("the TPM refuses {code:?} with code {refused:#x}"))
            .fix("switch the device off and on; if that does not help, clear the TPM in the firmware's setup (Security > TPM 2.0 Security > Clear)")
    }

    /// One command and its answer, asked again while the TPM is busy.
    fn exchange(&mut self, code: Code, handles: &[u32], auths: &[Auth], parameters: &[u8]) -> Result<Raw> {
        let mut body = Vec::new();
        handles.iter().for_each(|handle| body.extend(handle.to_be_bytes()));
        if !auths.is_empty() {
            let all: Vec<u8> = auths.iter().flat_map(|auth| auth.bytes()).collect();
            body.extend(u32::try_from(all.len()).unwrap_or_default().to_be_bytes());
            body.extend(all);
        }
        body.extend(parameters);
        let tag: u16 = if auths.is_empty() { 0x8001 } else { 0x8002 };
        let size = u32::try_from(body.len() + 10).map_err(|_| Fault::internal("a command to a TPM is too long"))?;
        let command = [&tag.to_be_bytes()[..], &size.to_be_bytes(), &(code as u32).to_be_bytes(), &body].concat();
        let mut tries = TRIES;
        loop {
            let (answered, bytes) = self.once(code, &command)?;
            tries -= 1;
            if !BUSY.contains(&answered) || tries == 0 {
                return Ok((answered, bytes));
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn once(&mut self, code: Code, command: &[u8]) -> Result<Raw> {
        let failed = |error: std::io::Error| Fault::device(format!("the TPM does not answer {code:?}")).cause(error);
        self.0.write_all(command).and_then(|()| self.0.flush()).map_err(failed)?;
        let (mut answer, mut length) = (vec![0; MOST], 0);
        // The device gives an answer at once; a socket may give it in parts.
        let size = loop {
            let read = self.0.read(&mut answer[length..]).map_err(failed)?;
            length += read;
            let size =
                answer[..length].get(2..6).map(|size| size.iter().fold(0_usize, |number, byte| number << 8 | usize::from(*byte)));
            match size {
                Some(size) if !(10..=MOST).contains(&size) => {
                    return Err(Fault::device(format!("the TPM's answer to {code:?} is of {size} bytes")));
                }
                Some(size) if length >= size => break size,
                _ if read == 0 => return Err(Fault::device(format!("the TPM's answer to {code:?} is cut off"))),
                _ => {}
            }
        };
        let answered = answer[6..10].iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        Ok((answered, answer[10..size].to_vec()))
    }
}

impl Auth {
    /// `TPMS_AUTH_COMMAND`: no nonce, no flags, no HMAC.
    fn bytes(self) -> [u8; 9] {
        let handle = match self {
            Self::Password => 0x4000_0009,
            Self::Session(handle) => handle,
        };
        let [a, b, c, d] = u32::to_be_bytes(handle);
        [a, b, c, d, 0, 0, 0, 0, 0]
    }
}
