//! Detects the end of the guest while a program runs in it: a reset, a panic or a shutdown.

use std::time::Duration;

use qmp_client::EventsError;
use qmp_proto::event::{GuestPanicked, Reset, Shutdown};
use qmp_proto::{AnyEvent, Event};

use crate::error::Error;
use crate::instance::Instance;
use crate::reason::GuestEnd;

/// How long to wait for the VM to end after its guest.
fn follows(end: GuestEnd) -> Duration {
    match end {
        GuestEnd::Reset => Duration::ZERO,
        GuestEnd::Panicked | GuestEnd::ShutDown => Duration::from_secs(1),
    }
}

/// # How the guest ended
impl Instance {
    /// Waits until the guest is reset, panics or shuts down, from this call on. After that, programs in the guest are
    /// gone, and its agent does not answer earlier requests. For a VM that ends in another way, use
    /// [`wait`](Self::wait).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, what happens before the next call is missed.
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

    /// Runs `work` inside the guest, and cancels it if the guest is reset, panics or shuts down.
    pub(super) async fn in_guest<T>(
        &self,
        action: &'static str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let end = self.guest_end();
        tokio::select! {
            // If the work is done, its result counts.
            biased;
            done = work => done,
            end = end => Err(self.explain_guest_end(action, end).await),
        }
    }

    /// Returns the error for an operation that was interrupted by the guest's end.
    pub(super) async fn explain_guest_end(&self, action: &'static str, end: GuestEnd) -> Error {
        match tokio::time::timeout(follows(end), self.wait()).await {
            Ok(reason) => Error::Gone { action: action.into(), name: self.name().to_owned(), reason },
            Err(_) => Error::Interrupted { action, name: self.name().to_owned(), end },
        }
    }
}
