//! Amounts for a person.

/// Bytes for a person: `1.3 GiB`.
pub(crate) fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}
