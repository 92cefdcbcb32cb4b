//! A release that no device could use is refused when it is packed, by both programs, with the fix;
//! and nothing of it is uploaded.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::process::{AGENT, Finish};
use crate::harness::release::Release;
use crate::harness::server::Server;

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("cases")
        .join(name)
}

/// The words of `hoist-agent apply` about a directory that it refuses.
fn refused_by_agent(release: &Path, scratch: &Path) -> String {
    let mut apply = Command::new(AGENT);
    apply.arg("apply").arg(release).current_dir(scratch);
    let output = apply.env_remove("HOIST_CONFIG").finish();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

#[test]
fn a_release_that_no_device_could_use_is_refused_with_the_fix_and_not_uploaded() {
    // bad-inputs row 84
    let server = Server::start();
    let scratch = server.scratch();
    let needs = Release::write(scratch, "needs", "1.0.0", 1, "x");
    needs.setting("[depends]\nbootloader = \"==2.4\"");
    for (release, code, words) in [
        (
            case("release-crlf"),
            "E_SCRIPT",
            ["scripts/install", "CRLF", "`sed -i"],
        ),
        (
            case("release-bom"),
            "E_SCRIPT",
            ["scripts/install", "byte order mark", "`sed -i"],
        ),
        (
            needs.dir().to_path_buf(),
            "E_REQUIREMENT",
            ["artifact.toml:7: ", "\"==2.4\"", "> >= < <= ^ ~"],
        ),
    ] {
        let data = server.data();
        let create = ["--data-dir", data.to_str().unwrap(), "release", "create"];
        let output = server.hoist(&[&create[..], &[release.to_str().unwrap()]].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        for said in [said, refused_by_agent(&release, scratch)] {
            assert!(said.contains(&format!("error[{code}]")), "{said}");
            for word in words {
                assert!(said.contains(word), "{word}: {said}");
            }
        }
    }
    let artifacts = std::fs::read_dir(server.data().join("artifacts")).unwrap();
    let files = artifacts.filter(|entry| entry.as_ref().unwrap().path().is_file());
    assert_eq!(files.count(), 0);
    assert_eq!(
        server.hoist_ok(&["release", "list", "-o", "json"]).trim(),
        "[]"
    );
}
