//! The monitors that QEMU serves to everyone else: one socket, which several listeners in QEMU share.
//!
//! A QEMU monitor serves one client at a time. With as many monitors as there are listeners on the same socket, a
//! client gets whichever is free, and needs to know nothing but the path.

/// How many clients QEMU serves at a time. A monitor that nobody uses costs one descriptor and no measurable time or
/// memory: with 32 of them, QEMU 7.2 to 11.1 start as fast as with one, and 7.2 and 10.0 need at most 0.5 MiB more, 11.1 some 4.5 MiB.
const CLIENTS: u32 = 16;

/// The descriptors of the monitors in QEMU, after the standard ones.
pub(super) fn descriptors() -> Vec<u32> {
    (3..3 + CLIENTS).collect()
}
