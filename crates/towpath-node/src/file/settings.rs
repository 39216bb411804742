//! Settings: words that a file uses as `${name}`, and that the command line may change.

use towpath_patterns::yaml::{Kind, Node, Problem, hint};

/// Names with their values.
pub(super) type Settings = Vec<(String, String)>;

/// What the file declares, with what was set in its place.
pub(super) fn declared(
    root: &Node,
    set: &[(String, String)],
    problems: &mut Vec<Problem>,
) -> Settings {
    let mut settings = Settings::new();
    let Kind::Mapping(entries) = &root.kind else { return settings };
    let declared = entries.iter().find(|(key, _)| key.text == "settings");
    let place = declared.map_or(root.place, |(key, _)| key.place);
    match declared.map(|(_, node)| (&node.kind, node)) {
        None | Some((Kind::Empty, _)) => {}
        Some((Kind::Mapping(entries), _)) => {
            for (name, value) in entries {
                match &value.kind {
                    Kind::Scalar(text, _) => settings.push((name.text.clone(), text.clone())),
                    Kind::Empty => settings.push((name.text.clone(), String::new())),
                    _ => {
                        let message = format!("a setting is one word, and this is {}", value.is());
                        problems.push(Problem::new(value.place, message));
                    }
                }
            }
        }
        Some((_, node)) => {
            let message =
                format!("`settings` is a mapping from names to words, and this is {}", node.is());
            problems.push(Problem::new(node.place, message));
        }
    }
    for (name, value) in set {
        match settings.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.clone_from(value),
            None => {
                let hint = hint(name, names(&settings));
                let message = format!("there is no setting `{name}` to be set{hint}");
                problems.push(Problem::new(place, message));
            }
        }
    }
    settings
}

/// Puts the values where they are used. `$${` stands for `${`.
pub(super) fn fill(node: &mut Node, settings: &Settings, problems: &mut Vec<Problem>) {
    let place = node.place;
    match &mut node.kind {
        Kind::Empty => {}
        Kind::Scalar(text, _) => match filled(text, settings) {
            Ok(Some(new)) => *text = new,
            Ok(None) => {}
            Err(message) => problems.push(Problem::new(place, message)),
        },
        Kind::Sequence(items) => items.iter_mut().for_each(|item| fill(item, settings, problems)),
        Kind::Mapping(entries) => {
            for (_, value) in entries {
                fill(value, settings, problems);
            }
        }
    }
}

/// The text with every `${name}` replaced; `None` if there is none.
fn filled(text: &str, settings: &Settings) -> Result<Option<String>, String> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut new = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            new += before;
            new += "${";
            rest = &from[2..];
            continue;
        }
        new += before;
        let end = from.find('}').ok_or("`${` is not closed by `}`; write `$${` for itself")?;
        let name = &from[2..end];
        let value = settings.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        let Some(value) = value else {
            return Err(format!("there is no setting `{name}`{}", hint(name, names(settings))));
        };
        new += value;
        rest = &from[end + 1..];
    }
    new += rest;
    Ok(Some(new))
}

fn names(settings: &Settings) -> impl Iterator<Item = &str> + Clone {
    settings.iter().map(|(name, _)| name.as_str())
}
