//! `key=value,…`, as QEMU has always read it.

use super::why::{Why, short};
use crate::value::Value;

/// More keys than any option of QEMU has.
const MOST_KEYS: usize = 2000;

/// QEMU's `key=value,…`: commas in values are doubled, a bare word switches something on, `no…` off.
pub(super) fn key_value(text: &str, implied: Option<&str>) -> Result<Vec<(String, Value)>, Why> {
    let mut items = Vec::new();
    let mut rest = text;
    let mut is_first = true;
    while !rest.is_empty() {
        if items.len() == MOST_KEYS {
            return Err(format!("there are more than {MOST_KEYS} keys"));
        }
        let key_end = rest.find(['=', ',']).unwrap_or(rest.len());
        let has_value = rest[key_end..].starts_with('=');
        if is_first
            && !has_value
            && let Some(implied) = implied
        {
            let (value, after) = value(rest);
            items.push((implied.to_owned(), Value::from(value)));
            rest = after;
        } else if has_value {
            let key = &rest[..key_end];
            let (value, after) = value(&rest[key_end + 1..]);
            if key.is_empty() {
                return Err(format!("there is no key before ={}", short(&value)));
            }
            items.push((key.to_owned(), Value::from(value)));
            rest = after;
        } else {
            let word = &rest[..key_end];
            if !word.is_empty() {
                // `server` and `nowait`, which older releases took.
                match word.strip_prefix("no").filter(|positive| OLD_NEGATIVES.contains(positive)) {
                    Some(positive) => items.push((positive.to_owned(), Value::from("off"))),
                    None => items.push((word.to_owned(), Value::from("on"))),
                }
            }
            rest = rest[key_end..].strip_prefix(',').unwrap_or_default();
        }
        is_first = false;
    }
    Ok(items)
}

/// What QEMU took with `no` in front.
const OLD_NEGATIVES: [&str; 6] = ["wait", "delay", "server", "ipv4", "ipv6", "telnet"];

/// The value up to a single comma, and what is behind that.
fn value(text: &str) -> (String, &str) {
    let mut found = String::new();
    let mut rest = text;
    loop {
        let Some(comma) = rest.find(',') else {
            found.push_str(rest);
            return (found, "");
        };
        found.push_str(&rest[..comma]);
        rest = &rest[comma + 1..];
        match rest.strip_prefix(',') {
            Some(after) => {
                found.push(',');
                rest = after;
            }
            None => return (found, rest),
        }
    }
}
