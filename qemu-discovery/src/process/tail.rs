//! The last lines that a program printed, in bounded memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Lines kept. A QEMU that cannot start prints one to five.
const LINES: usize = 64;
/// Bytes kept of one line; the rest of it is dropped.
const LINE_BYTES: usize = 1024;

/// The last lines of an output. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Tail(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    whole: VecDeque<String>,
    /// The line that has no end yet.
    open: Vec<u8>,
}

impl Tail {
    /// Reads `source` until its end, keeping the last lines. A flood costs time, never memory.
    pub async fn drain(self, mut source: impl AsyncRead + Unpin) {
        let mut buffer = [0; 4096];
        loop {
            match source.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(count) => self.push(&buffer[..count]),
            }
        }
    }

    pub fn push(&self, bytes: &[u8]) {
        let mut lines = self.lock();
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, ends) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let room = LINE_BYTES - lines.open.len();
            lines.open.extend_from_slice(&text[..text.len().min(room)]);
            if ends {
                let line = std::mem::take(&mut lines.open);
                lines.whole.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
                if lines.whole.len() > LINES {
                    lines.whole.pop_front();
                }
            }
        }
    }

    /// The lines, oldest first, with the unfinished one last.
    pub fn lines(&self) -> Vec<String> {
        let lines = self.lock();
        let open = (!lines.open.is_empty()).then(|| String::from_utf8_lossy(&lines.open).into_owned());
        lines.whole.iter().cloned().chain(open).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_the_last_lines_of_a_flood() {
        let tail = Tail::default();
        let flood: Vec<u8> = (0..10_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        tail.clone().drain(&flood[..]).await;
        let lines = tail.lines();
        assert_eq!(lines.len(), LINES);
        assert_eq!(lines.last().map(String::as_str), Some("line 9999"));
        assert_eq!(lines.first().map(String::as_str), Some("line 9936"));
    }

    #[test]
    fn a_line_without_end_is_cut_and_kept() {
        let tail = Tail::default();
        for _ in 0..100 {
            tail.push(&[b'x'; 1000]);
        }
        assert_eq!(tail.lines(), ["x".repeat(LINE_BYTES)]);
        tail.push(b"\r\nshort\r\nopen\xff");
        assert_eq!(tail.lines(), ["x".repeat(LINE_BYTES), "short".into(), "open\u{fffd}".into()]);
    }
}
