//! Sizes in bytes, with units.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A size in bytes. In config files, may be given as `"2GiB"`, `"512M"` or a number of bytes; units are powers of 1024.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

/// Units, the largest first: shift, printed name, and the letter that is accepted, too.
const UNITS: [(u32, &str, &str); 4] =
    [(40, "TiB", "T"), (30, "GiB", "G"), (20, "MiB", "M"), (10, "KiB", "K")];

impl Size {
    /// Makes a size in bytes.
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Makes a size in KiB, limited to `u64::MAX` bytes.
    pub const fn kib(kib: u64) -> Self {
        Self(kib.saturating_mul(1 << 10))
    }

    /// Makes a size in MiB, limited to `u64::MAX` bytes.
    pub const fn mib(mib: u64) -> Self {
        Self(mib.saturating_mul(1 << 20))
    }

    /// Makes a size in GiB, limited to `u64::MAX` bytes.
    pub const fn gib(gib: u64) -> Self {
        Self(gib.saturating_mul(1 << 30))
    }

    /// Returns the size in bytes.
    pub const fn to_bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, name, _) in UNITS {
            if self.0 > 0 && self.0.trailing_zeros() >= shift {
                return write!(formatter, "{}{name}", self.0 >> shift);
            }
        }
        write!(formatter, "{}", self.0)
    }
}

/// The error for an invalid size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a valid size; {advice}", advice = advice(.0))]
#[non_exhaustive]
pub struct ParseSizeError(String);

/// Returns what to write instead: decimal units are close to what was meant, and unlike what QEMU calls so.
fn advice(text: &str) -> String {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = (&lower[..digits], lower[digits..].trim_start());
    let meant = UNITS.iter().find(|(_, name, letter)| {
        let letter = letter.to_ascii_lowercase();
        unit == name.to_ascii_lowercase() || unit == letter || unit.strip_suffix('b') == Some(&letter)
    });
    match meant {
        Some((_, name, _)) if digits > 0 => format!("units are powers of 1024: write {number}{name}"),
        _ => "expected for example 2GiB, 512MiB, 64KiB or a number of bytes".to_owned(),
    }
}

impl FromStr for Size {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<Self, ParseSizeError> {
        let wrong = || ParseSizeError(text.to_owned());
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
        let unit = text[digits..].trim_start();
        let shift = match unit {
            "" | "B" => 0,
            _ => UNITS
                .iter()
                .find(|(_, name, letter)| unit == *name || unit == *letter)
                .map(|(shift, _, _)| *shift)
                .ok_or_else(wrong)?,
        };
        number.checked_mul(1 << shift).map(Self).ok_or_else(wrong)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 > 0 && self.0.trailing_zeros() >= 10 {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizeVisitor;

        impl de::Visitor<'_> for SizeVisitor {
            type Value = Size;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a size such as \"2GiB\" or a number of bytes")
            }

            fn visit_u64<E>(self, bytes: u64) -> Result<Size, E> {
                Ok(Size(bytes))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
                u64::try_from(bytes).map(Size).map_err(|_| E::custom("a size cannot be negative"))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(SizeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_and_print() {
        for (text, bytes, printed) in [
            ("2GiB", 2 << 30, "2GiB"),
            ("2G", 2 << 30, "2GiB"),
            (" 1536 MiB ", 1536 << 20, "1536MiB"),
            ("1000", 1000, "1000"),
            ("0", 0, "0"),
            ("1TiB", 1 << 40, "1TiB"),
        ] {
            let size: Size = text.parse().expect(text);
            assert_eq!((size.to_bytes(), size.to_string().as_str()), (bytes, printed));
        }
        let explained = |text: &str| text.parse::<Size>().expect_err(text).to_string();
        assert!(explained("2GB").ends_with("write 2GiB"), "{}", explained("2GB"));
        assert!(explained("512 mib").ends_with("write 512MiB"), "{}", explained("512 mib"));
        assert!(explained("2 gigs").contains("expected for example"), "{}", explained("2 gigs"));
        for bad in ["", "GiB", "-1", "1.5GiB", "2GB", "2gib", "99999999999TiB", "1 GiB x"] {
            assert_eq!(bad.parse::<Size>(), Err(ParseSizeError(bad.into())), "{bad}");
        }
    }
}
