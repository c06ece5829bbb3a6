//! The modules of one target: which file each is in, what it imports, which paths its code names, which tests it has.
//!
//! Only what is written is read: macros are not expanded, but paths and tests among their arguments are seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{Attribute, Item, visit::Visit};

use crate::Finding;

/// A target's modules; the first is the crate's root.
#[derive(Debug, Default)]
pub struct Tree {
    /// The modules, each after its parent.
    pub modules: Vec<Module>,
    /// Files that are compiled without being modules: `include!`.
    pub included: Vec<PathBuf>,
}

/// One module, in a file or inline.
#[derive(Debug, Default)]
pub struct Module {
    /// Its path below the crate's root; empty for the root.
    pub path: Vec<String>,
    /// The file that it stands in, relative to the workspace's folder.
    pub file: PathBuf,
    /// The module that declares it; the root's is the root.
    pub parent: usize,
    /// Compiled for tests only.
    pub test: bool,
    /// Compiled under another condition than `test`.
    pub conditional: bool,
    /// The modules that it declares.
    pub children: BTreeMap<String, usize>,
    /// What `use` brings in.
    pub imports: Vec<Import>,
    /// Paths that its code names, outside of `use`.
    pub mentions: Vec<Mention>,
    /// Names of functions, types, constants, macros.
    pub items: BTreeSet<String>,
    /// Functions that are tests.
    pub tests: Vec<Test>,
}

/// One leaf of a `use`.
#[derive(Clone, Debug)]
pub struct Import {
    /// The name that it has here; nothing for `_` and `*`.
    pub name: Option<String>,
    /// What is imported, as written: `["crate", "plan", "Plan"]`; for `*`, the module.
    pub path: Vec<String>,
    /// Brings in all of a module's names.
    pub glob: bool,
    /// Makes the name known to others: `pub use`.
    pub public: bool,
    /// Compiled for tests only.
    pub test: bool,
    /// The line, from 1.
    pub line: usize,
}

/// A path in the code.
#[derive(Clone, Debug)]
pub struct Mention {
    /// As written: `["crate", "plan", "Plan"]`.
    pub path: Vec<String>,
    /// Compiled for tests only.
    pub test: bool,
    /// The line, from 1.
    pub line: usize,
}

/// A test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// The function's name.
    pub name: String,
    /// Marked `#[ignore]`, or compiled under another condition than `test`: it may be that no run runs it.
    pub left_out: bool,
    /// The line, from 1.
    pub line: usize,
}

impl Tree {
    /// Reads a target from its root file on.
    ///
    /// # Errors
    /// Where a file cannot be read or does not parse. A module's file that is not there is the compiler's to report.
    pub fn read(root: &Path, file: &Path) -> Result<Self, Finding> {
        let mut tree = Self::default();
        tree.modules.push(Module { file: file.to_path_buf(), ..Module::default() });
        let folder = file.parent().unwrap_or(Path::new("")).to_path_buf();
        read_file(&mut tree, root, 0, folder)?;
        Ok(tree)
    }

    /// All files that are compiled.
    pub fn files(&self) -> BTreeSet<&Path> {
        self.modules.iter().map(|module| module.file.as_path()).chain(self.included.iter().map(PathBuf::as_path)).collect()
    }
}

/// The text of a source.
pub(crate) fn text_of(root: &Path, file: &Path) -> Result<String, Finding> {
    fs::read_to_string(root.join(file))
        .map_err(|error| Finding::new(file, 0, format!("cannot be read: {error}"), "make it readable"))
}

/// The syntax of a source.
pub(crate) fn parse(file: &Path, text: &str) -> Result<syn::File, Finding> {
    syn::parse_file(text).map_err(|error| {
        Finding::new(file, error.span().start().line, format!("does not parse: {error}"), "mend it until it compiles")
    })
}

/// Reads the file of a module; its own modules are in `folder`.
fn read_file(tree: &mut Tree, root: &Path, module: usize, folder: PathBuf) -> Result<(), Finding> {
    let file = tree.modules[module].file.clone();
    let parsed = parse(&file, &text_of(root, &file)?)?;
    let test = tree.modules[module].test || parsed.attrs.iter().any(is_for_tests);
    tree.modules[module].test = test;
    tree.modules[module].conditional |= parsed.attrs.iter().any(is_conditional);
    let mut reader = Reader { tree, root, module, folder, test, failure: None };
    for item in &parsed.items {
        reader.visit_item(item);
    }
    reader.failure.map_or(Ok(()), Err)
}

/// Walks the code of one module.
struct Reader<'a> {
    tree: &'a mut Tree,
    root: &'a Path,
    module: usize,
    /// Where the files of the module's own modules are, relative to the workspace's folder.
    folder: PathBuf,
    /// Inside of something that is compiled for tests only.
    test: bool,
    failure: Option<Finding>,
}

impl Reader<'_> {
    fn here(&mut self) -> &mut Module {
        &mut self.tree.modules[self.module]
    }

    fn mention(&mut self, path: Vec<String>, line: usize) {
        let test = self.test;
        self.here().mentions.push(Mention { path, test, line });
    }

    /// A module below this one: from its own file, or from between braces.
    fn declare(&mut self, declared: &syn::ItemMod) -> Result<(), Finding> {
        let name = plain(&declared.ident);
        let mut path = self.here().path.clone();
        path.push(name.clone());
        let named = path_attribute(&declared.attrs);
        let module = self.tree.modules.len();
        let test = self.test;
        let conditional = self.here().conditional || declared.attrs.iter().any(is_conditional);
        let mut new = Module { path, file: self.here().file.clone(), parent: self.module, test, conditional, ..Module::default() };
        if let Some((_, items)) = &declared.content {
            self.here().children.insert(name.clone(), module);
            self.tree.modules.push(new);
            let folder = named.map_or_else(|| self.folder.join(&name), |named| beside(&self.tree.modules[module].file, &named));
            let mut inner = Reader { tree: self.tree, root: self.root, module, folder, test, failure: None };
            for item in items {
                inner.visit_item(item);
            }
            return inner.failure.map_or(Ok(()), Err);
        }
        let (file, folder) = if let Some(named) = named {
            // From the declaring file's folder, but between braces from where the modules inside have their files.
            let inline = self.tree.modules[self.module].file == self.tree.modules[self.tree.modules[self.module].parent].file
                && self.module != 0;
            let file = if inline { clean(&self.folder.join(&named)) } else { beside(&new.file, &named) };
            let folder = file.parent().unwrap_or(Path::new("")).to_path_buf();
            (file, folder)
        } else {
            let flat = self.folder.join(format!("{name}.rs"));
            let below = self.folder.join(&name);
            if self.root.join(&flat).is_file() { (flat, below) } else { (below.join("mod.rs"), below) }
        };
        if !self.root.join(&file).is_file() {
            return Ok(());
        }
        new.file = file;
        self.here().children.insert(name, module);
        self.tree.modules.push(new);
        read_file(self.tree, self.root, module, folder)
    }

    /// The leaves of a `use`.
    fn flatten(&mut self, tree: &syn::UseTree, path: &mut Vec<String>, public: bool) {
        match tree {
            syn::UseTree::Path(step) => {
                path.push(plain(&step.ident));
                self.flatten(&step.tree, path, public);
                path.pop();
            }
            syn::UseTree::Name(leaf) => self.import(path, &leaf.ident, Some(&leaf.ident), public),
            syn::UseTree::Rename(leaf) => self.import(path, &leaf.ident, Some(&leaf.rename), public),
            syn::UseTree::Glob(leaf) => {
                let line = leaf.star_token.spans[0].start().line;
                let test = self.test;
                self.here().imports.push(Import { name: None, path: path.clone(), glob: true, public, test, line });
            }
            syn::UseTree::Group(group) => {
                for leaf in &group.items {
                    self.flatten(leaf, path, public);
                }
            }
        }
    }

    fn import(&mut self, path: &[String], leaf: &syn::Ident, name: Option<&syn::Ident>, public: bool) {
        let mut path = path.to_vec();
        let mut name = name.map(plain).filter(|name| name != "_");
        if leaf == "self" && !path.is_empty() {
            if name.as_deref() == Some("self") {
                name = path.last().cloned();
            }
        } else {
            path.push(plain(leaf));
        }
        let test = self.test;
        self.here().imports.push(Import { name, path, glob: false, public, test, line: leaf.span().start().line });
    }

    /// Paths and tests among a macro's arguments, which are not parsed: `a::b` wherever it stands, `#[test] fn name`.
    fn scan(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut attributes: Vec<String> = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    if let Some(TokenTree::Group(group)) = tokens.get(at + 1)
                        && group.delimiter() == Delimiter::Bracket
                    {
                        attributes.push(group.stream().to_string());
                        at += 1;
                    }
                    at += 1;
                }
                TokenTree::Ident(word) if word == "fn" => {
                    if let Some(TokenTree::Ident(name)) = tokens.get(at + 1)
                        && attributes.iter().any(|attribute| attribute == "test")
                    {
                        let left_out = |attribute: &String| {
                            attribute.starts_with("ignore")
                                || attribute.starts_with("cfg") && attribute.replace(' ', "") != "cfg(test)"
                        };
                        let left_out = self.here().conditional || attributes.iter().any(left_out);
                        let test = Test { name: plain(name), left_out, line: name.span().start().line };
                        self.here().tests.push(test);
                    }
                    attributes.clear();
                    at += 1;
                }
                TokenTree::Ident(first) => {
                    let mut path = vec![plain(first)];
                    at += 1;
                    while let (Some(TokenTree::Punct(a)), Some(TokenTree::Punct(b)), Some(TokenTree::Ident(next))) =
                        (tokens.get(at), tokens.get(at + 1), tokens.get(at + 2))
                        && a.as_char() == ':'
                        && b.as_char() == ':'
                    {
                        path.push(plain(next));
                        at += 3;
                    }
                    self.mention(path, first.span().start().line);
                }
                TokenTree::Group(group) => {
                    self.scan(group.stream());
                    at += 1;
                }
                _ => at += 1,
            }
        }
    }

    /// Paths in an attribute's strings, as serde takes them: `#[serde(with = "crate::digest::hex")]`.
    fn scan_strings(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.scan_strings(group.stream()),
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    let text = text.trim_matches('"');
                    let path: Vec<String> = text.split("::").map(str::to_owned).collect();
                    let is_path = path.iter().all(|step| !step.is_empty() && step.chars().all(|c| c.is_alphanumeric() || c == '_'));
                    if is_path && path.len() > 1 {
                        self.mention(path, literal.span().start().line);
                    }
                }
                _ => {}
            }
        }
    }

    /// Does something with what attributes may keep for tests.
    fn among(&mut self, attributes: &[Attribute], visit: impl FnOnce(&mut Self)) {
        let outside = self.test;
        self.test = outside || attributes.iter().any(is_for_tests);
        visit(self);
        self.test = outside;
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if let Some(name) = name_of(item) {
            self.here().items.insert(name);
        }
        self.among(attributes_of(item), |reader| syn::visit::visit_item(reader, item));
    }

    fn visit_item_mod(&mut self, declared: &'ast syn::ItemMod) {
        if let Err(failure) = self.declare(declared) {
            self.failure.get_or_insert(failure);
        }
    }

    fn visit_item_use(&mut self, import: &'ast syn::ItemUse) {
        let public = !matches!(import.vis, syn::Visibility::Inherited);
        self.flatten(&import.tree, &mut Vec::new(), public);
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        if function.attrs.iter().any(is_test) {
            let left_out = |attribute: &Attribute| attribute.path().is_ident("ignore") || is_conditional(attribute);
            let left_out = self.here().conditional || function.attrs.iter().any(left_out);
            let name = &function.sig.ident;
            self.here().tests.push(Test { name: plain(name), left_out, line: name.span().start().line });
        }
        self.among(&function.attrs, |reader| syn::visit::visit_item_fn(reader, function));
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        // What a macro's definition names, its users name.
        if item.ident.is_none() {
            syn::visit::visit_item_macro(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes = match item {
            syn::ImplItem::Fn(item) => item.attrs.as_slice(),
            syn::ImplItem::Const(item) => item.attrs.as_slice(),
            syn::ImplItem::Type(item) => item.attrs.as_slice(),
            _ => &[],
        };
        self.among(attributes, |reader| syn::visit::visit_impl_item(reader, item));
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if call.path.is_ident("include")
            && let Ok(name) = call.parse_body::<syn::LitStr>()
        {
            let file = beside(&self.here().file.clone(), &name.value());
            self.tree.included.push(file);
        }
        self.visit_path(&call.path);
        self.scan(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.scan_strings(list.tokens.clone());
        }
    }

    // `pub(in crate::bind)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(first) = path.segments.first() {
            let names = path.segments.iter().map(|segment| plain(&segment.ident)).collect();
            self.mention(names, first.ident.span().start().line);
        }
        syn::visit::visit_path(self, path);
    }
}

/// An identifier without the `r#` of one that is a keyword.
fn plain(ident: &syn::Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map_or(name.clone(), str::to_owned)
}

/// A path as seen from the folder of a file.
fn beside(file: &Path, path: &str) -> PathBuf {
    clean(&file.parent().unwrap_or(Path::new("")).join(path))
}

/// A path without `..` in it.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                cleaned.pop();
            }
            std::path::Component::CurDir => {}
            other => cleaned.push(other),
        }
    }
    cleaned
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(syn::MetaNameValue { path, value: syn::Expr::Lit(literal), .. }) if path.is_ident("path") => {
            match &literal.lit {
                syn::Lit::Str(text) => Some(text.value()),
                _ => None,
            }
        }
        _ => None,
    })
}

/// `#[test]`, `#[tokio::test]` and their like.
fn is_test(attribute: &Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|last| last.ident == "test")
}

/// `#[cfg(test)]`, or another condition that holds in tests only.
pub(crate) fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("test")
        || attribute.path().is_ident("cfg") && matches!(&attribute.meta, syn::Meta::List(list) if needs_test(list.tokens.clone()))
}

/// `#[cfg(…)]` of anything but tests, or `#[cfg_attr(…)]` that may have a test ignored.
fn is_conditional(attribute: &Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else { return false };
    let condition = list.tokens.to_string();
    attribute.path().is_ident("cfg") && condition != "test"
        || attribute.path().is_ident("cfg_attr") && (condition.contains("ignore") || condition.contains("cfg"))
}

/// Whether a condition holds in tests only (`doc`: in no program either): `test`, or `all(...)` with such a condition in it.
fn needs_test(tokens: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    tokens.iter().enumerate().any(|(at, token)| match token {
        TokenTree::Ident(word) if word == "test" || word == "doc" => true,
        TokenTree::Ident(word) if word == "all" => match tokens.get(at + 1) {
            Some(TokenTree::Group(group)) => needs_test(group.stream()),
            _ => false,
        },
        _ => false,
    })
}

fn name_of(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(plain(ident))
}

pub(crate) fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
