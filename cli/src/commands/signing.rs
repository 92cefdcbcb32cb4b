//! Whatever signs for a command: a key in a file, or a command that reaches one elsewhere.

use std::path::{Path, PathBuf};

use hoist_protocol::code::Code;
use hoist_protocol::envelope::PublicKey;
use hoist_protocol::root::KeyRole;
use hoist_server::data_dir::DataDir;
use hoist_server::failure::Failure;
use hoist_server::keys::{Chain, KeysError, Signer, read_public, read_signing_key};

use crate::args::SignArgs;

/// A failure of keys, with what to do.
pub(crate) fn failed(what: &str, error: &KeysError) -> Failure {
    let code = error.code();
    Failure::because(code, what, error).help(help(error, code))
}

fn help(error: &KeysError, code: Code) -> &'static str {
    match error {
        KeysError::Ambiguous { .. } => {
            "name its public half as PEM, which `hoist keys export release --out FILE` writes, or \
             `openssl pkey -pubout`"
        }
        KeysError::Encrypted { .. } => {
            "decrypt it first (`openssl pkey`), or sign with a command that asks for the \
             passphrase: --sign-with"
        }
        KeysError::OtherContent { .. } => {
            "what was to be signed has changed since the request was written: write another one \
             with --request"
        }
        KeysError::NoRotation => {
            "begin one: `hoist keys rotate root --request FILE`, and for the other roles alike"
        }
        KeysError::Waits { .. } => {
            "bring its signatures (`hoist keys rotate root --signature FILE`, and for the other \
             roles alike), or give it and its new key up with --anew"
        }
        KeysError::Threshold { .. } => {
            "its root keys are replaced where it was made, by a document that wants as many \
             signatures"
        }
        KeysError::Lost { .. } => {
            "bring that key, if there is a copy of it, with --new-key FILE; or give the document up \
             and make another: `hoist keys rotate orchestrator --anew`"
        }
        KeysError::Busy { .. } => {
            "wait until the other `hoist keys` has ended, and repeat this one"
        }
        KeysError::Unsigned { .. } => {
            "name the key with --key or --sign-with; where it is on another machine, write a \
             request with --request and let `hoist keys sign` sign it there"
        }
        KeysError::Step { .. } => "name the file that the other machine wrote",
        _ => code.hint(),
    }
}

/// The signer of the flags, or of a file that is used where they name none.
///
/// # Errors
/// `E_KEY` or `E_SECRET`.
pub(crate) fn signer(
    args: &SignArgs,
    default: impl FnOnce() -> PathBuf,
) -> Result<Signer, Failure> {
    if let Some(command) = &args.sign_with {
        return Ok(Signer::Command(command.clone()));
    }
    let path = args.key.clone().unwrap_or_else(default);
    read_key(&path).map(Signer::Key)
}

/// Reads a private key that signs.
///
/// # Errors
/// `E_KEY` or `E_SECRET`.
pub(crate) fn read_key(path: &Path) -> Result<hoist_protocol::envelope::PrivateKey, Failure> {
    read_signing_key(path).map_err(|error| {
        let failure = failed("no key to sign with", &error);
        match error {
            KeysError::File(_) if failure.is(Code::Key) => {
                failure.help("name the server's --data-dir, or the key file with --key")
            }
            _ => failure,
        }
    })
}

/// The keys by which a signature may be: the one that is named, and those of a role that the root
/// document here names, if there is one.
///
/// # Errors
/// `E_KEY` for a named one that cannot be read.
pub(crate) fn among(
    args: &SignArgs,
    data_dir: &DataDir,
    role: KeyRole,
) -> Result<Vec<PublicKey>, Failure> {
    let mut keys = Vec::new();
    if let Some(path) = &args.public_key {
        keys.push(read_public(path).map_err(|error| failed("--public-key", &error))?);
    }
    if let Ok(chain) = Chain::read(&data_dir.keys()) {
        keys.extend(chain.newest().keys_of(role));
    }
    Ok(keys)
}
