//! A message as the language sees it: JSON that is lent, and looked at where an expression asks.
//!
//! Why not the language's own maps: they are made of copies, so that looking at one field of a message would cost as much as copying it.

use std::{cmp::Ordering, sync::OnceLock};

use cel::{
    ExecutionError,
    common::{
        traits::{Container, Indexer, Iterable, Iterator, Sizer, Zeroer},
        types::{
            CelBool, CelDouble, CelInt, CelList, CelNull, CelString, CelUInt, Kind, MAP_TYPE, Type,
        },
        value::{CowVal, Val},
    },
    context::VariableResolver,
};
use serde_json::{Map, Number, Value};

use super::check::IT;

/// Items of a list that an expression with a loop goes through: a loop that makes lists takes memory with their square.
const LOOP_ITEMS_MAX: usize = 1000;

/// How deep a value nests that an expression makes. serde_json reads 128 levels.
const DEPTH_MAX: usize = 160;

/// The message, under its name.
pub(super) struct Message<'a> {
    pub(super) it: &'a Value,
    pub(super) loops: bool,
}

impl VariableResolver for Message<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        (variable == IT).then(|| from_json(self.it, self.loops))
    }
}

/// A value of a message, lent.
fn from_json<'b, 'v>(value: &'v Value, loops: bool) -> CowVal<'b, 'v> {
    static NULL: CelNull = CelNull;
    match value {
        Value::Null => CowVal::Borrowed(&NULL),
        Value::Bool(truth) => CowVal::owned(CelBool::from(*truth)),
        Value::Number(number) => from_number(number),
        Value::String(text) => CowVal::owned(CelString::from(text.as_str())),
        Value::Array(items) => {
            if loops && items.len() > LOOP_ITEMS_MAX {
                return CowVal::owned(TooLong(items.len()));
            }
            let items: Vec<Box<dyn Val + 'v>> =
                items.iter().map(|item| from_json(item, loops).into_owned()).collect();
            CowVal::owned(CelList::from(items))
        }
        Value::Object(fields) => CowVal::owned(Object { fields, loops, names: OnceLock::new() }),
    }
}

fn from_number<'b, 'v>(number: &Number) -> CowVal<'b, 'v> {
    if let Some(number) = number.as_i64() {
        CowVal::owned(CelInt::from(number))
    } else if let Some(number) = number.as_u64() {
        CowVal::owned(CelUInt::from(number))
    } else {
        CowVal::owned(CelDouble::from(number.as_f64().unwrap_or(f64::NAN)))
    }
}

/// An object of a message.
#[derive(Clone, Debug)]
struct Object<'v> {
    fields: &'v Map<String, Value>,
    loops: bool,
    /// For loops, which are lent what they go over.
    names: OnceLock<Vec<CelString<'v>>>,
}

impl Val for Object<'_> {
    fn get_type(&self) -> &Type {
        &MAP_TYPE
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'w>(&'b self) -> Option<&'b (dyn Indexer + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn as_iterable<'b, 'w>(&'b self) -> Option<&'b (dyn Iterable + 'w)>
    where
        Self: 'w,
    {
        if self.loops && self.fields.len() > LOOP_ITEMS_MAX { None } else { Some(self) }
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn as_zeroer(&self) -> Option<&dyn Zeroer> {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        let (Some(size), Some(fields)) = (other.as_sizer(), other.as_indexer()) else {
            return false;
        };
        other.get_type().kind() == Kind::Map
            && size.size() == self.size()
            && self.fields.iter().all(|(name, value)| {
                let field = fields.get(&CelString::from(name.as_str()));
                field.is_ok_and(|field| from_json(value, self.loops).equals(&*field))
            })
    }

    fn clone_as_boxed<'w>(&self) -> Box<dyn Val + 'w>
    where
        Self: 'w,
    {
        Box::new(self.clone())
    }
}

impl<'v> Object<'v> {
    fn field(&self, name: &dyn Val) -> Option<&'v Value> {
        self.fields.get(name.downcast_ref::<CelString<'_>>()?.inner())
    }
}

impl Container for Object<'_> {
    fn contains(&self, name: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(self.field(name).is_some())
    }
}

impl Indexer for Object<'_> {
    fn get<'b, 'w>(&'b self, name: &dyn Val) -> Result<CowVal<'b, 'w>, ExecutionError>
    where
        Self: 'w,
    {
        match (self.field(name), name.downcast_ref::<CelString<'_>>()) {
            (Some(value), _) => Ok(from_json(value, self.loops)),
            (None, Some(name)) => Err(ExecutionError::no_such_key(name.inner())),
            (None, None) => Err(ExecutionError::UnexpectedType {
                got: name.get_type().name().to_owned(),
                want: "string".to_owned(),
            }),
        }
    }

    fn steal<'w>(self: Box<Self>, name: &dyn Val) -> Result<Box<dyn Val + 'w>, ExecutionError>
    where
        Self: 'w,
    {
        self.get(name).map(CowVal::into_owned)
    }
}

impl Iterable for Object<'_> {
    fn iter<'b, 'w>(&'b self) -> Box<dyn Iterator<'b, 'w> + 'b>
    where
        Self: 'w,
    {
        let names = self.names.get_or_init(|| {
            self.fields.keys().map(|name| CelString::from(name.as_str())).collect()
        });
        Box::new(Names(names.iter()))
    }
}

struct Names<'b, 'v>(std::slice::Iter<'b, CelString<'v>>);

impl<'b, 'v: 'w, 'w> Iterator<'b, 'w> for Names<'b, 'v> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'w)> {
        self.0.next().map(|name| name as &dyn Val)
    }
}

impl Sizer for Object<'_> {
    fn size(&self) -> CelInt {
        CelInt::from(i64::try_from(self.fields.len()).unwrap_or(i64::MAX))
    }
}

impl Zeroer for Object<'_> {
    fn is_zero_value(&self) -> bool {
        self.fields.is_empty()
    }
}

/// A list that an expression with a loop does not get to see, but for its length.
#[derive(Clone, Debug)]
struct TooLong(usize);

impl Val for TooLong {
    fn get_type(&self) -> &Type {
        &cel::common::types::LIST_TYPE
    }

    fn cel_type() -> &'static Type {
        &cel::common::types::LIST_TYPE
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn clone_as_boxed<'w>(&self) -> Box<dyn Val + 'w> {
        Box::new(self.clone())
    }
}

impl Sizer for TooLong {
    fn size(&self) -> CelInt {
        CelInt::from(i64::try_from(self.0).unwrap_or(i64::MAX))
    }
}

/// A value of the language as JSON.
pub(super) fn to_json(value: &dyn Val, depth: usize) -> Result<Value, String> {
    if depth > DEPTH_MAX {
        return Err(format!("the result nests deeper than {DEPTH_MAX}"));
    }
    let number = |number: f64| {
        let message = "the result is no number that JSON can write";
        Number::from_f64(number).map(Value::Number).ok_or_else(|| message.to_owned())
    };
    match value.get_type().kind() {
        Kind::NullType => Ok(Value::Null),
        Kind::Boolean => {
            Ok(Value::Bool(value.downcast_ref::<CelBool>().is_some_and(|it| *it.inner())))
        }
        Kind::Int => {
            Ok(value.downcast_ref::<CelInt>().map_or(Value::Null, |it| Value::from(*it.inner())))
        }
        Kind::UInt => {
            Ok(value.downcast_ref::<CelUInt>().map_or(Value::Null, |it| Value::from(*it.inner())))
        }
        Kind::Double => {
            value.downcast_ref::<CelDouble>().map_or(Ok(Value::Null), |it| number(*it.inner()))
        }
        Kind::String => Ok(value
            .downcast_ref::<CelString<'_>>()
            .map_or(Value::Null, |it| Value::from(it.inner()))),
        Kind::List => {
            let Some(items) = value.as_iterable() else {
                return Err(format!("a loop goes over {LOOP_ITEMS_MAX} items at most"));
            };
            let mut items = items.iter();
            let mut all = Vec::new();
            while let Some(item) = items.next() {
                all.push(to_json(item, depth + 1)?);
            }
            Ok(Value::Array(all))
        }
        Kind::Map => {
            let (Some(names), Some(fields)) = (value.as_iterable(), value.as_indexer()) else {
                return Err(format!("a loop goes over {LOOP_ITEMS_MAX} items at most"));
            };
            let mut names = names.iter();
            let mut all: Vec<(String, Value)> = Vec::new();
            while let Some(name) = names.next() {
                let Some(text) = name.downcast_ref::<CelString<'_>>() else {
                    return Err("the names of an object's fields are words".to_owned());
                };
                let field = fields.get(name).map_err(|error| error.to_string())?;
                all.push((text.inner().to_owned(), to_json(&*field, depth + 1)?));
            }
            // The language's own objects have no order.
            all.sort_by(|(one, _), (other, _)| one.cmp(other).then(Ordering::Equal));
            Ok(Value::Object(all.into_iter().collect()))
        }
        _ => Err(format!("the result is {}, which JSON has no word for", a_type(value))),
    }
}

/// A type, for an error.
pub(super) fn a_type(value: &dyn Val) -> String {
    match value.get_type().name() {
        "optional_type" => "an optional value: give `orValue` what stands in for it".to_owned(),
        other => format!("a value of type `{other}`"),
    }
}
