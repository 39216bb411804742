//! What stands in the parentheses of `#[towpath::test(..)]`.
//!
//! A mistake is an error at its own place that says what would be right; all mistakes are shown at once.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Error, Expr, ExprLit, Lit, MetaNameValue, Token, UnOp};

use crate::names::nearest;

/// Calls on the builder, in the order of the arguments.
#[derive(Debug, Default)]
pub(crate) struct Args {
    pub(crate) calls: Vec<TokenStream>,
}

const STRATEGIES: &[(&str, &str)] = &[
    ("random", "Random"),
    ("pct", "Pct"),
    ("pos", "Pos"),
    ("exhaustive", "Exhaustive"),
    ("portfolio", "Portfolio"),
];

const LEAKS: &[(&str, &str)] = &[("allow", "Allow"), ("forbid", "Forbid")];

/// The arguments there are.
const NAMES: &[&str] = &["schedules", "seed", "strategy", "max_steps", "leaks", "step_cost"];

impl Args {
    pub(crate) fn parse(tokens: TokenStream) -> Result<Self, Error> {
        let list = Punctuated::<MetaNameValue, Token![,]>::parse_terminated;
        let list = list.parse2(tokens).map_err(|error| {
            Error::new(
                error.span(),
                format!("{error}; arguments look like `schedules = 1000, strategy = \"pct\"`"),
            )
        })?;
        let mut args = Self::default();
        let mut errors: Option<Error> = None;
        let mut seen = Vec::new();
        for argument in &list {
            let call = call(argument, &mut seen);
            match (call, &mut errors) {
                (Ok(call), _) => args.calls.push(call),
                (Err(error), None) => errors = Some(error),
                (Err(error), Some(errors)) => errors.combine(error),
            }
        }
        errors.map_or(Ok(args), Err)
    }
}

/// One argument as a call on the builder.
fn call(argument: &MetaNameValue, seen: &mut Vec<String>) -> Result<TokenStream, Error> {
    let path = &argument.path;
    let name = path.get_ident().map(ToString::to_string).unwrap_or_default();
    if !NAMES.contains(&name.as_str()) {
        let message = match nearest(&name, NAMES) {
            Some(near) => format!("there is no argument `{name}`; did you mean `{near}`?"),
            None => format!("there is no such argument; there are {}", listed(NAMES)),
        };
        return Err(Error::new_spanned(path, message));
    }
    if seen.contains(&name) {
        return Err(Error::new_spanned(path, format!("`{name}` is given twice")));
    }
    seen.push(name.clone());
    let value = &argument.value;
    match name.as_str() {
        "schedules" | "max_steps" => {
            let number = number(&name, value)?;
            if number == 0 {
                let message = format!("`{name}` of 0 would run nothing; give at least 1");
                return Err(Error::new_spanned(value, message));
            }
            Ok(method(path, &quote_spanned!(span(value)=> #number)))
        }
        "seed" => {
            let number = number(&name, value)?;
            Ok(method(path, &quote_spanned!(span(value)=> #number)))
        }
        "step_cost" => duration(&name, value).map(|time| method(path, &time)),
        "strategy" => word(&name, value, STRATEGIES, "Strategy").map(|word| method(path, &word)),
        _ => word(&name, value, LEAKS, "Leaks").map(|word| method(path, &word)),
    }
}

fn method(path: &syn::Path, value: &TokenStream) -> TokenStream {
    quote_spanned!(span(path)=> .#path(#value))
}

fn span(tokens: impl quote::ToTokens) -> Span {
    let first = tokens.into_token_stream().into_iter().next();
    first.map_or_else(Span::call_site, |token| token.span())
}

fn number(name: &str, value: &Expr) -> Result<u64, Error> {
    if let Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) = value {
        return match number.suffix() {
            _ if number.base10_digits().starts_with('-') => {
                Err(Error::new_spanned(value, format!("`{name}` cannot be negative")))
            }
            "" | "u64" => number.base10_parse().map_err(|_| {
                Error::new_spanned(value, format!("`{name}` is at most {}", u64::MAX))
            }),
            suffix => {
                let message = format!("`{name}` is a u64: leave out `{suffix}`");
                Err(Error::new_spanned(value, message))
            }
        };
    }
    let message = match value {
        Expr::Unary(minus) if matches!(minus.op, UnOp::Neg(_)) => {
            format!("`{name}` cannot be negative")
        }
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. })
            if text.value().replace('_', "").parse::<u64>().is_ok() =>
        {
            format!("`{name}` takes a number: write `{name} = {}`", text.value())
        }
        _ => format!("`{name}` takes a whole number, such as `{name} = 1000`"),
    };
    Err(Error::new_spanned(value, message))
}

/// Units of time, and how many nanoseconds each has.
const UNITS: &[(&str, u64)] =
    &[("ns", 1), ("us", 1_000), ("µs", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)];

/// A time as text: a whole number and its unit.
fn duration(name: &str, value: &Expr) -> Result<TokenStream, Error> {
    let wrong = || {
        let message =
            format!("`{name}` takes a time as text, such as `{name} = \"5ms\"`: ns, us, ms or s");
        Error::new_spanned(value, message)
    };
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = value else { return Err(wrong()) };
    let text = text.value();
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let count: u64 = digits.replace('_', "").parse().map_err(|_| wrong())?;
    let unit = text[digits.len()..].trim();
    let found = UNITS.iter().find(|(known, _)| *known == unit);
    let nanos = found.and_then(|(_, nanos)| count.checked_mul(*nanos)).ok_or_else(wrong)?;
    Ok(quote_spanned!(span(value)=> ::core::time::Duration::from_nanos(#nanos)))
}

/// One of the words, as a variant of the enum.
fn word(name: &str, value: &Expr, words: &[(&str, &str)], of: &str) -> Result<TokenStream, Error> {
    let all: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = value else {
        let message = format!("`{name}` takes a text: {}", quoted(&all));
        return Err(Error::new_spanned(value, message));
    };
    let text = text.value();
    let Some((_, variant)) = words.iter().find(|(word, _)| *word == text) else {
        let message = match nearest(&text, &all) {
            Some(near) => format!("`{name}` has no \"{text}\"; did you mean \"{near}\"?"),
            None => format!("`{name}` has no \"{text}\"; there are {}", quoted(&all)),
        };
        return Err(Error::new_spanned(value, message));
    };
    let span = span(value);
    let (of, variant) = (syn::Ident::new(of, span), syn::Ident::new(variant, span));
    Ok(quote_spanned!(span=> ::towpath_sim::#of::#variant))
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
