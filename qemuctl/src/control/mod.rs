//! What one does to a VM.

mod block;
mod display;
mod hotplug;
mod input;
mod keymap;
mod machine;
mod memory;
mod network;
mod power;
mod ppm;
mod screenshot;
mod stop;
mod throttle;

pub use display::{Authentication, ClientStream, Expiry};
pub use input::MouseButton;
pub use memory::BalloonStats;
pub use network::ForwardedPort;
pub use stop::{Rung, StopOutcome};
pub use throttle::{IoBurst, IoLimits};
