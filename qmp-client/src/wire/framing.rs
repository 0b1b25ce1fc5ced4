//! Splits the incoming bytes into lines.
//!
//! No I/O. QEMU ends each message with `\r\n` and its guest agent with `\n`. Messages contain no line breaks, except
//! those of a monitor created with `-qmp-pretty`: there the first line is a lone `{`, the last one a lone `}`, and all
//! lines in between are indented.

use std::ops::Range;

/// The size of the idle buffer, in bytes.
const IDLE_SIZE: usize = 8 << 10;

/// A buffer larger than this, in bytes, is freed once it is empty.
const KEEP_SIZE: usize = 64 << 10;

/// A line exceeded the limit, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong(pub usize);

/// Bytes of a line that were kept.
#[derive(Debug)]
pub(crate) struct Kept {
    buffer: Vec<u8>,
    range: Range<usize>,
}

impl std::ops::Deref for Kept {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer[self.range.clone()]
    }
}

/// Collects bytes and finds lines in them.
#[derive(Debug)]
pub(crate) struct Framer {
    /// Initialised in full, so that no read has to clear it first.
    buffer: Vec<u8>,
    /// How much of the buffer has been received.
    filled: usize,
    /// Where the first line that was not taken begins.
    start: usize,
    /// Where the line that is being looked at begins: behind `start` inside a message that is spread over lines.
    line: usize,
    /// Up to where no line end is left to be found.
    scanned: usize,
    max: usize,
}

impl Framer {
    /// Accepts lines of up to `max` bytes.
    pub(crate) fn new(max: usize) -> Self {
        Self { buffer: vec![0; IDLE_SIZE], filled: 0, start: 0, line: 0, scanned: 0, max }
    }

    /// Room to receive into; then say how much came with [`Framer::received`]. Ranges given out before are void.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.start == self.filled {
            (self.filled, self.start, self.line, self.scanned) = (0, 0, 0, 0);
            if self.buffer.len() > KEEP_SIZE {
                self.buffer = vec![0; IDLE_SIZE];
            }
        } else if self.filled == self.buffer.len() {
            self.buffer.copy_within(self.start..self.filled, 0);
            self.filled -= self.start;
            self.scanned -= self.start;
            self.line -= self.start;
            self.start = 0;
            if self.filled > self.buffer.len() / 2 {
                // A multiple each time, but never much beyond the bound.
                let more = (self.max + 2).saturating_sub(self.filled).min(3 * self.filled).max(IDLE_SIZE);
                let size = self.filled + more;
                self.buffer.reserve_exact(size - self.buffer.len());
                self.buffer.resize(size, 0);
            }
        }
        &mut self.buffer[self.filled..]
    }

    /// Takes note that `count` bytes came into the space.
    pub(crate) fn received(&mut self, count: usize) {
        self.filled += count;
    }

    /// Takes the next whole line that is not blank, without its line end.
    pub(crate) fn next_line(&mut self) -> Result<Option<Range<usize>>, TooLong> {
        loop {
            let Some(found) = memchr::memchr(b'\n', &self.buffer[self.scanned..self.filled]) else {
                self.scanned = self.filled;
                // One more byte may be the `\r` of the line end.
                return if self.pending() > self.max + 1 { Err(TooLong(self.max)) } else { Ok(None) };
            };
            let end = self.scanned + found;
            let text = self.buffer[self.line..end].trim_ascii_end();
            let goes_on = if self.line == self.start { text == b"{" } else { text.first() == Some(&b' ') };
            self.line = end + 1;
            self.scanned = end + 1;
            if goes_on {
                continue;
            }
            let line = self.start..end;
            self.start = end + 1;
            let line = line.start..line.start + self.buffer[line].trim_ascii_end().len();
            if line.len() > self.max {
                return Err(TooLong(self.max));
            }
            if !line.is_empty() {
                return Ok(Some(line));
            }
        }
    }

    /// The bytes of a line just taken.
    pub(crate) fn bytes(&self, line: Range<usize>) -> &[u8] {
        &self.buffer[line]
    }

    /// Keeps a part of the line just taken. All ranges given out before are void.
    pub(crate) fn keep(&mut self, part: Range<usize>) -> Kept {
        if self.start == self.filled && self.buffer.len() > KEEP_SIZE {
            // It would be given back anyway, so it need not be copied.
            (self.filled, self.start, self.line, self.scanned) = (0, 0, 0, 0);
            let buffer = std::mem::replace(&mut self.buffer, vec![0; IDLE_SIZE]);
            return Kept { buffer, range: part };
        }
        let buffer = self.buffer[part].to_vec();
        Kept { range: 0..buffer.len(), buffer }
    }

    /// Where a part of the buffer lies, to be kept.
    pub(crate) fn range_of(&self, part: &[u8]) -> Range<usize> {
        let start = part.as_ptr().addr() - self.buffer.as_ptr().addr();
        start..start + part.len()
    }

    /// How many bytes of an unfinished line have come.
    pub(crate) fn pending(&self) -> usize {
        self.filled - self.start
    }
}

/// The beginning of a line, fit for an error message.
pub(crate) fn preview(line: &[u8]) -> String {
    const LONGEST: usize = 80;
    let text = String::from_utf8_lossy(&line[..line.len().min(LONGEST)]).into_owned();
    if line.len() > LONGEST { text + "…" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(framer: &mut Framer) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(line) = framer.next_line().unwrap() {
            found.push(String::from_utf8(framer.bytes(line).to_vec()).unwrap());
        }
        found
    }

    fn put(framer: &mut Framer, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let space = framer.space();
            let count = space.len().min(rest.len());
            assert!(count > 0, "there is always room");
            space[..count].copy_from_slice(&rest[..count]);
            framer.received(count);
            rest = &rest[count..];
        }
    }

    #[test]
    fn any_cut_gives_the_same_lines() {
        let input = b"{\"a\":1}\r\n\r\n{\"b\":2}\n  \n{\"c\"";
        for first in 0..=input.len() {
            for second in first..=input.len() {
                let mut framer = Framer::new(100);
                let mut found = Vec::new();
                for part in [&input[..first], &input[first..second], &input[second..]] {
                    put(&mut framer, part);
                    found.append(&mut lines(&mut framer));
                }
                assert_eq!(found, ["{\"a\":1}", "{\"b\":2}"], "cut at {first} and {second}");
                assert_eq!(framer.pending(), 4);
            }
        }
    }

    #[test]
    fn a_message_may_be_spread_over_lines() {
        let input = b"{\r\n    \"a\": {\r\n    }\r\n}\r\n{\"b\":2}\r\n{\r\n    \"c\": [\r\n    ]\r\n}\r\n";
        for cut in 0..=input.len() {
            let mut framer = Framer::new(100);
            let mut found = Vec::new();
            for part in [&input[..cut], &input[cut..]] {
                put(&mut framer, part);
                found.append(&mut lines(&mut framer));
            }
            assert_eq!(
                found,
                ["{\r\n    \"a\": {\r\n    }\r\n}", "{\"b\":2}", "{\r\n    \"c\": [\r\n    ]\r\n}"]
            );
            assert_eq!(framer.pending(), 0);
        }
        let mut framer = Framer::new(10);
        put(&mut framer, b"{\r\n    \"a\": 1,\r\n    \"b");
        assert_eq!(framer.next_line(), Err(TooLong(10)));
    }

    #[test]
    fn a_lone_brace_does_not_swallow_the_rest() {
        let mut framer = Framer::new(100);
        put(&mut framer, b"{\n\xff{\"return\": 1}\n{}\n");
        let first = framer.next_line().unwrap().unwrap();
        assert_eq!(framer.bytes(first), b"{\n\xff{\"return\": 1}");
        assert_eq!(lines(&mut framer), ["{}"]);
    }

    #[test]
    fn the_bound_holds_with_and_without_a_line_end() {
        for (length, whole) in [(10, true), (11, false)] {
            for end in ["", "\n", "\r\n"] {
                let mut framer = Framer::new(10);
                put(&mut framer, &vec![b'x'; length]);
                put(&mut framer, end.as_bytes());
                let outcome = framer.next_line().map(|line| line.is_some());
                let expected = match (whole, end) {
                    // The eleventh byte may still turn out to be a line end.
                    (_, "") => Ok(false),
                    (true, _) => Ok(true),
                    (false, _) => Err(TooLong(10)),
                };
                assert_eq!(outcome, expected, "{length} bytes and {end:?}");
            }
        }
        let mut framer = Framer::new(10);
        put(&mut framer, &[b'x'; 12]);
        assert_eq!(framer.next_line(), Err(TooLong(10)));
    }

    #[test]
    fn memory_is_bounded_and_given_back() {
        const LONG: usize = 1 << 20;
        let mut framer = Framer::new(LONG);
        let mut sent = 0;
        while sent < LONG {
            let count = framer.space().len().min(LONG - sent);
            put(&mut framer, &vec![b'x'; count]);
            sent += count;
            assert_eq!(framer.next_line(), Ok(None));
        }
        put(&mut framer, b"\n");
        assert!(framer.buffer.capacity() <= LONG + 2 * IDLE_SIZE, "{}", framer.buffer.capacity());
        assert_eq!(framer.next_line(), Ok(Some(0..LONG)));
        assert_eq!(&*framer.keep(1..3), b"xx");
        assert_eq!(framer.buffer.capacity(), IDLE_SIZE, "it was handed over");
        assert_eq!(framer.space().len(), IDLE_SIZE);
        put(&mut framer, &vec![b'x'; KEEP_SIZE]);
        put(&mut framer, b"\n{}");
        assert_eq!(framer.next_line(), Ok(Some(0..KEEP_SIZE)));
        assert_eq!(framer.keep(0..KEEP_SIZE).len(), KEEP_SIZE);
        assert_eq!(framer.pending(), 2, "what came behind is still there");
        put(&mut framer, b"\n");
        assert_eq!(framer.next_line(), Ok(Some(KEEP_SIZE + 1..KEEP_SIZE + 3)));
        assert_eq!(framer.space().len(), IDLE_SIZE);
        assert_eq!(framer.buffer.capacity(), IDLE_SIZE);
    }

    #[test]
    fn a_long_tail_behind_taken_lines_makes_room() {
        let mut framer = Framer::new(1 << 20);
        let line = [&[b'x'; 3000][..], b"\n"].concat();
        for _ in 0..1000 {
            put(&mut framer, &line);
            put(&mut framer, b"y");
            assert_eq!(framer.next_line().map(|line| line.map(|line| line.len())), Ok(Some(3000)));
            put(&mut framer, b"\n");
            assert_eq!(framer.next_line().map(|line| line.map(|line| line.len())), Ok(Some(1)));
        }
        assert_eq!(framer.buffer.len(), IDLE_SIZE);
    }

    #[test]
    fn previews_are_short_and_printable() {
        assert_eq!(preview(b"SSH-2.0\0\xff"), "SSH-2.0\0\u{fffd}");
        assert_eq!(preview(&[b'x'; 81]), "x".repeat(80) + "…");
    }
}
