//! When a test runs: by the profiles of nextest, whose names are those of the tiers, and by the test's name.

use std::path::Path;

use crate::Finding;

/// What runs when; each tier runs what those before it run.
pub(crate) const TIERS: [&str; 3] = ["quick", "default", "everything"];
const CONFIG: &str = ".config/nextest.toml";

/// For each tier, what it leaves out.
pub(crate) struct Tiers([Vec<String>; 3]);

impl Tiers {
    /// Reads the filters of the profiles: `all()`, or `not test(/words|^beginnings/)`.
    ///
    /// # Errors
    /// Where a profile is not there, or its filter has another form.
    pub(crate) fn read(root: &Path) -> Result<Self, Finding> {
        let wrong = |what: String, fix: &str| Finding::new(CONFIG, 0, what, fix);
        let text =
            std::fs::read_to_string(root.join(CONFIG)).map_err(|error| wrong(format!("cannot be read: {error}"), "write it"))?;
        let config: toml::Table = text.parse().map_err(|error| wrong(format!("does not parse: {error}"), "mend it"))?;
        let mut left_out = [const { Vec::new() }; 3];
        for (tier, left_out) in TIERS.iter().zip(&mut left_out) {
            let profile = config.get("profile").and_then(|profiles| profiles.get(tier));
            let filter = profile.and_then(|profile| profile.get("default-filter")).and_then(toml::Value::as_str);
            let form = "write all(), or not test(/WORD|^BEGINNING/): the lint of claims knows by it what runs when";
            let filter = filter.ok_or_else(|| wrong(format!("the profile {tier} has no default-filter"), form))?;
            if filter == "all()" {
                continue;
            }
            let words = filter.strip_prefix("not test(/").and_then(|rest| rest.strip_suffix("/)"));
            let words = words.filter(|words| !words.contains(['.', '*', '\\', '(', '[', '?', '+', '$']));
            let words = words.ok_or_else(|| wrong(format!("the default-filter of {tier} has another form: {filter}"), form))?;
            left_out.extend(words.split('|').map(str::to_owned));
        }
        Ok(Self(left_out))
    }

    /// The first tier that runs a test, by its number; nothing where none does.
    pub(crate) fn of(&self, test: &str) -> Option<usize> {
        let hits =
            |word: &String| word.strip_prefix('^').map_or_else(|| test.contains(word.as_str()), |begin| test.starts_with(begin));
        self.0.iter().position(|left_out| !left_out.iter().any(hits))
    }
}
