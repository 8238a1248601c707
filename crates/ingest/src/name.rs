//! Untrusted file names.

use unicode_normalization::UnicodeNormalization;

/// A name without empty parts and `.`; `None` if it leads out of the folder that it is
/// relative to.
pub fn plain(name: &str) -> Option<String> {
    let parts: Vec<&str> = name
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    let leads_out = name.starts_with('/') || name.contains('\0') || parts.contains(&"..");
    (!leads_out).then(|| parts.join("/"))
}

/// A name folded for comparison: without differences of case and of Unicode form.
pub fn folded(name: &str) -> String {
    name.nfc().collect::<String>().to_lowercase()
}
