//! One value in an INI file that others wrote: their lines, order and comments stay.

/// The text with `key` of `section` set to `value`: in its place where it stands, else at the section's end, else with a section of
/// its own at the end. Sections and keys are told apart by their letters, not by their case, as Citrix's client does.
pub(crate) fn set(text: &str, section: &str, key: &str, value: &str) -> String {
    let new = format!("{key}={value}");
    let header = |line: &str| line.trim().strip_prefix('[').and_then(|line| line.strip_suffix(']')).map(str::to_owned);
    let mut lines: Vec<String> = text.lines().map(|line| line.trim_end_matches('\r').to_owned()).collect();
    let Some(start) = lines.iter().position(|line| header(line).is_some_and(|name| name.eq_ignore_ascii_case(section))) else {
        if lines.last().is_some_and(|line| !line.trim().is_empty()) {
            lines.push(String::new());
        }
        lines.extend([format!("[{section}]"), new]);
        return lines.join("\n") + "\n";
    };
    let end = lines[start + 1..].iter().position(|line| header(line).is_some()).map_or(lines.len(), |length| start + 1 + length);
    let is_key = |line: &String| line.split_once('=').is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case(key));
    match lines[start + 1..end].iter().position(is_key) {
        Some(at) => lines[start + 1 + at] = new,
        None => {
            // Before the empty lines that part it from the next section.
            let last = lines[start..end].iter().rposition(|line| !line.trim().is_empty()).unwrap_or(0);
            lines.insert(start + last + 1, new);
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_stays() {
        let text = "; theirs\r\n[ICA 3.0]\r\nFIDO2=Off\r\nOther = 1\r\n\r\n[WFClient]\r\nVersion=2\r\n";
        let on = set(text, "ICA 3.0", "FIDO2", "On");
        assert_eq!(on, "; theirs\n[ICA 3.0]\nFIDO2=On\nOther = 1\n\n[WFClient]\nVersion=2\n");
        assert_eq!(set(&on, "ica 3.0", "fido2", "On").replace("fido2", "FIDO2"), on);
        assert_eq!(set(text, "ICA 3.0", "New", "x"), "; theirs\n[ICA 3.0]\nFIDO2=Off\nOther = 1\nNew=x\n\n[WFClient]\nVersion=2\n");
        assert!(set(text, "WFClient", "New", "x").ends_with("[WFClient]\nVersion=2\nNew=x\n"));
        assert!(set(text, "Thinwire3.0", "A", "b").ends_with("Version=2\n\n[Thinwire3.0]\nA=b\n"));
        assert_eq!(set("", "A", "b", "c"), "[A]\nb=c\n");
    }
}
