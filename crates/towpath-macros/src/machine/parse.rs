//! What stands in the braces of `machine!`, as it is written.
//!
//! ```text
//! pub machine Order(Data) -> Decision, version 1;
//! pub enum State { initial Created, Paid, final Archived }
//! pub enum Event { Pay { cents: u64 }, Ship, Expire }
//! Created | Paid {
//!     after 30d => Expire,
//!     Pay if covers && !blocked => Paid / book / tell,
//!     _ => refuse "why",
//! }
//! ```

use proc_macro2::Span;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Error, Ident, LitInt, LitStr, Path, Result, Token, Type, Variant, Visibility,
};

/// All of it.
pub(super) struct Written {
    pub(super) attributes: Vec<Attribute>,
    pub(super) visibility: Visibility,
    pub(super) name: Ident,
    pub(super) data: Type,
    pub(super) decision: Type,
    pub(super) version: u32,
    pub(super) states: Declared<StateItem>,
    pub(super) events: Declared<Variant>,
    pub(super) blocks: Vec<Block>,
}

/// An enum with its items.
pub(super) struct Declared<I> {
    pub(super) attributes: Vec<Attribute>,
    pub(super) visibility: Visibility,
    pub(super) name: Ident,
    pub(super) items: Vec<I>,
}

pub(super) struct StateItem {
    pub(super) attributes: Vec<Attribute>,
    pub(super) is_initial: bool,
    pub(super) is_final: bool,
    pub(super) name: Ident,
}

/// The rules of some states.
pub(super) struct Block {
    pub(super) states: Names,
    pub(super) timeouts: Vec<TimeoutItem>,
    pub(super) rules: Vec<Rule>,
}

/// `A | B`, or `_`.
pub(super) enum Names {
    These(Vec<Ident>),
    Rest(Span),
}

pub(super) struct TimeoutItem {
    pub(super) after: LitInt,
    pub(super) event: Ident,
}

pub(super) struct Rule {
    pub(super) events: Names,
    /// Each with whether it is negated.
    pub(super) guards: Vec<(Path, bool)>,
    pub(super) end: End,
    pub(super) actions: Vec<Path>,
}

pub(super) enum End {
    Go(Ident),
    Stay,
    Refuse(LitStr),
}

impl Parse for Written {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        const HEAD: &str = "a machine begins with `machine Name(Data) -> Decision, version 1;`";
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let word: Ident = input.parse().map_err(|error| Error::new(error.span(), HEAD))?;
        if word != "machine" {
            return Err(Error::new(word.span(), HEAD));
        }
        let name = input.parse()?;
        let inner;
        syn::parenthesized!(inner in input);
        let data = inner.parse()?;
        input.parse::<Token![->]>()?;
        let decision = input.parse()?;
        input.parse::<Token![,]>()?;
        let word: Ident = input.parse()?;
        if word != "version" {
            let message = "here is the table's version: `version 1`; a journal remembers it";
            return Err(Error::new(word.span(), message));
        }
        let version: LitInt = input.parse()?;
        let version = version.base10_parse()?;
        input.parse::<Token![;]>()?;
        let states = declared(
            input,
            "the states, `enum State { initial First, Second }`",
            StateItem::parse,
        )?;
        let events = declared(
            input,
            "the events, `enum Event { One, Two { with: Data } }`",
            Variant::parse,
        )?;
        let mut blocks = Vec::new();
        while !input.is_empty() {
            blocks.push(input.parse()?);
        }
        Ok(Self { attributes, visibility, name, data, decision, version, states, events, blocks })
    }
}

fn declared<I>(
    input: ParseStream<'_>,
    what: &str,
    item: fn(ParseStream<'_>) -> Result<I>,
) -> Result<Declared<I>> {
    let attributes = input.call(Attribute::parse_outer)?;
    let visibility = input.parse()?;
    if !input.peek(Token![enum]) {
        return Err(input.error(format!("here come {what}")));
    }
    input.parse::<Token![enum]>()?;
    let name = input.parse()?;
    let inner;
    syn::braced!(inner in input);
    let items = Punctuated::<I, Token![,]>::parse_terminated_with(&inner, item)?;
    Ok(Declared { attributes, visibility, name, items: items.into_iter().collect() })
}

impl StateItem {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let (mut is_initial, mut is_final) = (false, false);
        loop {
            if input.peek(Token![final]) {
                input.parse::<Token![final]>()?;
                is_final = true;
            } else if input.peek(Ident) && (input.peek2(Ident) || input.peek2(Token![final])) {
                let word: Ident = input.parse()?;
                if word != "initial" {
                    let message =
                        format!("`{word}` says nothing of a state: `initial` and `final` do");
                    return Err(Error::new(word.span(), message));
                }
                is_initial = true;
            } else {
                break;
            }
        }
        let name: Ident = input.parse()?;
        if !input.is_empty() && !input.peek(Token![,]) {
            let message = "a state carries nothing: what an instance remembers is its data";
            return Err(input.error(message));
        }
        Ok(Self { attributes, is_initial, is_final, name })
    }
}

impl Parse for Names {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.peek(Token![_]) {
            let rest: Token![_] = input.parse()?;
            return Ok(Self::Rest(rest.span));
        }
        let mut names = vec![input.parse()?];
        while input.peek(Token![|]) {
            input.parse::<Token![|]>()?;
            names.push(input.parse()?);
        }
        Ok(Self::These(names))
    }
}

impl Names {
    pub(super) fn span(&self) -> Span {
        match self {
            Self::These(names) => names[0].span(),
            Self::Rest(span) => *span,
        }
    }
}

impl Parse for Block {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let states = input.parse()?;
        let inner;
        syn::braced!(inner in input);
        let (mut timeouts, mut rules) = (Vec::new(), Vec::new());
        while !inner.is_empty() {
            let fork = inner.fork();
            let word: Option<Ident> = fork.parse().ok();
            if word.is_some_and(|word| word == "after") && fork.peek(syn::Lit) {
                inner.parse::<Ident>()?;
                let after = inner.parse()?;
                inner.parse::<Token![=>]>()?;
                timeouts.push(TimeoutItem { after, event: inner.parse()? });
            } else {
                rules.push(inner.parse()?);
            }
            if inner.is_empty() {
                break;
            }
            if !inner.peek(Token![,]) {
                let message =
                    "a rule is `Event if guard => State / action,`; here a comma is missing";
                return Err(inner.error(message));
            }
            inner.parse::<Token![,]>()?;
        }
        Ok(Self { states, timeouts, rules })
    }
}

impl Parse for Rule {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let events = input.parse()?;
        let mut guards = Vec::new();
        if input.peek(Token![if]) {
            input.parse::<Token![if]>()?;
            loop {
                let negated = input.peek(Token![!]);
                if negated {
                    input.parse::<Token![!]>()?;
                }
                guards.push((input.call(Path::parse_mod_style)?, negated));
                if !input.peek(Token![&&]) {
                    break;
                }
                input.parse::<Token![&&]>()?;
            }
        }
        if !input.peek(Token![=>]) {
            let message = "a rule is `Event => State`, `Event => stay` or `Event => refuse \"why\"`; a guard is the \
                           name of a function, or several joined by `&&`";
            return Err(input.error(message));
        }
        input.parse::<Token![=>]>()?;
        let word: Ident = input.parse()?;
        let end = if word == "stay" {
            End::Stay
        } else if word == "refuse" {
            let reason: LitStr = input.parse().map_err(|error| {
                Error::new(error.span(), "say why it is refused: `refuse \"it is unpaid\"`")
            })?;
            End::Refuse(reason)
        } else {
            End::Go(word)
        };
        let mut actions = Vec::new();
        while input.peek(Token![/]) {
            let slash: Token![/] = input.parse()?;
            if matches!(end, End::Refuse(_)) {
                let message =
                    "what is refused does nothing: remove the action, or handle the event";
                return Err(Error::new(slash.spans[0], message));
            }
            actions.push(input.call(Path::parse_mod_style)?);
        }
        Ok(Self { events, guards, end, actions })
    }
}
