//! The signature of a release: made here, or asked of another machine and brought back.

use std::path::{Path, PathBuf};

use hoist_device_client::agent::bundle::PackedRelease;
use hoist_protocol::code::Code;
use hoist_protocol::codec::encode;
use hoist_protocol::envelope::{Kind, Seal};
use hoist_protocol::root::KeyRole;
use hoist_server::data_dir::DataDir;
use hoist_server::failure::Failure;
use hoist_server::keys::{KeysError, Of, Request, Signature};

use crate::args::SignArgs;
use crate::commands::signing::{among, failed, signer};
use crate::output::new_file::NewFile;

/// The way to a signature.
pub(crate) enum Way {
    /// Here.
    Here(SignArgs),
    /// A request for another machine.
    Request(PathBuf),
    /// A signature from there.
    Brought(PathBuf),
}

impl Way {
    /// The way that the flags name.
    pub(crate) fn of(
        signer: SignArgs,
        request: Option<PathBuf>,
        signature: Option<PathBuf>,
    ) -> Self {
        match (request, signature) {
            (Some(request), _) => Self::Request(request),
            (None, Some(signature)) => Self::Brought(signature),
            (None, None) => Self::Here(signer),
        }
    }
}

/// The signed manifest of a release; none when it was only asked for.
///
/// # Errors
/// `E_KEY`, `E_SECRET`, `E_SIGNER`, `E_SIG` or `E_FILE`.
pub(crate) fn manifest(
    packed: &PackedRelease,
    way: &Way,
    data_dir: &DataDir,
) -> Result<Option<Vec<u8>>, Failure> {
    let body = encode(&packed.manifest);
    let seal = match way {
        Way::Request(path) => {
            ask(packed, path, data_dir)?;
            return Ok(None);
        }
        Way::Brought(path) => brought(packed, &body, path)?,
        Way::Here(args) => {
            let signer = signer(args, || data_dir.release_key())?;
            let keys = among(args, data_dir, KeyRole::Release)?;
            let signed = signer.sign(Kind::Release, &body, &keys);
            signed.map_err(|error| match error {
                KeysError::Signature if keys.is_empty() => {
                    let what = "no root document here names the key of --sign-with";
                    Failure::new(Code::Key, what).help("name it with --public-key")
                }
                error => failed("the release is not signed", &error),
            })?
        }
    };
    let mut sealed = body;
    seal.append_to(&mut sealed);
    Ok(Some(sealed))
}

fn ask(packed: &PackedRelease, path: &Path, data_dir: &DataDir) -> Result<(), Failure> {
    let keys = among(&SignArgs::default(), data_dir, KeyRole::Release)?;
    let request = Request::release(&packed.manifest, &keys);
    let file = NewFile {
        flag: "--request",
        path,
        data_dir: data_dir.root(),
    };
    file.write(&request.text())
}

fn brought(packed: &PackedRelease, body: &[u8], path: &Path) -> Result<Seal, Failure> {
    let (name, version) = (&packed.manifest.name, &packed.manifest.version);
    let named = format!("{name}@{version} as it is packed here");
    Signature::read(path)
        .and_then(|signature| signature.seal(Of::Release, body, &named))
        .map_err(|error| failed("--signature", &error))
}
