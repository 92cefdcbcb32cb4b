//! Strict encoding: a version byte, then postcard. A message decodes only when nothing
//! is left over, its collections are within bounds and it encodes to the same bytes
//! again, so two implementations can never read one payload differently.

use alloc::vec::Vec;

use crate::code::Code;
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A message with a stable encoding. Enums in it are append-only; a changed struct is a
/// new version.
pub trait Message: Serialize + DeserializeOwned {
    /// The first byte of the encoding.
    const VERSION: u8;
    /// Largest encoded size accepted, in bytes, checked before decoding.
    const BYTES_MAX: usize;

    /// Decodes the version before [`Message::VERSION`], which is still read; `None` when
    /// there is none or these are not its bytes.
    fn decode_older(bytes: &[u8]) -> Option<Result<(Self, &[u8]), DecodeError>> {
        let _ = bytes;
        None
    }

    /// Checks the bounds that the encoding alone does not: lengths of collections.
    ///
    /// # Errors
    /// A few words naming the bound.
    fn check(&self) -> Result<(), &'static str>;
}

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No bytes at all: on a retained topic, a deletion (`E_DECODE`).
    #[error("the payload is empty")]
    Empty,
    /// Larger than the message may be (`E_DECODE`).
    #[error("the payload has {length} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Bytes received.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A newer version, or an enum variant or id this version does not know (`E_VERSION`).
    #[error("the payload is of a newer version (first byte {version})")]
    Version {
        /// The first byte.
        version: u8,
    },
    /// Not an encoding of this message (`E_DECODE`).
    #[error("the payload is malformed")]
    Malformed,
    /// Decodes, but not from the one canonical encoding (`E_DECODE`).
    #[error("the payload is not in its canonical encoding")]
    NotCanonical,
    /// Bytes after the message (`E_DECODE`).
    #[error("{count} bytes follow the message")]
    Trailing {
        /// The number of those bytes.
        count: usize,
    },
    /// A collection or field is out of its bounds (`E_DECODE`).
    #[error("out of bounds: {what}")]
    Bounds {
        /// Which.
        what: &'static str,
    },
}

impl DecodeError {
    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Version { .. } => Code::Version,
            _ => Code::Decode,
        }
    }
}

/// Why a message is not encoded: nobody would read it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A collection or field is out of its bounds.
    #[error("out of bounds: {what}")]
    Bounds {
        /// Which.
        what: &'static str,
    },
    /// Larger than the message may be.
    #[error("it would have {length} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Its bytes.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// Room for an encoding from the start, in bytes: most messages need no more.
const USUAL_BYTES: usize = 128;

/// Encodes a message: version byte, then postcard.
#[must_use]
pub fn encode<M: Message>(message: &M) -> Vec<u8> {
    let mut start = Vec::with_capacity(M::BYTES_MAX.min(USUAL_BYTES));
    start.push(M::VERSION);
    appended(message, start)
}

/// Encodes a message that [`decode`] reads again.
///
/// # Errors
/// [`EncodeError`] for one that it would refuse.
pub fn encode_checked<M: Message>(message: &M) -> Result<Vec<u8>, EncodeError> {
    let checked = message.check();
    checked.map_err(|what| EncodeError::Bounds { what })?;
    let bytes = encode(message);
    match bytes.len() <= M::BYTES_MAX {
        true => Ok(bytes),
        false => Err(EncodeError::TooLarge {
            length: bytes.len(),
            limit: M::BYTES_MAX,
        }),
    }
}

/// Encodes fields that have no version of their own.
#[must_use]
pub fn encode_fields(fields: &impl Serialize) -> Vec<u8> {
    appended(fields, Vec::new())
}

/// Appends an encoding. A vector grows, and data has no map without a length, nor anything else
/// that postcard refuses: only a type that is no data would fail, and it fails at its first use. It
/// never becomes an empty payload, which deletes what is retained.
fn appended<T: Serialize>(value: &T, to: Vec<u8>) -> Vec<u8> {
    match postcard::serialize_with_flavor(value, Appended(to)) {
        Ok(bytes) => bytes,
        Err(error) => unreachable!("{} is no data: {error}", core::any::type_name::<T>()),
    }
}

/// Decodes a message and nothing but this message.
///
/// # Errors
/// [`DecodeError`]. A length that exceeds the bytes left reserves nothing, so memory is
/// bounded by a small multiple of [`Message::BYTES_MAX`].
pub fn decode<M: Message>(bytes: &[u8]) -> Result<M, DecodeError> {
    let (message, rest) = decode_prefix(bytes)?;
    if !rest.is_empty() {
        return Err(DecodeError::Trailing { count: rest.len() });
    }
    Ok(message)
}

/// Decodes a message at the start of `bytes` and returns what follows it.
///
/// # Errors
/// [`DecodeError`]; the size limit applies to the message with what follows.
pub fn decode_prefix<M: Message>(bytes: &[u8]) -> Result<(M, &[u8]), DecodeError> {
    let (&version, body) = bytes.split_first().ok_or(DecodeError::Empty)?;
    if bytes.len() > M::BYTES_MAX {
        return Err(DecodeError::TooLarge {
            length: bytes.len(),
            limit: M::BYTES_MAX,
        });
    }
    if version != M::VERSION {
        let older = M::decode_older(bytes).unwrap_or(Err(DecodeError::Version { version }));
        return older.and_then(|(message, rest)| in_bounds(message).map(|message| (message, rest)));
    }
    let (message, rest) = postcard::take_from_bytes::<M>(body).map_err(|error| match error {
        // An enum variant or id from the future; serde offers no finer distinction.
        postcard::Error::SerdeDeCustom => DecodeError::Version { version },
        _ => DecodeError::Malformed,
    })?;
    let message = in_bounds(message)?;
    let used = &body[..body.len() - rest.len()];
    // Nothing is written: every message that arrives and every row that is read comes here.
    match postcard::serialize_with_flavor(&message, Compared(used)) {
        Ok([]) => Ok((message, rest)),
        Ok(_) | Err(_) => Err(DecodeError::NotCanonical),
    }
}

fn in_bounds<M: Message>(message: M) -> Result<M, DecodeError> {
    match message.check() {
        Ok(()) => Ok(message),
        Err(what) => Err(DecodeError::Bounds { what }),
    }
}

/// An encoding that is appended to bytes.
struct Appended(Vec<u8>);

impl Flavor for Appended {
    type Output = Vec<u8>;

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}

/// An encoding that is only compared with bytes; what is left of them is its outcome.
struct Compared<'a>(&'a [u8]);

impl<'a> Flavor for Compared<'a> {
    type Output = &'a [u8];

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        // Any error does: it only says that they differ.
        let differs = postcard::Error::SerializeBufferFull;
        self.0 = self.0.strip_prefix(bytes).ok_or(differs)?;
        Ok(())
    }

    fn finalize(self) -> postcard::Result<&'a [u8]> {
        Ok(self.0)
    }
}
