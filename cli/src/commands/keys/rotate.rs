//! `hoist keys rotate`: the next root document, signed here or asked of another machine, and what it
//! takes from deployments that are active.

use std::path::{Path, PathBuf};

use hoist_device_client::agent::said;
use hoist_protocol::code::Code;
use hoist_protocol::codec::encode;
use hoist_protocol::root::{KeyRole, RootDocument};
use hoist_server::data_dir::DataDir;
use hoist_server::failure::Failure;
use hoist_server::keys::{
    Asked, KeysError, NewKey, Of, Request, Rotation, Signature, Wanted, read_public, read_seed,
    word,
};
use hoist_server::unsigned::{Unsigned, unsigned};
use serde_json::{Value, json};

use super::{SHAPE, chain, now};
use crate::args::Rotate;
use crate::commands::signing::{failed, signer};
use crate::context::Context;
use crate::output::new_file::NewFile;

/// Deployments that are warned of by name; JSON has them all.
const WARNED_MAX: usize = 10;

fn unchanged(error: &KeysError) -> Failure {
    failed("nothing was rotated", error)
}

/// `hoist keys rotate`
pub(super) fn rotate(context: &Context, data_dir: &DataDir, wish: &Rotate) -> Result<u8, Failure> {
    let keys = &data_dir.keys();
    let before = chain(keys)?;
    let request = wish.request.as_deref().map(|path| NewFile {
        flag: "--request",
        path,
        data_dir: data_dir.root(),
    });
    if let Some(request) = request {
        check_request(keys, &request, wish.anew, before.newest())?;
    }
    let rotation = prepared(keys, wish)?;
    let refused = refused(data_dir, before.newest(), rotation.document());
    let told = |document: &RootDocument, state| told(document, state, refused.as_deref());
    let number = rotation.document().number;
    let role = word(wish.role.into());
    let (state, sentence) = match request {
        _ if wish.dry_run => (
            "planned",
            format!("root document {number} would name the new {role} key; nothing was changed"),
        ),
        Some(file) => {
            let request = rotation.wait().map_err(|error| unchanged(&error))?;
            file.replace(&request.text())?;
            let path = file.path.display();
            let sentence = format!(
                "root document {number} waits for signatures: `hoist keys sign {path} --key FILE` \
                 where each root key is, then this command again with --signature FILE",
            );
            ("waiting", sentence)
        }
        None => {
            let document = finished(rotation, wish).map_err(|error| unchanged(&error))?;
            let sentence = format!(
                "root document {number} names the new {role} key; a server that runs takes it \
                 within seconds"
            );
            return context.print_change(&SHAPE, &told(&document, "done"), &sentence);
        }
    };
    context.print_change(&SHAPE, &told(rotation.document(), state), &sentence)
}

/// A rotation with all signatures that can be had here.
fn prepared(keys: &Path, wish: &Rotate) -> Result<Rotation, Failure> {
    let mut rotation = match wish.signature.is_empty() {
        true => begin(keys, wish).map_err(|error| unchanged(&error))?,
        false => Rotation::waiting(keys).map_err(|error| unchanged(&error))?,
    };
    is_of(&rotation, wish.role.into())?;
    for path in &wish.signature {
        let document = rotation.document();
        let named = format!("root document {}, which waits here", document.number);
        let body = encode(document);
        let seal = Signature::read(path)
            .and_then(|signature| signature.seal(Of::RootDocument, &body, &named));
        let taken = seal.and_then(|seal| rotation.add(seal));
        taken.map_err(|error| failed(&format!("--signature {}", path.display()), &error))?;
    }
    rotation.sign_here().map_err(|error| unchanged(&error))?;
    if wish.signer.key.is_some() || wish.signer.sign_with.is_some() {
        let signer = signer(&wish.signer, PathBuf::new)?;
        rotation.sign(&signer).map_err(|error| unchanged(&error))?;
    }
    Ok(rotation)
}

/// Ok if it is the rotation of this role: another one may wait for its signatures.
fn is_of(rotation: &Rotation, role: KeyRole) -> Result<(), Failure> {
    let other = match rotation.changes().any(|changed| changed == role) {
        true => None,
        false => rotation.changes().next(),
    };
    let Some(other) = other else {
        return Ok(());
    };
    let (number, role, other) = (rotation.document().number, word(role), word(other));
    let what = format!(
        "root document {number}, which waits here, names another {other} key, no {role} key"
    );
    Err(Failure::new(Code::Key, what).help(format!(
        "nothing was rotated; the same command with `{other}` in place of `{role}` goes on with it"
    )))
}

/// Puts a rotation into effect; signatures that came so far are kept for the others.
fn finished(rotation: Rotation, wish: &Rotate) -> Result<RootDocument, KeysError> {
    let signed = rotation.is_signed();
    if signed.is_err() && !wish.signature.is_empty() {
        rotation.wait()?;
    }
    signed?;
    rotation.finish()
}

fn told(document: &RootDocument, state: &str, refused: Option<&[Unsigned]>) -> Value {
    let pin = data_encoding::HEXLOWER.encode(&document.pin());
    let mut item = json!({"rootNumber": document.number, "rootSha256": pin, "state": state});
    if let Some(refused) = refused {
        item["refused"] = json!(refused);
    }
    item
}

/// Ok if a request may be written there: one that is there is of this rotation, or of the one that it
/// takes the place of.
fn check_request(
    keys: &Path,
    file: &NewFile<'_>,
    anew: bool,
    newest: &RootDocument,
) -> Result<(), Failure> {
    let waiting = Rotation::waits(keys).map_err(|error| unchanged(&error))?;
    file.check(|_| {
        let there = Request::read(file.path).and_then(|request| request.asked(file.path));
        let Ok(Asked::Root(there)) = there else {
            return false;
        };
        let follows = there.number == newest.number.saturating_add(1);
        match anew {
            true => follows && there.namespace == newest.namespace,
            false => waiting.is_some_and(|waiting| waiting == *there),
        }
    })
}

/// The active deployments that devices refuse by the next root document, once they were warned of;
/// nothing where no release key is revoked, or nobody can know.
fn refused(data_dir: &DataDir, now: &RootDocument, next: &RootDocument) -> Option<Vec<Unsigned>> {
    let role = KeyRole::Release;
    let is_kept = |key| next.keys_of(role).any(|kept| kept == key);
    if now.keys_of(role).all(is_kept) {
        return None;
    }
    let Ok(Some(found)) = unsigned(&data_dir.specs(), next) else {
        said::say(format_args!(
            "warning: it is not known here which deployments need a revoked key: look with `hoist \
             deployment list`; devices refuse theirs until `hoist release create DIR` has signed \
             the release anew"
        ));
        return None;
    };
    for one in found.iter().take(WARNED_MAX) {
        let Unsigned {
            deployment,
            release,
            group,
        } = one;
        said::say(format_args!(
            "warning: deployment {deployment} ({release} to {group}) is active, and its release is \
             signed by a revoked key alone: devices that have not started it refuse it"
        ));
    }
    let more = found.len().saturating_sub(WARNED_MAX);
    if more > 0 {
        said::say(format_args!("warning: and {more} more"));
    }
    if let Some(first) = found.first() {
        said::say(format_args!(
            "help: sign each of these releases anew with `hoist release create DIR`, or end what \
             should not run with `hoist deployment abort {}`",
            first.deployment
        ));
    }
    Some(found)
}

fn begin(keys: &Path, wish: &Rotate) -> Result<Rotation, KeysError> {
    let role = wish.role.into();
    let new = match (&wish.new_key, role) {
        (None, _) => NewKey::Made,
        (Some(path), KeyRole::Orchestrator) => NewKey::Brought(read_seed(path)?),
        (Some(path), KeyRole::Root | KeyRole::Release) => NewKey::Elsewhere(read_public(path)?),
    };
    let wanted = Wanted {
        role,
        new,
        also: role == KeyRole::Release && !wish.revoke,
        anew: wish.anew,
        only_tries: wish.dry_run,
    };
    Rotation::begin(keys, &wanted, now())
}
