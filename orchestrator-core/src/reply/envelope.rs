//! A reply around its result, or its error.

use hoist_protocol::id::RequestId;
use serde::{Deserialize, Serialize};

use crate::model::error::Rejection;
use crate::reply::{API_VERSION, bounded};

/// A reply. The server writes `Reply<ResultBody>`, a client reads `Reply<DeployResult>`
/// and so on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply<R> {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// The request's id.
    pub request: String,
    /// True if the command was done.
    pub ok: bool,
    /// The result, when the command was done.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub result: Option<R>,
    /// Why not, when it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
}

impl<R> Reply<R> {
    /// The reply to `request`.
    #[must_use]
    pub fn new(request: &RequestId, outcome: Result<R, Rejection>) -> Self {
        let (ok, result, error) = match outcome {
            Ok(result) => (true, Some(result), None),
            Err(rejection) => (false, None, Some(rejection.into())),
        };
        Self {
            api_version: API_VERSION.to_owned(),
            request: request.to_string(),
            ok,
            result,
            error,
        }
    }
}

/// The error of a failed command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Stable code, `E_…`.
    pub code: String,
    /// A few words.
    pub title: String,
    /// One sentence.
    pub detail: String,
    /// The advice for the person who sent the command.
    pub hint: String,
    /// The field at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl From<Rejection> for ErrorBody {
    fn from(rejection: Rejection) -> Self {
        Self {
            code: rejection.code.as_str().to_owned(),
            title: rejection.code.title().to_owned(),
            detail: bounded(&rejection.detail),
            hint: match rejection.hint {
                Some(hint) => bounded(&hint),
                None => rejection.code.hint().to_owned(),
            },
            field: rejection.field.as_deref().map(bounded),
        }
    }
}
