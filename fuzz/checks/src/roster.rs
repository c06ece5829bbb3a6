//! A roster, as CSV and as TOML: a text that is one of them is seldom the other, so each is read both ways.

use std::collections::HashSet;

use livery_contract::roster::{COLUMNS, Employee, Format, MAX_ROWS, parse};

/// Checks one input; whether it is a roster in either form.
///
/// # Panics
/// Where a roster that parses is not read back the same from what it would be written as, or an order, a host name or a
/// serial number is given twice; where one that does not parse has no error, or an error without words.
pub fn check(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    [Format::Csv, Format::Toml].map(|format| one(text, format)).contains(&true)
}

fn one(text: &str, format: Format) -> bool {
    let employees = match parse(text, format) {
        Ok(employees) => employees,
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without an error");
            assert!(errors.is_sorted_by_key(|error| error.row), "rows in their order");
            assert!(errors.iter().all(|error| !error.message.is_empty() && error.row <= MAX_ROWS + 1));
            return false;
        }
    };
    assert!(!employees.is_empty() && employees.len() <= MAX_ROWS);
    let each_its_own = |key: fn(&Employee) -> Option<&str>| {
        let all: Vec<&str> = employees.iter().filter_map(key).collect();
        all.len() == all.iter().collect::<HashSet<_>>().len()
    };
    assert!(each_its_own(|employee| Some(employee.order.as_str())), "an order twice");
    assert!(each_its_own(|employee| Some(employee.hostname.as_str())), "a host name twice");
    assert!(each_its_own(|employee| employee.serial.as_deref()), "a serial number twice");
    assert!(each_its_own(|employee| employee.tunnel_address.as_deref()), "a tunnel's address twice");
    assert_eq!(parse(&csv(&employees), Format::Csv).as_ref(), Ok(&employees), "written as CSV it is another");
    assert_eq!(parse(&toml(&employees), Format::Toml).as_ref(), Ok(&employees), "written as TOML it is another");
    true
}

/// The fields of a row, in the order of [`COLUMNS`].
fn fields(employee: &Employee) -> [&str; 10] {
    let Employee { order, serial, user, name, hostname, locale, keyboard, timezone, tunnel_address, first_password } = employee;
    let [serial, timezone, address, password] =
        [serial, timezone, tunnel_address, first_password].map(|field| field.as_deref().unwrap_or_default());
    [order.as_str(), serial, user, name, hostname, locale, keyboard, timezone, address, password]
}

/// By RFC 4180, section 2: every field in quotes, quotes in it doubled.
fn csv(employees: &[Employee]) -> String {
    let mut text = COLUMNS.join(",") + "\n";
    for employee in employees {
        let row = fields(employee).map(|field| format!("\"{}\"", field.replace('"', "\"\"")));
        text.push_str(&(row.join(",") + "\n"));
    }
    text
}

fn toml(employees: &[Employee]) -> String {
    let mut text = String::new();
    for employee in employees {
        text.push_str("[[employee]]\n");
        for (column, field) in COLUMNS.iter().zip(fields(employee)) {
            // TOML 1.0: of what these values can hold, only quote and backslash are escaped.
            text.push_str(&format!("{column} = \"{}\"\n", field.replace('\\', "\\\\").replace('"', "\\\"")));
        }
    }
    text
}
