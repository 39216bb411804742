//! What an expression may say: which names there are, and what would cost too much.

use cel::{
    Context, IdedExpr, Program, Value,
    common::ast::{ComprehensionExpr, EntryExpr, Expr, LiteralValue},
};
use towpath_patterns::yaml::hint;

/// The only variable.
pub(super) const IT: &str = "it";

/// Functions that can be called, beside the operators.
///
/// What is left out can make a long word out of a short one, in a time that grows with the square of a message.
const FUNCTIONS: [&str; 40] = [
    "bool",
    "bytes",
    "charAt",
    "contains",
    "double",
    "dyn",
    "endsWith",
    "hasValue",
    "indexOf",
    "int",
    "lastIndexOf",
    "lowerAscii",
    "matches",
    "math.@max",
    "math.@min",
    "math.abs",
    "math.ceil",
    "math.floor",
    "math.greatest",
    "math.isFinite",
    "math.isInf",
    "math.isNaN",
    "math.least",
    "math.round",
    "math.sign",
    "math.sqrt",
    "math.trunc",
    "optional.none",
    "optional.of",
    "or",
    "orValue",
    "size",
    "split",
    "startsWith",
    "string",
    "substring",
    "trim",
    "type",
    "uint",
    "upperAscii",
];

/// Names of types, as `type(it.a) == string` has them.
const TYPES: [&str; 9] =
    ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "uint"];

/// What is known of an expression.
#[derive(Default)]
pub(super) struct Found {
    pub(super) is_whole: bool,
    pub(super) loops: bool,
}

/// A character of the text, and what is wrong there.
pub(super) type Wrong = (usize, String);

pub(super) fn check(program: &Program, depth_max: usize) -> Result<Found, Wrong> {
    let root = program.expression();
    let mut checker =
        Checker { program, names: Vec::new(), depth: 0, depth_max, loops_around: 0, loops: false };
    checker.walk(root)?;
    let is_whole = matches!(&root.expr, Expr::Ident(name) if name == IT);
    Ok(Found { is_whole, loops: checker.loops })
}

/// Line and column, from 1, as a number of characters.
pub(super) fn offset(text: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line).unwrap_or_default().saturating_sub(1);
    let column = usize::try_from(column).unwrap_or_default().saturating_sub(1);
    let before = text.split('\n').take(line).map(|line| line.chars().count() + 1);
    (before.sum::<usize>() + column).min(text.chars().count())
}

/// Where one more bracket is open than there may be. Quotation marks are not looked at: brackets in words count too.
pub(super) fn too_many_brackets(text: &str, most: usize) -> Option<usize> {
    let mut open = 0_usize;
    for (at, it) in text.chars().enumerate() {
        match it {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > most {
            return Some(at);
        }
    }
    None
}

struct Checker<'a> {
    program: &'a Program,
    /// Variables of the loops around.
    names: Vec<&'a str>,
    depth: usize,
    depth_max: usize,
    loops_around: usize,
    loops: bool,
}

impl<'a> Checker<'a> {
    fn wrong<T>(&self, at: &IdedExpr, why: impl Into<String>) -> Result<T, Wrong> {
        let at = self.program.source_info().offset_for(at.id).map_or(0, |(start, _)| start);
        Err((at as usize, why.into()))
    }

    fn walk(&mut self, at: &'a IdedExpr) -> Result<(), Wrong> {
        self.depth += 1;
        if self.depth > self.depth_max {
            let why = format!("nests deeper than {}: write a component", self.depth_max);
            return self.wrong(at, why);
        }
        let walked = self.walk_in(at);
        self.depth -= 1;
        walked
    }

    fn walk_in(&mut self, at: &'a IdedExpr) -> Result<(), Wrong> {
        match &at.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.name(at, name),
            Expr::Select(select) => self.walk(&select.operand),
            Expr::List(list) => list.elements.iter().try_for_each(|it| self.walk(it)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.walk(&entry.key)?;
                    self.walk(&entry.value)
                }
                EntryExpr::StructField(field) => self.walk(&field.value),
            }),
            Expr::Struct(it) => {
                self.wrong(at, format!("there is no type `{}`; write {{'a': 1}}", it.type_name))
            }
            Expr::Call(call) => {
                let mut name = call.func_name.clone();
                let mut target = call.target.as_deref();
                if let Some(Expr::Ident(space)) = target.map(|it| &it.expr)
                    && matches!(&**space, "math" | "optional")
                {
                    name = format!("{space}.{name}");
                    target = None;
                }
                // Operators have names that nobody can write.
                if name.starts_with(|it: char| it.is_ascii_alphabetic())
                    && !FUNCTIONS.contains(&&*name)
                {
                    let all = FUNCTIONS.iter().filter(|it| !it.contains('@')).copied();
                    let hint = near(&name, all);
                    return self.wrong(at, format!("there is no function `{name}`{hint}"));
                }
                if matches!(&*name, "_==_" | "_!=_" | "@in") && call.args.iter().any(has_object) {
                    return self
                        .wrong(at, "objects are not compared as a whole: compare their fields");
                }
                if name == "matches" {
                    self.pattern(at, call.args.last())?;
                }
                target.map_or(Ok(()), |it| self.walk(it))?;
                call.args.iter().try_for_each(|it| self.walk(it))
            }
            Expr::Comprehension(looping) => self.looping(at, looping),
        }
    }

    fn name(&self, at: &IdedExpr, name: &str) -> Result<(), Wrong> {
        let is_known = name == IT
            || name.starts_with('@')
            || self.names.contains(&name)
            || TYPES.contains(&name);
        if is_known {
            return Ok(());
        }
        self.wrong(at, format!("there is no `{name}` here: the message is `it`"))
    }

    fn looping(&mut self, at: &'a IdedExpr, it: &'a ComprehensionExpr) -> Result<(), Wrong> {
        self.walk(&it.iter_range)?;
        if self.loops_around > 0 {
            return self.wrong(
                at,
                "a loop in a loop may take too long: send the items one by one, or write a component",
            );
        }
        self.loops = true;
        self.walk(&it.accu_init)?;
        let names = self.names.len();
        self.names.push(&it.iter_var);
        self.names.extend(it.iter_var2.as_deref());
        self.names.push(&it.accu_var);
        self.loops_around += 1;
        let walked =
            [&it.loop_cond, &it.loop_step, &it.result].into_iter().try_for_each(|it| self.walk(it));
        self.loops_around -= 1;
        self.names.truncate(names);
        walked
    }

    /// A pattern is there when it is checked, so that a wrong one is told at once and no message brings its own.
    fn pattern(&self, at: &IdedExpr, pattern: Option<&IdedExpr>) -> Result<(), Wrong> {
        let Some(pattern) = pattern else { return Ok(()) };
        let Expr::Literal(LiteralValue::String(_)) = &pattern.expr else {
            return self.wrong(at, "the pattern of `matches` is a word in quotes");
        };
        let mut trial = at.clone();
        if let Expr::Call(call) = &mut trial.expr {
            let empty = IdedExpr { id: 0, expr: Expr::Literal(LiteralValue::String("".into())) };
            match &mut call.target {
                Some(target) => **target = empty,
                None => call.args[0] = empty,
            }
        }
        let context = Context::with_env(std::sync::Arc::clone(&super::ENV));
        match Value::resolve(&trial, &context) {
            Ok(_) => Ok(()),
            Err(error) => {
                let text = error.to_string();
                let why = text.lines().last().unwrap_or_default();
                self.wrong(pattern, format!("this is no pattern: {why}"))
            }
        }
    }
}

/// Whether an object is written there, which a message's own are not equal to.
fn has_object(at: &IdedExpr) -> bool {
    match &at.expr {
        Expr::Map(_) => true,
        Expr::List(list) => list.elements.iter().any(has_object),
        _ => false,
    }
}

/// What was probably meant; not the whole list.
fn near<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let hint = hint(name, known);
    if hint.contains("did you mean") {
        hint
    } else {
        "; the documentation of components lists them".to_owned()
    }
}
