//! Names that are cheap to put together: the machinery of `format!` is most of what a short one costs.

use smol_str::{SmolStr, SmolStrBuilder};

/// The parts in a row.
pub(crate) fn join<const COUNT: usize>(parts: [&str; COUNT]) -> SmolStr {
    let mut name = SmolStrBuilder::new();
    for part in parts {
        name.push_str(part);
    }
    name.finish()
}

/// A name that ends with a number.
pub(crate) fn numbered(prefix: &str, number: impl itoa::Integer) -> SmolStr {
    join([prefix, itoa::Buffer::new().format(number)])
}
