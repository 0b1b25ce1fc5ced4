//! What a value means: a switch, a number, a size, and the types of properties.

use super::why::{Why, short};
use crate::config::Size;
use crate::property_kinds::{FLAGS, NUMBERS, SIZES, TEXTS};
use crate::value::Value;

pub(super) fn as_flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(on) => Some(*on),
        Value::Str(text) => match text.as_str() {
            "on" | "yes" | "true" | "y" => Some(true),
            "off" | "no" | "false" | "n" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn as_number(value: &Value) -> Option<u64> {
    match value {
        Value::Uint(number) => Some(*number),
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::Str(text) => match text.strip_prefix("0x") {
            Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16).ok(),
            Some(_) => None,
            None => text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten(),
        },
        _ => None,
    }
}

/// A size whose plain numbers are counted in units of 2^`plain` bytes.
pub(super) fn as_size(value: &Value, plain: u32) -> Option<Size> {
    let Value::Str(text) = value else { return as_number(value).map(Size::bytes) };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let shift = match text[digits..].to_ascii_lowercase().as_str() {
        "" => plain,
        "b" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return None,
    };
    number.checked_mul(1 << shift).map(Size::bytes)
}

/// The type of a property, as far as it is known: JSON has types, `key=value` has not.
pub(super) fn property(key: &str, text: &str) -> Result<Value, Why> {
    let value = Value::from(text);
    let unknown = || format!("the type of the property `{}` is not known", short(key));
    if TEXTS.contains(&key) {
        Ok(value)
    } else if FLAGS.contains(&key) {
        as_flag(&value).map(Value::Bool).ok_or_else(unknown)
    } else if SIZES.contains(&key) {
        as_size(&value, 0).map(|size| Value::Uint(size.to_bytes())).ok_or_else(unknown)
    } else if NUMBERS.contains(&key) {
        as_number(&value).map(Value::Uint).ok_or_else(unknown)
    } else {
        Err(unknown())
    }
}
