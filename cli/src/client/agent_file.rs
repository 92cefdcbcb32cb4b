//! An agent.toml: what a device must know, its token among it, as a file of its owner only.

use std::path::Path;

use hoist_device_client::agent::config::{NewAgent, render};
use hoist_orchestrator_core::reply::DeviceAddResult;
use hoist_protocol::code::Code;
use hoist_protocol::id::Namespace;
use hoist_server::client_file::ClientFile;
use hoist_server::failure::Failure;
use hoist_server::private_file;

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
        broker: &file.mqtt,
        ca: file.ca.as_deref(),
        token: &added.token,
        root_sha256: &added.root_sha256,
        artifacts: Some(&artifacts),
        device_type,
    }))
}

/// True if a file sets the same already, whatever else somebody wrote into it, and only its owner
/// can read it.
pub(crate) fn says(path: &Path, text: &str) -> bool {
    private_file::read_named(path).is_ok_and(|old| says_all_of(&old, text))
        && !private_file::others_can_read(path)
}

/// True if a configuration sets all that another sets, in the same way.
fn says_all_of(old: &str, new: &str) -> bool {
    let (Ok(old), Ok(new)) = (old.parse::<toml::Table>(), new.parse::<toml::Table>()) else {
        return false;
    };
    new.iter().all(|(key, value)| old.get(key) == Some(value))
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

/// Writes it for its owner only, unless the file says the same already.
///
/// # Errors
/// `E_FILE`.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    if says(path, text) {
        return Ok(());
    }
    private_file::write(path, text.as_bytes()).map_err(|error| {
        Failure::because(Code::File, "the device is registered, but --out", &error)
            .help("the same command again, with another file, writes the same")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
