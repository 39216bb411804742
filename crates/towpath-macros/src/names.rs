//! Which name was probably meant.

use strsim::levenshtein;

/// The name that was probably meant: the same but for a third of its letters.
pub(crate) fn nearest<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    let name = name.to_lowercase();
    let all = names.iter().map(|known| (levenshtein(&name, &known.to_lowercase()), *known));
    let (distance, known) = all.min_by_key(|(distance, _)| *distance)?;
    (distance <= known.len().div_ceil(3)).then_some(known)
}
