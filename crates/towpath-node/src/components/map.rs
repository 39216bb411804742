//! `map`: makes another message of each.
//!
//! ```yaml
//! bill:  {uses: map, in: rides, out: bills, fields: {ride: it.id, total: it.fare + it.tip}}
//! geo:   {uses: map, in: rides, out: placed, keep: true, fields: {at: "[it.lat, it.lon]"}}
//! first: {uses: map, in: baskets, out: items, value: "it.items[0]"}
//! ```
//!
//! `fields` gives an object with these fields; with `keep: true` they are added to the message, or take the place of its own. Every
//! expression sees the message as it came. `value` gives anything. A message for which an expression has no value is refused.

use std::sync::Arc;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value};
use towpath::{BoxError, Ctx};
use towpath_patterns::yaml::{At, Problem};

use crate::{
    component::{Component, Port},
    expr::{Expr, NoValue, Written},
    ports::Ports,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    fields: Option<At<IndexMap<String, Written>>>,
    value: Option<Written>,
    #[serde(default)]
    keep: Option<At<bool>>,
}

/// What is made of a message.
enum Mapping {
    Value(Arc<Expr>),
    Fields { keep: bool, fields: Vec<(String, Arc<Expr>)> },
}

pub(super) fn component() -> Component {
    Component::new("map", "makes another message of each, by expressions")
        .input(Port::new("in"))
        .output(Port::new("out"))
        .refuses()
        .makes(|options: Options, _| {
            let mapping = Arc::new(mapping(options)?);
            Ok(async move |_: Ctx, ports: &mut Ports| {
                while let Some(message) = ports.recv("in").await {
                    match mapping.of(&message) {
                        Ok(value) => {
                            ports.send("out", message.map(|old| mapping.put(old, value))).await?
                        }
                        Err(why) => ports.refuse(message, why).await?,
                    }
                }
                Ok::<_, BoxError>(())
            })
        })
}

fn mapping(options: Options) -> Result<Mapping, Problem> {
    match options {
        Options { fields: Some(fields), value: None, keep } => {
            let keep = keep.is_some_and(|keep| keep.value);
            let named = fields.value.into_iter();
            let fields = named.map(|(name, expr)| Ok((name, expr.compile()?)));
            Ok(Mapping::Fields { keep, fields: fields.collect::<Result<_, Problem>>()? })
        }
        Options { fields: None, value: Some(value), keep: None } => {
            Ok(Mapping::Value(value.compile()?))
        }
        Options { fields: Some(fields), value: Some(_), .. } => {
            Err(Problem::new(fields.place, "give `fields` or `value`, not both"))
        }
        Options { keep: Some(keep), .. } => {
            Err(Problem::new(keep.place, "`keep` goes with `fields`: what would it keep?"))
        }
        Options { .. } => Err(Problem::new(
            Default::default(),
            "what becomes of a message? give `fields` or `value`",
        )),
    }
}

impl Mapping {
    /// The new value, or the new fields.
    fn of(&self, message: &Value) -> Result<Value, NoValue> {
        match self {
            Self::Value(value) => value.value(message),
            Self::Fields { fields, .. } => {
                let made =
                    fields.iter().map(|(name, expr)| Ok((name.clone(), expr.value(message)?)));
                made.collect::<Result<Map<_, _>, _>>().map(Value::Object)
            }
        }
    }

    /// The new fields with those that are kept.
    fn put(&self, old: Value, new: Value) -> Value {
        match (self, old, new) {
            (Self::Fields { keep: true, .. }, Value::Object(mut all), Value::Object(new)) => {
                all.extend(new);
                Value::Object(all)
            }
            (_, _, new) => new,
        }
    }
}
