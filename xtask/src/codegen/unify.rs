//! Two releases' types of the same thing to one that takes the values of both.

use anyhow::{Result, bail};

use super::model::{Kind, element};

/// The types that names stand for.
pub trait Types {
    fn kind(&self, name: &str) -> Option<&Kind>;
}

/// The integer types with their bits and whether they have a sign.
const INTEGERS: [(&str, u32, bool); 10] = [
    ("int8", 8, true),
    ("uint8", 8, false),
    ("int16", 16, true),
    ("uint16", 16, false),
    ("int32", 32, true),
    ("uint32", 32, false),
    ("int", 64, true),
    ("int64", 64, true),
    ("uint64", 64, false),
    ("size", 64, false),
];

/// A type that takes the values of `older` and `newer`. `exact` says whether `newer` tells the width of
/// its integers.
pub fn unify(types: &dyn Types, older: &str, newer: &str, exact: bool) -> Result<String> {
    if older == newer {
        return Ok(newer.to_owned());
    }
    if let (Some(older), Some(newer)) = (element(older), element(newer)) {
        return Ok(format!("[{}]", unify(types, older, newer, exact)?));
    }
    let integer = |name: &str| INTEGERS.iter().find(|(known, _, _)| *known == name);
    if let (Some((_, older_bits, _)), Some((_, newer_bits, _))) = (integer(older), integer(newer)) {
        return Ok(if !exact || older_bits > newer_bits { older } else { newer }.to_owned());
    }
    match (older, types.kind(newer)) {
        // Every enum keeps unknown words, so it takes any string.
        ("str", Some(Kind::Enum { .. })) => Ok(newer.to_owned()),
        (_, Some(Kind::Alternate { alternatives })) if alternatives.iter().any(|a| a.r#type == older) => {
            Ok(newer.to_owned())
        }
        _ => bail!("'{older}' became '{newer}', and no type takes both"),
    }
}
