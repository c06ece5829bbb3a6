//! One file against the table of settings: every unknown key, wrong type and value out of range of it.
//!
//! In comes a file's text; out comes a [`Layer`] of decoded values with their places. Syntax errors do not stop it: what
//! can still be read is checked too, except on the very lines that do not parse.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Range,
    path::PathBuf,
    sync::{Arc, LazyLock},
};

use jiff::Timestamp;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    decode, supplied,
    value::{Context, Value},
};
use crate::{
    report::{
        diagnose::{Diagnostic, Sink},
        problem::Problem,
        source::{Place, Source},
        text::{nearest, quoted},
    },
    settings::{
        form::{Form, Word},
        setting::Setting,
        table::{self, TABLE},
    },
};

/// One file, decoded.
#[derive(Debug)]
pub(crate) struct Layer {
    /// The file.
    pub source: Arc<Source>,
    /// What it sets, by the setting's name.
    pub entries: BTreeMap<&'static str, Entry>,
    /// Whether parts of it do not parse, so that what is missing may only be unread.
    pub broken: bool,
}

/// One setting in one file.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its key.
    pub key: Place,
    /// Its value.
    pub value: Place,
    /// What it does.
    pub change: Change,
}

/// What a file does to a setting.
#[derive(Debug)]
pub(crate) enum Change {
    /// Sets it.
    Set(Value),
    /// Sets a list.
    List(Vec<Item>),
    /// Changes the list that it inherits.
    Edit {
        /// Items that come at the end.
        add: Vec<Item>,
        /// Items that go.
        remove: Vec<Item>,
    },
    /// Nothing: the value is faulty, and that has been said.
    Bad,
}

/// An item of a list.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// What makes two items the same: their text, or for files the path that it leads to.
    pub id: String,
    /// What it says.
    pub text: String,
    /// What it means; `None` for items to remove, which need not be whole.
    pub value: Option<Value>,
    /// Where it stands.
    pub place: Place,
}

impl Item {
    /// As TOML in one line.
    pub(crate) fn to_toml(&self) -> String {
        match &self.value {
            Some(Value::Supplied(supplied)) => supplied.to_toml(),
            _ => toml::Value::from(self.text.as_str()).to_string(),
        }
    }
}

impl Layer {
    /// Decodes a file.
    pub(crate) fn read(source: Arc<Source>, now: Timestamp, sink: &mut Sink) -> Self {
        let (tree, errors) = DeTable::parse_recoverable(&source.text);
        let mut reader = Reader { source: &source, now, found: Vec::new(), entries: BTreeMap::new() };
        reader.top(tree.get_ref());
        let Reader { found, entries, .. } = reader;
        let mut unread = HashSet::new();
        for error in &errors {
            let place = Place { source: source.clone(), span: error.span().unwrap_or(0..0) };
            let line = place.line_column().0;
            // One slip often upsets the rest of its line: the first error says it best.
            if unread.insert(line) {
                sink.at(&place, "not valid TOML", syntax(error.message()));
            }
            unread.extend(headless(&source.text, line));
        }
        for diagnostic in found {
            if !unread.contains(&diagnostic.line) {
                sink.push(diagnostic);
            }
        }
        Self { broken: !errors.is_empty(), source, entries }
    }

    /// What holds where no file says anything.
    pub(crate) fn built_in(now: Timestamp, sink: &mut Sink) -> Self {
        static TEXT: LazyLock<String> = LazyLock::new(|| {
            let mut text = String::new();
            let mut last = "";
            for setting in TABLE {
                let (section, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
                if section != last {
                    text.push_str(&format!("[{section}]\n"));
                    last = section;
                }
                if let Some(value) = setting.default {
                    text.push_str(&format!("{name} = {value}\n"));
                }
            }
            text
        });
        Self::read(Arc::new(Source { path: PathBuf::from("(defaults)"), text: TEXT.clone() }), now, sink)
    }

    /// The setting's value here, if it is sound and no edit.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        match self.entries.get(key).map(|entry| &entry.change) {
            Some(Change::Set(value)) => Some(value),
            _ => None,
        }
    }

    /// Whether others extend this file and it is not built itself.
    pub(crate) fn is_abstract(&self) -> bool {
        matches!(self.get("abstract"), Some(Value::Boolean(true)))
    }

    /// The very beginning of the file, for what it lacks.
    pub(crate) fn top(&self) -> Place {
        Place { source: self.source.clone(), span: 0..0 }
    }
}

/// The lines below a faulty `[section` line, up to the next such line: nobody can tell where their settings belong.
fn headless(text: &str, faulty: usize) -> std::ops::RangeInclusive<usize> {
    let header = |line: &str| line.trim_start().starts_with('[');
    let mut below = text.lines().skip(faulty - 1);
    if below.next().is_some_and(header) {
        faulty..=faulty + below.take_while(|line| !header(line)).count()
    } else {
        faulty..=faulty
    }
}

/// A syntax error in our words.
fn syntax(message: &str) -> Problem {
    let problem = Problem::new(message.to_owned());
    if message.starts_with("duplicate key") {
        problem.help("a setting or a [section] may appear only once in a file: remove one")
    } else {
        problem.help("a line is key = value or [section]; text is written \"in quotes\", a list [\"a\", \"b\"]")
    }
}

struct Reader<'a> {
    source: &'a Arc<Source>,
    now: Timestamp,
    found: Vec<Diagnostic>,
    entries: BTreeMap<&'static str, Entry>,
}

impl Reader<'_> {
    fn place(&self, span: Range<usize>) -> Place {
        Place { source: self.source.clone(), span }
    }

    fn report(&mut self, span: Range<usize>, message: impl Into<String>, problem: Problem) {
        let diagnostic = Diagnostic::at(&self.place(span), message, problem);
        self.found.push(diagnostic);
    }

    fn top(&mut self, tree: &DeTable<'_>) {
        for (key, value) in tree.iter() {
            let name: &str = key.get_ref().as_ref();
            if table::sections().contains(&name) {
                match value.get_ref() {
                    DeValue::Table(section) => self.section(name, section),
                    other => {
                        let problem = decode::wrong_type("a section", other).help(format!("write [{name}] and its settings below"));
                        self.report(value.span(), format!("wrong type for `{name}`"), problem);
                    }
                }
            } else if let Some(setting) = table::setting(name).filter(|_| !name.contains('.')) {
                // Not "kiosk.url" in quotes: a name with a dot in it is no setting of a section.
                self.entry(setting, key.span(), value);
            } else {
                self.unknown("", name, key.span(), value.get_ref());
            }
        }
    }

    fn section(&mut self, section: &str, tree: &DeTable<'_>) {
        for (key, value) in tree.iter() {
            let name: &str = key.get_ref().as_ref();
            match table::setting(&format!("{section}.{name}")).filter(|_| !name.contains('.')) {
                Some(setting) => self.entry(setting, key.span(), value),
                None => self.unknown(section, name, key.span(), value.get_ref()),
            }
        }
    }

    /// An unknown key, with the nearest known one: in its section first, then in any other.
    fn unknown(&mut self, section: &str, name: &str, span: Range<usize>, value: &DeValue<'_>) {
        let is_section = section.is_empty() && matches!(value, DeValue::Table(_) | DeValue::Array(_));
        let known = if is_section { table::sections() } else { table::names(section) };
        let elsewhere = || {
            let same = TABLE.iter().find(|setting| setting.key.rsplit('.').next() == Some(name) && !is_section);
            same.or_else(|| nearest(&format!("{section}.{name}"), TABLE.iter().map(|setting| setting.key)).and_then(table::setting))
        };
        let near = nearest(name, known.iter().copied());
        let help = match (near, elsewhere()) {
            (Some(near), _) if is_section => format!("did you mean [{near}]?"),
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some(setting)) => match setting.key.split_once('.') {
                Some((section, name)) => format!("did you mean `{name}` in [{section}]?"),
                None => format!("did you mean `{}` at the top of the file?", setting.key),
            },
            (None, None) => format!("the known ones are {}", known.join(", ")),
        };
        let (message, cause) = if is_section {
            (format!("unknown section [{}]", plain(name)), "no section has this name")
        } else if section.is_empty() {
            (format!("unknown setting `{}`", plain(name)), "no setting has this name")
        } else {
            (format!("unknown setting `{}` in [{section}]", plain(name)), "no setting has this name")
        };
        self.report(span, message, Problem::new(cause).help(help));
    }

    fn entry(&mut self, setting: &'static Setting, key: Range<usize>, value: &Spanned<DeValue<'_>>) {
        let change = match (setting.form, value.get_ref()) {
            (Form::List(word), DeValue::Array(items)) => self.list(setting, word, items).map(Change::List),
            (Form::List(_), DeValue::Table(_)) if table::PER_FILE.contains(&setting.key) => {
                let problem = Problem::new(format!("no value of `{}` is inherited, so there is nothing to edit", setting.key));
                self.report(value.span(), format!("wrong type for `{}`", setting.key), problem.help("write a list: [ … ]"));
                None
            }
            (Form::List(word), DeValue::Table(edit)) => self.edit(setting, word, edit, value.span()),
            (Form::List(word), other) => {
                let mut problem = decode::wrong_type(&setting.form.wanted(), other);
                if let DeValue::String(text) = other {
                    problem = problem.help(format!("write [{}]", quoted(text)));
                } else {
                    problem = problem.help(format!("write [ … ], each item {}", word.wanted()));
                }
                self.report(value.span(), format!("wrong type for `{}`", setting.key), problem);
                None
            }
            (form, found) => {
                let context = Context { source: self.source, now: self.now };
                match decode::single(form, found, context) {
                    Ok(value) => Some(Change::Set(value)),
                    Err(problem) => {
                        self.report(value.span(), format!("{} for `{}`", problem.what, setting.key), problem);
                        None
                    }
                }
            }
        };
        let (key, value) = (self.place(key), self.place(value.span()));
        self.entries.insert(setting.key, Entry { key, value, change: change.unwrap_or(Change::Bad) });
    }

    /// The items of a list; `None` when one is faulty, after all have been looked at.
    fn list(&mut self, setting: &Setting, word: Word, items: &[Spanned<DeValue<'_>>]) -> Option<Vec<Item>> {
        let mut sound = true;
        let mut list: Vec<Item> = Vec::new();
        let mut first: HashMap<String, usize> = HashMap::new();
        for item in items {
            match self.value(setting, word, item) {
                Some((text, value)) => {
                    let text = text.as_str();
                    let item = self.item(word, text, Some(value), item.span());
                    if let Some(at) = first.get(&item.id) {
                        let line = self.source.line_column(*at).0;
                        let problem = Problem::new(format!("{} is already in line {line}", quoted(text))).help("remove one");
                        self.report(item.place.span.clone(), format!("double item in `{}`", setting.key), problem);
                        sound = false;
                    } else {
                        first.insert(item.id.clone(), item.place.span.start);
                        list.push(item);
                    }
                }
                None => sound = false,
            }
        }
        sound.then_some(list)
    }

    /// An item's text (a supplied package's path) and value; what is wrong with it has been said where there is none.
    fn value(&mut self, setting: &Setting, word: Word, item: &Spanned<DeValue<'_>>) -> Option<(String, Value)> {
        let context = Context { source: self.source, now: self.now };
        if let (true, DeValue::Table(table)) = (supplied::is_table(word), item.get_ref()) {
            return match supplied::read(table, item.span(), context) {
                Ok(supplied) => Some((supplied.path.clone(), Value::Supplied(supplied))),
                Err(found) => {
                    for (span, what, problem) in found {
                        self.report(span, what, problem);
                    }
                    None
                }
            };
        }
        match decode::single(Form::Text(word), item.get_ref(), context) {
            Ok(value) => Some((item.get_ref().as_str().unwrap_or_default().to_owned(), value)),
            Err(problem) => {
                self.report(item.span(), format!("{} for `{}`", problem.what, setting.key), problem);
                None
            }
        }
    }

    fn item(&self, word: Word, text: &str, value: Option<Value>, span: Range<usize>) -> Item {
        let id = match word {
            // The same file may be reached from another folder by another path.
            Word::Authorities | Word::Supplied | Word::EndpointList => {
                let path = self.source.sibling(text);
                std::fs::canonicalize(&path).unwrap_or(path).to_string_lossy().into_owned()
            }
            // A path has one reason, and is removed without it.
            Word::Exception => text.split(": ").next().unwrap_or(text).to_owned(),
            // One key has one value, whatever it is.
            Word::ClientSetting => text.split('=').next().unwrap_or(text).to_owned(),
            _ => text.to_owned(),
        };
        Item { id, text: text.to_owned(), value, place: self.place(span) }
    }

    /// `{ add = […], remove = […] }`
    fn edit(&mut self, setting: &Setting, word: Word, edit: &DeTable<'_>, whole: Range<usize>) -> Option<Change> {
        let (mut add, mut remove) = (Some(Vec::new()), Some(Vec::new()));
        if edit.is_empty() {
            let problem = Problem::new("an empty table changes nothing").help("write { add = […], remove = […] }, or a list");
            self.report(whole, format!("bad value for `{}`", setting.key), problem);
            return None;
        }
        for (key, value) in edit.iter() {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("add", DeValue::Array(items)) => add = self.list(setting, word, items),
                ("remove", DeValue::Array(items)) => remove = self.removals(setting, word, items),
                (name @ ("add" | "remove"), other) => {
                    let problem = decode::wrong_type("a list", other);
                    self.report(value.span(), format!("wrong type for `{name}` of `{}`", setting.key), problem);
                    add = None;
                }
                (name, _) => {
                    let problem = Problem::new("a list is edited only with `add` and `remove`").help(
                        match nearest(name, ["add", "remove"]) {
                            _ if supplied::is_table(word) => "write [[packages.supplied]], with two brackets".to_owned(),
                            Some(near) => format!("did you mean `{near}`?"),
                            None => "write { add = […], remove = […] }".to_owned(),
                        },
                    );
                    self.report(key.span(), format!("unknown key `{}` for `{}`", plain(name), setting.key), problem);
                    add = None;
                }
            }
        }
        Some(Change::Edit { add: add?, remove: remove? })
    }

    fn removals(&mut self, setting: &Setting, word: Word, items: &[Spanned<DeValue<'_>>]) -> Option<Vec<Item>> {
        let mut list = Some(Vec::new());
        for item in items {
            match item.get_ref().as_str() {
                Some(text) => {
                    let item = self.item(word, text, None, item.span());
                    if let Some(list) = &mut list {
                        list.push(item);
                    }
                }
                None => {
                    let problem = decode::wrong_type(&word.wanted(), item.get_ref());
                    self.report(item.span(), format!("wrong type for `{}`", setting.key), problem);
                    list = None;
                }
            }
        }
        list
    }
}

/// A key as a message may show it.
fn plain(name: &str) -> String {
    name.chars().take(60).flat_map(char::escape_debug).collect()
}
