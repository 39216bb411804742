//! Columns of a table, or attributes of an event, and what becomes of them.
//!
//! ```yaml
//! columns: {id: integer, fare: number, at: {geo: [lat, lon]}, zone: {text: pickup_zone}, paid: truth}
//! ```

use std::fmt;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Number, Value};

/// What a value is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    Integer,
    Truth,
}

impl Kind {
    const ALL: [(&'static str, Self); 4] = [
        ("text", Self::Text),
        ("number", Self::Number),
        ("integer", Self::Integer),
        ("truth", Self::Truth),
    ];

    fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind)
    }

    /// Nothing is nothing, whatever it should be.
    fn read(self, text: &str) -> Result<Value, &'static str> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Ok(Value::Null);
        }
        match self {
            Self::Text => Ok(Value::from(text)),
            Self::Integer => trimmed.parse::<i64>().map(Value::from).map_err(|_| "a whole number"),
            Self::Number => {
                if let Ok(number) = trimmed.parse::<i64>() {
                    return Ok(Value::from(number));
                }
                let number = trimmed.parse().ok().and_then(Number::from_f64);
                number.map(Value::Number).ok_or("a number")
            }
            Self::Truth => match &*trimmed.to_ascii_lowercase() {
                "true" | "t" | "yes" | "y" | "1" => Ok(Value::Bool(true)),
                "false" | "f" | "no" | "n" | "0" => Ok(Value::Bool(false)),
                _ => Err("true or false"),
            },
        }
    }
}

/// What a field is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// Of a column; `None` is the one with the field's name.
    Of(Kind, Option<String>),
    /// A place of two columns, latitude and longitude.
    Geo(String, String),
}

impl<'de> Deserialize<'de> for Column {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Column;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`text`, `number`, `integer` or `truth`, or `{text: column}`, or `{geo: [latitude, longitude]}`")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Column, E> {
                let kind = Kind::of(word)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(word), &self))?;
                Ok(Column::Of(kind, None))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Column, A::Error> {
                let wrong = || de::Error::custom(format!("this should be {}", Expected(&Visitor)));
                let Some(word) = map.next_key::<String>()? else { return Err(wrong()) };
                let column = match (&*word, Kind::of(&word)) {
                    (_, Some(kind)) => Column::Of(kind, Some(map.next_value()?)),
                    ("geo", None) => {
                        let (lat, lon) = map.next_value()?;
                        Column::Geo(lat, lon)
                    }
                    _ => return Err(wrong()),
                };
                if map.next_key::<String>()?.is_some() {
                    return Err(wrong());
                }
                Ok(column)
            }
        }

        struct Expected<'a>(&'a Visitor);

        impl fmt::Display for Expected<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                de::Visitor::expecting(self.0, f)
            }
        }

        from.deserialize_any(Visitor)
    }
}

/// Fields and what they are made of, as a file says it.
pub(crate) type Columns = IndexMap<String, Column>;

/// A value under a name: of a row its column, of an event its attribute.
pub(crate) trait Row {
    fn get(&self, name: &str) -> Option<&str>;
}

/// An object of a row.
///
/// # Errors
/// Which column is not there, or what is not what it should be.
pub(crate) fn object(columns: &Columns, row: &impl Row) -> Result<Value, String> {
    let text = |name: &str| row.get(name).ok_or_else(|| format!("there is no `{name}`"));
    let read = |kind: Kind, name: &str| {
        let text = text(name)?;
        kind.read(text).map_err(|expected| {
            let short: String = text.chars().take(50).collect();
            format!("`{name}` should be {expected}, and is `{short}`")
        })
    };
    let fields = columns.iter().map(|(field, column)| {
        let value = match column {
            Column::Of(kind, name) => read(*kind, name.as_deref().unwrap_or(field))?,
            Column::Geo(lat, lon) => {
                let (north, east) = (read(Kind::Number, lat)?, read(Kind::Number, lon)?);
                let within =
                    |value: &Value, most: f64| value.as_f64().is_none_or(|it| it.abs() <= most);
                if !within(&north, 90.0) || !within(&east, 180.0) {
                    return Err(format!("`{lat}` and `{lon}` are no place: {north}, {east}"));
                }
                if north.is_null() || east.is_null() {
                    Value::Null
                } else {
                    Value::Array(vec![north, east])
                }
            }
        };
        Ok((field.clone(), value))
    });
    fields.collect::<Result<serde_json::Map<_, _>, _>>().map(Value::Object)
}

/// Columns that are named.
pub(crate) fn names(columns: &Columns) -> impl Iterator<Item = &str> {
    columns
        .iter()
        .flat_map(|(field, column)| match column {
            Column::Of(_, name) => [Some(name.as_deref().unwrap_or(field)), None],
            Column::Geo(lat, lon) => [Some(lat.as_str()), Some(lon.as_str())],
        })
        .flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use towpath_patterns::yaml;

    use super::*;

    struct Pairs<'a>(&'a [(&'a str, &'a str)]);

    impl Row for Pairs<'_> {
        fn get(&self, name: &str) -> Option<&str> {
            self.0.iter().find(|(it, _)| *it == name).map(|(_, value)| *value)
        }
    }

    fn columns(text: &str) -> Result<Columns, String> {
        yaml::read(&yaml::parse(text).unwrap()).map_err(|problem| problem.message)
    }

    #[test]
    fn a_row_is_an_object() {
        let columns = columns("{id: integer, fare: number, at: {geo: [lat, lon]}, zone: {text: pickup_zone}, paid: truth, none: number}").unwrap();
        assert_eq!(
            names(&columns).collect::<Vec<_>>(),
            ["id", "fare", "lat", "lon", "pickup_zone", "paid", "none"]
        );
        let row = [
            ("id", "7"),
            ("fare", " 1.5 "),
            ("lat", "40.7"),
            ("lon", "-74"),
            ("pickup_zone", " Soho"),
            ("paid", "Yes"),
            ("none", ""),
        ];
        assert_eq!(
            object(&columns, &Pairs(&row)),
            Ok(
                json!({"id": 7, "fare": 1.5, "at": [40.7, -74], "zone": " Soho", "paid": true, "none": null})
            )
        );
        for (name, value, expected) in [
            ("id", "7.5", "`id` should be a whole number, and is `7.5`"),
            ("fare", "much", "`fare` should be a number, and is `much`"),
            ("fare", "inf", "`fare` should be a number, and is `inf`"),
            ("lat", "95", "`lat` and `lon` are no place: 95, -74"),
            ("paid", "perhaps", "`paid` should be true or false, and is `perhaps`"),
        ] {
            let mut row = row;
            row.iter_mut().find(|(it, _)| *it == name).unwrap().1 = value;
            assert_eq!(object(&columns, &Pairs(&row)), Err(expected.to_owned()));
        }
        assert_eq!(object(&columns, &Pairs(&row[1..])), Err("there is no `id`".to_owned()));
    }

    #[test]
    fn columns_that_are_none_are_told() {
        for wrong in [
            "{id: int}",
            "{id: {int: x}}",
            "{at: {geo: [lat]}}",
            "{at: {geo: [a, b], text: c}}",
            "{id: {}}",
        ] {
            assert!(columns(wrong).is_err(), "{wrong}");
        }
        assert!(columns("{id: int}").unwrap_err().contains("`text`, `number`"));
    }
}
