//! An agent.toml: what a device must know, its token among it, as a file of its owner only.

use std::path::Path;

use hoist_device_client::agent::config::{NewAgent, render};
use hoist_net::endpoint::{Endpoint, Scheme};
use hoist_orchestrator_core::reply::DeviceAddResult;
use hoist_protocol::code::Code;
use hoist_protocol::id::Namespace;
use hoist_server::client_file::ClientFile;
use hoist_server::failure::Failure;
use hoist_server::private_file;
use toml_edit::DocumentMut;

/// The configuration of a new device's agent, for the server of `file`.
pub(crate) fn agent_toml(
    file: &ClientFile,
    device_type: Option<&str>,
    added: &DeviceAddResult,
) -> Result<String, Failure> {
    let device = added
        .device
        .parse()
        .map_err(|error| Failure::because(Code::Reply, "the answer to device-add", &error))?;
    let default = Namespace::default();
    let artifacts = format!("{}/artifacts", file.http.trim_end_matches('/'));
    Ok(render(&NewAgent {
        device: &device,
        namespace: (file.namespace != default).then_some(&file.namespace),
        broker: file.device_mqtt(),
        ca: file.ca.as_deref().filter(|_| is_encrypted(file)),
        client_cert: None,
        token: Some(&added.token),
        root_sha256: &added.root_sha256,
        root_number: (added.root_number > 1).then_some(added.root_number),
        artifacts: Some(&artifacts),
        device_type,
    }))
}

/// True if anything of the server is reached by TLS.
fn is_encrypted(file: &ClientFile) -> bool {
    let schemes = [file.device_mqtt(), &file.http].map(Endpoint::parse);
    let mut schemes = schemes.iter().flatten().map(Endpoint::scheme);
    schemes.any(Scheme::is_encrypted)
}

/// The text that a file is to have: none if it sets the same already and only its owner can read
/// it. The settings that somebody else wrote into it stay.
pub(crate) fn wanted(path: &Path, text: &str) -> Option<String> {
    let Ok(old) = private_file::read_named(path) else {
        return Some(text.to_owned());
    };
    let merged = merged(&old, text);
    (merged != old || private_file::others_can_read(path)).then_some(merged)
}

/// The settings of which only the server knows whether a device needs them: those that it does not
/// write are of another server, or of a time that is over.
const OF_SERVER: [&str; 8] = [
    "namespace",
    "ca",
    "ca_file",
    "client_cert",
    "client_key",
    "token_file",
    "root_number",
    "artifacts",
];

/// A configuration with the settings of a new one in place of its own.
fn merged(old: &str, new: &str) -> String {
    let parsed = (old.parse::<DocumentMut>(), new.parse::<DocumentMut>());
    let (Ok(mut both), Ok(new_settings)) = parsed else {
        return new.to_owned();
    };
    let values = (old.parse::<toml::Table>(), new.parse::<toml::Table>());
    let (Ok(old_values), Ok(new_values)) = values else {
        return new.to_owned();
    };
    if both.is_empty() {
        return new.to_owned();
    }
    for stale in OF_SERVER {
        if !new_settings.contains_key(stale) {
            both.remove(stale);
        }
    }
    for (key, value) in new_settings.iter() {
        // Of whatever type, and however it is written.
        if old_values.get(key) != new_values.get(key) {
            both.insert(key, value.clone());
        }
    }
    both.to_string()
}

/// Ok if the agent.toml of a device could be written there, before the device is registered.
///
/// # Errors
/// `E_FILE`: it cannot, or what is there is not of this device.
pub(crate) fn check(path: &Path, device: &str, data_dir: &Path) -> Result<(), Failure> {
    let other = "nothing was changed; name another file";
    private_file::check_outside(path, data_dir)
        .map_err(|error| Failure::because(Code::File, "--out", &error).help(other))?;
    let Ok(old) = private_file::read_named(path) else {
        return Ok(());
    };
    let table = old.parse::<toml::Table>().ok();
    let of = table.as_ref().and_then(|table| table.get("device"));
    let of = of.and_then(toml::Value::as_str);
    if of == Some(device) || old.trim().is_empty() {
        return Ok(());
    }
    let path = path.display();
    let what = match of {
        Some(of) => format!("{path} is the agent.toml of {of}, which holds the token of {of}"),
        None => format!("{path} is no agent.toml, and would be replaced by one"),
    };
    Err(Failure::new(Code::File, what).help(other))
}

/// The change that a file went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// There was none.
    New,
    /// It has new settings beside those that stayed.
    Changed,
    /// It said the same already.
    Unchanged,
}

/// Writes it for its owner only, unless the file says the same already.
///
/// # Errors
/// `E_FILE`.
pub(crate) fn write(path: &Path, text: &str) -> Result<Written, Failure> {
    let was_there = path.exists();
    let Some(text) = wanted(path, text) else {
        return Ok(Written::Unchanged);
    };
    private_file::write(path, text.as_bytes()).map_err(|error| {
        Failure::because(Code::File, "the device is registered, but --out", &error)
            .help("the same command again, with another file, writes the same")
    })?;
    Ok(match was_there {
        true => Written::Changed,
        false => Written::New,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_its_own_and_comments_stay_in_a_file_that_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.toml");
        let plain = "# Private.\ndevice = \"d1\"\nbroker = \"mqtt://a:1\"\ntoken = \"t\"\n";
        assert_eq!(write(&path, plain), Ok(Written::New));
        let own =
            "# Why: a slow disk.\nstate_dir = \"/data\" # mounted\n\n[attributes]\nsite = \"a\"\n";
        private_file::write(&path, format!("{plain}{own}").as_bytes()).unwrap();
        assert_eq!(write(&path, plain), Ok(Written::Unchanged));
        let encrypted = plain.replace("mqtt://", "mqtts://") + "ca = \"pem\"\n";
        assert_eq!(write(&path, &encrypted), Ok(Written::Changed));
        let text = std::fs::read_to_string(&path).unwrap();
        for line in own.lines().chain(encrypted.lines()) {
            assert!(text.contains(line), "{line:?} in {text}");
        }
        assert!(
            text.parse::<toml::Table>().unwrap().contains_key("ca"),
            "{text}"
        );
        assert_eq!(write(&path, plain), Ok(Written::Changed));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("pem") && text.contains("mounted"), "{text}");
    }

    #[test]
    fn what_only_the_server_knows_is_never_left_of_another_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.toml");
        let plain = "device = \"d1\"\nbroker = \"mqtt://a:1\"\ntoken = \"t\"\n";
        let old = format!(
            "{plain}root_number = 3 # as of spring\nclient_cert = \"c\"\nclient_key = \"k\"\n"
        );
        private_file::write(&path, old.as_bytes()).unwrap();
        let read = || {
            let text = std::fs::read_to_string(&path).unwrap();
            text.parse::<toml::Table>().unwrap()
        };
        let newer = format!("{plain}root_number = 4\n");
        assert_eq!(write(&path, &newer), Ok(Written::Changed));
        assert_eq!(read(), newer.parse::<toml::Table>().unwrap());
        assert_eq!(write(&path, &newer), Ok(Written::Unchanged));
        assert_eq!(write(&path, plain), Ok(Written::Changed));
        assert_eq!(read(), plain.parse::<toml::Table>().unwrap());
    }

    #[test]
    fn a_file_of_another_device_or_of_another_kind_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.toml");
        let data = dir.path().join("data");
        assert_eq!(check(&path, "d1", &data), Ok(()));
        for (content, fits) in [
            ("", true),
            (
                "device = \"d1\"\ntoken = \"t\"\nkeep_alive = \"45s\"\n",
                true,
            ),
            ("device = \"d2\"\ntoken = \"t\"\n", false),
            ("[users]\n", false),
            ("what somebody wrote", false),
        ] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(check(&path, "d1", &data).is_ok(), fits, "{content}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
        assert!(check(dir.path(), "d1", &data).is_err());
    }
}
