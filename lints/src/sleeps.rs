//! Waits of a fixed length. A test that sleeps until something "should have happened" is slow where it has, and fails where it has not:
//! it asks for the state, in a loop. A sleep outside of a loop says in a comment why there is no state to wait for.

use std::path::Path;

use syn::{ExprCall, ExprForLoop, ExprLoop, ExprWhile, ItemFn, spanned::Spanned, visit::Visit};

use crate::{
    Finding,
    tree::{parse, text_of},
    workspace::Workspace,
};

/// Looks at all `.rs` files that stand in a folder `tests`; a product's pauses are its own.
///
/// # Errors
/// Where a file cannot be read or does not parse.
pub fn find(workspace: &Workspace) -> Result<Vec<Finding>, Finding> {
    let mut findings = Vec::new();
    for file in workspace.sources.iter().filter(|file| file.components().any(|part| part.as_os_str() == "tests")) {
        findings.extend(in_file(&workspace.root, file)?);
    }
    Ok(findings)
}

fn in_file(root: &Path, file: &Path) -> Result<Vec<Finding>, Finding> {
    let text = text_of(root, file)?;
    // Parsing takes longer than looking for a word.
    if !text.contains("sleep(") {
        return Ok(Vec::new());
    }
    let mut sleeps = Sleeps::default();
    sleeps.visit_file(&parse(file, &text)?);
    let lines: Vec<&str> = text.lines().collect();
    let commented = |line: usize| {
        let above = line.checked_sub(2).and_then(|above| lines.get(above));
        above.is_some_and(|above| above.trim_start().starts_with("//") && !above.trim_start().starts_with("///"))
    };
    let tell = |line: usize| {
        let what = "a sleep outside of a loop: whatever it waits for may take longer, or may be there long before";
        Finding::new(file, line, what, "ask for the state in a loop, or say in a comment above why there is none to ask for")
    };
    Ok(sleeps.lines.into_iter().filter(|line| !commented(*line)).map(tell).collect())
}

/// Collects the lines of sleeps that no loop surrounds.
#[derive(Default)]
struct Sleeps {
    loops: usize,
    lines: Vec<usize>,
}

impl Sleeps {
    fn inside(&mut self, visit: impl FnOnce(&mut Self)) {
        self.loops += 1;
        visit(self);
        self.loops -= 1;
    }
}

impl<'ast> Visit<'ast> for Sleeps {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        let loops = std::mem::take(&mut self.loops);
        syn::visit::visit_item_fn(self, function);
        self.loops = loops;
    }

    fn visit_expr_loop(&mut self, it: &'ast ExprLoop) {
        self.inside(|me| syn::visit::visit_expr_loop(me, it));
    }

    fn visit_expr_while(&mut self, it: &'ast ExprWhile) {
        self.inside(|me| syn::visit::visit_expr_while(me, it));
    }

    fn visit_expr_for_loop(&mut self, it: &'ast ExprForLoop) {
        self.inside(|me| syn::visit::visit_expr_for_loop(me, it));
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let syn::Expr::Path(path) = &*call.func
            && path.path.segments.last().is_some_and(|last| last.ident == "sleep")
            && self.loops == 0
        {
            self.lines.push(call.span().start().line);
        }
        syn::visit::visit_expr_call(self, call);
    }
}
