//! Signing on another machine: a request goes there as a file, and a signature comes back as one.

use std::path::Path;

use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use hoist_protocol::codec::{Message, decode, encode};
use hoist_protocol::envelope::{Kind, PublicKey, Seal, verify};
use hoist_protocol::id::sha256;
use hoist_protocol::release::ReleaseManifest;
use hoist_protocol::root::RootDocument;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::KeysError;
use crate::private_file::{self, PrivateFileError};

const API_VERSION: &str = "hoist/v1";
const REQUEST: &str = "signing-request";
const SIGNATURE: &str = "signature";

/// The content that is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Of {
    /// A release manifest.
    Release,
    /// A root document.
    RootDocument,
}

impl Of {
    /// The kind of the signature.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Release => Kind::Release,
            Self::RootDocument => Kind::Root,
        }
    }
}

/// A request for signatures. Whoever signs reads the body, and believes nothing else.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    api_version: String,
    kind: String,
    /// The content.
    pub of: Of,
    body: String,
    public_keys: Vec<String>,
}

/// The content of a request, read from the bytes that are signed.
pub enum Asked {
    /// A release.
    Release(Box<ReleaseManifest>),
    /// A root document.
    Root(Box<RootDocument>),
}

/// A signature that comes back.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signature {
    api_version: String,
    kind: String,
    of: Of,
    body_sha256: String,
    public_key: String,
    signature: String,
}

impl Request {
    /// A request for the signature of a release by one of these keys.
    #[must_use]
    pub fn release(manifest: &ReleaseManifest, keys: &[PublicKey]) -> Self {
        Self::new(Of::Release, manifest, keys)
    }

    /// A request for signatures of a root document by these keys.
    #[must_use]
    pub fn root(document: &RootDocument, keys: &[PublicKey]) -> Self {
        Self::new(Of::RootDocument, document, keys)
    }

    fn new(of: Of, message: &impl Message, keys: &[PublicKey]) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: REQUEST.to_owned(),
            of,
            body: BASE64.encode(&encode(message)),
            public_keys: keys.iter().map(|key| HEXLOWER.encode(&key.0)).collect(),
        }
    }

    /// Reads a request.
    ///
    /// # Errors
    /// [`KeysError::Step`] for what is none.
    pub fn read(path: &Path) -> Result<Self, KeysError> {
        let request: Self = read(path, "request to sign")?;
        is_ours(
            path,
            "request to sign",
            (&request.api_version, &request.kind),
            REQUEST,
        )?;
        Ok(request)
    }

    /// The content of its file.
    #[must_use]
    pub fn text(&self) -> String {
        text(self)
    }

    /// The bytes of the content.
    ///
    /// # Errors
    /// [`KeysError::Step`] when they are no base64; the path is for its words.
    pub fn body(&self, path: &Path) -> Result<Vec<u8>, KeysError> {
        BASE64
            .decode(self.body.as_bytes())
            .map_err(|error| step(path, "request to sign", &error))
    }

    /// The content, for whoever is to sign it.
    ///
    /// # Errors
    /// [`KeysError::Step`] when the content is not what the request says.
    pub fn asked(&self, path: &Path) -> Result<Asked, KeysError> {
        let body = self.body(path)?;
        let asked = match self.of {
            Of::Release => decode(&body).map(|release| Asked::Release(Box::new(release))),
            Of::RootDocument => decode(&body).map(|root| Asked::Root(Box::new(root))),
        };
        asked.map_err(|error| step(path, "request to sign", &error))
    }

    /// The keys whose signatures are wanted.
    #[must_use]
    pub fn keys(&self) -> Vec<PublicKey> {
        self.public_keys
            .iter()
            .filter_map(|key| public(key))
            .collect()
    }
}

impl Signature {
    /// The signature over a body.
    #[must_use]
    pub fn new(of: Of, body: &[u8], seal: &Seal) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: SIGNATURE.to_owned(),
            of,
            body_sha256: HEXLOWER.encode(&sha256(body)),
            public_key: HEXLOWER.encode(&seal.key.0),
            signature: BASE64.encode(&seal.signature),
        }
    }

    /// Reads a signature.
    ///
    /// # Errors
    /// [`KeysError::Step`] for what is none.
    pub fn read(path: &Path) -> Result<Self, KeysError> {
        let signature: Self = read(path, "signature")?;
        is_ours(
            path,
            "signature",
            (&signature.api_version, &signature.kind),
            SIGNATURE,
        )?;
        Ok(signature)
    }

    /// The content of its file.
    #[must_use]
    pub fn text(&self) -> String {
        text(self)
    }

    /// The seal over this body, verified by the key that it names. Whether that key counts is for
    /// the caller to say.
    ///
    /// # Errors
    /// [`KeysError::OtherContent`] for one over something else, [`KeysError::Signature`].
    pub fn seal(&self, of: Of, body: &[u8], named: &str) -> Result<Seal, KeysError> {
        if self.of != of || self.body_sha256 != HEXLOWER.encode(&sha256(body)) {
            let of = named.to_owned();
            return Err(KeysError::OtherContent { of });
        }
        let key = public(&self.public_key).ok_or(KeysError::Signature)?;
        let signature = BASE64.decode(self.signature.as_bytes()).ok();
        let signature = signature.and_then(|bytes| bytes.try_into().ok());
        let signature = signature.ok_or(KeysError::Signature)?;
        verify(&key, of.kind(), "", body, &signature).map_err(|_| KeysError::Signature)?;
        Ok(Seal { key, signature })
    }
}

fn public(hex: &str) -> Option<PublicKey> {
    let bytes = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?;
    bytes.try_into().ok().map(PublicKey)
}

fn step(path: &Path, what: &'static str, why: &impl ToString) -> KeysError {
    KeysError::Step {
        path: path.to_owned(),
        what,
        why: why.to_string(),
    }
}

fn read<T: DeserializeOwned>(path: &Path, what: &'static str) -> Result<T, KeysError> {
    let text = private_file::read_named(path).map_err(PrivateFileError::io("read", path))?;
    serde_json::from_str(&text).map_err(|error| step(path, what, &error))
}

fn is_ours(
    path: &Path,
    what: &'static str,
    (version, kind): (&str, &str),
    expected: &str,
) -> Result<(), KeysError> {
    match version == API_VERSION && kind == expected {
        true => Ok(()),
        false => Err(step(path, what, &format!("it says {version} {kind}"))),
    }
}

fn text(content: &impl Serialize) -> String {
    // Flat structs of strings always encode.
    let mut text = serde_json::to_string_pretty(content).unwrap_or_default();
    text.push('\n');
    text
}
