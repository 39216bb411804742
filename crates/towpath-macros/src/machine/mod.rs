//! What `machine!` becomes: two enums, a unit struct that is the machine, its table, and a `match` that decides.
//!
//! ```text
//! machine! {                                pub enum State { Created, Paid, .. }
//!     pub machine Order(Data) -> Bill, ..   pub enum Event { Pay { .. }, Ship, .. }
//!     pub enum State { .. }          ──▶    pub struct Order;
//!     pub enum Event { .. }                 impl Machine for Order { fn decide(..) { match .. } }
//!     Created { Pay if covers => .. }       impl Order { fn start(..), fn table(), fn bindings() }
//! }
//! ```
//!
//! What always holds: whatever parses and names its states and events once is written out, wrong or not, beside the errors; so that
//! a mistake in a rule is the only thing that the compiler has to say.

mod check;
mod parse;
mod resolve;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::Fields;

use parse::Written;
use resolve::{Arm, Errors, Resolved, To, name_of, span_of};

/// The expansion. The tokens begin with the path of `towpath_patterns` and a semicolon, which the macro in that crate puts there.
pub(crate) fn machine(tokens: TokenStream) -> TokenStream {
    let mut tokens = tokens.into_iter();
    let path: TokenStream = tokens
        .by_ref()
        .take_while(|token| !matches!(token, TokenTree::Punct(punct) if punct.as_char() == ';'))
        .collect();
    let written: Written = match syn::parse2(tokens.collect()) {
        Ok(written) => written,
        Err(error) => return error.into_compile_error(),
    };
    let mut errors = Errors::default();
    if !resolve::names_differ(&written, &mut errors) {
        return errors.tokens();
    }
    let table = resolve::resolve(&written, &mut errors);
    // What follows from a wrong name is not worth saying.
    if errors.is_empty() {
        check::check(&table, &mut errors);
    }
    for state in &table.states {
        if let Some((_, event, span)) = state.timeout
            && !matches!(written.events.items[event].fields, Fields::Unit)
        {
            let event = &table.events[event];
            let message = format!("`{event}` carries something, so time alone cannot make it");
            errors.say(span, message);
        }
    }
    let is_sound = errors.is_empty();
    let errors = errors.tokens();
    let types = types(&path, &written, &table);
    let machine = implementation(&path, &written, &table, is_sound);
    quote!(#errors #types #machine)
}

/// The two enums.
fn types(path: &TokenStream, written: &Written, table: &Resolved) -> TokenStream {
    let (state, event) = (&written.states.name, &written.events.name);
    let (state_attributes, state_visibility) =
        (&written.states.attributes, &written.states.visibility);
    let (event_attributes, event_visibility) =
        (&written.events.attributes, &written.events.visibility);
    let variants = written.states.items.iter().map(|item| {
        let (attributes, name) = (&item.attributes, &item.name);
        quote!(#(#attributes)* #name)
    });
    let names: Vec<_> = table.states.iter().map(|state| &state.name).collect();
    let texts = names.iter().map(ToString::to_string);
    let numbers: Vec<_> = (0..names.len() as u16).collect();
    let events = &table.events;
    let event_items = &written.events.items;
    let event_texts: Vec<_> = events.iter().map(ToString::to_string).collect();
    let event_numbers: Vec<_> = (0..events.len() as u16).collect();
    // Only those that time brings; others may look the same and are not meant.
    let mut timed: Vec<usize> =
        table.states.iter().filter_map(|state| state.timeout.map(|(_, event, _)| event)).collect();
    timed.sort_unstable();
    timed.dedup();
    timed.retain(|event| matches!(event_items[*event].fields, Fields::Unit));
    let timed_names = timed.iter().map(|event| &events[*event]);
    let timed = timed.iter().map(|event| *event as u16);
    quote! {
        #(#state_attributes)*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #state_visibility enum #state { #(#variants),* }

        impl #path::machine::State for #state {
            fn id(self) -> #path::machine::StateId {
                #path::machine::StateId(self as u16)
            }
            fn of(id: #path::machine::StateId) -> Self {
                match id.0 {
                    #(#numbers => Self::#names,)*
                    _ => ::core::panic!("a state of another table"),
                }
            }
        }

        impl ::core::fmt::Display for #state {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(match self { #(Self::#names => #texts),* })
            }
        }

        #(#event_attributes)*
        #event_visibility enum #event { #(#event_items),* }

        impl #path::machine::Event for #event {
            const NAMES: ::core::option::Option<&'static [&'static str]> =
                ::core::option::Option::Some(&[#(#event_texts),*]);
            fn id(&self) -> #path::machine::EventId {
                #path::machine::EventId(match self { #(Self::#events { .. } => #event_numbers),* })
            }
            fn of_timeout(id: #path::machine::EventId) -> ::core::option::Option<Self> {
                match id.0 {
                    #(#timed => ::core::option::Option::Some(Self::#timed_names),)*
                    _ => ::core::option::Option::None,
                }
            }
        }
    }
}

/// The machine itself.
fn implementation(
    path: &TokenStream,
    written: &Written,
    table: &Resolved,
    is_sound: bool,
) -> TokenStream {
    let Written { attributes, visibility, name, data, decision, version, .. } = written;
    let (state, event) = (&written.states.name, &written.events.name);
    let names = table.states.iter().map(|state| state.name.to_string());
    let rows = rows(table);
    let text = name.to_string();
    let (initial, events) = (table.initial as u16, table.events.iter().map(ToString::to_string));
    let bindings = bindings(table);
    // Nothing that a guard is called can be one of these.
    let [data_arg, event_arg, now, out] =
        ["data", "event", "now", "out"].map(|name| Ident::new(name, Span::mixed_site()));
    let locals = Locals { data: &data_arg, event: &event_arg, now: &now, out: &out };
    let width = table.events.len();
    let matches = table.states.iter().enumerate().map(|(index, of)| {
        let cells = table.events.iter().enumerate().map(|(number, name)| {
            let body = cell(path, &table.cells[index * width + number], &locals);
            quote!(#event::#name { .. } => { #body })
        });
        let name = &of.name;
        quote!(#state::#name => match #event_arg { #(#cells)* })
    });
    // A table with errors is not built: what it would say has been said.
    let build = if is_sound {
        quote!(#path::machine::generated::table(#text, #version, #initial, #rows, &[#(#events),*], CELLS))
    } else {
        quote!({
            let _ = CELLS;
            ::core::unreachable!()
        })
    };
    let cells = arm_rows(path, table);
    quote! {
        #(#attributes)*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #visibility struct #name;

        impl #name {
            /// A new instance in the initial state.
            #visibility fn start(data: #data) -> #path::machine::Instance<Self> {
                #path::machine::Instance::new(Self, data)
            }

            /// The table of this machine.
            #visibility fn table() -> &'static #path::machine::Table {
                static TABLE: ::std::sync::LazyLock<#path::machine::Table> = ::std::sync::LazyLock::new(|| {
                    const CELLS: &[&[#path::machine::generated::ArmRow]] = #cells;
                    #build
                });
                &TABLE
            }

            /// The functions of this machine by their names, for tables that are read at run time.
            #visibility fn bindings() -> #path::machine::Bindings<#state, #event, #data, #decision> {
                #path::machine::Bindings::with_states(&[#(#names),*]) #bindings
            }
        }

        impl #path::machine::Machine for #name {
            type State = #state;
            type Event = #event;
            type Data = #data;
            type Decision = #decision;

            fn table(&self) -> &#path::machine::Table {
                Self::table()
            }

            fn decide(
                &self,
                state: #path::machine::StateId,
                #data_arg: &mut #data,
                #event_arg: &#event,
                #now: ::std::time::SystemTime,
                #out: &mut ::std::vec::Vec<#decision>,
            ) -> #path::machine::Verdict {
                let _ = (&#data_arg, #now, &#out);
                match <#state as #path::machine::State>::of(state) { #(#matches)* }
            }
        }
    }
}

struct Locals<'a> {
    data: &'a Ident,
    event: &'a Ident,
    now: &'a Ident,
    out: &'a Ident,
}

/// What is done with one event in one state.
fn cell(path: &TokenStream, arms: &[Arm], locals: &Locals<'_>) -> TokenStream {
    let Locals { data, event, now, out } = locals;
    let whole = check::is_whole(arms);
    // Nothing comes behind an arm without a guard.
    let count = arms.iter().position(|arm| arm.guards.is_empty()).map_or(arms.len(), |at| at + 1);
    let arms_written = arms[..count].iter().enumerate().map(|(index, arm)| {
        let actions = arm.actions.iter().map(
            |action| quote_spanned!(span_of(action)=> #out.extend(#action(#data, #event, #now));),
        );
        let verdict = match &arm.to {
            To::Go(to) => {
                let to = *to as u16;
                quote!(#path::machine::Verdict::Go(#path::machine::StateId(#to)))
            }
            To::Stay => quote!(#path::machine::Verdict::Stay),
            To::Refuse(_) => {
                let index = index as u16;
                quote!(#path::machine::Verdict::Refuse(#index))
            }
        };
        let body = quote!(#(#actions)* #verdict);
        // The last arm is what is left.
        if arm.guards.is_empty() || (whole && index + 1 == arms.len()) {
            return quote!({ #body });
        }
        let guards = arm.guards.iter().map(|(guard, negated)| {
            let not = negated.then(|| quote!(!));
            quote_spanned!(span_of(guard)=> #not #guard(&*#data, #event, #now))
        });
        quote!(if #(#guards)&&* { #body } else)
    });
    let rest = (!whole).then(|| quote!({ ::core::unreachable!() }));
    quote!(#(#arms_written)* #rest)
}

/// The states, as the library's function wants them.
fn rows(table: &Resolved) -> TokenStream {
    let rows = table.states.iter().map(|state| {
        let (name, is_final) = (state.name.to_string(), state.is_final);
        let timeout = match state.timeout {
            Some((millis, event, _)) => {
                let event = event as u16;
                quote!(::core::option::Option::Some((#millis, #event)))
            }
            None => quote!(::core::option::Option::None),
        };
        quote!((#name, #is_final, #timeout))
    });
    quote!(&[#(#rows),*])
}

/// The cells, as the library's function wants them.
fn arm_rows(path: &TokenStream, table: &Resolved) -> TokenStream {
    let cells = table.cells.iter().map(|arms| {
        let arms = arms.iter().map(|arm| {
            let guards = arm.guards.iter().map(|(path, negated)| {
                let name = name_of(path);
                quote!((#name, #negated))
            });
            let to = match &arm.to {
                To::Go(to) => {
                    let to = *to as u16;
                    quote!(#path::machine::generated::To::Go(#to))
                }
                To::Stay => quote!(#path::machine::generated::To::Stay),
                To::Refuse(reason) => quote!(#path::machine::generated::To::Refuse(#reason)),
            };
            let actions = arm.actions.iter().map(name_of);
            quote!((&[#(#guards),*], #to, &[#(#actions),*]))
        });
        quote!(&[#(#arms),*])
    });
    quote!(&[#(#cells),*])
}

/// Each guard and action once, by name.
fn bindings(table: &Resolved) -> TokenStream {
    let mut guards = std::collections::BTreeMap::new();
    let mut actions = std::collections::BTreeMap::new();
    for arm in table.cells.iter().flatten() {
        guards.extend(arm.guards.iter().map(|(path, _)| (name_of(path), path)));
        actions.extend(arm.actions.iter().map(|path| (name_of(path), path)));
    }
    let guards =
        guards.iter().map(|(name, path)| quote_spanned!(span_of(path)=> .guard(#name, #path)));
    let actions =
        actions.iter().map(|(name, path)| quote_spanned!(span_of(path)=> .action(#name, #path)));
    quote!(#(#guards)* #(#actions)*)
}
