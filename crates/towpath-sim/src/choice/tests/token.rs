//! Tokens: what is written is read again, and what was damaged is refused with advice.

use proptest::prelude::*;

use super::super::{Flavour, Forced, Plan, Token, TokenError};

fn flavour() -> impl Strategy<Value = Flavour> {
    prop_oneof![
        Just(Flavour::Even),
        Just(Flavour::Calm),
        Just(Flavour::Starve),
        Just(Flavour::Late),
        Just(Flavour::Early),
        Just(Flavour::Pos),
        (1_u8..=200).prop_map(Flavour::Pct),
    ]
}

fn forced() -> impl Strategy<Value = Vec<Forced>> {
    let gap = prop_oneof![4 => 0_u64..40, 1 => 0_u64..1_000_000];
    let value = prop_oneof![4 => 1_u64..5, 1 => 1_u64..=u64::MAX];
    proptest::collection::vec((gap, value), 0..40).prop_map(|pairs| {
        let mut next = 0;
        let place = |(gap, value)| {
            let at = next + gap;
            next = at + 1;
            Forced { at, value }
        };
        pairs.into_iter().map(place).collect()
    })
}

fn token() -> impl Strategy<Value = Token> {
    let plan = (flavour(), any::<u64>(), any::<u64>())
        .prop_map(|(flavour, span, seed)| Token::Plan(Plan { flavour, span, seed }));
    prop_oneof![plan, forced().prop_map(Token::Forced)]
}

proptest! {
    #[test]
    fn a_token_is_read_as_it_was_written(token in token()) {
        let text = token.to_string();
        prop_assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        prop_assert_eq!(text.parse(), Ok(token.clone()));
        prop_assert_eq!(format!("  {text}\n").parse(), Ok(token));
    }

    #[test]
    fn a_changed_character_is_refused(token in token(), at in any::<prop::sample::Index>()) {
        let text = token.to_string();
        let at = at.index(text.len());
        for other in (0x20..0x7f).map(char::from).chain(['é', '€']) {
            let mut changed = text.clone();
            changed.replace_range(at..=at, other.encode_utf8(&mut [0; 4]));
            if changed.trim() != text {
                prop_assert!(changed.parse::<Token>().is_err(), "{} for {}", changed, text);
            }
        }
    }

    #[test]
    fn a_token_without_its_end_is_refused(token in token()) {
        let text = token.to_string();
        for end in 0..text.len() {
            prop_assert!(text[..end].parse::<Token>().is_err(), "{}", &text[..end]);
        }
    }

    #[test]
    fn neighbours_exchanged_are_refused(token in token()) {
        let text = token.to_string();
        for at in 0..text.len() - 1 {
            let mut changed = text.clone().into_bytes();
            changed.swap(at, at + 1);
            let changed = String::from_utf8(changed).expect("ASCII");
            prop_assert!(changed == text || changed.parse::<Token>().is_err(), "{}", changed);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*", body in "[0-9a-z]{0,40}") {
        let _ = text.parse::<Token>();
        let _ = format!("tp1-{body}").parse::<Token>();
    }
}

#[test]
fn tokens_are_as_they_have_always_been() {
    // These stand in people's repositories. A change here is a new version.
    let forced = |at, value| Forced { at, value };
    for (token, text) in [
        (Token::Forced(vec![]), GOLDEN[0]),
        (Token::Forced(vec![forced(3, 1), forced(17, 2), forced(300, 1)]), GOLDEN[1]),
        (Token::Plan(Plan { flavour: Flavour::Pct(3), span: 40, seed: 0x0123_4567 }), GOLDEN[2]),
    ] {
        assert_eq!(token.to_string(), text);
        assert_eq!(text.parse(), Ok(token));
    }
}

/// Made by another program from the description in `token.rs`.
const GOLDEN: [&str; 3] = ["tp1-040kw7r", "tp1-100g600d06d04010h0", "tp1-1c016a378mhg20000008xhg"];

#[test]
fn errors_say_what_is_wrong() {
    let good = Token::Forced(vec![Forced { at: 3, value: 1 }]).to_string();
    let error = |text: &str| text.parse::<Token>().expect_err("refused");
    assert_eq!(error("hello"), TokenError::NotAToken);
    assert_eq!(error(""), TokenError::NotAToken);
    assert_eq!(error(&good.replace("tp1", "tp")), TokenError::NotAToken);
    assert_eq!(error(&good.replace("tp1", "tp2")), TokenError::Version("2".into()));
    assert_eq!(error(&good.to_uppercase()), TokenError::NotAToken);
    assert_eq!(error(&format!("{good}u")), TokenError::Character('u'));
    assert!(matches!(error(&good[..good.len() - 2]), TokenError::CutOff { .. }));
    assert!(matches!(error(&format!("{good}00")), TokenError::TooLong { .. }));
    let last = if good.ends_with('0') { "1" } else { "0" };
    assert_eq!(error(&format!("{}{last}", &good[..good.len() - 1])), TokenError::Checksum);

    let words = error("tp9-0").to_string();
    assert!(words.contains("version 9") && words.contains("run the test again"), "{words}");
    let words = error(&good[..good.len() - 2]).to_string();
    assert!(words.contains("cut off") && words.contains("copy the whole word"), "{words}");
}
