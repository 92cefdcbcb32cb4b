//! Forms and queries as browsers send them, within bounds.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::answer::Refused;

/// Bytes of a form: a command has at most 16 KiB, and a letter may take three bytes here.
const FORM_BYTES_MAX: usize = 64 * 1_024;
/// Fields of a form or a query.
const FIELDS_MAX: usize = 64;
/// For a form to come: it is small.
const PATIENCE: Duration = Duration::from_secs(10);

/// The fields of a form or query.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// The fields of a text; those beyond bounds are not there.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(text).into_owned();
        Self(pairs.take(FIELDS_MAX).collect())
    }

    /// The fields of a query.
    pub(crate) fn of_query(query: Option<&str>) -> Self {
        Self::parse(query.unwrap_or_default().as_bytes())
    }

    /// The fields of a request's body.
    ///
    /// # Errors
    /// 413, 400 or 408.
    pub(crate) async fn read(body: Body) -> Result<Self, Refused> {
        if body.size_hint().lower() > FORM_BYTES_MAX as u64 {
            return Err(too_large());
        }
        let whole = Limited::new(body, FORM_BYTES_MAX).collect();
        match tokio::time::timeout(PATIENCE, whole).await {
            Ok(Ok(body)) => Ok(Self::parse(&body.to_bytes())),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(_)) => Err(again(StatusCode::BAD_REQUEST, "The form broke off")),
            Err(_) => Err(again(
                StatusCode::REQUEST_TIMEOUT,
                "The form did not come in time",
            )),
        }
    }

    /// A field without spaces around it; empty when it is not there.
    pub(crate) fn get(&self, name: &str) -> &str {
        let field = self.0.iter().find(|(field, _)| field == name);
        field.map_or("", |(_, value)| value.trim())
    }

    /// A field that is there and not empty.
    pub(crate) fn maybe(&self, name: &str) -> Option<&str> {
        Some(self.get(name)).filter(|value| !value.is_empty())
    }

    /// The query with another value of one field; an empty one is left out.
    pub(crate) fn with(&self, name: &str, value: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (field, old) in self.0.iter().filter(|(field, _)| field != name) {
            query.append_pair(field, old);
        }
        if !value.is_empty() {
            query.append_pair(name, value);
        }
        query.finish()
    }
}

fn too_large() -> Refused {
    Refused::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "The form is too large",
        "Send less at once.",
    )
}

fn again(status: StatusCode, title: &str) -> Refused {
    Refused::new(status, title, "Nothing was done. Send it again.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_browsers_write_them() {
        let form = Form::parse(b"a=1+2&b=%3Cx%3E&c=");
        assert_eq!((form.get("a"), form.get("b")), ("1 2", "<x>"));
        assert_eq!((form.maybe("c"), form.maybe("d")), (None, None));
        assert_eq!(form.with("a", "3"), "b=%3Cx%3E&c=&a=3");
    }

    #[tokio::test]
    async fn a_form_that_is_too_large_is_refused_before_it_is_read() {
        let large = Body::from(vec![b'a'; FORM_BYTES_MAX + 1]);
        assert!(Form::read(large).await.is_err());
    }
}
