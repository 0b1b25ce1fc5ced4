//! A hash of a config entry, by which it is recognized when other entries are added or removed. Saved plans contain
//! such hashes, so they must not depend on the compiler.

use std::cell::RefCell;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use super::ids::stable_hash;

/// The hash of everything that `part` serializes to. Fields that are `null` are not in it, so that a later version's new
/// options do not change it.
pub(super) fn fingerprint<T: Serialize>(part: &T) -> u64 {
    let json = RefCell::new(Vec::with_capacity(512));
    let formatter = WithoutNulls { json: &json, keys: Vec::new(), is_null: false };
    // A path that is not UTF-8 does not serialize: such an element is known by what is in front of it.
    let _ = part.serialize(&mut Serializer::with_formatter(Json(&json), formatter));
    stable_hash(&[&json.into_inner()])
}

/// The JSON so far, for the serializer to write and for the formatter to take back.
struct Json<'a>(&'a RefCell<Vec<u8>>);

impl Write for Json<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct WithoutNulls<'a> {
    json: &'a RefCell<Vec<u8>>,
    /// Where the key of each open value begins.
    keys: Vec<usize>,
    /// Whether the last value is `null`.
    is_null: bool,
}

/// A comma ends each value in place of beginning all but the first, as that may not stay.
impl Formatter for WithoutNulls<'_> {
    fn begin_object_key<W: Write + ?Sized>(&mut self, _: &mut W, _: bool) -> io::Result<()> {
        self.keys.push(self.json.borrow().len());
        Ok(())
    }

    fn end_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        let start = self.keys.pop().unwrap_or_default();
        if std::mem::take(&mut self.is_null) {
            self.json.borrow_mut().truncate(start);
            return Ok(());
        }
        writer.write_all(b",")
    }

    fn end_array_value<W: Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.is_null = false;
        Ok(())
    }

    fn write_null<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.is_null = true;
        writer.write_all(b"null")
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
        before: Option<Earlier>,
        size: u8,
        speed: Option<u8>,
    }

    #[test]
    fn a_field_that_is_left_out_is_not_in_it() {
        let earlier = fingerprint(&Earlier { size: 1 });
        assert_eq!(earlier, fingerprint(&Later { before: None, size: 1, speed: None }));
        assert_ne!(earlier, fingerprint(&Later { before: None, size: 1, speed: Some(0) }));
        assert_ne!(earlier, fingerprint(&Later { before: None, size: 2, speed: None }));
        assert_ne!(earlier, fingerprint(&Later { before: Some(Earlier { size: 1 }), size: 1, speed: None }));
        assert_ne!(fingerprint(&[None, Some(1)]), fingerprint(&[Some(1), None]));
        // What is last in a list says nothing of the field that the list is in.
        let listed = |list: [Option<u8>; 1]| {
            fingerprint(&[("list", list)].into_iter().collect::<std::collections::BTreeMap<_, _>>())
        };
        assert_ne!(listed([None]), fingerprint(&std::collections::BTreeMap::<&str, u8>::new()));
    }

    /// Hashes are in saved plans.
    #[test]
    fn it_stays_the_same() {
        assert_eq!(fingerprint(&Earlier { size: 1 }), stable_hash(&[br#"{"size":1,}"#]));
    }
}
