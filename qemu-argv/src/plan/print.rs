//! A hash of what a part of a configuration says, by which the part is known again when others come and go. Fields that are
//! left out are not in it, so that a later version's new ones do not change it.
//!
//! Saved plans hold such hashes, so that they must be the same with every compiler and on every machine: `std`'s hashers
//! promise neither.

use std::fmt::Error;

use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// The hash of everything that `part` serializes to.
pub(crate) fn fingerprint<T: Serialize>(part: &T) -> u64 {
    let mut print = Print { hash: 0, nothing: false };
    // A path that is not UTF-8 does not serialize: such a part is known by what is in front of it.
    let _ = part.serialize(&mut print);
    print.hash
}

struct Print {
    hash: u64,
    /// Whether the last value is nothing.
    nothing: bool,
}

impl Print {
    fn word(&mut self, word: u64) {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let mixed = (self.hash ^ word).wrapping_mul(ODD);
        self.hash = mixed ^ mixed >> 32;
    }

    /// Eight bytes at a time, behind their number.
    fn text(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks();
        for &word in words {
            self.word(u64::from_le_bytes(word));
        }
        if !rest.is_empty() {
            self.word(rest.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)));
        }
    }

    /// A value of a row, where nothing counts too.
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut *self)?;
        if std::mem::take(&mut self.nothing) {
            self.word(u64::MAX);
        }
        Ok(())
    }
}

/// Values that are widened to the type of another method.
macro_rules! widened {
    ($($method:ident $kind:ty => $wider:ident),+) => {
        $(fn $method(self, value: $kind) -> Result<(), Error> {
            self.$wider(value.into())
        })+
    };
}

impl Serializer for &mut Print {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    widened!(
        serialize_bool bool => serialize_u64, serialize_char char => serialize_u32, serialize_f32 f32 => serialize_f64,
        serialize_i8 i8 => serialize_i64, serialize_i16 i16 => serialize_i64, serialize_i32 i32 => serialize_i64,
        serialize_u8 u8 => serialize_u64, serialize_u16 u16 => serialize_u64, serialize_u32 u32 => serialize_u64
    );

    fn serialize_i64(self, value: i64) -> Result<(), Error> {
        self.serialize_u64(value.cast_unsigned())
    }

    fn serialize_u64(self, value: u64) -> Result<(), Error> {
        self.word(value);
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        self.serialize_u64(value.to_bits())
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.serialize_bytes(value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        self.text(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.nothing = true;
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.serialize_u64(u64::MAX)
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), Error> {
        self.serialize_str(name)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<(), Error> {
        self.serialize_str(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.text(name.as_bytes());
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self, Error> {
        self.word(length.unwrap_or(usize::MAX) as u64);
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Self, Error> {
        self.text(name.as_bytes());
        Ok(self)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self, Error> {
        self.serialize_seq(length)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Self, Error> {
        self.text(name.as_bytes());
        Ok(self)
    }
}

/// What holds a row of values.
macro_rules! rows {
    ($($kind:ident $method:ident),+) => {
        $(impl $kind for &mut Print {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.element(value)
            }

            fn end(self) -> Result<(), Error> {
                Ok(())
            }
        })+
    };
}
rows!(
    SerializeSeq serialize_element, SerializeTuple serialize_element, SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);

/// What holds values by name.
macro_rules! tables {
    ($($kind:ident),+) => {
        $(impl $kind for &mut Print {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
                value.serialize(&mut **self)?;
                if !std::mem::take(&mut self.nothing) {
                    self.text(name.as_bytes());
                }
                Ok(())
            }

            fn end(self) -> Result<(), Error> {
                Ok(())
            }
        })+
    };
}
tables!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for &mut Print {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.element(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.element(value)
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Earlier {
        size: u8,
    }

    #[derive(Serialize)]
    struct Later {
        size: u8,
        speed: Option<u8>,
    }

    #[test]
    fn a_field_that_is_left_out_is_not_in_it() {
        let earlier = fingerprint(&Earlier { size: 1 });
        assert_eq!(earlier, fingerprint(&Later { size: 1, speed: None }));
        assert_ne!(earlier, fingerprint(&Later { size: 1, speed: Some(0) }));
        assert_ne!(earlier, fingerprint(&Later { size: 2, speed: None }));
        assert_ne!(fingerprint(&[None, Some(1)]), fingerprint(&[Some(1), None]));
    }
}
