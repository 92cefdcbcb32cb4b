//! Reads a command's JSON strictly: bounded, no unknown field, no key twice. What it
//! refuses it refuses with the path of the field. Nothing is executed here.

use std::collections::HashSet;
use std::fmt;

use hoist_protocol::id::sha256;
use hoist_protocol::limit::JSON_BYTES_MAX;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::api::command::{Command, Verb};
use crate::api::json_words::json_words;
use crate::model::error::{Code, Rejection};
use crate::model::nearest::nearest;

/// Parses the body of a command.
///
/// # Errors
/// `E_VERB`, `E_SIZE`, or `E_CMD` naming the field.
pub fn parse(verb: &str, body: &[u8]) -> Result<Command, Rejection> {
    let verb: Verb = verb.parse()?;
    if body.len() > JSON_BYTES_MAX {
        let detail = format!(
            "a command has at most {JSON_BYTES_MAX} bytes, this has {}",
            body.len()
        );
        return Err(Rejection::new(Code::Size, detail));
    }
    if body.trim_ascii().is_empty() {
        let why = "the command has no content; it is a JSON object, {} at least";
        return Err(Rejection::new(Code::Command, why));
    }
    strictly(body, |json| Unique::deserialize(json))?;
    strictly(body, |json| Command::deserialize(verb, json)).map_err(|mut rejection| {
        // It is JSON; what the reader misses is one of the words of a closed list.
        if let Some(place) = rejection.detail.strip_prefix("expected value") {
            rejection.detail = format!("one of the words of this field is wanted{place}");
        }
        rejection
    })
}

/// SHA-256 of verb and body: tells a repeat from a reused request id.
#[must_use]
pub fn body_hash(verb: &str, body: &[u8]) -> [u8; 32] {
    sha256(&[verb.as_bytes(), &[0], body].concat())
}

type Json<'chain, 'track, 'json, 'body> = serde_path_to_error::Deserializer<
    'chain,
    'track,
    &'json mut serde_json::Deserializer<serde_json::de::SliceRead<'body>>,
>;

/// The beginnings of errors that name a field of the object at which they are.
const OWN_FIELD: [&str; 2] = ["missing field `", "the field `"];

/// Reads all of `body`; an error names where it is.
fn strictly<T>(
    body: &[u8],
    read: impl FnOnce(Json<'_, '_, '_, '_>) -> Result<T, serde_json::Error>,
) -> Result<T, Rejection> {
    let mut track = serde_path_to_error::Track::new();
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = read(serde_path_to_error::Deserializer::new(
        &mut json, &mut track,
    ));
    let value = value.map_err(|error| {
        let said = error.to_string();
        let path = track.path().to_string();
        let within = Some(path.as_str()).filter(|path| *path != ".");
        // What is missing, or twice there, is named by the object that it belongs to.
        let own = OWN_FIELD
            .iter()
            .find_map(|prefix| said.strip_prefix(prefix));
        let own = own.and_then(|rest| rest.split('`').next());
        let field: Vec<&str> = within.into_iter().chain(own).collect();
        let words = json_words(&said);
        let mut rejection = Rejection::new(Code::Command, &words);
        rejection.hint = meant(&words);
        if field.is_empty() {
            return rejection;
        }
        // The field says where it is.
        if let Some((what, _)) = words.rsplit_once(" at line ") {
            rejection.detail = what.to_owned();
        }
        rejection.field(&field.join("."))
    })?;
    json.end()
        .map_err(|_| Rejection::new(Code::Command, "something follows the JSON object"))?;
    Ok(value)
}

/// "Did you mean …?", where a sentence names what it does not know and then what there is.
fn meant(said: &str) -> Option<String> {
    let unknown = ["there is no word ", "unknown field "];
    let rest = unknown.iter().find_map(|begin| said.strip_prefix(begin))?;
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let typed = quoted.next()?;
    let meant = nearest(typed, quoted)?;
    Some(format!("did you mean {meant}?"))
}

/// Any JSON in which no object has a key twice.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        let mut keys = HashSet::new();
        while let Some((key, _)) = entries.next_entry::<String, Self>()? {
            if let Some(key) = keys.replace(key) {
                return Err(A::Error::custom(format!("the field `{key}` appears twice")));
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(verb: &str, body: &str) -> (Code, Option<String>, String) {
        let rejection = parse(verb, body.as_bytes()).unwrap_err();
        (rejection.code, rejection.field, rejection.detail)
    }

    #[test]
    fn a_malformed_command_is_refused_with_the_path_of_the_field() {
        // bad-inputs row 21
        let twice = r#"{"device":"d1","labels":{"a":"1","a":"2"}}"#;
        let (code, field, detail) = refused("device-add", twice);
        assert_eq!(code, Code::Command);
        assert_eq!(field.as_deref(), Some("labels.a"));
        assert!(detail.contains("`a` appears twice"), "{detail}");
        for (body, at) in [
            (r#"{"device":"d1","device":"d2"}"#, "device"),
            ("{}", "device"),
        ] {
            let (code, field, _) = refused("device-show", body);
            assert_eq!(
                (code, field.as_deref()),
                (Code::Command, Some(at)),
                "{body}"
            );
        }
        let (_, field, _) = refused("device-import", r#"{"devices":[{"type":"t"}]}"#);
        assert_eq!(field.as_deref(), Some("devices[0].device"));
        let (code, field, _) = refused("deploy", r#"{"release":"a","limit":{"device":1}}"#);
        assert_eq!(
            (code, field.as_deref()),
            (Code::Command, Some("limit.device"))
        );
        let (code, field, _) = refused("deploy", r#"{"release":"a","timeoutSecs":NaN}"#);
        assert_eq!(
            (code, field.as_deref()),
            (Code::Command, Some("timeoutSecs"))
        );
        let deep = format!("{}{}", "[".repeat(8_000), "]".repeat(8_000));
        assert_eq!(refused("deploy", &deep).0, Code::Command);
        for body in ["", " ", "[]", "{}", r#"{"device":"d1"} x"#, "\u{feff}{}"] {
            assert_eq!(refused("device-show", body).0, Code::Command, "{body}");
        }
    }

    #[test]
    fn a_word_or_a_field_that_is_nearly_right_is_told_the_right_one() {
        for (verb, body, detail, hint) in [
            (
                "device-list",
                r#"{"status":"faild"}"#,
                "there is no word `faild`, the words are `pending`, `inProgress`, `successful`, \
                 `failed`",
                Some("did you mean failed?"),
            ),
            (
                "device-list",
                r#"{"status":"x"}"#,
                "there is no word `x`, the words are `pending`, `inProgress`, `successful`, \
                 `failed`",
                None,
            ),
            (
                "abort",
                r#"{"deploymnet":1}"#,
                "unknown field `deploymnet`, expected one of `deployment`, `reason`, `dryRun`",
                Some("did you mean deployment?"),
            ),
        ] {
            let rejection = parse(verb, body.as_bytes()).unwrap_err();
            assert_eq!(rejection.detail, detail);
            assert_eq!(rejection.hint.as_deref(), hint, "{detail}");
        }
    }

    #[test]
    fn fields_have_names_and_an_array_of_them_is_no_command() {
        for (verb, body, field) in [
            ("abort", r#"[8,"x",true]"#, None),
            ("device-show", r#"["d1"]"#, None),
            ("deployment-list", "[]", None),
            ("deploy", r#"{"release":"a","limit":[1]}"#, Some("limit")),
            (
                "device-import",
                r#"{"devices":[["d1"]]}"#,
                Some("devices[0]"),
            ),
        ] {
            let (code, at, detail) = refused(verb, body);
            assert_eq!((code, at.as_deref()), (Code::Command, field), "{body}");
            assert!(detail.starts_with("an array is not an object"), "{detail}");
        }
        let limited = r#"{"release":"a","group":"g","limit":{"devices":1}}"#;
        assert!(parse("deploy", limited.as_bytes()).is_ok());
        let null = r#"{"release":"a","group":"g","limit":null}"#;
        assert!(parse("deploy", null.as_bytes()).is_ok());
    }

    #[test]
    fn a_page_has_as_many_items_as_a_list_can_give_and_no_other_number() {
        let lists = ["group-list", "user-list", "release-list", "deployment-list"];
        let lists = lists.map(|list| (list, 20));
        for (list, most) in lists.into_iter().chain([("device-list", 100)]) {
            for wrong in [0, most + 1, u32::MAX] {
                let (code, field, detail) = refused(list, &format!(r#"{{"limit":{wrong}}}"#));
                let at = (code, field.as_deref());
                assert_eq!(at, (Code::Command, Some("limit")), "{list} {wrong}");
                let says = format!("{wrong} is not a whole number from 1 to {most}");
                assert!(detail.starts_with(&says), "{detail}");
            }
            for right in ["1", &most.to_string(), "null"] {
                let body = format!(r#"{{"limit":{right}}}"#);
                assert!(parse(list, body.as_bytes()).is_ok(), "{list} {right}");
            }
        }
    }

    #[test]
    fn details_speak_of_json() {
        for (verb, body, says) in [
            ("deploy", "", "the command has no content"),
            ("deploy", r#"{"release":7}"#, "7 is not a text"),
            (
                "deploy",
                r#"{"release":"a","limit":5}"#,
                "5 is not an object",
            ),
            (
                "deploy",
                r#"{"release":"a","groups":"g"}"#,
                r#"the text "g" is not an array"#,
            ),
            (
                "deploy",
                r#"{"release":"a","dryRun":1}"#,
                "1 is not true or false",
            ),
            (
                "abort",
                r#"{"deployment":-1}"#,
                "-1 is not a whole number from 0 to 4294967295",
            ),
            (
                "deploy",
                r#"{"release":"a","completeWhen":"never"}"#,
                "there is no word `never`",
            ),
            (
                "deploy",
                r#"{"release":"a","completeWhen":3}"#,
                "one of the words of this field",
            ),
            (
                "device-add",
                r#"{"device":"d","labels":["a"]}"#,
                "an array is not an object",
            ),
            (
                "device-add",
                r#"{"device":"d","labels":{"a":1}}"#,
                "1 is not a text",
            ),
            (
                "device-import",
                r#"{"devices":{}}"#,
                "an object is not an array",
            ),
            ("device-add", "{}", "missing field `device`"),
        ] {
            let (_, _, detail) = refused(verb, body);
            assert!(detail.starts_with(says), "{body}: {detail}");
            for rust in ["struct", "u32", "sequence", "variant", "enum", "integer"] {
                assert!(!detail.contains(rust), "{body}: {detail}");
            }
        }
    }

    #[test]
    fn an_unknown_verb_and_a_huge_body_are_refused_by_their_own_codes() {
        assert_eq!(refused("dance", "{}").0, Code::Verb);
        let huge = format!(r#"{{"device":"{}"}}"#, "x".repeat(JSON_BYTES_MAX));
        assert_eq!(refused("device-show", &huge).0, Code::Size);
    }

    #[test]
    fn the_hash_of_a_body_depends_on_verb_and_body() {
        assert_eq!(body_hash("deploy", b"{}"), body_hash("deploy", b"{}"));
        assert_ne!(body_hash("deploy", b"{}"), body_hash("abort", b"{}"));
        assert_ne!(body_hash("deploy", b"{}"), body_hash("deploy", b"{ }"));
    }
}
