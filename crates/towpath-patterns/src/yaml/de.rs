//! A tree as what serde reads from, with the place of whatever is wrong.
//!
//! Why not a YAML library with serde: it has lost the places by the time a value is looked at, and it stops at the first error of a
//! file. A node knows its place, and each part of a file can be read by itself.

use std::fmt;

use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};

use super::{Kind, Node, Place, Problem, Word, hint};

/// What stands for a value that wants to know its place. No type of anybody's has such a name.
const AT: &str = "$towpath::yaml::At";

/// What stands for a text that wants to know where its first character is.
const TEXT: &str = "$towpath::yaml::Text";

/// Reads a value from a node.
///
/// # Errors
/// The first thing that does not fit, at its place: with what it should be, and for unknown keys what was probably meant.
pub fn read<T: DeserializeOwned>(node: &Node) -> Result<T, Problem> {
    T::deserialize(From(node)).map_err(|error| Problem {
        place: error.place.unwrap_or(node.place),
        message: error.message,
    })
}

/// A value and where it stands.
///
/// ```
/// use towpath_patterns::yaml::{self, At};
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Options {
///     listen: At<String>,
///     workers: usize,
/// }
///
/// let node = yaml::parse("listen: 127.0.0.1:8080\nworkers: 4\n").unwrap();
/// let options: Options = yaml::read(&node).unwrap();
/// assert_eq!((&*options.listen.value, options.listen.place.column, options.workers), ("127.0.0.1:8080", 9, 4));
///
/// let node = yaml::parse("listen: x\nworker: 4\n").unwrap();
/// let problem = yaml::read::<Options>(&node).map(|_| ()).unwrap_err();
/// assert_eq!(problem.place.line, 2);
/// assert_eq!(problem.message, "`worker` is not known here; did you mean `workers`?");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// Where. 1:1 when it was not read from such a file.
    pub place: Place,
    /// What.
    pub value: T,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Both<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Both<T> {
            type Value = At<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                from: D,
            ) -> Result<At<T>, D::Error> {
                let place = Place { line: 1, column: 1 };
                T::deserialize(from).map(|value| At { place, value })
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<At<T>, A::Error> {
                let mut number = || seq.next_element::<usize>().map(Option::unwrap_or_default);
                let place = Place { line: number()?, column: number()? };
                let value = seq.next_element()?;
                let value = value.ok_or_else(|| de::Error::custom("a value is missing"))?;
                Ok(At { place, value })
            }
        }

        from.deserialize_newtype_struct(AT, Both(std::marker::PhantomData))
    }
}

/// A text in another language, such as an expression, whose own errors should point at the right character.
///
/// Its place is that of its first character: behind the quotation mark, if it has one. With a text over several lines, or with
/// escapes in it, that is where it begins and no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Where the first character stands. 1:1 when it was not read from such a file.
    pub place: Place,
    /// The text.
    pub text: String,
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "$towpath::yaml::Text")]
        struct Inside(At<String>);

        let Inside(At { place, value }) = Inside::deserialize(from)?;
        Ok(Self { place, text: value })
    }
}

/// An error on its way to the nearest node that knows its place.
#[derive(Debug)]
struct Error {
    place: Option<Place>,
    message: String,
}

impl Error {
    fn at(mut self, place: Place) -> Self {
        self.place.get_or_insert(place);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { place: None, message: message.to_string() }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format!(
            "`{field}` is not known here{}",
            hint(field, expected.iter().copied())
        ))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let hint = hint(variant, expected.iter().copied());
        Self::custom(format!("`{variant}` is not possible here{hint}"))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format!("`{field}` is missing"))
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format!("this should be {expected}, and is {found}"))
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }
}

/// A node to be read from.
#[derive(Clone, Copy)]
struct From<'a>(&'a Node);

impl<'de> Deserializer<'de> for From<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let read = match &self.0.kind {
            Kind::Empty => visitor.visit_unit(),
            Kind::Scalar(text, true) => plain(text, visitor),
            Kind::Scalar(text, false) => visitor.visit_str(text),
            Kind::Sequence(items) => visitor.visit_seq(Items(items.iter())),
            Kind::Mapping(entries) => visitor.visit_map(Entries(entries.iter(), None)),
        };
        read.map_err(|error| error.at(self.0.place))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.kind {
            Kind::Empty => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        // What is asked for as text is text, also if it looks like a number.
        match &self.0.kind {
            Kind::Scalar(text, _) => {
                visitor.visit_str(text).map_err(|error: Error| error.at(self.0.place))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == AT {
            return visitor.visit_seq(Placed(self.0, 0)).map_err(|error| error.at(self.0.place));
        }
        if name == TEXT
            && let Node { mut place, kind: Kind::Scalar(text, false) } = self.0.clone()
        {
            place.column += 1;
            let inside = Node { place, kind: Kind::Scalar(text, false) };
            return visitor.visit_newtype_struct(From(&inside));
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let read = match &self.0.kind {
            Kind::Scalar(text, _) => visitor.visit_enum(text.as_str().into_deserializer()),
            Kind::Mapping(entries) => match entries.as_slice() {
                [(word, value)] => visitor.visit_enum(Variant(word, value)),
                _ => Err(de::Error::custom("this should be one word, or one word with its value")),
            },
            _ => Err(de::Error::custom(format!("this should be a word, and is {}", self.0.is()))),
        };
        read.map_err(|error| error.at(self.0.place))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// A word without quotes, as YAML 1.2's core schema takes it.
fn plain<'de, V: Visitor<'de>>(text: &str, visitor: V) -> Result<V::Value, Error> {
    match text {
        "true" => return visitor.visit_bool(true),
        "false" => return visitor.visit_bool(false),
        _ => {}
    }
    if let Ok(number) = text.parse() {
        return visitor.visit_u64(number);
    }
    if let Ok(number) = text.parse() {
        return visitor.visit_i64(number);
    }
    // `inf` and `nan` are words here: nobody means those numbers.
    let begins = text.trim_start_matches(['-', '+', '.']);
    match text.parse() {
        Ok(number) if begins.starts_with(|it: char| it.is_ascii_digit()) => {
            visitor.visit_f64(number)
        }
        _ => visitor.visit_str(text),
    }
}

struct Items<'a>(std::slice::Iter<'a, Node>);

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        self.0.next().map(|node| seed.deserialize(From(node))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Entries<'a>(std::slice::Iter<'a, (Word, Node)>, Option<&'a Node>);

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some((word, value)) = self.0.next() else { return Ok(None) };
        self.1 = Some(value);
        let key = word.text.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error: Error| error.at(word.place))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        let value = self.1.take().ok_or_else(|| de::Error::custom("a value without a key"))?;
        seed.deserialize(From(value)).map_err(|error| error.at(value.place))
    }
}

/// Line, column and value, for `At`.
struct Placed<'a>(&'a Node, u8);

impl<'de> de::SeqAccess<'de> for Placed<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        self.1 += 1;
        match self.1 {
            1 => seed.deserialize(self.0.place.line.into_deserializer()).map(Some),
            2 => seed.deserialize(self.0.place.column.into_deserializer()).map(Some),
            3 => seed.deserialize(From(self.0)).map(Some),
            _ => Ok(None),
        }
    }
}

/// `word: value` as an enum's variant with what it holds.
struct Variant<'a>(&'a Word, &'a Node);

impl<'de> de::EnumAccess<'de> for Variant<'_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        let name = self.0.text.as_str().into_deserializer();
        let variant = seed.deserialize(name).map_err(|error: Error| error.at(self.0.place))?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.1.kind {
            Kind::Empty => Ok(()),
            _ => {
                let message = format!("`{}` takes no value", self.0.text);
                Err(<Error as de::Error>::custom(message).at(self.1.place))
            }
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(From(self.1))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Error> {
        From(self.1).deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        From(self.1).deserialize_any(visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::yaml::{Span, parse};

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Options {
        listen: At<String>,
        #[serde(default)]
        wait: Option<Span>,
        full: Full,
        ratio: f64,
        flags: Vec<bool>,
        more: BTreeMap<String, i64>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Full {
        Block,
        DropOldest,
        Sample { one_in: u32 },
    }

    const GOOD: &str = "listen: \"8080\"\nwait: 300ms\nfull: drop-oldest\nratio: 2\nflags: [true, false]\nmore: {a: -1, b: 2}\n";

    fn problem(text: &str) -> (usize, usize, String) {
        let problem = read::<Options>(&parse(text).unwrap()).unwrap_err();
        (problem.place.line, problem.place.column, problem.message)
    }

    #[test]
    fn what_fits_is_read_with_its_place() {
        let options: Options = read(&parse(GOOD).unwrap()).unwrap();
        assert_eq!(options.listen.value, "8080");
        assert_eq!((options.listen.place.line, options.listen.place.column), (1, 9));
        assert_eq!(options.wait, Some(Span(std::time::Duration::from_millis(300))));
        assert_eq!((options.full, options.ratio), (Full::DropOldest, 2.0));
        assert_eq!(options.more["a"], -1);
        let sampled = GOOD.replace("drop-oldest", "{sample: {one_in: 4}}");
        let options: Options = read(&parse(&sampled).unwrap()).unwrap();
        assert_eq!(options.full, Full::Sample { one_in: 4 });
    }

    #[test]
    fn a_text_begins_behind_its_quotation_mark() {
        let node = parse("- it.a > 1\n- \"it.a > 1\"\n- 7\n").unwrap();
        let texts: Vec<Text> = read(&node).unwrap();
        let told: Vec<_> =
            texts.iter().map(|it| (it.place.line, it.place.column, &*it.text)).collect();
        assert_eq!(told, [(1, 3, "it.a > 1"), (2, 4, "it.a > 1"), (3, 3, "7")]);
    }

    #[test]
    fn what_does_not_fit_is_told_at_its_place() {
        let (line, column, message) = problem(&GOOD.replace("drop-oldest", "drop-olden"));
        assert_eq!((line, column), (3, 7));
        assert_eq!(message, "`drop-olden` is not possible here; did you mean `drop-oldest`?");
        let (line, column, message) = problem(&GOOD.replace("ratio: 2", "ration: 2"));
        assert_eq!((line, column), (4, 1));
        assert_eq!(message, "`ration` is not known here; did you mean `ratio`?");
        let (line, _, message) = problem(&GOOD.replace("[true, false]", "[true, 7]"));
        assert_eq!((line, &*message), (5, "this should be a boolean, and is integer `7`"));
        let (line, _, message) = problem(&GOOD.replace("300ms", "300"));
        assert!(line == 2 && message.starts_with("a span of time is"), "{message}");
        let (line, _, message) = problem(&GOOD.replace("ratio: 2\n", ""));
        assert_eq!((line, &*message), (1, "`ratio` is missing"));
    }

    #[test]
    fn words_are_what_they_look_like_unless_quoted() {
        let value = |text: &str| {
            let node = parse(&format!("a: {text}\n")).unwrap();
            read::<BTreeMap<String, serde_json::Value>>(&node).unwrap()["a"].clone()
        };
        assert_eq!(value("7"), serde_json::json!(7));
        assert_eq!(value("-7"), serde_json::json!(-7));
        assert_eq!(value("1.5e3"), serde_json::json!(1500.0));
        assert_eq!(value("'7'"), serde_json::json!("7"));
        assert_eq!(value("nan"), serde_json::json!("nan"));
        assert_eq!(value("127.0.0.1"), serde_json::json!("127.0.0.1"));
        assert_eq!(value("true"), serde_json::json!(true));
        assert_eq!(value("{b: [x, null]}"), serde_json::json!({"b": ["x", null]}));
    }
}
