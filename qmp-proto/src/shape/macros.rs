//! The macros that generated files call: one for each shape a type can have.

/// `either! { input { … } { … } }`: the writing half always and the reading half with the feature
/// `both-directions`, or the other way round.
macro_rules! either {
    (input { $($write:tt)* } { $($read:tt)* }) => {
        $($write)*
        #[cfg(feature = "both-directions")]
        const _: () = { $($read)* };
    };
    (output { $($write:tt)* } { $($read:tt)* }) => {
        $($read)*
        #[cfg(feature = "both-directions")]
        const _: () = { $($write)* };
    };
    (both { $($write:tt)* } { $($read:tt)* }) => {
        $($write)*
        $($read)*
    };
}

/// What a member is when all members are read.
macro_rules! got {
    (may $field:ident $wire:literal) => {
        $field
    };
    (must $field:ident $wire:literal) => {
        match $field {
            Some(value) => value,
            None => return Err(serde::de::Error::missing_field($wire)),
        }
    };
}

macro_rules! put {
    (may $self:ident $map:ident $field:ident $wire:literal) => {
        $crate::shape::write_some($map, $wire, $self.$field.as_ref())?
    };
    (must $self:ident $map:ident $field:ident $wire:literal) => {
        $map.serialize_entry($wire, &$self.$field)?
    };
}

/// `Serialize` by [`Fields`].
macro_rules! serialize {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::shape::write(self, serializer)
            }
        }
    };
}

/// `Deserialize` by [`Record`].
macro_rules! deserialize {
    ($name:ident) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::shape::read(deserializer)
            }
        }
    };
}

/// An object: its members, each `must` or `may` be there, and the branch it may have.
macro_rules! record {
    ($way:ident $name:ident {} $(by $tag:ident)?) => {
        $crate::shape::empty_record! { $way $name $($tag)? }
    };
    ($way:ident $name:ident { $($(#[$gate:meta])* $how:ident $field:ident = $wire:literal,)* }) => {
        $crate::shape::either! { $way {
            impl $crate::shape::Fields for $name {
                fn write<M: serde::ser::SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                    // All members may be behind a feature.
                    let _ = &map;
                    $($(#[$gate])* { $crate::shape::put!($how self map $field $wire); })*
                    Ok(())
                }
            }
            $crate::shape::serialize! { $name }
        } {
            impl $crate::shape::Record for $name {
                fn read<'de, A: serde::de::MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
                    $($(#[$gate])* let mut $field = None;)*
                    while let Some(key) = map.next_key::<$crate::shape::Text<'de>>()? {
                        match key.as_str() {
                            $($(#[$gate])* $wire => $field = Some(map.next_value()?),)*
                            _ => { map.next_value::<serde::de::IgnoredAny>()?; }
                        }
                    }
                    Ok($name { $($(#[$gate])* $field: $crate::shape::got!($how $field $wire),)* })
                }
            }
            $crate::shape::deserialize! { $name }
        } }
    };
    ($way:ident $name:ident { $($(#[$gate:meta])* $how:ident $field:ident = $wire:literal,)* } by $tag:ident) => {
        $crate::shape::either! { $way {
            impl $crate::shape::Fields for $name {
                fn write<M: serde::ser::SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                    $($(#[$gate])* { $crate::shape::put!($how self map $field $wire); })*
                    self.$tag.write(map)
                }
            }
            $crate::shape::serialize! { $name }
        } {
            impl $crate::shape::Record for $name {
                fn read<'de, A: serde::de::MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
                    $($(#[$gate])* let mut $field = None;)*
                    let mut rest = $crate::shape::Rest::new();
                    while let Some(key) = map.next_key::<$crate::shape::Text<'de>>()? {
                        match key.as_str() {
                            $($(#[$gate])* $wire => $field = Some(map.next_value()?),)*
                            _ => rest.add(key, &mut map)?,
                        }
                    }
                    let $tag = rest.branch()?;
                    Ok($name { $($(#[$gate])* $field: $crate::shape::got!($how $field $wire),)* $tag })
                }
            }
            $crate::shape::deserialize! { $name }
        } }
    };
}

/// `Debug` that does not show secrets.
macro_rules! discreet {
    ($name:ident { $($(#[$gate:meta])* $how:ident $field:ident,)* }) => {
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut shown = f.debug_struct(stringify!($name));
                $($(#[$gate])* $crate::shape::show!(shown $how self.$field, $field);)*
                shown.finish()
            }
        }
    };
}

macro_rules! show {
    ($shown:ident plain $value:expr, $field:ident) => {
        $shown.field(stringify!($field), &$value)
    };
    ($shown:ident secret $value:expr, $field:ident) => {
        $shown.field(stringify!($field), &format_args!("…"))
    };
}

/// An object without members.
macro_rules! empty_record {
    ($way:ident $name:ident) => {
        $crate::shape::either! { $way {
            impl $crate::shape::Fields for $name {
                fn write<M: serde::ser::SerializeMap>(&self, _map: &mut M) -> Result<(), M::Error> {
                    Ok(())
                }
            }
            $crate::shape::serialize! { $name }
        } {
            impl $crate::shape::Record for $name {
                fn read<'de, A: serde::de::MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
                    while map.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
                    Ok($name {})
                }
            }
            $crate::shape::deserialize! { $name }
        } }
    };
}

/// A command that takes further members in `properties`.
macro_rules! open_record {
    ($name:ident { $($(#[$gate:meta])* $how:ident $field:ident = $wire:literal,)* }) => {
        $crate::shape::either! { input {
            impl $crate::shape::Fields for $name {
                fn write<M: serde::ser::SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                    $($(#[$gate])* { $crate::shape::put!($how self map $field $wire); })*
                    self.properties.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))
                }
            }
            $crate::shape::serialize! { $name }
        } {
            impl $crate::shape::Record for $name {
                fn read<'de, A: serde::de::MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
                    $($(#[$gate])* let mut $field = None;)*
                    let mut properties = serde_json::Map::new();
                    while let Some(key) = map.next_key::<$crate::shape::Text<'de>>()? {
                        match key.as_str() {
                            $($(#[$gate])* $wire => $field = Some(map.next_value()?),)*
                            _ => { properties.insert(key.as_str().to_owned(), map.next_value()?); }
                        }
                    }
                    Ok($name { $($(#[$gate])* $field: $crate::shape::got!($how $field $wire),)* properties })
                }
            }
            $crate::shape::deserialize! { $name }
        } }
    };
}

/// The branches of a union, with data or without.
macro_rules! branches {
    ($way:ident $name:ident by $tag:literal {
        data { $($(#[$gate:meta])* $variant:ident = $wire:literal,)* }
        unit { $($(#[$unit_gate:meta])* $unit:ident = $unit_wire:literal,)* }
    }) => {
        impl $crate::shape::Branch for $name {
            const TAG: &'static str = $tag;
        }
        impl $name {
            #[doc = concat!("The word of `", $tag, "`.")]
            pub fn tag(&self) -> &str {
                match self {
                    $($(#[$gate])* Self::$variant(_) => $wire,)*
                    $($(#[$unit_gate])* Self::$unit => $unit_wire,)*
                    Self::Unknown { tag, .. } => tag,
                }
            }
        }
        $crate::shape::either! { $way {
            impl $crate::shape::Fields for $name {
                fn write<M: serde::ser::SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                    map.serialize_entry($tag, self.tag())?;
                    match self {
                        $($(#[$gate])* Self::$variant(data) => data.write(map),)*
                        $($(#[$unit_gate])* Self::$unit => Ok(()),)*
                        Self::Unknown { data, .. } => {
                            data.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))
                        }
                    }
                }
            }
        } {
            impl $crate::shape::ReadBranch for $name {
                fn from_parts<E: serde::de::Error>(
                    tag: &str,
                    members: $crate::shape::Tape<'_>,
                ) -> Result<Self, E> {
                    Ok(match tag {
                        $($(#[$gate])* $wire => Self::$variant(members.read()?),)*
                        $($(#[$unit_gate])* $unit_wire => Self::$unit,)*
                        _ => Self::Unknown { tag: tag.to_owned(), data: members.read()? },
                    })
                }
            }
        } }
    };
}

/// A union that has nothing beside its branches.
macro_rules! tagged {
    ($way:ident $name:ident) => {
        $crate::shape::either! { $way {
            $crate::shape::serialize! { $name }
        } {
            impl $crate::shape::Record for $name {
                fn read<'de, A: serde::de::MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
                    $crate::shape::read_tagged(map)
                }
            }
            $crate::shape::deserialize! { $name }
        } }
    };
}

/// An enum: each variant with its word.
macro_rules! words {
    ($name:ident { $($(#[$gate:meta])* $variant:ident = $wire:literal,)* }) => {
        impl $name {
            /// The word on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $($(#[$gate])* Self::$variant => $wire,)*
                    Self::Unknown(word) => word,
                }
            }
        }
        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($(#[$gate])* $wire => Self::$variant,)*
                    _ => Self::Unknown(word.to_owned()),
                }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::shape::read_word(deserializer)
            }
        }
    };
}

/// An alternate: which variant each kind of JSON value is.
macro_rules! alternate {
    ($way:ident $name:ident { $($kind:ident $variant:ident $(($held:ty))?,)* }) => {
        $crate::shape::either! { $way {
            impl serde::Serialize for $name {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    match self {
                        $($crate::shape::pick!(pattern $variant data $(($held))?) =>
                            $crate::shape::pick!(write serializer data $(($held))?),)*
                        Self::Unknown(value) => value.serialize(serializer),
                    }
                }
            }
        } {
            impl<'de> serde::Deserialize<'de> for $name {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let value = $crate::shape::Tape::record(deserializer)?;
                    match value.kind() {
                        $($crate::shape::pick!(kind $kind) =>
                            $crate::shape::pick!(read value $variant $(($held))?),)*
                        #[allow(unreachable_patterns, reason = "an alternate may have every kind")]
                        _ => value.read().map(Self::Unknown),
                    }
                }
            }
        } }
    };
}

macro_rules! pick {
    (kind string) => {
        $crate::shape::Kind::String
    };
    (kind number) => {
        $crate::shape::Kind::Number
    };
    (kind boolean) => {
        $crate::shape::Kind::Boolean
    };
    (kind null) => {
        $crate::shape::Kind::Null
    };
    (kind array) => {
        $crate::shape::Kind::Array
    };
    (kind object) => {
        $crate::shape::Kind::Object
    };
    (pattern $variant:ident $data:ident) => {
        Self::$variant
    };
    (pattern $variant:ident $data:ident ($held:ty)) => {
        Self::$variant($data)
    };
    (write $serializer:ident $data:ident) => {
        $serializer.serialize_unit()
    };
    (write $serializer:ident $data:ident ($held:ty)) => {
        serde::Serialize::serialize($data, $serializer)
    };
    (read $value:ident $variant:ident) => {
        Ok(Self::$variant)
    };
    (read $value:ident $variant:ident ($held:ty)) => {
        $value.read().map(Self::$variant)
    };
}

/// A command whose arguments are a named type.
macro_rules! wrapper {
    ($name:ident($held:ty)) => {
        impl From<$held> for $name {
            fn from(arguments: $held) -> Self {
                Self(arguments)
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }
        #[cfg(feature = "both-directions")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                serde::Deserialize::deserialize(deserializer).map(Self)
            }
        }
    };
}

/// An event whose data is a named type.
macro_rules! event_wrapper {
    ($name:ident($held:ty)) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                serde::Deserialize::deserialize(deserializer).map(Self)
            }
        }
    };
}

macro_rules! command {
    ($name:ident = $wire:literal -> $returns:ty; $($flag:ident)*) => {
        impl $crate::Command for $name {
            const NAME: &'static str = $wire;
            $($crate::shape::flag! { $flag })*
            type Return = $returns;
        }
    };
}

macro_rules! flag {
    (oob) => {
        const ALLOW_OOB: bool = true;
    };
    (silent) => {
        const SUCCESS_RESPONSE: bool = false;
    };
}

macro_rules! event {
    ($name:ident = $wire:literal) => {
        impl $crate::Event for $name {
            const NAME: &'static str = $wire;
        }
    };
}

/// The methods of the enum of all events.
macro_rules! any_event {
    ($($(#[$gate:meta])* $name:ident = $wire:literal,)*) => {
        impl AnyEvent {
            /// The names on the wire of all events that are known here.
            pub const NAMES: &'static [&'static str] = &[$($(#[$gate])* $wire,)*];

            /// The event's name on the wire.
            pub fn name(&self) -> &str {
                match self {
                    $($(#[$gate])* Self::$name(_) => $wire,)*
                    Self::Unknown { name, .. } => name,
                }
            }

            /// Decodes the data of the event `name`: give a `&serde_json::value::RawValue` or a
            /// `&serde_json::Value`. Where QEMU sent no data, give an empty object.
            ///
            /// Never fails: an event without a type here, or whose data does not decode, arrives as
            /// [`AnyEvent::Unknown`].
            pub fn decode<'de, D>(name: &str, data: D) -> Self
            where
                D: serde::Deserializer<'de> + Copy,
            {
                let known = match name {
                    $($(#[$gate])* $wire => serde::Deserialize::deserialize(data).ok().map(Self::$name),)*
                    _ => None,
                };
                known.unwrap_or_else(|| Self::Unknown {
                    name: name.to_owned(),
                    data: serde::Deserialize::deserialize(data).unwrap_or_default(),
                })
            }

            /// Writes the data alone, as an object.
            pub(crate) fn write_data<M: serde::ser::SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                match self {
                    $($(#[$gate])* Self::$name(data) => map.serialize_entry("data", data),)*
                    Self::Unknown { data, .. } => map.serialize_entry("data", data),
                }
            }
        }
    };
}

pub(crate) use {
    alternate, any_event, branches, command, deserialize, discreet, either, empty_record, event,
    event_wrapper, flag, got, open_record, pick, put, record, serialize, show, tagged, words, wrapper,
};
