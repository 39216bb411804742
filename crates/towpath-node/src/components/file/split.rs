//! Records of a text as its bytes come: a line each, or in CSV a line with quotation marks closed.
//!
//! What always holds: the pieces do not depend on how the bytes were cut when they came; a record that is too long is skipped to its end,
//! and takes no memory beyond the limit. No I/O.

/// Bytes of one record: beyond that something is not closed, or the file is no such file.
pub(crate) const RECORD_BYTES_MAX: usize = 1 << 20;

/// Where a record stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Its first line, from 1.
    pub(crate) line: u64,
    /// The byte behind it, counted in what was unpacked.
    pub(crate) end: u64,
    /// The line behind it.
    pub(crate) next_line: u64,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A record, in the buffer that was lent.
    Record(Mark),
    /// One that is too long; none of it is left.
    TooLong(Mark),
}

/// Bytes on their way to records.
#[derive(Debug)]
pub(crate) struct Splitter {
    /// Line ends between quotation marks are part of a record.
    quoted: bool,
    most: usize,
    bytes: Vec<u8>,
    /// How far `bytes` has been looked at.
    looked: usize,
    in_quotes: bool,
    too_long: bool,
    /// Of the first byte in `bytes`.
    begin: u64,
    line: u64,
    /// Line ends inside the record so far.
    lines: u64,
}

impl Splitter {
    pub(crate) fn new(quoted: bool) -> Self {
        Self::at(quoted, Mark { line: 1, end: 0, next_line: 1 })
    }

    /// Goes on behind a record.
    pub(crate) fn at(quoted: bool, mark: Mark) -> Self {
        Self {
            quoted,
            most: RECORD_BYTES_MAX,
            bytes: Vec::new(),
            looked: 0,
            in_quotes: false,
            too_long: false,
            begin: mark.end,
            line: mark.next_line,
            lines: 0,
        }
    }

    #[cfg(test)]
    fn most(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole record, without its line end.
    pub(crate) fn next(&mut self, into: &mut Vec<u8>) -> Option<Found> {
        while let Some(&byte) = self.bytes.get(self.looked) {
            self.looked += 1;
            match byte {
                b'"' if self.quoted => self.in_quotes = !self.in_quotes,
                b'\n' => {
                    self.lines += 1;
                    if !self.in_quotes {
                        return Some(self.cut(into));
                    }
                }
                _ => {}
            }
            if self.looked > self.most {
                // A quotation mark that is not closed must not cost the whole rest: the next line begins anew.
                self.too_long = true;
                self.in_quotes = false;
                self.quoted_off();
            }
        }
        None
    }

    /// The last record, if no line end follows it.
    pub(crate) fn finish(&mut self, into: &mut Vec<u8>) -> Option<Found> {
        if self.bytes.is_empty() && !self.too_long {
            return None;
        }
        self.looked = self.bytes.len();
        Some(self.cut(into))
    }

    /// Lets go of what was looked at of a record that is too long.
    fn quoted_off(&mut self) {
        self.begin += self.looked as u64;
        self.bytes.drain(..self.looked);
        self.looked = 0;
    }

    fn cut(&mut self, into: &mut Vec<u8>) -> Found {
        let end = self.begin + self.looked as u64;
        let next_line = self.line + self.lines;
        let mark = Mark { line: self.line, end, next_line };
        let too_long = std::mem::take(&mut self.too_long);
        into.clear();
        if !too_long {
            let record = &self.bytes[..self.looked];
            let record = record.strip_suffix(b"\n").unwrap_or(record);
            into.extend_from_slice(record.strip_suffix(b"\r").unwrap_or(record));
        }
        self.bytes.drain(..self.looked);
        (self.looked, self.lines, self.in_quotes) = (0, 0, false);
        (self.begin, self.line) = (end, next_line);
        if too_long { Found::TooLong(mark) } else { Found::Record(mark) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All records, the bytes coming in pieces of these sizes.
    fn split(text: &[u8], quoted: bool, sizes: &[usize]) -> Vec<(String, Found)> {
        let mut splitter = Splitter::new(quoted).most(20);
        let (mut all, mut record, mut rest) = (Vec::new(), Vec::new(), text);
        let mut sizes = sizes.iter().cycle();
        let told = |record: &[u8]| String::from_utf8_lossy(record).into_owned();
        while !rest.is_empty() {
            let (now, later) = rest.split_at((*sizes.next().unwrap()).clamp(1, rest.len()));
            rest = later;
            splitter.push(now);
            while let Some(found) = splitter.next(&mut record) {
                all.push((told(&record), found));
            }
        }
        while let Some(found) = splitter.finish(&mut record) {
            all.push((told(&record), found));
        }
        all
    }

    fn mark(line: u64, end: u64, next_line: u64) -> Mark {
        Mark { line, end, next_line }
    }

    #[test]
    fn lines_are_records_and_quoted_ones_stay_together() {
        let text = b"a,b\r\n\"1\n2\",\"\"\"\"\n\nlast";
        assert_eq!(
            split(text, true, &[100]),
            [
                ("a,b".to_owned(), Found::Record(mark(1, 5, 2))),
                ("\"1\n2\",\"\"\"\"".to_owned(), Found::Record(mark(2, 16, 4))),
                (String::new(), Found::Record(mark(4, 17, 5))),
                ("last".to_owned(), Found::Record(mark(5, 21, 5))),
            ]
        );
        let lines: Vec<_> = split(text, false, &[1]).into_iter().map(|(it, _)| it).collect();
        assert_eq!(lines, ["a,b", "\"1", "2\",\"\"\"\"", "", "last"]);
    }

    #[test]
    fn what_is_too_long_is_skipped_to_its_end() {
        let text = b"123456789012345678901234567890\nshort\n\"never closed, and too long\nnext\n";
        let found: Vec<_> = split(text, true, &[7])
            .into_iter()
            .map(|(text, found)| (text, matches!(found, Found::TooLong(_))))
            .collect();
        assert_eq!(
            found,
            [
                (String::new(), true),
                ("short".to_owned(), false),
                (String::new(), true),
                ("next".to_owned(), false)
            ]
        );
    }

    proptest! {
        #[test]
        fn how_bytes_come_does_not_matter(text in "[a\",\n]{0,120}", sizes in proptest::collection::vec(1_usize..9, 1..5), quoted: bool) {
            let whole = split(text.as_bytes(), quoted, &[usize::MAX]);
            prop_assert_eq!(&split(text.as_bytes(), quoted, &sizes), &whole);
            if let Some((_, Found::Record(mark) | Found::TooLong(mark))) = whole.last() {
                prop_assert_eq!(mark.end, text.len() as u64);
            }
        }

        #[test]
        fn it_goes_on_where_it_was(text in "[a\",\n]{0,80}", at in 0_usize..10, quoted: bool) {
            let whole = split(text.as_bytes(), quoted, &[usize::MAX]);
            prop_assume!(at < whole.len());
            let (Found::Record(mark) | Found::TooLong(mark)) = whole[at].1;
            let mut splitter = Splitter::at(quoted, mark).most(20);
            splitter.push(&text.as_bytes()[mark.end as usize..]);
            let (mut record, mut rest) = (Vec::new(), Vec::new());
            while let Some(found) = splitter.next(&mut record).or_else(|| splitter.finish(&mut record)) {
                rest.push((String::from_utf8_lossy(&record).into_owned(), found));
            }
            prop_assert_eq!(&rest[..], &whole[at + 1..]);
        }
    }
}
