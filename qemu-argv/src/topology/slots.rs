//! One PCI bus: 32 slots of 8 functions, which are held, and which may still be shared.

/// What kind of bus it is, which decides what may go there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The root bus.
    Root,
    /// Behind a PCI Express root port: one slot, for one hot-pluggable device.
    Port,
    /// Inside a switch: downstream ports only.
    Switch,
    /// Behind a downstream port of a switch: one slot, shared by devices that stay.
    Shared,
    /// Behind a port or bridge of the configuration's own: nothing is put there unasked.
    Own,
    /// Behind a bridge to conventional PCI: slots 1 to 31 (slot 0 is for its hotplug controller).
    Bridge,
}

/// The slots of one bus.
#[derive(Debug)]
pub(super) struct Bus {
    pub(super) kind: Kind,
    pub(super) first: u8,
    pub(super) last: u8,
    /// Of a root port: its number, and which of the created controllers it is.
    pub(super) port: Option<(u8, usize)>,
    /// Whether a device alone in its slot can come and go.
    pub(super) hotplug: bool,
    used: [u8; 32],
    /// One bit a slot: its holder does not share.
    alone: u32,
    /// One bit a slot: the board or root ports hold it, so that nothing is put there unasked.
    reserved: u32,
}

impl Bus {
    pub(super) fn new(kind: Kind, first: u8, last: u8, hotplug: bool) -> Self {
        Self { kind, first, last, port: None, hotplug, used: [0; 32], alone: 0, reserved: 0 }
    }

    /// Takes a place, or tells the function that is in the way: that one, or the lowest of the slot. The caller has checked
    /// the range.
    pub(super) fn take(&mut self, slot: u8, function: u8, share: bool) -> Result<(), u8> {
        let used = self.used(slot);
        if used & (1 << (function & 7)) != 0 {
            return Err(function);
        }
        if used != 0 && (!share || has(self.alone, slot)) {
            return Err(self.lowest(slot));
        }
        self.used[usize::from(slot & 31)] |= 1 << (function & 7);
        if !share {
            self.alone |= 1 << (slot & 31);
        }
        Ok(())
    }

    /// The lowest function of the slot that is held.
    pub(super) fn lowest(&self, slot: u8) -> u8 {
        u8::try_from(self.used(slot).trailing_zeros()).unwrap_or_default()
    }

    /// Keeps a slot from being given to devices unasked.
    pub(super) fn reserve(&mut self, slot: u8) {
        self.reserved |= 1 << (slot & 31);
    }

    /// One bit for each function of the slot that is held.
    pub(super) fn used(&self, slot: u8) -> u8 {
        self.used[usize::from(slot & 31)]
    }

    pub(super) fn is_free(&self, slot: u8) -> bool {
        self.used(slot) == 0 && !has(self.reserved, slot)
    }

    /// How many whole slots are free.
    pub(super) fn free_slots(&self) -> usize {
        (self.first..=self.last).filter(|&slot| self.is_free(slot)).count()
    }

    /// Whether nothing is on the bus.
    pub(super) fn is_empty(&self) -> bool {
        self.used == [0; 32]
    }

    /// Whether a device may join those in the slot as one more function.
    pub(super) fn can_join(&self, slot: u8) -> bool {
        let used = self.used(slot);
        used != 0 && used != 0xff && !has(self.alone, slot) && !has(self.reserved, slot)
    }

    /// The lowest free function of a slot; function 0 first, without which guests do not look for the others.
    pub(super) fn free_function(&self, slot: u8) -> Option<u8> {
        let free = self.used(slot).trailing_ones();
        (free < 8).then_some(u8::try_from(free).unwrap_or(7))
    }

    /// Slots that have functions but no function 0: guests see nothing there.
    pub(super) fn headless(&self) -> impl Iterator<Item = u8> {
        (self.first..=self.last).filter(|&slot| self.used(slot) != 0 && self.used(slot) & 1 == 0)
    }
}

/// Whether a mask of slots names this one.
fn has(mask: u32, slot: u8) -> bool {
    mask & (1 << (slot & 31)) != 0
}
