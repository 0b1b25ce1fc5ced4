//! Control of a running VM.

mod block;
mod disk_error;
mod display;
mod hotplug;
mod input;
mod job;
mod keymap;
mod machine;
mod memory;
mod network;
mod power;
#[cfg(feature = "png")]
mod ppm;
mod screenshot;
mod stats;
mod stop;
mod throttle;

pub use disk_error::DiskError;
pub use display::{Authentication, ClientStream, Expiry};
pub use input::MouseButton;
pub use memory::BalloonStats;
pub use network::{ForwardedPort, NetworkInterface};
pub use stats::{DiskStats, ProcessStats, Stats, TapStats, VcpuStats};
pub use stop::{GuestAnswer, StopOutcome, StopStep};
pub use throttle::{IoBurst, IoLimits};
