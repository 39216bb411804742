//! The expressions that most networks are made of, `it.a.b`, `it.a == 'word'` and `it.a in ['one', 'two']`, without the language's own
//! evaluation.
//!
//! What always holds: what is told here is what the language tells. Where the message is not as such an expression expects it, nothing is
//! told, and the language is asked.

use cel::{
    IdedExpr,
    common::ast::{Expr, LiteralValue, operators},
};
use serde_json::Value;

use super::check::IT;

#[derive(Debug, PartialEq)]
pub(super) enum Short {
    Field(Path),
    Is { field: Path, word: String, negated: bool },
    IsIn { field: Path, words: Vec<String> },
}

/// The names from the message inwards.
type Path = Vec<String>;

impl Short {
    pub(super) fn of(root: &IdedExpr) -> Option<Self> {
        match &root.expr {
            Expr::Select(_) => path(root).map(Self::Field),
            Expr::Call(call) => {
                let [one, other] = &call.args[..] else { return None };
                let (field, name) = (path(one)?, call.func_name.as_str());
                if name == operators::IN {
                    let Expr::List(list) = &other.expr else { return None };
                    if !list.optional_indices.is_empty() {
                        return None;
                    }
                    let words = list.elements.iter().map(word).collect::<Option<_>>()?;
                    return Some(Self::IsIn { field, words });
                }
                let negated = name == operators::NOT_EQUALS;
                let word = word(other)?;
                (negated || name == operators::EQUALS).then_some(Self::Is { field, word, negated })
            }
            _ => None,
        }
    }

    /// None: the language has to be asked.
    pub(super) fn value(&self, it: &Value) -> Option<Value> {
        match self {
            Self::Field(path) => match find(it, path)? {
                Value::Array(_) | Value::Object(_) => None,
                value => Some(value.clone()),
            },
            _ => self.test(it).map(Value::Bool),
        }
    }

    /// None: the language has to be asked.
    pub(super) fn test(&self, it: &Value) -> Option<bool> {
        match self {
            Self::Field(path) => find(it, path)?.as_bool(),
            Self::Is { field, word, negated } => {
                Some((find(it, field)?.as_str()? == word.as_str()) != *negated)
            }
            Self::IsIn { field, words } => {
                let value = find(it, field)?.as_str()?;
                Some(words.iter().any(|word| word == value))
            }
        }
    }
}

/// The names that lead from `it` to a field.
fn path(mut at: &IdedExpr) -> Option<Path> {
    let mut path = Vec::new();
    loop {
        match &at.expr {
            Expr::Select(select) if !select.test => {
                path.push(select.field.clone());
                at = &select.operand;
            }
            Expr::Ident(name) if name == IT && !path.is_empty() => {
                path.reverse();
                return Some(path);
            }
            _ => return None,
        }
    }
}

fn word(at: &IdedExpr) -> Option<String> {
    match &at.expr {
        Expr::Literal(LiteralValue::String(word)) => Some(word.inner().to_owned()),
        _ => None,
    }
}

fn find<'v>(it: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(it, |value, name| value.as_object()?.get(name))
}
