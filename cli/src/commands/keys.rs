//! `hoist keys …`: the keys of a server, and signatures on another machine. Nothing here speaks to a
//! server: it works on files.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hoist_device_client::agent::said;
use hoist_protocol::code::Code;
use hoist_protocol::codec::encode;
use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::{Generation, Namespace};
use hoist_protocol::root::{KeyRole, RootDocument};
use hoist_server::data_dir::DataDir;
use hoist_server::failure::Failure;
use hoist_server::keys::{
    Chain, Given, KeysError, NewKey, Of, ROLES, Rotation, Signature, Wanted, key_file, private_pem,
    public_pem, read_public, read_seed, read_signing_key, word,
};
use hoist_server::lock::Lock;
use hoist_server::private_file;
use serde_json::{Value, json};

use super::signing::{failed, read_key, signer};
use crate::args::{Keys, Rotate, SignArgs};
use crate::context::{Context, print};
use crate::exit;
use crate::output::{self, Shape, Show, column, secret_output, wide};

mod sign;

use sign::sign;

const SHAPE: Shape = Shape {
    name: "fingerprint",
    columns: &[
        column("ROLE", "/role", Show::Plain),
        column("FINGERPRINT", "/fingerprint", Show::Plain),
        column("PRIVATE KEY", "", Show::Made(whereabouts)),
        wide("ROOT", "/rootNumber", Show::Plain),
        wide("ROOT SHA256", "/rootSha256", Show::Plain),
    ],
};

fn whereabouts(item: &Value) -> String {
    item["file"].as_str().unwrap_or("elsewhere").to_owned()
}

/// Runs one of the commands about keys.
pub(crate) fn run(context: &Context, command: Keys) -> Result<u8, Failure> {
    let data_dir = DataDir::new(&context.settings.data_dir.value);
    match command {
        Keys::Init {
            namespace,
            root,
            release_key,
        } => init(
            context,
            &data_dir,
            namespace.as_deref(),
            &root,
            release_key.as_deref(),
        ),
        Keys::List => list(context, &data_dir),
        Keys::Rotate(wish) => rotate(context, &data_dir.keys(), &wish),
        Keys::Export { role, private, out } => export(
            context,
            &data_dir.keys(),
            (role.into(), private),
            out.as_deref(),
        ),
        Keys::Sign {
            file,
            signer,
            out,
            dry_run,
        } => {
            let out = out.unwrap_or_else(|| beside(&file));
            sign(context, &file, &signer, &out, dry_run)
        }
    }
}

fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

fn init(
    context: &Context,
    data_dir: &DataDir,
    namespace: Option<&str>,
    root: &SignArgs,
    release_key: Option<&Path>,
) -> Result<u8, Failure> {
    let namespace = match namespace {
        None => context.settings.namespace.value.clone(),
        Some(name) => name
            .parse::<Namespace>()
            .map_err(|error| Failure::because(Code::Name, format!("namespace {name:?}"), &error))?,
    };
    let public = |path: &Path, flag: &str| read_public(path).map_err(|error| failed(flag, &error));
    let given_root = match (&root.key, &root.public_key) {
        (Some(path), _) => Some((read_key(path)?.public(), signer(root, PathBuf::new)?)),
        (None, Some(path)) => Some((public(path, "--public-key")?, signer(root, PathBuf::new)?)),
        (None, None) if root.sign_with.is_some() => {
            let what = "nothing says by which root key the command signs";
            return Err(
                Failure::new(Code::Key, what).help("name its public half with --public-key")
            );
        }
        (None, None) => None,
    };
    let given = Given {
        root: given_root,
        release: release_key
            .map(|path| public(path, "--release-key"))
            .transpose()?,
    };
    data_dir.create()?;
    let _lock = Lock::take(data_dir.root())?;
    data_dir.create_keys(&namespace, now(), &given)?;
    let items = items(&data_dir.keys())?;
    said::say(format_args!(
        "keys of namespace {namespace} made in {}; back them up before the first device pins them",
        data_dir.keys().display()
    ));
    print(&output::list(
        context.format(),
        &SHAPE,
        &items,
        SystemTime::now(),
    ))?;
    Ok(exit::OK)
}

fn list(context: &Context, data_dir: &DataDir) -> Result<u8, Failure> {
    let items = items(&data_dir.keys())?;
    print(&output::list(
        context.format(),
        &SHAPE,
        &items,
        SystemTime::now(),
    ))?;
    Ok(exit::OK)
}

fn chain(keys: &Path) -> Result<Chain, Failure> {
    Chain::read(keys).map_err(|error| match error {
        KeysError::File(_) if error.code() == Code::Key => failed("no root document here", &error)
            .help(
                "name the server's --data-dir; `hoist keys init` makes keys before the first start",
            ),
        error => failed("the keys cannot be used", &error),
    })
}

/// The keys that the newest root document names.
fn items(keys: &Path) -> Result<Vec<Value>, Failure> {
    let chain = chain(keys)?;
    let root = chain.newest();
    let pin = data_encoding::HEXLOWER.encode(&root.pin());
    let mut items = Vec::new();
    for role in ROLES {
        let here = here(&key_file(keys, role))?;
        for key in root.keys_of(role) {
            let file = key_file(keys, role);
            let file = here
                .filter(|here| *here == key)
                .map(|_| file.display().to_string());
            items.push(json!({
                "role": word(role), "fingerprint": key.fingerprint(), "file": file,
                "publicKey": data_encoding::HEXLOWER.encode(&key.0),
                "namespace": root.namespace, "rootNumber": root.number, "rootSha256": pin,
            }));
        }
    }
    Ok(items)
}

/// The public half of a private key that may be elsewhere.
fn here(file: &Path) -> Result<Option<PublicKey>, Failure> {
    match file.exists() {
        false => Ok(None),
        true => read_signing_key(file)
            .map(|key| Some(key.public()))
            .map_err(|error| failed("the keys cannot be used", &error)),
    }
}

fn unchanged(error: &KeysError) -> Failure {
    failed("nothing was rotated", error)
}

fn rotate(context: &Context, keys: &Path, wish: &Rotate) -> Result<u8, Failure> {
    chain(keys)?;
    let rotation = prepared(keys, wish)?;
    let number = rotation.document().number;
    let role = word(wish.role.into());
    let (state, sentence) = match &wish.request {
        _ if wish.dry_run => (
            "planned",
            format!("root document {number} would name the new {role} key; nothing was changed"),
        ),
        Some(path) => {
            let request = rotation.wait().map_err(|error| unchanged(&error))?;
            request.write(path).map_err(|error| unchanged(&error))?;
            let path = path.display();
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

fn told(document: &RootDocument, state: &str) -> Value {
    let pin = data_encoding::HEXLOWER.encode(&document.pin());
    json!({"rootNumber": document.number, "rootSha256": pin, "state": state})
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

fn export(
    context: &Context,
    keys: &Path,
    (role, private): (KeyRole, bool),
    out: Option<&Path>,
) -> Result<u8, Failure> {
    let text = match private {
        false => chain(keys)?
            .newest()
            .keys_of(role)
            .map(|key| public_pem(&key))
            .collect(),
        true => {
            let seed = read_seed(&key_file(keys, role));
            private_pem(&seed.map_err(|error| failed("no private key here", &error))?)
        }
    };
    let Some(out) = out else {
        if private {
            secret_output::check()?;
            secret_output::print(&text, "nothing was changed; send it to a file: `> FILE`")?;
        } else {
            print(&text)?;
        }
        return Ok(exit::OK);
    };
    // The file may hold the only copy of a key.
    let is_there = private_file::read_named(out).is_ok_and(|old| old != text);
    if is_there || (out.exists() && private_file::read_named(out).is_err()) {
        let what = format!("{} is there and holds something else", out.display());
        return Err(Failure::new(Code::File, what).help("nothing was written; name another file"));
    }
    private_file::check_outside(out, &context.settings.data_dir.value)
        .and_then(|()| private_file::write(out, text.as_bytes()))
        .map_err(|error| Failure::because(Code::File, "--out", &error).help("name another file"))?;
    let half = if private { "private" } else { "public" };
    let sentence = format!("{half} key of {} written to {}", word(role), out.display());
    let item = json!({"role": word(role), "file": out});
    context.print_change(&SHAPE, &item, &sentence)
}

fn now() -> Generation {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let millis = since.unwrap_or_default().as_millis();
    Generation(u64::try_from(millis).unwrap_or(u64::MAX))
}
