//! Asks a running device: shell scripts in, what they print out. Nothing in image or medium is made for tests: the probe comes as
//! systemd credentials, which the (virtual) firmware hands over, and answers on the second serial port.
//!
//! A question is one line, `NUMBER BASE64`; the answer `NUMBER CODE BASE64`. One at a time, in order. What the device says of itself
//! in words of its own is in [`crate::facts`].

use std::{path::Path, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use livery_contract::{Fault, Result};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::timeout,
};

use super::credential::Credential;
use crate::programs::Done;

/// What it says on the console once it can be asked.
pub(super) const READY: &str = "LIVERY-PROBE ready";
/// A command that has a device start again, a moment after the answer to it: the probe ends with the device.
pub const RESTART: &str = "systemd-run --quiet --on-active=1 systemctl reboot";
/// The most bytes of an answer.
const MOST: usize = 8 << 20;

/// Reads questions and answers them. The port is opened for good before the first: its driver forgets what came earlier.
const SCRIPT: [&str; 3] = [
    r#"
exec 3<> /dev/ttyS1
stty -F /dev/ttyS1 raw -echo
printf '\nLIVERY-PROBE ready\n' > /dev/ttyS0
while read -r number script <&3; do
"#,
    ANSWER,
    r#"
    printf '%s\n' "$number $answer" >&3
done
"#,
];
/// From `$script` to `$answer`. The script is an argument: on standard input, which has nothing, it would be lost.
const ANSWER: &str = r#"
    answer=$(sh -c "$(printf %s "$script" | base64 -d)" 2>&1 3<&- < /dev/null; echo ".$?")
    answer="${answer##*.} $(printf %s "${answer%.*}" | base64 -w 0)"
"#;

/// The unit, for a terminal or laptop in use and for the agent's medium.
pub(super) fn credentials() -> [Credential; 4] {
    let unit = "[Unit]\nDescription=Probe\nIgnoreOnIsolate=yes\n\
        [Service]\nType=exec\nStandardError=null\nImportCredential=probe.*\n\
        ExecStart=/bin/sh ${CREDENTIALS_DIRECTORY}/probe.script\n";
    let wants = "[Unit]\nWants=livery-probe.service\n";
    [
        Credential::new("systemd.extra-unit.livery-probe.service", unit),
        Credential::new("systemd.unit-dropin.multi-user.target", wants),
        Credential::new("systemd.unit-dropin.livery-agent.target", wants),
        Credential::new("probe.script", SCRIPT.concat()),
    ]
}

/// A connection to it.
#[derive(Debug)]
pub(super) struct Probe {
    stream: UnixStream,
    asked: u64,
    /// What has come of an answer.
    half: Vec<u8>,
}

impl Probe {
    pub(super) async fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).await.map_err(|error| broken("it can't be reached").cause(error))?;
        Ok(Self { stream, asked: 0, half: Vec::new() })
    }

    /// Asks.
    pub(super) async fn send(&mut self, script: &str) -> Result<()> {
        self.asked += 1;
        let line = format!("{} {}\n", self.asked, BASE64_STANDARD.encode(script));
        self.stream.write_all(line.as_bytes()).await.map_err(|error| broken("it hung up").cause(error))
    }

    /// The answer, if it comes whole in this time.
    pub(super) async fn receive(&mut self, most: Duration) -> Result<Option<Done>> {
        let mut bytes = [0; 4096];
        loop {
            if let Some(end) = self.half.iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&self.half[..end]).into_owned();
                self.half.drain(..=end);
                return answer(&line, self.asked).map(Some);
            }
            match timeout(most, self.stream.read(&mut bytes)).await {
                Err(_) => return Ok(None),
                Ok(Ok(count)) if count > 0 && self.half.len() < MOST => self.half.extend(&bytes[..count]),
                Ok(Ok(_)) => return Err(broken("it hung up, or answers without end")),
                Ok(Err(error)) => return Err(broken("it hung up").cause(error)),
            }
        }
    }
}

fn answer(line: &str, asked: u64) -> Result<Done> {
    let mut words = line.split(' ');
    let number = words.next().and_then(|word| word.parse::<u64>().ok());
    let code = words.next().and_then(|word| word.parse::<i32>().ok());
    let text = words.next().and_then(|word| BASE64_STANDARD.decode(word.trim_end()).ok());
    match (number, code, text) {
        (Some(number), Some(code), Some(text)) if number == asked => {
            Ok(Done { code: Some(code), stdout: String::from_utf8_lossy(&text).into_owned(), stderr: String::new() })
        }
        _ => Err(broken(&format!("not an answer to question {asked}: {line:.200}"))),
    }
}

fn broken(what: &str) -> Fault {
    Fault::device(format!("the device's probe: {what}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_script_is_run_and_answered() {
        let said = |script: &str| {
            let script = format!("script={}\n{ANSWER}\nprintf '%s\\n' \"3 $answer\"", BASE64_STANDARD.encode(script));
            let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
            let done = answer(String::from_utf8(output.stdout).unwrap().trim_end_matches('\n'), 3).unwrap();
            (done.code.unwrap(), done.stdout)
        };
        assert_eq!(said("echo 'a  b'; echo c >&2; cat; exit 7"), (7, "a  b\nc\n".to_owned()));
        assert_eq!((said("true"), said("false")), ((0, String::new()), (1, String::new())));
        assert!(said(crate::facts::QUESTION).1.contains("\nloop_units="));
    }

    #[test]
    fn an_answer_belongs_to_its_question() {
        let done = answer("3 7 aGFsbG8K", 3).unwrap();
        assert_eq!((done.code, done.stdout.as_str()), (Some(7), "hallo\n"));
        assert_eq!(answer("3 0 ", 3).unwrap().stdout, "");
        for bad in ["", "2 0 aGFsbG8K", "3 x aGFsbG8K", "3 0 ?", "3 0"] {
            assert!(answer(bad, 3).is_err(), "{bad}");
        }
    }
}
