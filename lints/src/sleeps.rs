//! Waits of a fixed length. A test that sleeps until something "should have happened" is slow where it has, and fails where it has not:
//! it asks for the state, in a loop. A sleep outside of such a loop says in a comment why there is no state to wait for.
//!
//! Known by its name, `sleep`, which no import may change. A `for` counts as such a loop only where something in it can end it early.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use proc_macro2::{TokenStream, TokenTree};
use syn::{Expr, ExprCall, ExprForLoop, ExprLoop, ExprWhile, Item, ItemFn, Macro, Stmt, UseRename, spanned::Spanned, visit::Visit};

use crate::{
    Finding,
    tree::{Module, attributes_of, is_for_tests, parse, text_of},
    workspace::Workspace,
};

/// Looks at tests: all `.rs` files that stand in a folder `tests`, and what is compiled for tests only. A product's pauses are its own.
///
/// # Errors
/// Where a file cannot be read or does not parse.
pub fn find(workspace: &Workspace) -> Result<Vec<Finding>, Finding> {
    let modules = workspace.packages.iter().flat_map(|package| &package.targets).flat_map(|target| &target.tree.modules);
    // A module between braces has the file of the one around it.
    let (whole, part): (Vec<_>, Vec<_>) = modules.partition(|module| module.test);
    let files = |modules: Vec<&Module>| modules.into_iter().map(|module| module.file.clone()).collect::<BTreeSet<PathBuf>>();
    let (whole, part) = (files(whole), files(part));
    let mut findings = Vec::new();
    for file in &workspace.sources {
        let tests = file.components().any(|part| part.as_os_str() == "tests");
        let only = !tests && part.contains(file);
        if tests || whole.contains(file) {
            findings.extend(in_file(&workspace.root, file, only)?);
        }
    }
    Ok(findings)
}

/// Looks at a file; `only` at those of its items that are compiled for tests only.
fn in_file(root: &Path, file: &Path, only: bool) -> Result<Vec<Finding>, Finding> {
    let text = text_of(root, file)?;
    // Parsing takes longer than looking for a word.
    if !text.contains("sleep") {
        return Ok(Vec::new());
    }
    let mut sleeps = Sleeps { only, ..Sleeps::default() };
    sleeps.visit_file(&parse(file, &text)?);
    let lines: Vec<&str> = text.lines().collect();
    let line = |number: usize| number.checked_sub(1).and_then(|at| lines.get(at)).map_or("", |line| line.trim_start());
    let commented = |sleep: &Sleep| {
        let above = [sleep.line, sleep.statement].map(|number| line(number - 1));
        above.iter().any(|above| above.starts_with("//") && !above.starts_with("///")) || line(sleep.line).contains("// ")
    };
    let tell = |sleep: Sleep| {
        let what = "a sleep outside of a loop: whatever it waits for may take longer, or may be there long before";
        Finding::new(file, sleep.line, what, "ask for the state in a loop, or say in a comment above why there is none to ask for")
    };
    let renamed =
        |line: usize| Finding::new(file, line, "a sleep by another name, which this lint does not know", "import it as `sleep`");
    let slept = sleeps.found.into_iter().filter(|sleep| !commented(sleep)).map(tell);
    Ok(slept.chain(sleeps.renamed.into_iter().map(renamed)).collect())
}

/// A sleep that no loop surrounds which asks for something.
#[derive(Debug)]
struct Sleep {
    line: usize,
    /// The line in which its statement begins.
    statement: usize,
}

/// Collects them.
#[derive(Default)]
struct Sleeps {
    /// Items are looked at only where they are compiled for tests only.
    only: bool,
    loops: usize,
    statement: usize,
    found: Vec<Sleep>,
    renamed: Vec<usize>,
}

impl Sleeps {
    fn inside(&mut self, visit: impl FnOnce(&mut Self)) {
        self.loops += 1;
        visit(self);
        self.loops -= 1;
    }

    fn sleeps(&mut self, line: usize) {
        if self.loops == 0 {
            self.found.push(Sleep { line, statement: if self.statement == 0 { line } else { self.statement } });
        }
    }

    /// In a macro's arguments, which are not parsed.
    fn scan(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Ident(word) if word == "sleep" && matches!(tokens.get(at + 1), Some(TokenTree::Group(_))) => {
                    self.sleeps(word.span().start().line);
                }
                TokenTree::Group(group) => self.scan(group.stream()),
                _ => {}
            }
        }
    }
}

/// Whether something ends a loop before its list does.
#[derive(Default)]
struct Ends(bool);

impl<'ast> Visit<'ast> for Ends {
    fn visit_expr(&mut self, expression: &'ast Expr) {
        match expression {
            Expr::Break(_) | Expr::Return(_) | Expr::Try(_) => self.0 = true,
            // Its own ends.
            Expr::Closure(_) | Expr::Async(_) => {}
            _ => syn::visit::visit_expr(self, expression),
        }
    }
}

impl<'ast> Visit<'ast> for Sleeps {
    fn visit_item(&mut self, item: &'ast Item) {
        let only = self.only;
        if only {
            match item {
                _ if attributes_of(item).iter().any(is_for_tests) => self.only = false,
                // What it holds may be.
                Item::Mod(_) | Item::Impl(_) => {}
                _ => return,
            }
        }
        syn::visit::visit_item(self, item);
        self.only = only;
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        let (loops, statement) = (std::mem::take(&mut self.loops), std::mem::take(&mut self.statement));
        syn::visit::visit_item_fn(self, function);
        (self.loops, self.statement) = (loops, statement);
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        if !self.only {
            syn::visit::visit_impl_item(self, item);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        let outer = std::mem::replace(&mut self.statement, statement.span().start().line);
        syn::visit::visit_stmt(self, statement);
        self.statement = outer;
    }

    fn visit_use_rename(&mut self, import: &'ast UseRename) {
        if import.ident == "sleep" {
            self.renamed.push(import.ident.span().start().line);
        }
    }

    fn visit_expr_loop(&mut self, it: &'ast ExprLoop) {
        self.inside(|me| syn::visit::visit_expr_loop(me, it));
    }

    fn visit_expr_while(&mut self, it: &'ast ExprWhile) {
        self.inside(|me| syn::visit::visit_expr_while(me, it));
    }

    fn visit_expr_for_loop(&mut self, it: &'ast ExprForLoop) {
        let mut ends = Ends::default();
        ends.visit_block(&it.body);
        self.visit_expr(&it.expr);
        if ends.0 {
            self.inside(|me| me.visit_block(&it.body));
        } else {
            self.visit_block(&it.body);
        }
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.scan(call.tokens.clone());
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(path) = &*call.func
            && path.path.segments.last().is_some_and(|last| last.ident == "sleep")
        {
            self.sleeps(call.span().start().line);
        }
        syn::visit::visit_expr_call(self, call);
    }
}
