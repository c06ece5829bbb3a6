//! `livery codes`: a one-time code for each employee of a roster who has none, for the first sign-in at a laptop.
//!
//! In: a roster (CSV or TOML). Out: the codes, once, in a file that only its owner reads; their hashes (yescrypt, crypt(5)) in the
//! roster, which is otherwise as it was. The codes are written first: killed in between, the roster has none of them, and the next run draws
//! others. Fails where the roster has errors, where the codes' file is there already, or where somebody else changed the roster meanwhile.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use aws_lc_rs::rand;
use livery_contract::{
    Fault, Result,
    roster::{self, Employee, Format},
};
use rayon::prelude::*;
use serde::Serialize;
use yescrypt::{CustomizedPasswordHasher as _, Params, Yescrypt};

use crate::{progress::Progress, replace::replace};

/// What a code is made of: letters that nobody takes for a digit or for one another, and no digits, which are not where one looks for
/// them on a French keyboard.
const LETTERS: &[u8; 23] = b"abcdefghjkmnpqrstuvwxyz";
/// Groups of a code, of four letters each: 72 bits. Its hash is in an image, and many may read that: it must not be guessed.
const GROUPS: usize = 4;
/// Bytes of a hash's salt.
const SALT: usize = 16;
/// The column, and the key in TOML.
const COLUMN: &str = "first-password";
/// So many are hashed between two words of progress.
const BATCH: usize = 32;

/// What was done.
#[derive(Debug, Serialize)]
pub(crate) struct Drawn {
    /// Employees who have a code now and had none.
    pub(crate) drawn: usize,
    /// Employees who had one.
    pub(crate) kept: usize,
}

/// One employee's code.
struct Code {
    code: String,
    hash: String,
}

/// Draws codes for the employees of `roster` who have none, and writes them to `out`, which must not be there. Where all have one it
/// writes nothing.
///
/// # Errors
/// Exit 3 where the roster has errors, `out` is there or a file can't be written, or the roster changed meanwhile.
pub(crate) fn draw(roster: &Path, out: &Path, progress: &Progress) -> Result<Drawn> {
    let failed = |error| Fault::refused("the roster can't be changed").at(roster.display()).cause(error);
    // What a link names is replaced, not the link.
    let path =
        fs::canonicalize(roster).map_err(|error| Fault::refused("the roster can't be read").at(roster.display()).cause(error))?;
    let (text, employees) = roster::read(&path, fs::File::open(&path))?;
    let without: Vec<usize> = (0..employees.len()).filter(|index| employees[*index].first_password.is_none()).collect();
    let done = Drawn { drawn: without.len(), kept: employees.len() - without.len() };
    if without.is_empty() {
        return Ok(done);
    }
    if out.exists() {
        return Err(there(out));
    }
    let mut bar = progress.pieces("codes", without.len() as u64);
    let mut codes: Vec<Option<Code>> = employees.iter().map(|_| None).collect();
    for (batch, indices) in without.chunks(BATCH).enumerate() {
        let fresh: Vec<Code> = indices.par_iter().map(|_| Code::draw()).collect::<Result<_>>()?;
        indices.iter().zip(fresh).for_each(|(index, code)| codes[*index] = Some(code));
        bar.at((batch * BATCH + indices.len()) as u64);
    }
    bar.done();
    let changed = match Format::of_path(&path) {
        Format::Csv => in_csv(&text, &codes)?,
        Format::Toml => in_toml(&text, &codes)?,
    };
    unchanged_else(&employees, &codes, &changed, Format::of_path(&path))?;

    write_codes(out, &employees, &codes, if Format::of_path(&path) == Format::Csv { delimiter(&text) } else { b',' })?;
    if fs::read_to_string(&path).map_err(failed)? != text {
        let _ = fs::remove_file(out);
        return Err(Fault::refused("somebody changed the roster while this command drew codes")
            .at(roster.display())
            .fix("run the same command again"));
    }
    replace(&path, &mut changed.as_bytes()).map_err(failed)?;
    Ok(done)
}

impl Code {
    /// A new one, and its hash: Debian's own scheme at Debian's own cost.
    fn draw() -> Result<Self> {
        let nothing = || Fault::internal("the system did not provide random bytes");
        let mut groups = vec![String::new()];
        while groups.len() <= GROUPS {
            let mut byte = [0];
            rand::fill(&mut byte).map_err(|_| nothing())?;
            // Bytes beyond the last whole round of letters would make the first ones likelier.
            let [byte] = byte;
            if usize::from(byte) >= 256 - 256 % LETTERS.len() {
                continue;
            }
            if let Some(group) = groups.last_mut() {
                group.push(char::from(LETTERS[usize::from(byte) % LETTERS.len()]));
                if group.len() == 4 {
                    groups.push(String::new());
                }
            }
        }
        groups.truncate(GROUPS);
        let code = groups.join("-");
        let mut salt = [0; SALT];
        rand::fill(&mut salt).map_err(|_| nothing())?;
        let hash = Yescrypt::default()
            .hash_password_customized(code.as_bytes(), &salt, None, None, Params::default())
            .map_err(|error| Fault::internal("a code can't be hashed").cause(error))?;
        Ok(Self { code, hash: hash.to_string() })
    }
}

/// What a roster's fields are separated by; see [`roster::parse`].
fn delimiter(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    if header.contains(';') && !header.contains(',') { b';' } else { b',' }
}

/// The roster with the hashes in their column, which is made where there is none. Byte order mark, delimiter and line ends stay.
fn in_csv(text: &str, codes: &[Option<Code>]) -> Result<String> {
    let failed = |error: &dyn std::fmt::Display| Fault::internal(format!("the roster can't be written again: {error}"));
    let mark = if text.starts_with('\u{feff}') { "\u{feff}" } else { "" };
    let delimiter = delimiter(text);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(&text.as_bytes()[mark.len()..]);
    let ends = if text.lines().next().is_some_and(|line| text[line.len()..].starts_with("\r\n")) {
        csv::Terminator::CRLF
    } else {
        csv::Terminator::Any(b'\n')
    };
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).terminator(ends).flexible(true).from_writer(Vec::new());
    let (mut column, mut rows) = (None, codes.iter());
    for record in reader.records() {
        let mut fields: Vec<String> = record.map_err(|error| failed(&error))?.iter().map(str::to_owned).collect();
        match column {
            None => {
                let named = fields.iter().position(|name| name.trim().eq_ignore_ascii_case(COLUMN));
                column = Some(named.unwrap_or(fields.len()));
                if named.is_none() {
                    fields.push(COLUMN.into());
                }
            }
            Some(column) => {
                let hash = rows.next().and_then(|code| code.as_ref()).map(|code| code.hash.clone());
                match (fields.get_mut(column), hash) {
                    (Some(field), Some(hash)) => *field = hash,
                    (Some(_), None) => {}
                    (None, hash) => fields.push(hash.unwrap_or_default()),
                }
            }
        }
        writer.write_record(&fields).map_err(|error| failed(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map(|rest| format!("{mark}{rest}")).map_err(|error| failed(&error))
}

/// The roster with the hashes as a key of each employee; comments and order stay.
fn in_toml(text: &str, codes: &[Option<Code>]) -> Result<String> {
    let failed = |what: &str| Fault::internal(format!("the roster can't be written again: {what}"));
    let mut document: toml_edit::DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| failed(error.message()))?;
    let employees = document.get_mut("employee").ok_or_else(|| failed("it has no employees"))?;
    for (index, code) in codes.iter().enumerate() {
        let Some(code) = code else { continue };
        let table = employees.get_mut(index).and_then(toml_edit::Item::as_table_like_mut);
        table.ok_or_else(|| failed("an employee is missing"))?.insert(COLUMN, toml_edit::value(code.hash.as_str()));
    }
    Ok(document.to_string())
}

/// What is written must say the same employees, with their hashes.
fn unchanged_else(before: &[Employee], codes: &[Option<Code>], changed: &str, format: Format) -> Result<()> {
    let wanted = before.iter().zip(codes).map(|(employee, code)| {
        let hash = code.as_ref().map(|code| code.hash.clone()).or_else(|| employee.first_password.clone());
        Employee { first_password: hash, ..employee.clone() }
    });
    match roster::parse(changed, format) {
        Ok(now) if now.iter().cloned().eq(wanted) => Ok(()),
        _ => Err(Fault::internal("the changed roster would have a different meaning")
            .fix("this is a fault of Livery: please report it; nothing was written")),
    }
}

/// Writes the codes to a file that was not there, mode 0600.
fn write_codes(out: &Path, employees: &[Employee], codes: &[Option<Code>], delimiter: u8) -> Result<()> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => there(out),
        _ => Fault::refused("the codes can't be written").at(out.display()).cause(error),
    };
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
    let broken = |error: csv::Error| Fault::internal("the codes can't be written").cause(error);
    writer.write_record(["order", "user", "name", "code"]).map_err(broken)?;
    for (employee, code) in employees.iter().zip(codes) {
        if let Some(code) = code {
            writer.write_record([employee.order.as_str(), &employee.user, &employee.name, &code.code]).map_err(broken)?;
        }
    }
    let bytes = writer.into_inner().map_err(|error| Fault::internal("the codes can't be written").cause(error.into_error()))?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(out).map_err(failed)?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(failed)
}

fn there(out: &Path) -> Fault {
    Fault::refused("the file for the codes exists already")
        .at(out.display())
        .fix("give another name: existing codes are never overwritten")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

    use yescrypt::PasswordVerifier as _;

    use super::*;

    const CSV: &str = "\u{feff}user;order;name;hostname;locale;keyboard\r\nlea.martin;ORD-1;\"Martin; Léa\";lt-1;fr_FR.UTF-8;fr\r\n\
                       jan.peeters;ORD-2;Jan Peeters;lt-2;nl_BE.UTF-8;be\r\n";

    fn quiet() -> Progress {
        Progress::new(true)
    }

    fn employees(path: &Path) -> Vec<Employee> {
        roster::read(path, fs::File::open(path)).unwrap().1
    }

    #[test]
    fn each_has_a_code_of_its_own_once_and_the_roster_stays_what_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (roster, out) = (folder.path().join("roster.csv"), folder.path().join("codes.csv"));
        fs::write(&roster, CSV).unwrap();
        fs::set_permissions(&roster, fs::Permissions::from_mode(0o640)).unwrap();
        let done = draw(&roster, &out, &quiet()).unwrap();
        assert_eq!((done.drawn, done.kept), (2, 0));
        assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&roster).unwrap().permissions().mode() & 0o777, 0o640);
        let written = fs::read_to_string(&roster).unwrap();
        assert!(written.starts_with("\u{feff}user;order;name;hostname;locale;keyboard;first-password\r\n"), "{written}");
        assert!(written.contains("lea.martin;ORD-1;\"Martin; Léa\";lt-1;fr_FR.UTF-8;fr;$y$j9T$"), "{written}");
        let codes = fs::read_to_string(&out).unwrap();
        let mut lines = codes.lines();
        assert_eq!(lines.next(), Some("order;user;name;code"));
        let codes: Vec<&str> = lines.map(|line| line.rsplit(';').next().unwrap()).collect();
        assert!(codes[0] != codes[1] && codes.iter().all(|code| code.len() == 19 && !code.contains(['i', 'l', 'o'])), "{codes:?}");
        for (employee, code) in employees(&roster).iter().zip(&codes) {
            let hash = employee.first_password.as_deref().unwrap();
            Yescrypt::default().verify_password(code.as_bytes(), hash).unwrap();
            assert!(!written.contains(code), "no code in the roster");
        }
        // Once more: nobody lacks one, nothing is written.
        let second = folder.path().join("second.csv");
        let done = draw(&roster, &second, &quiet()).unwrap();
        assert_eq!((done.drawn, done.kept, second.exists()), (0, 2, false));
        assert_eq!(fs::read_to_string(&roster).unwrap(), written);
        // Somebody new: the others keep theirs, and no file of codes is written over.
        fs::write(&roster, format!("{written}eva.novak;ORD-3;Eva Novak;lt-3;de_DE.UTF-8;de;\r\n")).unwrap();
        assert_eq!(draw(&roster, &out, &quiet()).unwrap_err().exit(), livery_contract::Exit::Refused);
        assert_eq!(draw(&roster, &second, &quiet()).unwrap().drawn, 1);
        let now = employees(&roster);
        assert!(now[2].first_password.is_some());
        assert!(fs::read_to_string(&roster).unwrap().starts_with(&written));
        assert_eq!(fs::read_to_string(&second).unwrap().lines().count(), 2);
    }

    #[test]
    fn a_roster_in_toml_keeps_its_comments_and_one_with_errors_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (roster, out) = (folder.path().join("roster.toml"), folder.path().join("codes.csv"));
        let text = "# Lyon\n[[employee]]\norder = \"ORD-1\" # new\nuser = \"lea\"\nname = \"Léa\"\nhostname = \"lt-1\"\nlocale = \"fr_FR.UTF-8\"\nkeyboard = \"fr\"\n";
        fs::write(&roster, text).unwrap();
        draw(&roster, &out, &quiet()).unwrap();
        let written = fs::read_to_string(&roster).unwrap();
        assert!(written.starts_with(text) && written.contains("\nfirst-password = \"$y$j9T$"), "{written}");
        assert!(employees(&roster)[0].first_password.is_some());

        let bad = text.replace("fr_FR.UTF-8", "french");
        fs::write(&roster, &bad).unwrap();
        let other = folder.path().join("other.csv");
        assert_eq!(draw(&roster, &other, &quiet()).unwrap_err().exit(), livery_contract::Exit::Refused);
        assert_eq!((fs::read_to_string(&roster).unwrap(), other.exists()), (bad, false));
    }
}
