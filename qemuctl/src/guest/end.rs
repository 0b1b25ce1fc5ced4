//! The end of what runs in a guest before it has ended by itself: the guest is reset, panics, or shuts down.

use std::time::Duration;

use qmp_client::EventsError;
use qmp_proto::event::{GuestPanicked, Reset, Shutdown};
use qmp_proto::{AnyEvent, Event};

use crate::error::Error;
use crate::instance::Instance;
use crate::reason::GuestEnd;

/// How long the end of the VM may take to follow.
fn follows(end: GuestEnd) -> Duration {
    match end {
        GuestEnd::Reset => Duration::ZERO,
        GuestEnd::Panicked | GuestEnd::ShutDown => Duration::from_secs(1),
    }
}

impl Instance {
    /// Waits until the guest is reset, panics or shuts down, from this call on: what runs in it is over then, and its agent
    /// will not answer what it was asked. A VM that ends in another way is told by [`wait`](Self::wait).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: drop it and call it again.
    pub fn guest_end(&self) -> impl Future<Output = GuestEnd> + Send + 'static {
        let mut ends = self.qmp().events_named([Reset::NAME, GuestPanicked::NAME, Shutdown::NAME]);
        async move {
            loop {
                match ends.recv().await {
                    Ok(event) => match event.event {
                        AnyEvent::Reset(_) => return GuestEnd::Reset,
                        AnyEvent::GuestPanicked(_) => return GuestEnd::Panicked,
                        AnyEvent::Shutdown(_) => return GuestEnd::ShutDown,
                        _ => {}
                    },
                    Err(EventsError::Missed(_)) => {}
                    Err(_) => std::future::pending().await,
                }
            }
        }
    }

    /// Does `work` inside the guest, and gives it up when the guest is reset, panics or shuts down.
    pub(super) async fn in_guest<T>(
        &self,
        action: &'static str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let end = self.guest_end();
        tokio::select! {
            // What has been done counts.
            biased;
            done = work => done,
            end = end => Err(self.explain_guest_end(action, end).await),
        }
    }

    /// The error of what was under way in the guest when that came to its end.
    pub(super) async fn explain_guest_end(&self, action: &'static str, end: GuestEnd) -> Error {
        match tokio::time::timeout(follows(end), self.wait()).await {
            Ok(reason) => Error::Gone { action: action.into(), name: self.name().to_owned(), reason },
            Err(_) => Error::Interrupted { action, name: self.name().to_owned(), end },
        }
    }
}
