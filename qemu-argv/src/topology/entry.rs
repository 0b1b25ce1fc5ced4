//! What goes on one of the machine's own buses.

use smol_str::SmolStr;

use super::machine::VirtioTransport;
use super::placement::Placement;
use super::request::PciRequest;

/// A device or controller that goes on one of the machine's own buses.
pub(super) struct Entry<'a> {
    pub(super) owner: Owner,
    pub(super) id: &'a SmolStr,
    pub(super) request: PciRequest,
    pub(super) transport: VirtioTransport,
    /// The bus that it insists on, without a place there.
    pub(super) bus: Option<SmolStr>,
    pub(super) placement: Option<Placement>,
}

/// Whose place it is, by position in its list.
#[derive(Clone, Copy)]
pub(super) enum Owner {
    Device(usize),
    Controller(usize),
}
