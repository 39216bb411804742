//! Which name was probably meant.

use strsim::levenshtein;

/// The known name that is the same but for a third of its letters.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let all = known.into_iter().map(|known| (levenshtein(&name, &known.to_lowercase()), known));
    let (distance, known) = all.min_by_key(|(distance, _)| *distance)?;
    (distance <= known.chars().count().div_ceil(3)).then_some(known)
}

/// "; did you mean `near`?", or which names there are, or nothing when there are none.
pub fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = nearest(name, known.clone()) {
        return format!("; did you mean `{near}`?");
    }
    let all: Vec<_> = known.into_iter().map(|name| format!("`{name}`")).collect();
    if all.is_empty() {
        "; there are none".to_owned()
    } else {
        format!("; there are {}", all.join(", "))
    }
}
