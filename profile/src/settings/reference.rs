//! The guide's key reference, written from the table.

use super::{
    choice::Kind,
    setting::{Need, Setting},
    table::{names, sections, setting},
};

/// Every setting as Markdown: one table a section.
pub fn reference() -> String {
    let mut text = String::new();
    for section in [""].into_iter().chain(sections()) {
        text.push_str(&match section {
            "" => "### At the top of the file\n\n".to_owned(),
            section => format!("### [{section}]\n\n"),
        });
        text.push_str("| key | value | default | used by | meaning |\n|---|---|---|---|---|\n");
        for name in names(section) {
            let key = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
            if let Some(setting) = setting(&key) {
                row(name, setting, &mut text);
            }
        }
        text.push('\n');
    }
    text
}

fn row(name: &str, setting: &Setting, text: &mut String) {
    let default = match (setting.default, setting.need) {
        (Some(default), _) => format!("`{default}`"),
        (None, Need::Required) => "required".to_owned(),
        (None, Need::Optional) => "none".to_owned(),
    };
    let users = if setting.kinds.len() == Kind::ALL.len() {
        "all".to_owned()
    } else {
        setting.kinds.iter().copied().map(Kind::as_str).collect::<Vec<_>>().join(", ")
    };
    // A bar would end the table's cell.
    let cell = |text: String| text.replace('|', "\\|");
    text.push_str(&format!(
        "| `{name}` | {} | {} | {users} | {} |\n",
        cell(setting.form.wanted()),
        cell(default),
        cell(setting.doc.to_owned())
    ));
}

#[cfg(test)]
mod tests {
    use super::{super::table::TABLE, *};

    #[test]
    fn every_setting_has_its_row() {
        let rows = reference().lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(rows, TABLE.len());
    }
}
