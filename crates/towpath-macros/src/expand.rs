//! What `#[towpath::test]` makes of a function.
//!
//! ```text
//! #[towpath::test(seed = 7)]              #[::core::prelude::v1::test]
//! /// Docs.                               /// Docs.
//! async fn counts() -> Result<(), E> {    fn counts() {
//!     body                                    async fn counts() -> Result<(), E> { body }
//! }                                           ::towpath_sim::Sim::new().seed(7u64)
//!                                                 .test(concat!(module_path!(), "::", "counts"), counts)
//!                                         }
//! ```
//!
//! The function itself goes inside unchanged: so errors in it are where they were, `?` knows its type, and a schedule is one
//! call of it.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, ItemFn, ReturnType, Safety};

use crate::args::Args;

/// The expansion, or the errors at their places. After errors the function is still there, so that nothing else is
/// reported as missing.
pub(crate) fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    let function = match syn::parse2::<ItemFn>(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let message = format!("{error}; `#[towpath::test]` stands on an `async fn`");
            let error = Error::new(error.span(), message).into_compile_error();
            return quote!(#error #item);
        }
    };
    let mut errors = check(&function);
    let args = Args::parse(args).unwrap_or_else(|error| {
        join(&mut errors, error);
        Args::default()
    });
    match errors {
        None => expand(&args, function),
        Some(errors) => {
            let errors = errors.into_compile_error();
            quote! {
                #errors
                #[allow(dead_code)]
                #function
            }
        }
    }
}

/// What is wrong with the function, if anything is.
fn check(function: &ItemFn) -> Option<Error> {
    let signature = &function.sig;
    let mut errors = None;
    if signature.asyncness.is_none() {
        let message = "a simulated test is an `async fn`: write `async` before `fn`";
        join(&mut errors, Error::new_spanned(signature.fn_token, message));
    }
    if !signature.inputs.is_empty() {
        let message = "a test has no parameters: nobody calls it with arguments";
        join(&mut errors, Error::new_spanned(&signature.inputs, message));
    }
    if !signature.generics.params.is_empty() {
        let message = "a test has no type parameters: nobody could choose them";
        join(&mut errors, Error::new_spanned(&signature.generics, message));
    }
    if let Safety::Unsafe(unsafety) = &signature.safety {
        join(&mut errors, Error::new_spanned(unsafety, "a test is not `unsafe`"));
    }
    for attribute in &function.attrs {
        let path = attribute.path();
        let is_test = path.segments.last().is_some_and(|segment| segment.ident == "test");
        if is_test {
            let message = "`#[towpath::test]` makes this a test already: remove one of the two";
            join(&mut errors, Error::new_spanned(attribute, message));
        }
    }
    errors
}

fn join(errors: &mut Option<Error>, error: Error) {
    match errors {
        None => *errors = Some(error),
        Some(errors) => errors.combine(error),
    }
}

fn expand(args: &Args, mut function: ItemFn) -> TokenStream {
    let attributes = std::mem::take(&mut function.attrs);
    let visibility = function.vis.clone();
    function.vis = syn::Visibility::Inherited;
    let name = &function.sig.ident;
    let calls = &args.calls;
    // A type that is not a result of a test is then underlined where it is written.
    let place = match &function.sig.output {
        ReturnType::Type(_, returned) => returned.span(),
        ReturnType::Default => name.span(),
    };
    let run = quote_spanned! {place=>
        .test(::core::concat!(::core::module_path!(), "::", ::core::stringify!(#name)), #name)
    };
    quote! {
        #[::core::prelude::v1::test]
        #(#attributes)*
        #visibility fn #name() {
            #function
            ::towpath_sim::Sim::new() #(#calls)* #run
        }
    }
}

#[cfg(test)]
mod tests;
