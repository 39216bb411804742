//! What a request brings: one message, a list of them, or one a line; read, and checked against the type of the channel.
//!
//! No I/O here, and nothing but bytes comes in; fuzzed as `http_intake`.

use std::fmt;

use indexmap::IndexMap;
use jsonschema::{PatternOptions, Validator};
use serde_json::{Value, json};

use crate::expr::Expr;

/// Messages that one request may bring: each is a place in the journal and a send, and its caller waits for all of them.
pub(crate) const MESSAGES_MAX: usize = 10_000;

/// Bytes of a key: an idempotency key is a UUID or a name, and is kept in memory.
pub(crate) const KEY_BYTES_MAX: usize = 256;

/// Characters of a complaint about a message; it may quote the message.
const COMPLAINT_CHARS_MAX: usize = 500;

/// How the body of a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One JSON value; a list is many messages.
    Json,
    /// One JSON value a line.
    Lines,
}

impl Form {
    /// By the request's `content-type`; JSON, unless it says otherwise.
    pub(crate) fn of(content_type: Option<&str>) -> Self {
        let kind = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let lines = [
            "application/x-ndjson",
            "application/ndjson",
            "application/jsonl",
            "application/json-lines",
        ];
        if lines.iter().any(|it| kind.eq_ignore_ascii_case(it)) { Self::Lines } else { Self::Json }
    }
}

/// Why a body is not taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) error: String,
    /// Both from 1; 0 if there is no such place.
    pub(crate) line: usize,
    pub(crate) column: usize,
    /// Which of several messages, from 0.
    pub(crate) message: Option<usize>,
    /// Where in the message, as a JSON pointer.
    pub(crate) at: Option<String>,
}

impl Refusal {
    fn new(error: impl Into<String>) -> Self {
        Self { error: error.into(), ..Self::default() }
    }

    fn syntax(error: &serde_json::Error, line: usize) -> Self {
        let text = error.to_string();
        // The place is said beside it.
        let what = text.rsplit_once(" at line ").map_or(&*text, |(what, _)| what);
        let error_line = line + error.line().saturating_sub(1);
        Self {
            line: error_line,
            column: error.column(),
            ..Self::new(format!("this is no JSON: {what}"))
        }
    }

    /// For the caller.
    pub(crate) fn to_json(&self) -> Value {
        let mut told = json!({"error": self.error});
        if self.line > 0 {
            told["line"] = self.line.into();
            told["column"] = self.column.into();
        }
        if let Some(message) = self.message {
            told["message"] = message.into();
        }
        if let Some(at) = &self.at {
            told["at"] = at.as_str().into();
        }
        told
    }
}

/// A type of messages, as a file declares it.
pub(crate) struct Schema(Validator);

impl Schema {
    /// # Errors
    /// It is no JSON Schema, or refers to another place: nothing is fetched.
    pub(crate) fn new(schema: &Value) -> Result<Self, String> {
        // Patterns without look-around take a time in proportion to the text, whoever sends it.
        let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
        let built = options.build(schema);
        built.map(Self).map_err(|error| format!("this is no JSON Schema: {}", short(&error)))
    }

    fn check(&self, message: &Value) -> Result<(), Refusal> {
        self.0.validate(message).map_err(|error| {
            let at = error.instance_path().to_string();
            Refusal { at: Some(at), ..Refusal::new(short(&error)) }
        })
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema")
    }
}

fn short(error: &impl fmt::Display) -> String {
    error.to_string().chars().take(COMPLAINT_CHARS_MAX).collect()
}

/// What is read from bodies, and how.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) schema: Option<Schema>,
    /// What a message is known by; without it what the caller names, or something new.
    pub(crate) key: Option<std::sync::Arc<Expr>>,
}

/// A message with its key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Keyed {
    pub(crate) key: String,
    pub(crate) message: Value,
}

impl Reading {
    /// The messages of a body, in order. `named` is the key that the caller gave, for the one message of a request; `new` makes others.
    ///
    /// # Errors
    /// The first thing that is wrong; nothing of the body is taken then.
    pub(crate) fn read(
        &self,
        form: Form,
        body: &[u8],
        named: Option<&str>,
        mut new: impl FnMut() -> String,
    ) -> Result<Vec<Keyed>, Refusal> {
        let (messages, places) = match form {
            Form::Json => (of_value(body)?, None),
            Form::Lines => {
                let (messages, lines) = of_lines(body)?;
                (messages, Some(lines))
            }
        };
        if messages.is_empty() {
            return Err(Refusal::new("there is no message in this"));
        }
        if messages.len() > MESSAGES_MAX {
            return Err(Refusal::new(format!(
                "{} messages are more than {MESSAGES_MAX}: send fewer in one request",
                messages.len()
            )));
        }
        let several = messages.len() > 1;
        if several && named.is_some() && self.key.is_none() {
            return Err(Refusal::new(
                "one idempotency key cannot stand for several messages: send them one by one, or without it",
            ));
        }
        let mut keyed: IndexMap<String, Value> = IndexMap::with_capacity(messages.len());
        for (index, message) in messages.into_iter().enumerate() {
            let place = |mut refusal: Refusal| {
                refusal.message = several.then_some(index);
                if let Some(lines) = &places {
                    (refusal.line, refusal.column) = (lines[index], 1);
                }
                refusal
            };
            if let Some(schema) = &self.schema {
                schema.check(&message).map_err(place)?;
            }
            let key = self.key_of(&message, named, &mut new).map_err(place)?;
            if keyed.contains_key(&key) {
                return Err(place(Refusal::new(format!(
                    "the key `{key}` comes twice in this request"
                ))));
            }
            keyed.insert(key, message);
        }
        Ok(keyed.into_iter().map(|(key, message)| Keyed { key, message }).collect())
    }

    fn key_of(
        &self,
        message: &Value,
        named: Option<&str>,
        new: &mut impl FnMut() -> String,
    ) -> Result<String, Refusal> {
        let key = match (&self.key, named) {
            (Some(key), _) => {
                let value = key.value(message).map_err(|error| Refusal::new(error.to_string()))?;
                let is_word = "the key of a message is a word or a number";
                as_key(&value).ok_or_else(|| {
                    Refusal::new(format!("{is_word}, and `{}` is {value}", key.text()))
                })?
            }
            (None, Some(named)) => named.to_owned(),
            (None, None) => new(),
        };
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(Refusal::new(format!(
                "a key has 1 to {KEY_BYTES_MAX} bytes, and this has {}",
                key.len()
            )));
        }
        Ok(key)
    }
}

/// A word or a number as a key; `7` and `"7"` are the same.
pub(crate) fn as_key(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn of_value(body: &[u8]) -> Result<Vec<Value>, Refusal> {
    match serde_json::from_slice(body).map_err(|error| Refusal::syntax(&error, 1))? {
        Value::Array(messages) => Ok(messages),
        message => Ok(vec![message]),
    }
}

/// Messages with their lines. Empty lines are nothing.
fn of_lines(body: &[u8]) -> Result<(Vec<Value>, Vec<usize>), Refusal> {
    let (mut messages, mut lines) = (Vec::new(), Vec::new());
    for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if messages.len() == MESSAGES_MAX {
            return Err(Refusal {
                line: index + 1,
                column: 1,
                ..Refusal::new(format!(
                    "more than {MESSAGES_MAX} messages: send fewer in one request"
                ))
            });
        }
        messages.push(
            serde_json::from_slice(line).map_err(|error| Refusal::syntax(&error, index + 1))?,
        );
        lines.push(index + 1);
    }
    Ok((messages, lines))
}

/// The first byte says how, the rest is a body.
#[cfg(fuzzing)]
pub(crate) fn fuzz(bytes: &[u8]) {
    use std::sync::{Arc, LazyLock};
    static READINGS: LazyLock<[Reading; 2]> = LazyLock::new(|| {
        let schema = json!({"type": "object", "required": ["id"], "properties": {"id": {"type": ["integer", "string"]},
            "at": {"type": "array", "items": {"type": "number"}}, "name": {"pattern": "^[a-z]+$", "maxLength": 20}}});
        let key = Expr::compile("it.id").map(Arc::new);
        [Reading::default(), Reading { schema: Schema::new(&schema).ok(), key: key.ok() }]
    });
    let Some((how, body)) = bytes.split_first() else { return };
    let form = if how & 1 == 0 { Form::Json } else { Form::Lines };
    let named = (how & 2 != 0).then_some("named");
    let mut number = 0;
    let new = || {
        number += 1;
        number.to_string()
    };
    match READINGS[usize::from(how & 4 != 0)].read(form, body, named, new) {
        Ok(all) => assert!(
            !all.is_empty() && all.iter().all(|it| (1..=KEY_BYTES_MAX).contains(&it.key.len()))
        ),
        Err(refusal) => assert!(!refusal.error.is_empty() && refusal.to_json().is_object()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn reading(schema: Option<Value>, key: Option<&str>) -> Reading {
        Reading {
            schema: schema.map(|schema| Schema::new(&schema).unwrap()),
            key: key.map(|key| Arc::new(Expr::compile(key).unwrap())),
        }
    }

    fn read(reading: &Reading, form: Form, body: &str) -> Result<Vec<(String, Value)>, Value> {
        let mut number = 0;
        let new = || {
            number += 1;
            format!("new {number}")
        };
        let read = reading.read(form, body.as_bytes(), None, new);
        read.map(|all| all.into_iter().map(|it| (it.key, it.message)).collect())
            .map_err(|it| it.to_json())
    }

    #[test]
    fn one_message_or_many_are_read() {
        let any = reading(None, None);
        assert_eq!(
            read(&any, Form::Json, "{\"a\":1}"),
            Ok(vec![("new 1".into(), json!({"a": 1}))])
        );
        assert_eq!(
            read(&any, Form::Json, "[1,[2]]"),
            Ok(vec![("new 1".into(), json!(1)), ("new 2".into(), json!([2]))])
        );
        assert_eq!(
            read(&any, Form::Lines, "1\n\n [2]\r\n"),
            Ok(vec![("new 1".into(), json!(1)), ("new 2".into(), json!([2]))])
        );
        let keyed = reading(None, Some("it.id"));
        assert_eq!(
            read(&keyed, Form::Json, "{\"id\":7}"),
            Ok(vec![("7".into(), json!({"id": 7}))])
        );
        assert_eq!(Form::of(Some("Application/X-NDJSON; charset=utf-8")), Form::Lines);
        assert_eq!((Form::of(Some("text/plain")), Form::of(None)), (Form::Json, Form::Json));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let any = reading(None, None);
        let told = |reading: &Reading, form, body: &str| read(reading, form, body).unwrap_err();
        assert_eq!(
            told(&any, Form::Json, "{\"a\":\n 1,}"),
            json!({"error": "this is no JSON: trailing comma", "line": 2, "column": 4})
        );
        assert_eq!(
            told(&any, Form::Lines, "1\n\n{\n3"),
            json!({"error": "this is no JSON: EOF while parsing an object", "line": 3, "column": 1})
        );
        for empty in ["[]", ""] {
            assert!(told(&any, Form::Json, empty)["error"].is_string());
        }
        assert_eq!(
            told(&any, Form::Lines, "\n \n"),
            json!({"error": "there is no message in this"})
        );
        let typed = reading(
            Some(
                json!({"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}),
            ),
            Some("it.id"),
        );
        let error = told(&typed, Form::Lines, "{\"id\": 1}\n\n{\"id\": \"x\"}\n");
        assert_eq!(
            (error["line"].as_u64(), error["at"].as_str(), error["message"].as_u64()),
            (Some(3), Some("/id"), Some(1))
        );
        assert!(error["error"].as_str().unwrap().contains("not of type \"integer\""), "{error}");
        let error = told(&typed, Form::Json, "{}");
        assert_eq!((error["at"].as_str(), error.get("message")), (Some(""), None));
        let error = told(&typed, Form::Json, "[{\"id\": 1}, {\"id\": 1}]");
        assert_eq!(
            error,
            json!({"error": "the key `1` comes twice in this request", "message": 1})
        );
        let keyed = reading(None, Some("it.id"));
        for (body, expected) in [
            ("{}", "`it.id` has no value"),
            ("{\"id\": [1]}", "the key of a message is a word or a number"),
            ("{\"id\": \"\"}", "a key has 1 to 256 bytes"),
        ] {
            let error = told(&keyed, Form::Json, body);
            assert!(error["error"].as_str().unwrap().starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_key_that_the_caller_names_is_for_one_message() {
        let any = reading(None, None);
        let named = |body: &[u8]| any.read(Form::Json, body, Some("k"), || panic!("one is named"));
        assert_eq!(named(b"7").unwrap()[0].key, "k");
        assert!(named(b"[7, 8]").unwrap_err().error.starts_with("one idempotency key"));
    }

    #[test]
    fn a_schema_that_is_none_is_told() {
        assert!(
            Schema::new(&json!({"type": "objekt"}))
                .unwrap_err()
                .starts_with("this is no JSON Schema")
        );
        assert!(Schema::new(&json!({"$ref": "http://example.invalid/x.json"})).is_err());
        assert!(Schema::new(&json!({"pattern": "("})).is_err());
    }
}
