//! What a function becomes, and what is said about one that cannot be a test.

use proc_macro2::TokenStream;

use super::test;

fn tokens(text: &str) -> TokenStream {
    text.parse().expect("tokens")
}

/// The expansion as one line without spaces, so that only tokens are compared.
fn expanded(args: &str, item: &str) -> String {
    test(tokens(args), tokens(item)).to_string().replace([' ', '\n'], "")
}

fn check(args: &str, item: &str, expected: &str) {
    let expected = tokens(expected).to_string().replace([' ', '\n'], "");
    assert_eq!(expanded(args, item), expected);
}

#[test]
fn a_function_goes_inside_unchanged() {
    check(
        "seed = 7",
        "async fn counts() { work().await; }",
        r#"
        #[::core::prelude::v1::test]
        fn counts() {
            async fn counts() { work().await; }
            ::towpath_sim::Sim::new().seed(7u64)
                .test(::core::concat!(::core::module_path!(), "::", ::core::stringify!(counts)), counts)
        }
        "#,
    );
}

#[test]
fn attributes_visibility_and_result_stay() {
    check(
        "",
        r#"
        /// Why.
        #[ignore = "needs a night"]
        #[should_panic(expected = "late")]
        pub(crate) async fn counts() -> Result<(), Error> { work().await?; Ok(()) }
        "#,
        r#"
        #[::core::prelude::v1::test]
        /// Why.
        #[ignore = "needs a night"]
        #[should_panic(expected = "late")]
        pub(crate) fn counts() {
            async fn counts() -> Result<(), Error> { work().await?; Ok(()) }
            ::towpath_sim::Sim::new()
                .test(::core::concat!(::core::module_path!(), "::", ::core::stringify!(counts)), counts)
        }
        "#,
    );
}

#[test]
fn what_cannot_be_a_test_is_an_error_and_stays_a_function() {
    for (item, message) in [
        ("fn a() {}", "a simulated test is an `async fn`: write `async` before `fn`"),
        ("async fn a(n: u32) {}", "a test has no parameters"),
        ("async fn a<T>() {}", "a test has no type parameters"),
        ("async unsafe fn a() {}", "a test is not `unsafe`"),
        ("#[test] async fn a() {}", "makes this a test already"),
        ("#[tokio::test] async fn a() {}", "makes this a test already"),
    ] {
        let text = test(TokenStream::new(), tokens(item)).to_string();
        assert!(text.contains("compile_error"), "{item}: {text}");
        assert!(text.contains(message), "{item}: {text}");
        let text = text.replace(' ', "");
        assert!(text.contains("fna"), "{item}: {text}");
        assert!(!text.contains("towpath_sim"), "{item}: {text}");
    }
    let text = test(TokenStream::new(), tokens("struct A;")).to_string();
    assert!(text.contains("`#[towpath::test]` stands on an `async fn`"), "{text}");
    assert!(text.contains("struct A"), "{text}");
}

#[test]
fn mistakes_in_the_arguments_and_in_the_function_are_shown_together() {
    let text = test(tokens("sede = 1"), tokens("fn a() {}")).to_string();
    assert_eq!(text.matches("compile_error").count(), 2, "{text}");
    assert!(text.contains("did you mean `seed`?"), "{text}");
}
