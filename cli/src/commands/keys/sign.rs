//! `hoist keys sign`: a signature on another machine than the one that asks for it.

use std::path::{Path, PathBuf};

use hoist_device_client::agent::said;
use hoist_orchestrator_core::model::time::format_time;
use hoist_protocol::code::Code;
use hoist_protocol::envelope::Kind;
use hoist_server::failure::Failure;
use hoist_server::keys::{Asked, KeysError, ROLES, Request, Signature, read_public, word};
use serde_json::json;

use super::SHAPE;
use crate::args::SignArgs;
use crate::commands::signing::{failed, signer};
use crate::context::Context;
use crate::output::new_file::NewFile;

/// Signs a request, once its content was shown.
pub(super) fn sign(
    context: &Context,
    file: &Path,
    args: &SignArgs,
    out: &Path,
    dry_run: bool,
) -> Result<u8, Failure> {
    let unsigned = |error: KeysError| failed("nothing was signed", &error);
    let request = Request::read(file).map_err(unsigned)?;
    let body = request.body(file).map_err(unsigned)?;
    // Only the bytes that are signed say what is signed.
    let asked = request.asked(file).map_err(unsigned)?;
    for line in description(&asked) {
        said::say(line);
    }
    if dry_run {
        let item = json!({"of": request.of, "state": "planned"});
        return context.print_change(&SHAPE, &item, "this would be signed; nothing was changed");
    }
    if args.key.is_none() && args.sign_with.is_none() {
        let what = "nothing says by which key to sign";
        return Err(Failure::new(Code::Key, what).help("name it with --key or --sign-with"));
    }
    let mut among = request.keys();
    if let Some(path) = &args.public_key {
        among.push(read_public(path).map_err(|error| failed("--public-key", &error))?);
    }
    let file = NewFile {
        flag: "--out",
        path: out,
        data_dir: &context.settings.data_dir.value,
    };
    // A key in hardware wants somebody's hand: before it is asked.
    file.check(|_| {
        let there = Signature::read(out);
        there.is_ok_and(|there| there.seal(request.of, &body, "it").is_ok())
    })?;
    let signer = signer(args, PathBuf::new)?;
    let kind: Kind = request.of.kind();
    let seal = signer.sign(kind, &body, &among).map_err(unsigned)?;
    if !among.is_empty() && !among.contains(&seal.key) {
        let key = seal.key.fingerprint();
        said::say(format_args!(
            "warning: nobody asked for the signature of key {key}"
        ));
    }
    file.write(&Signature::new(request.of, &body, &seal).text())?;
    let (key, out) = (seal.key.fingerprint(), out.display().to_string());
    let sentence = format!("signed by key {key}; the signature is in {out}");
    let item = json!({"of": request.of, "fingerprint": key, "file": out, "state": "done"});
    context.print_change(&SHAPE, &item, &sentence)
}

/// The content of a request, for whoever is to sign it.
fn description(asked: &Asked) -> Vec<String> {
    match asked {
        Asked::Release(release) => {
            let mut lines = vec![format!(
                "release {}@{}  {}  counter {}, floor {}",
                release.name,
                release.version,
                release.id(),
                release.counter,
                release.floor
            )];
            let artifacts = release.artifacts.iter();
            lines.extend(
                artifacts.map(|artifact| {
                    format!("  artifact {}  {} bytes", artifact.id(), artifact.size)
                }),
            );
            lines
        }
        Asked::Root(root) => {
            let (number, namespace) = (root.number, &root.namespace);
            let expires = match root.expires_s {
                0 => "never".to_owned(),
                second => format_time(second.saturating_mul(1_000)),
            };
            let mut lines = vec![
                format!("root document {number} of namespace {namespace}"),
                format!("  issued {}, expires {expires}", format_time(root.issued.0)),
                format!(
                    "  the next one wants the signatures of {} root keys",
                    root.threshold
                ),
            ];
            for role in ROLES {
                let keys = root.keys_of(role);
                lines.extend(keys.map(|key| format!("  {} key {}", word(role), key.fingerprint())));
            }
            lines
        }
    }
}

#[cfg(test)]
mod tests {
    use hoist_protocol::id::{Generation, Namespace};
    use hoist_protocol::root::RootDocument;

    use super::*;

    #[test]
    fn whoever_signs_a_root_document_sees_when_it_expires_and_how_many_can_replace_it() {
        let asked = Asked::Root(Box::new(RootDocument {
            number: 2,
            namespace: Namespace::default(),
            issued: Generation(1_790_000_000_000),
            expires_s: 1_800_000_000,
            threshold: 3,
            keys: Vec::new(),
        }));
        let said = description(&asked).join("\n");
        for part in [
            "expires 2027-01-15T08:00:00",
            "the signatures of 3 root keys",
        ] {
            assert!(said.contains(part), "{said}");
        }
    }
}
