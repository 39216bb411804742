//! Which name was probably meant.

/// The known name that is the same but for a third of its letters.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let all = known.into_iter().map(|known| (distance(&name, &known.to_lowercase()), known));
    let (distance, known) = all.min_by_key(|(distance, _)| *distance)?;
    (distance <= known.chars().count().div_ceil(3)).then_some(known)
}

/// "; did you mean `near`?", or which names there are, or nothing when there are none.
pub(crate) fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
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

/// How many letters to insert, delete or change (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<_> = other.chars().collect();
    let mut row: Vec<_> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, known) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *known);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}
