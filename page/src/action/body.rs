//! Fields of forms as fields of commands.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::Kind;
use crate::answer::Refused;
use crate::form::Form;

/// The command that a form is.
///
/// # Errors
/// A field that is missing, or is not what it must be.
pub(super) fn read(form: &Form, fields: &[(&str, Kind)]) -> Result<Value, Refused> {
    let mut body = Map::new();
    for (name, kind) in fields {
        match (form.maybe(name), kind) {
            (None, Kind::Number | Kind::Text) => return Err(missing(name)),
            (None, _) => {}
            (Some(_), Kind::Phases) => {
                let phases = phases(form.get(name))?;
                body.insert("rollout".to_owned(), json!({"phases": phases}));
            }
            (Some(text), kind) => {
                body.insert((*name).to_owned(), value(name, text, *kind)?);
            }
        }
    }
    Ok(Value::Object(body))
}

fn value(name: &str, text: &str, kind: Kind) -> Result<Value, Refused> {
    let number = || text.parse::<u64>().map_err(|_| wrong(name, "a number"));
    Ok(match kind {
        Kind::Number | Kind::MaybeNumber => json!(number()?),
        Kind::Limit => json!({"devices": number()?}),
        Kind::Flag => json!(text == "true"),
        Kind::Pairs => json!(pairs(name, text)?),
        Kind::Names => json!(parts(text).collect::<Vec<_>>()),
        Kind::Text | Kind::MaybeText | Kind::Phases => json!(text),
    })
}

/// The parts of a text between commas.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split(',').map(str::trim);
    parts.filter(|part| !part.is_empty())
}

fn pairs(name: &str, text: &str) -> Result<Map<String, Value>, Refused> {
    let pair = |part: &str| {
        let (label, value) = part.split_once('=')?;
        Some((label.trim().to_owned(), json!(value.trim())))
    };
    let pairs: Option<Map<String, Value>> = parts(text).map(pair).collect();
    pairs.ok_or_else(|| wrong(name, "name=value, with commas between several"))
}

/// Phases as the command line takes them: shares and numbers.
fn phases(text: &str) -> Result<Vec<Value>, Refused> {
    let phase = |part: &str| match part.strip_suffix('%') {
        Some(percent) => percent
            .trim()
            .parse::<f64>()
            .ok()
            .map(|percent| json!({"percent": percent})),
        None => part
            .parse::<u64>()
            .ok()
            .map(|devices| json!({"devices": devices})),
    };
    let phases: Option<Vec<Value>> = parts(text).map(phase).collect();
    phases.ok_or_else(|| {
        wrong(
            "phases",
            "shares and numbers of devices, such as 1%, 10%, 100%",
        )
    })
}

fn missing(name: &str) -> Refused {
    let title = format!("The field “{name}” is empty");
    Refused::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        &title,
        "Go back and fill it in.",
    )
}

fn wrong(name: &str, wanted: &str) -> Refused {
    let title = format!("The field “{name}” is not understood");
    let hint = format!("It takes {wanted}.");
    Refused::new(StatusCode::UNPROCESSABLE_ENTITY, &title, &hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::DEPLOY;

    #[test]
    fn a_form_becomes_a_command_without_its_empty_fields() {
        let form = Form::parse(
            b"release=fw%401.0.0&group=eu&phases=1%25,+10%25,+50&limit=5&policy=&csrf=x",
        );
        let body = read(&form, DEPLOY).unwrap();
        let phases = json!([{"percent": 1.0}, {"percent": 10.0}, {"devices": 50}]);
        assert_eq!(
            body,
            json!({"release": "fw@1.0.0", "group": "eu", "limit": {"devices": 5}, "rollout": {"phases": phases}})
        );
    }

    #[test]
    fn fields_that_are_missing_or_wrong_are_named() {
        let of = |text: &[u8], fields| read(&Form::parse(text), fields).unwrap_err().title;
        assert!(of(b"", &[("release", Kind::Text)]).contains("release"));
        assert!(of(b"n=x", &[("n", Kind::Number)]).contains("“n”"));
        assert!(of(b"set=a", &[("set", Kind::Pairs)]).contains("set"));
        assert!(of(b"phases=x%25", &[("phases", Kind::Phases)]).contains("phases"));
    }

    #[test]
    fn labels_are_set_and_taken_away() {
        let form = Form::parse(b"set=site%3Deu,+ring%3Dcanary&remove=old,+older");
        let body = read(&form, &[("set", Kind::Pairs), ("remove", Kind::Names)]).unwrap();
        assert_eq!(
            body,
            json!({"set": {"site": "eu", "ring": "canary"}, "remove": ["old", "older"]})
        );
    }
}
