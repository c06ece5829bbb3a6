//! Where the firmware's variables are, and whose they are.

/// Where the kernel shows the firmware's variables.
pub(crate) const EFIVARS: &str = "/sys/firmware/efi/efivars";
/// EFI_GLOBAL_VARIABLE (UEFI 2.10, section 3.3): the vendor of the boot variables, of `SecureBoot`, `SetupMode`, `PK` and `KEK`.
pub(crate) const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
