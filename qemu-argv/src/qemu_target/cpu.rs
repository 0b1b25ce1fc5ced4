//! A CPU model with its features.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::value::{Props, Value};

/// A CPU model with features, as for `-cpu`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetCpu {
    /// The model, such as `host` or `max`.
    pub model: String,
    /// Features of the model by QEMU's names, each true, false, a number or a word.
    #[serde(default)]
    pub features: Props,
}

impl TargetCpu {
    /// Returns the model without features.
    pub fn new(model: impl Into<String>) -> Self {
        Self { model: model.into(), features: Props::new() }
    }

    /// Adds features; a new value replaces an existing one.
    #[must_use]
    pub fn with(mut self, features: &Props) -> Self {
        self.features.extend(features.clone());
        self
    }
}

/// The argument of `-cpu`: `host,arch-capabilities=off`. QEMU splits it at commas, which cannot be escaped.
impl fmt::Display for TargetCpu {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.model)?;
        for (key, value) in self.features.iter() {
            match value {
                Value::Bool(on) => write!(formatter, ",{key}={}", if *on { "on" } else { "off" })?,
                Value::Int(number) => write!(formatter, ",{key}={number}")?,
                Value::Uint(number) => write!(formatter, ",{key}={number}")?,
                Value::Str(word) => write!(formatter, ",{key}={word}")?,
                // No feature has such a value; a plan with one is refused.
                Value::Null | Value::Bytes(_) | Value::List(_) | Value::Map(_) => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_qemu_reads_it() {
        let cpu = TargetCpu::new("host").with(&Props::new().with("vmx", false).with("phys-bits", 40_u8));
        let cpu = cpu.with(&Props::new().with("hv-vendor-id", "mine").with("vmx", true));
        assert_eq!(cpu.to_string(), "host,vmx=on,phys-bits=40,hv-vendor-id=mine");
        assert_eq!(TargetCpu::new("max").to_string(), "max");
    }
}
