//! `hoist keys …`: the keys of a server, and signatures on another machine. Nothing here speaks to a
//! server: it works on files.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hoist_device_client::agent::said;
use hoist_protocol::code::Code;
use hoist_protocol::envelope::PublicKey;
use hoist_protocol::id::{Generation, Namespace};
use hoist_protocol::root::KeyRole;
use hoist_server::data_dir::DataDir;
use hoist_server::failure::Failure;
use hoist_server::keys::{
    Chain, Given, KeysError, ROLES, key_file, private_pem, public_pem, read_public, read_seed,
    read_signing_key, word,
};
use hoist_server::lock::Lock;
use serde_json::{Value, json};

use super::signing::{failed, read_key, signer};
use crate::args::{Keys, SignArgs};
use crate::context::{Context, print};
use crate::exit;
use crate::output::new_file::NewFile;
use crate::output::text::fitted;
use crate::output::{self, Format, Shape, Show, column, narrow, secret_output, wide};

mod rotate;
mod sign;

use rotate::rotate;
use sign::sign;

const SHAPE: Shape = Shape {
    name: "fingerprint",
    columns: &[
        column("ROLE", "/role", Show::Plain),
        column("FINGERPRINT", "/fingerprint", Show::Plain),
        narrow("PRIVATE KEY", "", Show::Made(whereabouts)),
        wide("PRIVATE KEY", "", Show::Made(place)),
        wide("ROOT", "/rootNumber", Show::Plain),
        wide("ROOT SHA256", "/rootSha256", Show::Plain),
    ],
};

/// The file in the folder of keys, whose name would make a table wider than a terminal.
fn whereabouts(item: &Value) -> String {
    let place = place(item);
    let name = place.rsplit('/').next();
    name.unwrap_or_default().to_owned()
}

fn place(item: &Value) -> String {
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
        Keys::Rotate(wish) => rotate(context, &data_dir, &wish),
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
    if matches!(context.format(), Format::Table | Format::Wide) {
        for note in notes(&items, &data_dir.keys()) {
            said::say(fitted(&note).trim_end());
        }
    }
    Ok(exit::OK)
}

/// The meaning of "elsewhere" for each key that is, and how it signs from there.
fn notes(items: &[Value], keys: &Path) -> Vec<String> {
    let is_here = |item: &&Value| item["file"].is_string();
    let elsewhere = items.iter().filter(|item| !is_here(item));
    let note = |item: &Value| {
        let role = item["role"].as_str().unwrap_or_default();
        let fingerprint = item["fingerprint"].as_str().unwrap_or_default();
        let replaced = items
            .iter()
            .filter(is_here)
            .any(|other| other["role"] == role);
        let what = match role {
            "release" if replaced => "it was replaced; what it has signed stays good until \
                 `hoist keys rotate release --revoke`"
                .to_owned(),
            "release" => {
                "`hoist release create DIR` signs by it with --key FILE, --sign-with CMD, or \
                 --request FILE for another machine"
                    .to_owned()
            }
            "root" => {
                "`hoist keys rotate orchestrator` signs by it with --key FILE, --sign-with CMD, or \
                 --request FILE for another machine"
                    .to_owned()
            }
            _ => format!(
                "no server signs here without it: bring it to {}, or make another one with \
                 `hoist keys rotate orchestrator`",
                keys.join(format!("{role}.key")).display()
            ),
        };
        format!(
            "{role} key {fingerprint} is elsewhere, not in {}: {what}",
            keys.display()
        )
    };
    elsewhere.map(note).collect()
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
    let file = NewFile {
        flag: "--out",
        path: out,
        data_dir: &context.settings.data_dir.value,
    };
    file.write(&text)?;
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
