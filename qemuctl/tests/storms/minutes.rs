//! Five minutes of many programs at one VM.

use std::time::Duration;

use crate::cli::crowd::crowd;
use crate::cli::guest::linux;

#[test]
fn for_five_minutes_none_of_many_programs_is_refused() {
    crowd(&linux("vm"), Duration::from_secs(300));
}
