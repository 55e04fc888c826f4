//! A JSON object that keeps its keys' order and every value's spelling.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Exist echoes items as they were sent and refuses `9.0` where it takes `9`, so nothing here may pass through a float.
#[derive(Clone, Debug, Default)]
pub(super) struct Object(Vec<(String, Box<RawValue>)>);

impl Object {
    /// An object without keys.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The value under `key` as it is spelled, or `None`.
    pub(super) fn raw(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.get())
    }

    /// The value under `key` if it is there and reads as a `T`.
    pub(super) fn get<T: for<'de> Deserialize<'de>>(&self, key: &str) -> Option<T> {
        self.raw(key).and_then(|raw| serde_json::from_str(raw).ok())
    }

    /// Sets `key`, in place if it is there, else at the end.
    pub(super) fn put(&mut self, key: &str, value: impl Serialize) {
        let raw = serde_json::value::to_raw_value(&value).expect("our own values serialise");
        match self.0.iter_mut().find(|(k, _)| k == key) {
            Some((_, old)) => *old = raw,
            None => self.0.push((key.to_owned(), raw)),
        }
    }

    /// The same as [`Object::put`], for building.
    pub(super) fn with(mut self, key: &str, value: impl Serialize) -> Self {
        self.put(key, value);
        self
    }

    /// Takes `key` out.
    pub(super) fn remove(&mut self, key: &str) {
        self.0.retain(|(k, _)| k != key);
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(k, v)| (k, v)))
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut object = Object::new();
                while let Some((key, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    // A key that comes twice keeps its last value, as in Python.
                    object.put(&key, value);
                }
                Ok(object)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_keeps_the_order_of_its_keys_and_the_spelling_of_its_numbers() {
        let text = r#"{"value":9.0,"name":"x","date":"2026-03-28","big":12345678901234567890.10}"#;
        let object: Object = serde_json::from_str(text).unwrap();
        assert_eq!(object.raw("value"), Some("9.0"));
        assert_eq!(serde_json::to_string(&object).unwrap(), text);
    }
}
