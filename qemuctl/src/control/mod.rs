//! What one does to a VM.

mod block;
mod display;
mod input;
mod keymap;
mod machine;
mod ppm;
mod screenshot;
mod stop;

pub use block::{IoBurst, IoLimits};
pub use display::{Authentication, ClientStream, Expiry};
pub use input::MouseButton;
pub use stop::{Rung, StopOutcome};
