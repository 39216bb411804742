//! Expressions of network files: the Common Expression Language, over one message.
//!
//! ```
//! use serde_json::json;
//! use towpath_node::Expr;
//!
//! let dear = Expr::compile("it.fare > 50 && it.city in ['NYC', 'LON']").unwrap();
//! assert!(dear.test(&json!({"fare": 70, "city": "LON"})).unwrap());
//!
//! let told = Expr::compile("it.fare > limt").unwrap_err().to_string();
//! assert_eq!(told, "there is no `limt` here: the message is `it`\n  it.fare > limt\n            ^");
//! ```
//!
//! | what | as in |
//! |---|---|
//! | the message and what is in it | `it.at[0]`, `it["last name"]`, `it.?tip.orValue(0)`, `has(it.tip)` |
//! | literals | `1`, `1.5`, `'word'`, `true`, `null`, `[1, 2]`, `{'a': it.b}` |
//! | operators | `+ - * / %`, `== != < <= > >=`, `&& \|\| !`, `in`, `c ? a : b` |
//! | numbers | `double(it.n) * 1.5`, `int(it.s)`, `math.round(it.x)`; `math.` has `abs`, `ceil`, `floor`, `round`, `trunc`, `sqrt`, `sign`, `greatest`, `least` |
//! | words | `string(it.n)`, `size(it.s)`, `startsWith`, `endsWith`, `contains`, `matches`, `lowerAscii`, `upperAscii`, `trim`, `substring`, `split`, `indexOf`, `charAt` |
//! | lists | `it.items.all(x, x > 0)`, `exists`, `exists_one`, `filter`, `map` |
//!
//! What always holds:
//! - The message is only looked at: nothing of it is copied but what the result has of it.
//! - The work is bounded by the length of the expression times that of the message: a loop is in no other loop, goes over 1,000 items at
//!   most, and what makes long words of short ones (`replace`, `join`, `format`) is not there. The pattern of `matches` is a literal.
//! - The same message gives the same result: there is no clock and no chance.
//!
//! Whole numbers and fractions do not mix in arithmetic (`1 + 1.5` is an error, as the language has it), but they do compare. A field that
//! is not there is an error; `.?` and `has` are how to ask first.

mod check;
mod short;
mod value;

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use cel::{Context, Env, ExecutionError, Program, common::types::CelBool};
use corosensei::stack::DefaultStack;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use towpath_patterns::yaml::{Place, Problem, Text};

use short::Short;

/// The longest expression, in bytes: longer ones are programs, and those are components.
const TEXT_BYTES_MAX: usize = 2048;

/// How many brackets may be open: the parser takes 100 kB of stack for each where it is not optimised, and nobody reads more.
const BRACKETS_MAX: usize = 16;

/// How deep an expression nests, `a + b + c` being two deep; each level takes some stack when it is evaluated.
const DEPTH_MAX: usize = 16;

/// What the parser has for a stack: 2,048 bytes that are all operators take a third of it. It is given back at once.
const PARSER_STACK_BYTES: usize = 64 << 20;

/// The language, as it is here.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    for extension in [cel::extensions::strings, cel::extensions::math] {
        // It fails when a name is there already, and these have different ones.
        let added = env.add_extension(extension);
        debug_assert!(added.is_ok(), "{added:?}");
    }
    Arc::new(env)
});

/// An expression that was checked, to be evaluated for many messages, in any thread.
pub struct Expr {
    text: String,
    program: Program,
    /// It is `it`, and nothing else.
    is_whole: bool,
    /// It goes through lists.
    loops: bool,
    /// It is one of those that are said without the language.
    short: Option<Short>,
}

/// What is wrong with an expression, and where. Shown with the expression and a caret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAnExpr {
    text: String,
    /// Characters in front of it.
    at: usize,
    why: String,
}

impl NotAnExpr {
    /// What is wrong, without the place.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// How many characters stand in front of it.
    pub fn at(&self) -> usize {
        self.at
    }
}

impl fmt::Display for NotAnExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.why)?;
        let mut begin = 0;
        for line in self.text.split('\n') {
            let end = begin + line.chars().count();
            if (begin..=end).contains(&self.at) {
                write!(f, "\n  {line}\n  {}^", " ".repeat(self.at - begin))?;
                break;
            }
            begin = end + 1;
        }
        Ok(())
    }
}

impl std::error::Error for NotAnExpr {}

/// Why an expression has no value for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoValue {
    text: String,
    why: String,
}

impl fmt::Display for NoValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` has no value for this message: {}", self.text, self.why)
    }
}

impl std::error::Error for NoValue {}

impl Expr {
    /// Checks an expression.
    ///
    /// # Errors
    /// What is no expression, what it names and is not there, and what may cost too much.
    pub fn compile(text: &str) -> Result<Self, NotAnExpr> {
        let wrong = |at, why| NotAnExpr { text: text.to_owned(), at, why };
        if text.len() > TEXT_BYTES_MAX {
            let why = format!(
                "an expression has {TEXT_BYTES_MAX} bytes at most, and this has {}; write a component",
                text.len()
            );
            return Err(wrong(0, why));
        }
        if let Some(at) = check::too_many_brackets(text, BRACKETS_MAX) {
            let why = format!("more than {BRACKETS_MAX} brackets in each other: write a component");
            return Err(wrong(at, why));
        }
        // The parser goes as deep as its text does before anybody can look, so it does that on a stack of its own. Not in a thread of
        // its own: this is also called within the simulator, whose threads nobody else may wake.
        let stack = DefaultStack::new(PARSER_STACK_BYTES)
            .map_err(|error| wrong(0, format!("there is no memory to read it in: {error}")))?;
        let compiled = corosensei::on_stack(stack, || Self::parsed(text));
        let (program, found) = compiled.map_err(|(at, why)| wrong(at, why))?;
        let text = text.to_owned();
        let short = Short::of(program.expression());
        Ok(Self { text, program, is_whole: found.is_whole, loops: found.loops, short })
    }

    fn parsed(text: &str) -> Result<(Program, check::Found), check::Wrong> {
        let program = ENV.compile(text).map_err(|errors| {
            let first = errors.errors.into_iter().next();
            let (at, why) = first
                .map_or((0, String::new()), |error| (check::offset(text, error.pos), error.msg));
            (at, format!("this is no expression: {}", why.trim()))
        })?;
        let found = check::check(&program, DEPTH_MAX)?;
        Ok((program, found))
    }

    /// Its value for a message.
    ///
    /// # Errors
    /// A field that is not there, words and numbers that do not go together, a division by zero, or a result that JSON has no word for.
    pub fn value(&self, it: &Value) -> Result<Value, NoValue> {
        if self.is_whole {
            return Ok(it.clone());
        }
        if let Some(value) = self.short.as_ref().and_then(|short| short.value(it)) {
            return Ok(value);
        }
        self.evaluated(it, |value| value::to_json(value, 0))
    }

    /// Its value for a message, which is to be true or false.
    ///
    /// # Errors
    /// As [`value`](Self::value), and another value.
    pub fn test(&self, it: &Value) -> Result<bool, NoValue> {
        if let Some(truth) = self.short.as_ref().and_then(|short| short.test(it)) {
            return Ok(truth);
        }
        self.evaluated(it, |value| match value.downcast_ref::<CelBool>() {
            Some(truth) => Ok(*truth.inner()),
            None => Err(format!("it should be true or false, and is {}", value::a_type(value))),
        })
    }

    fn evaluated<T>(
        &self,
        it: &Value,
        read: impl FnOnce(&dyn cel::common::value::Val) -> Result<T, String>,
    ) -> Result<T, NoValue> {
        let message = value::Message { it, loops: self.loops };
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.set_variable_resolver(&message);
        let value = cel::Value::resolve_val(self.program.expression(), &context);
        value
            .map_err(|error| why(&error))
            .and_then(|value| read(&*value))
            .map_err(|why| NoValue { text: self.text.clone(), why })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// An error of the language in our words.
fn why(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(name) => {
            format!("there is no `{name}`; ask with `has`, or with `.?` and `orValue`")
        }
        ExecutionError::NoSuchOverload(error) => {
            let types = error.argument_types().join(" and ");
            let function = error.function().replace('_', " ");
            let function = function.trim().trim_start_matches('@');
            format!(
                "`{function}` does not go with {types}; `int`, `double` and `string` make one of the other"
            )
        }
        ExecutionError::UnsupportedBinaryOperator(name, one, other) => {
            let (one, other) = (one.type_of(), other.type_of());
            format!(
                "`{name}` does not go with {one} and {other}; `int`, `double` and `string` make one of the other"
            )
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "a division by zero".to_owned()
        }
        ExecutionError::IndexOutOfBounds(_) => "the list is shorter".to_owned(),
        ExecutionError::Overflow(..) => "the number is too large".to_owned(),
        other => {
            // Values may be long, and are the message's.
            let text = other.to_string();
            let cut = text.char_indices().nth(200).map_or(text.len(), |(at, _)| at);
            text[..cut].to_owned()
        }
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expr").field(&self.text).finish()
    }
}

/// As an option of a component: an error is told at its character of the network file.
impl<'de> Deserialize<'de> for Expr {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::compile(&Text::deserialize(from)?.text).map_err(de::Error::custom)
    }
}

/// An expression in a network file that has been read and not been checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Written(pub(crate) Text);

impl Written {
    /// # Errors
    /// What [`Expr::compile`] finds, at its place in the file.
    pub(crate) fn compile(&self) -> Result<Arc<Expr>, Problem> {
        let Text { place, text } = &self.0;
        Expr::compile(text).map(Arc::new).map_err(|error| {
            // Over several lines the file has an indentation that is not ours to know.
            let column = if text.contains('\n') { 0 } else { error.at };
            let place = Place { line: place.line, column: place.column + column };
            Problem::new(place, error.why)
        })
    }
}

#[cfg(test)]
mod tests;
