//! The `client.toml` that a command works with, among those that there are.

use std::io::ErrorKind::PermissionDenied;
use std::path::{Path, PathBuf};

use hoist_device_client::agent::said;
use hoist_protocol::code::Code;
use hoist_server::client_file::ClientFile;
use hoist_server::denied::{denied, is_denied};
use hoist_server::failure::Failure;
use hoist_server::{broker, private_file};

use crate::settings::{Settings, Variables};

/// Finds and reads the file to connect with: named explicitly, else that of the data
/// directory, else that of the user.
///
/// # Errors
/// `E_CONFIG` when there is none or it is malformed.
pub(crate) fn find(settings: &Settings, variables: Variables<'_>) -> Result<ClientFile, Failure> {
    let path = locate(settings, variables)?;
    if std::fs::File::open(&path).is_err_and(|error| error.kind() == PermissionDenied) {
        return Err(denied(&path, &settings.data_dir.value));
    }
    let mut file = read(&path)?;
    let elsewhere = settings.broker.as_ref();
    // A server's own broker is where client.toml says.
    if let Some(broker) = elsewhere.filter(|broker| broker.value != broker::EMBEDDED) {
        file.mqtt.clone_from(&broker.value);
    }
    if let Some(token) = &settings.token_file {
        let path = &token.value;
        let text = private_file::read_named(path).map_err(|error| {
            Failure::because(
                Code::Config,
                format!("cannot read {}", path.display()),
                &error,
            )
        })?;
        text.trim().clone_into(&mut file.token);
    }
    file.refuse_passwords()?;
    Ok(file)
}

/// Reads one, and warns of it if it is no secret.
///
/// # Errors
/// `E_CONFIG` naming the file and line.
pub(crate) fn read(path: &Path) -> Result<ClientFile, Failure> {
    let read = ClientFile::read(path);
    warn_if_exposed(path);
    read
}

/// Says so when others than its owner can read the token in a file.
pub(crate) fn warn_if_exposed(path: &Path) {
    if private_file::others_can_read(path) {
        said::say(format_args!(
            "warning: {} holds a token and others can read it; chmod 600 it",
            path.display()
        ));
    }
}

fn locate(settings: &Settings, variables: Variables<'_>) -> Result<PathBuf, Failure> {
    if let Some(client) = &settings.client {
        return Ok(client.value.clone());
    }
    let of_data = settings.data_dir.value.join("client.toml");
    let of_user = variables("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| variables("HOME").map(|home| PathBuf::from(home).join(".config")))
        .map(|dir| dir.join("hoist/client.toml"));
    let places: Vec<PathBuf> = [Some(of_data), of_user].into_iter().flatten().collect();
    if let Some(found) = places.iter().find(|place| place.exists()) {
        return Ok(found.clone());
    }
    if let Some(hidden) = places.iter().find(|place| is_denied(place)) {
        return Err(denied(hidden, &settings.data_dir.value));
    }
    let places: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
    let failure = Failure::new(
        Code::Config,
        format!("no client.toml at {}", places.join(" or ")),
    );
    Err(failure.help("start `hoist serve` here, or name the file with --client"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Global, Serve};
    use hoist_protocol::id::Namespace;
    use std::ffi::OsString;

    fn sample(user: &str) -> ClientFile {
        ClientFile {
            mqtt: "mqtt://127.0.0.1:1883".into(),
            device_mqtt: None,
            http: "http://127.0.0.1:7883".into(),
            namespace: Namespace::default(),
            user: user.parse().unwrap(),
            token: "secret".into(),
            ca: None,
            ca_file: None,
        }
    }

    fn settings(global: &Global, variables: Variables<'_>) -> Settings {
        Settings::resolve(global, &Serve::default(), variables).unwrap()
    }

    #[test]
    fn the_named_file_beats_the_data_directory_beats_the_user() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        std::fs::create_dir_all(home.join(".config/hoist")).unwrap();
        let variables = |name: &str| -> Option<OsString> {
            (name == "HOME").then(|| home.clone().into_os_string())
        };
        let mut global = Global {
            data_dir: Some(dir.path().join("data")),
            ..Global::default()
        };
        let user_of = |global: &Global| {
            find(&settings(global, &variables), &variables)
                .map(|file| file.user.to_string())
                .map_err(|failure| failure.code)
        };
        assert_eq!(user_of(&global), Err("E_CONFIG".into()));
        std::fs::write(
            home.join(".config/hoist/client.toml"),
            sample("home").render(),
        )
        .unwrap();
        assert_eq!(user_of(&global), Ok("home".into()));
        std::fs::create_dir(dir.path().join("data")).unwrap();
        std::fs::write(dir.path().join("data/client.toml"), sample("data").render()).unwrap();
        assert_eq!(user_of(&global), Ok("data".into()));
        let named = dir.path().join("named.toml");
        std::fs::write(&named, sample("named").render()).unwrap();
        global.client = Some(named);
        assert_eq!(user_of(&global), Ok("named".into()));
    }
}
