//! One file: read with a bound, and places in it as a person counts them.

use std::{
    fs::File,
    io::Read as _,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The most bytes that a profile, a certificate file or a key file may have.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// A file's text.
#[derive(Debug)]
pub(crate) struct Source {
    /// The path as it was given or as it follows from `extends`; what diagnostics name.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// Somewhere in a file.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Which file.
    pub source: Arc<Source>,
    /// Bytes of its text.
    pub span: Range<usize>,
}

impl Place {
    /// Line and column of the first byte, both from 1; the column counts characters.
    pub(crate) fn line_column(&self) -> (usize, usize) {
        self.source.line_column(self.span.start)
    }

    /// The text that stands there.
    pub(crate) fn text(&self) -> &str {
        self.source.text.get(self.span.clone()).unwrap_or_default()
    }

    /// The file's name, for a text that outlives the lines of the file.
    pub(crate) fn file_name(&self) -> String {
        self.source.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// `file:line:column`, as compilers write it.
    pub(crate) fn long(&self) -> String {
        let (line, column) = self.line_column();
        format!("{}:{line}:{column}", self.source.path.display())
    }

    /// `file:line`, for a text that refers to another place.
    pub(crate) fn short(&self) -> String {
        format!("{}:{}", self.source.path.display(), self.line_column().0)
    }
}

impl Source {
    /// Line and column, both from 1, of a byte offset. One past the end is allowed.
    pub(crate) fn line_column(&self, offset: usize) -> (usize, usize) {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &self.text[..offset];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
    }

    /// The line that holds a byte offset, without its end, and where it begins.
    pub(crate) fn line_of(&self, offset: usize) -> (usize, &str) {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let start = self.text[..offset].rfind('\n').map_or(0, |at| at + 1);
        let line = self.text[start..].split('\n').next().unwrap_or_default();
        (start, line.trim_end_matches('\r'))
    }

    /// The path that `text`, written in this file, stands for.
    pub(crate) fn sibling(&self, text: &str) -> PathBuf {
        match self.path.parent() {
            // For the reader's eyes: ./ca.pem and ca.pem are the same.
            Some(parent) => parent.join(text.strip_prefix("./").unwrap_or(text)),
            None => PathBuf::from(text),
        }
    }
}

/// Reads a text file of at most [`MAX_BYTES`].
///
/// # Errors
/// In words: why not.
pub fn read_text(path: &Path) -> Result<String, String> {
    let explain = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        _ => error.to_string(),
    };
    // A named pipe would block for ever, a device may have no end: ask before opening.
    let about = std::fs::metadata(path).map_err(explain)?;
    if about.is_dir() {
        return Err("it is a folder".to_owned());
    }
    if !about.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)).map_err(explain)?;
    if bytes.len() > MAX_BYTES {
        return Err(format!("it has more than {MAX_BYTES} bytes"));
    }
    String::from_utf8(bytes).map_err(|error| format!("it is not UTF-8 text (byte {})", error.utf8_error().valid_up_to()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn columns_count_characters_and_the_end_is_a_place() {
        let source = Source { path: "p.toml".into(), text: "a\né = 1\n".into() };
        assert_eq!(source.line_column(0), (1, 1));
        assert_eq!(source.line_column(2), (2, 1));
        assert_eq!(source.line_column(3), (2, 1), "inside é");
        assert_eq!(source.line_column(5), (2, 3));
        assert_eq!(source.line_column(usize::MAX), (3, 1));
    }

    #[test]
    fn what_is_not_a_bounded_text_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read_text(folder.path()).unwrap_err(), "it is a folder");
        assert_eq!(read_text(Path::new("/dev/zero")).unwrap_err(), "it is not a regular file");
        assert_eq!(read_text(&folder.path().join("no")).unwrap_err(), "there is no such file");
        let path = folder.path().join("x");
        std::fs::write(&path, b"ab\xff").unwrap();
        assert_eq!(read_text(&path).unwrap_err(), "it is not UTF-8 text (byte 2)");
        std::fs::write(&path, vec![b'a'; MAX_BYTES + 1]).unwrap();
        assert!(read_text(&path).unwrap_err().contains("more than"));
    }
}
