//! `hoist release …`: packs and signs on this machine, so the key never travels, then
//! uploads the artifacts and registers the release.

mod sealed;

use std::cmp::Ordering;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hoist_device_client::agent::bundle::{PackError, PackedRelease, read_release_dir, write_hoist};
use hoist_device_client::agent::said;
use hoist_orchestrator_core::api::command::{ReleaseAdd, ReleaseRemove, ReleaseShow, Verb};
use hoist_orchestrator_core::model::row::release_text;
use hoist_protocol::code::Code;
use hoist_protocol::envelope::PrivateKey;
use hoist_protocol::release::ReleaseManifest;
use hoist_server::client_file::ClientFile;
use hoist_server::data_dir::DataDir;
use hoist_server::failure::Failure;
use hoist_server::private_file;
use serde_json::{Map, Value, json};

use crate::args::Release;
use crate::client::Client;
use crate::client::upload::upload;
use crate::commands::confirm::may_remove;
use crate::context::{Context, list};
use crate::exit;
use crate::output::{Shape, Show, column, wide};

use sealed::Way;

const SHAPE: Shape = Shape {
    name: "release",
    columns: &[
        column("RELEASE", "/release", Show::Plain),
        column("ID", "/id", Show::Short),
        column("COUNTER", "/counter", Show::Plain),
        column("ARTIFACTS", "/artifacts", Show::Plain),
        column("BYTES", "/sizeBytes", Show::Plain),
        column("ADDED", "/createdAt", Show::Ago),
        wide("FULL ID", "/id", Show::Plain),
    ],
};

/// A release that is packed and signed.
pub(crate) struct SignedRelease {
    packed: Arc<PackedRelease>,
    manifest: Vec<u8>,
}

/// Runs one of the release commands.
pub(crate) async fn run(context: &Context, command: Release) -> Result<u8, Failure> {
    match command {
        Release::Create {
            dir,
            out,
            no_upload,
            signer,
            request,
            signature,
            dry_run,
        } => {
            let way = Way::of(signer, request, signature);
            let packed = pack(dir).await?;
            let data_dir = DataDir::new(&context.settings.data_dir.value);
            let Some(manifest) = sealed::manifest(&packed, &way, &data_dir)? else {
                return asked(context, &packed, &way);
            };
            let release = SignedRelease::new(packed, manifest);
            if dry_run {
                return release.dry_run(context, no_upload).await;
            }
            if let Some(out) = &out {
                private_file::check_outside(out, &context.settings.data_dir.value).map_err(
                    |error| {
                        Failure::because(Code::File, "--out", &error)
                            .help("name another file; nothing was changed")
                    },
                )?;
                release.write(out.clone()).await?;
            }
            let went = match no_upload {
                true => Went::Nowhere,
                false => release.upload(context).await?,
            };
            release.tell(context, went, out.as_deref())
        }
        Release::List => {
            context
                .print_list(Verb::ReleaseList, Map::new(), None, &SHAPE)
                .await
        }
        Release::Show { release } => {
            let shown = context
                .command(Verb::ReleaseShow, &ReleaseShow { release })
                .await?;
            context.print_one(&SHAPE, &shown)
        }
        Release::Remove {
            release,
            yes,
            dry_run,
        } => remove(context, release, yes, dry_run).await,
    }
}

/// Removes a release, once somebody has said yes.
async fn remove(
    context: &Context,
    release: String,
    yes: bool,
    dry_run: bool,
) -> Result<u8, Failure> {
    if !yes && !dry_run && !may_remove(&release)? {
        return Ok(exit::ERROR);
    }
    let body = ReleaseRemove { release, dry_run };
    let removed = context.command(Verb::ReleaseRemove, &body).await?;
    let named = removed["release"].as_str().unwrap_or("?");
    let sentence = match dry_run {
        false => format!("release {named} removed; deployments of it keep its name"),
        true => format!("release {named} would be removed; nothing was changed"),
    };
    context.print_change(&SHAPE, &removed, &sentence)
}

/// The destination of a release that was packed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Went {
    /// It stays here.
    Nowhere,
    /// Onto the server.
    Up,
    /// The server had it.
    Already,
}

/// Reads and hashes a release directory.
///
/// # Errors
/// `E_REQUIREMENT`, `E_SCRIPT` or `E_ARCHIVE` for what they are about, else
/// `E_RELEASE_INVALID`; naming file and line where there is one.
async fn pack(dir: PathBuf) -> Result<PackedRelease, Failure> {
    let shown = dir.display().to_string();
    blocking(move || read_release_dir(&dir))
        .await?
        .map_err(|error| {
            let code = match error.code() {
                code @ (Code::Requirement | Code::Script | Code::Archive) => code,
                _ => Code::ReleaseInvalid,
            };
            Failure::because(code, format!("{shown} is no release"), &error)
        })
}

/// Says that a release was packed, and waits for its signature.
fn asked(context: &Context, packed: &PackedRelease, way: &Way) -> Result<u8, Failure> {
    let Way::Request(path) = way else {
        return Ok(exit::OK);
    };
    let name = release_text(&packed.manifest.name, &packed.manifest.version);
    let (id, path) = (packed.id().to_string(), path.display());
    let sentence = format!(
        "{name}  {id}  waits for its signature: `hoist keys sign {path} --key FILE` where the \
         release key is, then repeat this with --signature {path}.sig in the place of --request"
    );
    let item = json!({"release": name, "id": id, "uploaded": false, "state": "waiting"});
    context.print_change(&SHAPE, &item, &sentence)
}

impl SignedRelease {
    /// Reads, hashes and signs a release directory.
    ///
    /// # Errors
    /// Those of a directory that is no release.
    pub(crate) async fn pack(dir: PathBuf, key: &PrivateKey) -> Result<Self, Failure> {
        let packed = pack(dir).await?;
        let manifest = packed.sign(key);
        Ok(Self::new(packed, manifest))
    }

    fn new(packed: PackedRelease, manifest: Vec<u8>) -> Self {
        let packed = Arc::new(packed);
        Self { packed, manifest }
    }

    /// `name@version`.
    pub(crate) fn name(&self) -> String {
        release_text(&self.packed.manifest.name, &self.packed.manifest.version)
    }

    /// The release's id in hex.
    pub(crate) fn id(&self) -> String {
        self.packed.id().to_string()
    }

    /// Brings it to the server, and says on standard error what devices will not like.
    async fn upload(&self, context: &Context) -> Result<Went, Failure> {
        let file = context.client_file()?;
        let mut client = context.client().await?;
        let uploaded = async {
            let known = self.compare(&mut client).await?;
            self.publish(&mut client, &file).await?;
            Ok(known)
        };
        let uploaded = uploaded.await;
        client.close().await;
        uploaded
    }

    /// Compares it with the releases of its name: a device takes nothing that counts lower
    /// than what it has.
    async fn compare(&self, client: &mut Client) -> Result<Went, Failure> {
        let manifest = &self.packed.manifest;
        let mut of_name = Map::new();
        of_name.insert("name".to_owned(), json!(manifest.name));
        let known = list(client, Verb::ReleaseList, of_name, None).await?;
        if let Some(warning) = outdone(&known, &self.id(), manifest) {
            said::say(format_args!("warning: {warning}"));
        }
        let is_there = known.iter().any(|item| item["id"] == *self.id());
        Ok(if is_there { Went::Already } else { Went::Up })
    }

    /// Says what was done.
    fn tell(&self, context: &Context, went: Went, out: Option<&Path>) -> Result<u8, Failure> {
        let (name, id) = (self.name(), self.id());
        let done = match (went, out) {
            (Went::Up, _) => "uploaded".to_owned(),
            (Went::Already, _) => "is on the server already".to_owned(),
            (Went::Nowhere, Some(out)) => {
                format!("not uploaded, only written to {}", out.display())
            }
            (Went::Nowhere, None) => "not uploaded".to_owned(),
        };
        let uploaded = went != Went::Nowhere;
        let item = json!({"release": name, "id": id, "uploaded": uploaded});
        context.print_change(&SHAPE, &item, &format!("{name}  {id}  {done}"))
    }

    /// Says whether it would be taken; nothing is written or uploaded.
    async fn dry_run(&self, context: &Context, no_upload: bool) -> Result<u8, Failure> {
        if !no_upload {
            let mut client = context.client().await?;
            let checked = async {
                self.compare(&mut client).await?;
                self.check(&mut client).await
            };
            let checked = checked.await;
            client.close().await;
            checked?;
        }
        let item = json!({"release": self.name(), "id": self.id()});
        let would = if no_upload { "packed" } else { "added" };
        let sentence = format!(
            "{}  {}  would be {would}; nothing was changed",
            self.name(),
            self.id()
        );
        context.print_change(&SHAPE, &item, &sentence)
    }

    /// Asks the server whether it would take this release.
    async fn check(&self, client: &mut Client) -> Result<(), Failure> {
        let refused = match client.command(Verb::ReleaseAdd, &self.body(true)).await {
            Ok(_) => return Ok(()),
            Err(refused) => refused,
        };
        // What is not uploaded yet is so far only known here: the rest is checked by name.
        if !refused.is(Code::Artifact) {
            return Err(refused);
        }
        let release = self.name();
        match client
            .command(Verb::ReleaseShow, &ReleaseShow { release })
            .await
        {
            Ok(known) if known["id"] == *self.id() => Ok(()),
            Ok(known) => {
                let other = known["id"].as_str().unwrap_or("?");
                let why = format!("{} is already release {other}", self.name());
                Err(Failure::new(Code::ReleaseExists, why))
            }
            Err(unknown) if unknown.is(Code::Release) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn body(&self, dry_run: bool) -> ReleaseAdd {
        let manifest = data_encoding::BASE64.encode(&self.manifest);
        ReleaseAdd { manifest, dry_run }
    }

    /// Writes the `.hoist` file.
    async fn write(&self, out: PathBuf) -> Result<(), Failure> {
        let (packed, manifest) = (Arc::clone(&self.packed), self.manifest.clone());
        let shown = out.display().to_string();
        let write = move || -> Result<(), PackError> {
            let io = |source| PackError::File {
                path: out.clone(),
                source,
            };
            let mut file = BufWriter::new(std::fs::File::create(&out).map_err(io)?);
            write_hoist(&packed, &manifest, &mut file)?;
            file.flush().map_err(io)
        };
        blocking(write)
            .await?
            .map_err(|error| Failure::because(Code::File, format!("cannot write {shown}"), &error))
    }

    /// Uploads the artifacts and registers the release; doing it again changes nothing.
    ///
    /// # Errors
    /// `E_HTTP`, and those of `release-add`: `E_RELEASE_EXISTS` for other content.
    pub(crate) async fn publish(
        &self,
        client: &mut Client,
        file: &ClientFile,
    ) -> Result<Value, Failure> {
        for artifact in &self.packed.artifacts {
            upload(file, artifact).await?;
        }
        client.command(Verb::ReleaseAdd, &self.body(false)).await
    }
}

/// Which of the releases of the same name counts higher, and what that means.
fn outdone(of_name: &[Value], id: &str, manifest: &ReleaseManifest) -> Option<String> {
    let others = of_name.iter().filter(|item| item["id"] != *id);
    let counter = |item: &Value| item["counter"].as_u64().unwrap_or(0);
    let highest = others.max_by_key(|item| counter(item))?;
    let (counter, highest_counter) = (manifest.counter, counter(highest));
    let other = highest["release"].as_str().unwrap_or("?");
    match counter.cmp(&highest_counter) {
        Ordering::Less => Some(format!(
            "counter {counter} is below that of {other} ({highest_counter}): devices that have it \
             refuse this release as a downgrade"
        )),
        Ordering::Equal => Some(format!(
            "counter {counter} is not above that of {other}: a device takes either of them in the \
             place of the other, so nothing keeps it from going back"
        )),
        Ordering::Greater => None,
    }
}

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::because(Code::System, "a worker ended", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_is_not_above_the_others_of_the_name_is_warned_about() {
        let item = |release: &str, id: &str, counter: u64| json!({"release": release, "id": id, "counter": counter});
        let known = [item("hello@1.0.0", "aa", 3), item("hello@1.1.0", "bb", 5)];
        let warns = |id: &str, counter| {
            let manifest = ReleaseManifest {
                name: "hello".parse().unwrap(),
                version: "2".into(),
                counter,
                floor: 0,
                device_types: Vec::new(),
                attributes: Vec::new(),
                artifacts: Vec::new(),
            };
            outdone(&known, id, &manifest)
        };
        assert_eq!(warns("dd", 6), None);
        let warning = warns("dd", 5).unwrap();
        assert!(
            warning.contains("not above that of hello@1.1.0"),
            "{warning}"
        );
        assert_eq!(warns("bb", 5), None, "the same again");
        let warning = warns("dd", 4).unwrap();
        assert!(warning.contains("hello@1.1.0 (5)"), "{warning}");
    }
}
