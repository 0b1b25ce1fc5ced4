//! Five hundred starts, each ended by a random signal to QEMU, its launcher or both: every end is told right, nothing is left.

use crate::cli::cycles::storm;

#[test]
fn five_hundred_vms_that_are_killed_leave_nothing() {
    storm("cycles::five_hundred_vms_that_are_killed_leave_nothing", 500, 2);
}
