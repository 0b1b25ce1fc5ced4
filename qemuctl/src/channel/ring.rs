//! A ring buffer with one writer and any number of readers, each at its own position.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

/// A window over the end of a stream. Positions are counted in bytes from the stream's beginning.
#[derive(Debug)]
pub(super) struct Ring {
    bytes: VecDeque<u8>,
    capacity: usize,
    end: u64,
    closed: bool,
    waiting: Vec<Waker>,
}

impl Ring {
    pub(super) fn new(capacity: usize) -> Self {
        Self { bytes: VecDeque::new(), capacity, end: 0, closed: false, waiting: Vec::new() }
    }

    pub(super) fn push(&mut self, new: &[u8]) {
        self.end += new.len() as u64;
        let kept = &new[new.len().saturating_sub(self.capacity)..];
        let surplus = (self.bytes.len() + kept.len()).saturating_sub(self.capacity);
        self.bytes.drain(..surplus);
        self.bytes.extend(kept);
        self.wake();
    }

    /// Marks the end of the stream.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.wake();
    }

    fn wake(&mut self) {
        for waker in self.waiting.drain(..) {
            waker.wake();
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Returns where the window begins.
    pub(super) fn start(&self) -> u64 {
        self.end - self.bytes.len() as u64
    }

    /// Returns the position of the end of the stream.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Returns up to `limit` bytes from `at`, which must be in the window. Returns nothing at the end of the stream.
    pub(super) fn poll_read(&mut self, at: u64, limit: usize, context: &Context<'_>) -> Poll<Vec<u8>> {
        let skip = usize::try_from(at.saturating_sub(self.start())).unwrap_or(usize::MAX);
        let bytes: Vec<u8> = self.bytes.iter().skip(skip).take(limit).copied().collect();
        if bytes.is_empty() && !self.closed && limit > 0 {
            if !self.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                self.waiting.push(context.waker().clone());
            }
            return Poll::Pending;
        }
        Poll::Ready(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_moves_and_the_places_stay() {
        let mut ring = Ring::new(8);
        let context = Context::from_waker(Waker::noop());
        assert_eq!(ring.poll_read(0, 10, &context), Poll::Pending);
        ring.push(b"hello");
        assert_eq!(ring.poll_read(0, 10, &context), Poll::Ready(b"hello".to_vec()));
        assert_eq!(ring.poll_read(3, 1, &context), Poll::Ready(b"l".to_vec()));
        ring.push(b", world");
        assert_eq!((ring.start(), ring.end()), (4, 12));
        assert_eq!(ring.poll_read(4, 10, &context), Poll::Ready(b"o, world".to_vec()));
        ring.push(b"0123456789");
        assert_eq!(ring.poll_read(ring.start(), 10, &context), Poll::Ready(b"23456789".to_vec()));
        ring.close();
        assert_eq!(ring.poll_read(ring.end(), 10, &context), Poll::Ready(Vec::new()));
    }
}
