//! PCI addresses, in the notation of `lspci` and of QEMU's `addr` property.
//!
//! Note that QEMU interprets a *number* given for `addr` as slot and function packed together, so an address is always
//! formatted as a string.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::{SmolStr, format_smolstr};

use crate::name::join;

/// A PCI address: `[[domain:]bus:]slot[.function]` as `lspci` prints it (all hexadecimal), or `name:slot[.function]`
/// with the name of one of QEMU's buses.
///
/// ```
/// use qemu_argv::plan::pci::{PciAddress, PciBus};
///
/// let built_in: PciAddress = "0000:00:1f.2".parse()?;
/// assert_eq!((built_in.slot(), built_in.function()), (0x1f, 2));
/// assert_eq!(built_in.addr(), "0x1f.0x2");
///
/// let behind: PciAddress = "rp3:00.0".parse()?;
/// assert_eq!(behind.bus(), &PciBus::Named("rp3".into()));
/// # Ok::<(), qemu_argv::plan::pci::ParsePciAddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress {
    bus: PciBus,
    slot: u8,
    function: u8,
}

/// The bus of an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PciBus {
    /// A bus by number. Only `0000:00`, the root bus, is fixed: firmware numbers the others when the guest starts.
    Numbered {
        /// The PCI segment; QEMU's machines have one, 0.
        domain: u16,
        /// The bus number; 0 is the root bus.
        bus: u8,
    },
    /// A bus by QEMU's name, such as `pcie.0` or the id of a root port.
    Named(String),
}

impl PciAddress {
    /// The place `slot`.`function` on `bus`.
    ///
    /// # Errors
    ///
    /// When the slot is above 31 or the function above 7: PCI has no more.
    pub fn new(bus: PciBus, slot: u8, function: u8) -> Result<Self, ParsePciAddressError> {
        if slot > 31 {
            return Err(ParsePciAddressError::Slot);
        }
        if function > 7 {
            return Err(ParsePciAddressError::Function);
        }
        Ok(Self { bus, slot, function })
    }

    /// The bus.
    pub fn bus(&self) -> &PciBus {
        &self.bus
    }

    /// The slot, 0 to 31.
    pub fn slot(&self) -> u8 {
        self.slot
    }

    /// The function, 0 to 7.
    pub fn function(&self) -> u8 {
        self.function
    }

    /// The value of QEMU's `addr` property.
    pub fn addr(&self) -> String {
        addr(self.slot, self.function).into()
    }
}

/// The value of QEMU's `addr` property for a slot and function.
pub(crate) fn addr(slot: u8, function: u8) -> SmolStr {
    const NUMBERS: [&str; 32] = [
        "0x0", "0x1", "0x2", "0x3", "0x4", "0x5", "0x6", "0x7", "0x8", "0x9", "0xa", "0xb", "0xc", "0xd",
        "0xe", "0xf", "0x10", "0x11", "0x12", "0x13", "0x14", "0x15", "0x16", "0x17", "0x18", "0x19", "0x1a",
        "0x1b", "0x1c", "0x1d", "0x1e", "0x1f",
    ];
    match (NUMBERS.get(usize::from(slot)), NUMBERS.get(usize::from(function))) {
        (Some(slot), _) if function == 0 => SmolStr::new_static(slot),
        (Some(slot), Some(function)) => join([slot, ".", function]),
        _ => format_smolstr!("{slot:#x}.{function:#x}"),
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{:02x}.{:x}", self.bus, self.slot, self.function)
    }
}

impl fmt::Display for PciBus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbered { domain, bus } => write!(formatter, "{domain:04x}:{bus:02x}"),
            Self::Named(name) => formatter.write_str(name),
        }
    }
}

/// Why a text is not a valid PCI address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant is")]
#[non_exhaustive]
pub enum ParsePciAddressError {
    #[error("not a valid PCI address; expected for example 0000:00:1f.2, 1f.2 or rp1:00.0")]
    Syntax,
    #[error("a PCI slot must be a hexadecimal number from 00 to 1f")]
    Slot,
    #[error("a PCI function must be a number from 0 to 7")]
    Function,
}

impl FromStr for PciAddress {
    type Err = ParsePciAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (bus, place) = match text.rsplit_once(':') {
            Some((bus, place)) => (parse_bus(bus)?, place),
            None => (PciBus::Numbered { domain: 0, bus: 0 }, text),
        };
        let (slot, function) = place.split_once('.').unwrap_or((place, "0"));
        let slot =
            hex(slot, 2).and_then(|slot| u8::try_from(slot).ok()).ok_or(ParsePciAddressError::Syntax)?;
        let function = hex(function, 1)
            .and_then(|number| u8::try_from(number).ok())
            .ok_or(ParsePciAddressError::Syntax)?;
        Self::new(bus, slot, function)
    }
}

fn parse_bus(text: &str) -> Result<PciBus, ParsePciAddressError> {
    let (domain, bus) = text.split_once(':').map_or((None, text), |(domain, bus)| (Some(domain), bus));
    // Two hexadecimal digits are a number even where a device could be called so.
    if let Some(number) = hex(bus, 2).filter(|_| bus.len() == 2).and_then(|number| u8::try_from(number).ok())
    {
        let domain = domain.map_or(Some(0), |domain| hex(domain, 4)).ok_or(ParsePciAddressError::Syntax)?;
        return Ok(PciBus::Numbered { domain, bus: number });
    }
    let named = domain.is_none() && bus.starts_with(|first: char| first.is_ascii_alphabetic());
    if named && bus.chars().all(|each| each.is_ascii_alphanumeric() || "._-".contains(each)) {
        return Ok(PciBus::Named(bus.to_owned()));
    }
    Err(ParsePciAddressError::Syntax)
}

/// A hexadecimal number of at most `digits` digits, without sign; QEMU writes it with a prefix.
fn hex(text: &str, digits: usize) -> Option<u16> {
    let text = text.strip_prefix("0x").unwrap_or(text);
    let plain = (1..=digits).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u16::from_str_radix(text, 16).ok()).flatten()
}

impl Serialize for PciAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PciAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, ParsePciAddressError> {
        text.parse::<PciAddress>().map(|address| format!("{address} {}", address.addr()))
    }

    #[test]
    fn reads_what_lspci_prints_and_names_of_buses() {
        for (text, whole) in [
            ("0000:00:1f.2", "0000:00:1f.2 0x1f.0x2"),
            ("00:1f.2", "0000:00:1f.2 0x1f.0x2"),
            ("1f.2", "0000:00:1f.2 0x1f.0x2"),
            ("2", "0000:00:02.0 0x2"),
            ("0001:fe:00.7", "0001:fe:00.7 0x0.0x7"),
            ("pcie.0:1c", "pcie.0:1c.0 0x1c"),
            ("rp3:00.0", "rp3:00.0 0x0"),
            ("0x6.0x1", "0000:00:06.1 0x6.0x1"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(whole), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_place() {
        use ParsePciAddressError::{Function, Slot, Syntax};
        for (text, error) in [
            ("", Syntax),
            ("20", Slot),
            ("ff.0", Slot),
            ("1.8", Function),
            ("1.", Syntax),
            (".1", Syntax),
            ("+1", Syntax),
            ("1:2:3:4", Syntax),
            ("00000:00:01.0", Syntax),
            ("rp 1:0", Syntax),
            ("0000:rp1:0", Syntax),
            ("é:1", Syntax),
            ("a,b:1", Syntax),
        ] {
            assert_eq!(shown(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_saved_address_reads_back() {
        let address: PciAddress = "pcie.0:03.1".parse().expect("is an address");
        let saved = serde_json::to_string(&address).expect("is text");
        assert_eq!(saved, r#""pcie.0:03.1""#);
        assert_eq!(serde_json::from_str::<PciAddress>(&saved).expect("reads back"), address);
    }
}
