//! Rust text with the parts blanked in which words mean nothing.
//!
//! What always holds:
//! - Line breaks stay where they are; everything blanked becomes spaces.
//! - String quotes stay, so `ignore = ""` can be told from `ignore`.
//! - Text that does not lex as Rust is still returned; the worst is that a check sees too much or too little.

/// Blanks comments and the insides of string and character literals.
pub(super) fn code_only(text: &str) -> String {
    let mut lexer = Lexer { input: text.as_bytes(), at: 0, output: Vec::with_capacity(text.len()) };
    while let Some(byte) = lexer.peek(0) {
        match byte {
            b'/' if lexer.peek(1) == Some(b'/') => lexer.blank_until(|rest| rest[0] == b'\n'),
            b'/' if lexer.peek(1) == Some(b'*') => lexer.block_comment(),
            b'"' => lexer.string(),
            b'r' if lexer.starts_word() && lexer.raw_hashes().is_some() => lexer.raw_string(),
            b'\'' => lexer.quote(),
            _ => lexer.keep(1),
        }
    }
    String::from_utf8_lossy(&lexer.output).into_owned()
}

struct Lexer<'a> {
    input: &'a [u8],
    at: usize,
    output: Vec<u8>,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.input.get(self.at + ahead).copied()
    }

    fn keep(&mut self, count: usize) {
        let end = (self.at + count).min(self.input.len());
        self.output.extend_from_slice(&self.input[self.at..end]);
        self.at = end;
    }

    fn blank(&mut self, count: usize) {
        let end = (self.at + count).min(self.input.len());
        let blanked =
            self.input[self.at..end].iter().map(|b| if *b == b'\n' { b'\n' } else { b' ' });
        self.output.extend(blanked);
        self.at = end;
    }

    fn blank_until(&mut self, stop: impl Fn(&[u8]) -> bool) {
        while self.at < self.input.len() && !stop(&self.input[self.at..]) {
            self.blank(1);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (None, _) => return,
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    self.blank(2);
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    self.blank(2);
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.blank(1),
            }
        }
    }

    fn string(&mut self) {
        self.keep(1);
        while let Some(byte) = self.peek(0) {
            match byte {
                b'"' => return self.keep(1),
                b'\\' => self.blank(2),
                _ => self.blank(1),
            }
        }
    }

    /// Whether the letter here begins a literal's prefix and is not the end of a longer name.
    fn starts_word(&self) -> bool {
        let before = |back: usize| self.at.checked_sub(back).map(|i| self.input[i]);
        match before(1) {
            Some(b'b' | b'c') => !before(2).is_some_and(is_word),
            other => !other.is_some_and(is_word),
        }
    }

    /// The number of `#` in `r##"`, if a raw string begins here.
    fn raw_hashes(&self) -> Option<usize> {
        let hashes = self.input[self.at + 1..].iter().take_while(|byte| **byte == b'#').count();
        (self.peek(1 + hashes) == Some(b'"')).then_some(hashes)
    }

    fn raw_string(&mut self) {
        let hashes = self.raw_hashes().unwrap_or(0);
        self.keep(hashes + 2);
        let end = [vec![b'"'], vec![b'#'; hashes]].concat();
        self.blank_until(|rest| rest.starts_with(&end));
        self.keep(end.len());
    }

    /// A character literal is blanked; a lifetime is kept.
    fn quote(&mut self) {
        if self.peek(1) == Some(b'\\') {
            self.keep(1);
            self.blank(2);
            self.blank_until(|rest| rest[0] == b'\'' || rest[0] == b'\n');
            return self.keep(1);
        }
        let width = match self.peek(1) {
            Some(0xF0..) => 4,
            Some(0xE0..) => 3,
            Some(0x80..) => 2,
            _ => 1,
        };
        if self.peek(1 + width) == Some(b'\'') {
            self.keep(1);
            self.blank(width);
        }
        self.keep(1);
    }
}

/// Blanks items under `#[cfg(test)]` or `#[cfg(all(test, ..))]`. Takes what [`code_only`] returns.
pub(super) fn without_tests(code: &str) -> String {
    let mut output = code.to_owned();
    for start in ["#[cfg(test)]", "#[cfg(all(test,"] {
        while let Some(at) = output.find(start) {
            let end = at + item_length(&output[at..]);
            let blanked = output[at..end].bytes().map(|b| if b == b'\n' { '\n' } else { ' ' });
            let blanked: String = blanked.collect();
            output.replace_range(at..end, &blanked);
        }
    }
    output
}

/// Bytes from an attribute to the end of the item under it: a `;` or the brace that closes its first brace.
fn item_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut brackets = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' | b'(' => brackets += 1,
            b']' | b')' => brackets = brackets.saturating_sub(1),
            b'{' => depth += 1,
            b'}' if depth <= 1 => return at + 1,
            b'}' => depth -= 1,
            b';' if depth == 0 && brackets == 0 => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Where `word` stands in `code` with no letter, digit or `_` before it, nor after it if it ends in one.
pub(super) fn find_word<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let word_end = word.bytes().next_back().is_some_and(is_word);
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = at.checked_sub(1).map(|i| code.as_bytes()[i]);
        let after = code.as_bytes().get(at + word.len()).copied();
        let joined = before.is_some_and(is_word) || (word_end && after.is_some_and(is_word));
        !joined
    })
}

/// The number of the line that holds a byte.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let code = code_only(text);
        assert_eq!(code, expected, "from {text:?}");
        assert_eq!(code.matches('\n').count(), text.matches('\n').count());
    }

    #[test]
    fn comments_are_blanked() {
        check("a // b\nc", "a     \nc");
        check("a /* b /* c */ d\n */ e", "a               \n    e");
        check("//! x\n/// y", "     \n     ");
    }

    #[test]
    fn strings_are_blanked_and_keep_their_quotes() {
        check(r#"f("a // \" b", c)"#, r#"f("         ", c)"#);
        check(r##"f(r#"a " b"#, br"c")"##, r##"f(r#"     "#, br" ")"##);
        check("for\"x\"", "for\" \"");
        check("r#type", "r#type");
    }

    #[test]
    fn characters_are_told_from_lifetimes() {
        check("x('\"', '\\'', '\\u{1F}')", "x(' ', '  ', '      ')");
        check("fn f<'a>(x: &'a str, y: 'é')", "fn f<'a>(x: &'a str, y: '  ')");
    }

    #[test]
    fn test_items_are_blanked() {
        let code =
            without_tests("fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { x } }\nfn c() {}");
        assert_eq!(
            code.split_whitespace().collect::<Vec<_>>(),
            ["fn", "a()", "{}", "fn", "c()", "{}"]
        );
        assert_eq!(code.lines().count(), 5);
        assert_eq!(without_tests("#[cfg(test)]\nmod tests;\nfn d() {}").trim(), "fn d() {}");
        assert_eq!(without_tests("#[cfg(all(test, unix))] fn e(x: [u8; 2]) { }").trim(), "");
        assert_eq!(without_tests("#[cfg(not(test))] fn f() {}"), "#[cfg(not(test))] fn f() {}");
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(find_word("unbounded( bounded(", "bounded(").collect::<Vec<_>>(), [11]);
        assert_eq!(find_word("unsafe_code unsafe {", "unsafe").collect::<Vec<_>>(), [12]);
        assert_eq!(line_of("a\nb\nc", 4), 3);
    }
}
