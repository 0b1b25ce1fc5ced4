//! What one does to a VM.

mod stop;

pub use stop::{Rung, StopOutcome};
