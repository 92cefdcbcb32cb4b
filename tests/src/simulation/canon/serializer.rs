//! How a [`Canon`] looks at data: every value in its order, with what tells it from others in its
//! place.

use std::hash::{Hash, Hasher};

use serde::de::value::Error;
use serde::ser::{self, Serialize, Serializer};

use super::{Canon, Kind};

type Looked = Result<(), Error>;

impl Canon {
    /// Which of several things comes next, and its name.
    fn choice(&mut self, index: u64, name: &str) {
        self.between.write_u64(index);
        self.say(format_args!("{name} "));
    }

    fn length(&mut self, length: Option<usize>) -> Result<&mut Self, Error> {
        let length = length.ok_or_else(|| ser::Error::custom("a list without a length"))?;
        self.choice(length as u64, "of");
        Ok(self)
    }

    fn name(&mut self, name: &str) {
        self.say(format_args!("{name} "));
    }
}

impl<'a> Serializer for &'a mut Canon {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = &'a mut Canon;
    type SerializeTuple = &'a mut Canon;
    type SerializeTupleStruct = &'a mut Canon;
    type SerializeTupleVariant = &'a mut Canon;
    type SerializeMap = &'a mut Canon;
    type SerializeStruct = &'a mut Canon;
    type SerializeStructVariant = &'a mut Canon;

    fn serialize_bool(self, value: bool) -> Looked {
        self.serialize_u64(u64::from(value))
    }

    fn serialize_i8(self, value: i8) -> Looked {
        self.serialize_i64(i64::from(value))
    }

    fn serialize_i16(self, value: i16) -> Looked {
        self.serialize_i64(i64::from(value))
    }

    fn serialize_i32(self, value: i32) -> Looked {
        self.serialize_i64(i64::from(value))
    }

    fn serialize_i64(self, value: i64) -> Looked {
        self.serialize_u64(value.cast_unsigned())
    }

    fn serialize_u8(self, value: u8) -> Looked {
        self.serialize_u64(u64::from(value))
    }

    fn serialize_u16(self, value: u16) -> Looked {
        self.serialize_u64(u64::from(value))
    }

    fn serialize_u32(self, value: u32) -> Looked {
        self.serialize_u64(u64::from(value))
    }

    fn serialize_u64(self, value: u64) -> Looked {
        self.number(value);
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Looked {
        self.serialize_f64(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Looked {
        self.serialize_u64(value.to_bits())
    }

    fn serialize_char(self, value: char) -> Looked {
        self.serialize_u64(u64::from(value))
    }

    fn serialize_str(self, value: &str) -> Looked {
        value.hash(&mut self.between);
        self.say(format_args!("{value:?} "));
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Looked {
        value.hash(&mut self.between);
        self.say(format_args!("{value:?} "));
        Ok(())
    }

    fn serialize_none(self) -> Looked {
        self.next = None;
        self.choice(0, "none");
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Looked {
        self.between.write_u64(1);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Looked {
        Ok(())
    }

    fn serialize_unit_struct(self, name: &'static str) -> Looked {
        self.name(name);
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, variant: &'static str) -> Looked {
        self.choice(u64::from(index), variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Looked {
        self.name(name);
        self.next = Kind::of_type(name);
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Looked {
        self.choice(u64::from(index), variant);
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self, Error> {
        self.length(length)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Self, Error> {
        self.name(name);
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self, Error> {
        self.choice(u64::from(index), variant);
        Ok(self)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self, Error> {
        self.length(length)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Self, Error> {
        self.name(name);
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self, Error> {
        self.choice(u64::from(index), variant);
        Ok(self)
    }
}

/// Things one after the other, without names.
macro_rules! one_by_one {
    ($($list:ident, $one:ident;)+) => {
        $(impl ser::$list for &mut Canon {
            type Ok = ();
            type Error = Error;

            fn $one<T: Serialize + ?Sized>(&mut self, value: &T) -> Looked {
                value.serialize(&mut **self)
            }

            fn end(self) -> Looked {
                Ok(())
            }
        })+
    };
}

one_by_one! {
    SerializeSeq, serialize_element;
    SerializeTuple, serialize_element;
    SerializeTupleStruct, serialize_field;
    SerializeTupleVariant, serialize_field;
}

impl ser::SerializeMap for &mut Canon {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Looked {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Looked {
        value.serialize(&mut **self)
    }

    fn end(self) -> Looked {
        Ok(())
    }
}

/// Fields, of which some are numbers that decide nothing.
macro_rules! by_name {
    ($($list:ident),+) => {
        $(impl ser::$list for &mut Canon {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Looked {
                self.say(format_args!("{name}: "));
                self.next = Kind::of_field(name);
                value.serialize(&mut **self)
            }

            fn end(self) -> Looked {
                Ok(())
            }
        })+
    };
}

by_name!(SerializeStruct, SerializeStructVariant);
