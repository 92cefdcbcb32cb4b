//! Signatures by a key in a file, or by a command that reaches a key elsewhere: a hardware module, a
//! cloud's key service, a person with a token.

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use hoist_protocol::codec::encode;
use hoist_protocol::envelope::{
    Kind, PrivateKey, PublicKey, SIGNATURE_BYTES, Seal, signed_bytes, verify,
};
use hoist_protocol::root::RootDocument;
use rustix::process::{Pid, Signal, kill_process_group};

use super::KeysError;

/// A person may have to touch a token.
const PATIENCE: Duration = Duration::from_secs(120);
/// Far more than a signature in any writing.
const OUTPUT_BYTES_MAX: u64 = 4_096;

/// Something that signs.
pub enum Signer {
    /// A private key that was read.
    Key(PrivateKey),
    /// A command of the shell: the bytes to sign on its standard input, the signature on its
    /// standard output.
    Command(String),
}

impl Signer {
    /// Signs a body that has an empty scope; the key is one of `among`, of which a command is not
    /// asked.
    ///
    /// # Errors
    /// [`KeysError::Signer`] when a command gives no signature, [`KeysError::Signature`] when it is
    /// by none of these keys.
    pub fn sign(&self, kind: Kind, body: &[u8], among: &[PublicKey]) -> Result<Seal, KeysError> {
        match self {
            Self::Key(key) => Ok(Seal::by(key, kind, "", body)),
            Self::Command(command) => {
                let signature = run(command, &signed_bytes(kind, "", body))?;
                let signed = |key: &&PublicKey| verify(key, kind, "", body, &signature).is_ok();
                let key = *among.iter().find(signed).ok_or(KeysError::Signature)?;
                Ok(Seal { key, signature })
            }
        }
    }

    /// Signs a root document.
    ///
    /// # Errors
    /// Those of [`Signer::sign`].
    pub fn sign_root(
        &self,
        document: &RootDocument,
        among: &[PublicKey],
    ) -> Result<Seal, KeysError> {
        self.sign(Kind::Root, &encode(document), among)
    }
}

fn run(command: &str, bytes: &[u8]) -> Result<[u8; SIGNATURE_BYTES], KeysError> {
    run_within(command, bytes, PATIENCE)
}

fn run_within(
    command: &str,
    bytes: &[u8],
    patience: Duration,
) -> Result<[u8; SIGNATURE_BYTES], KeysError> {
    let failed = |why: String| KeysError::Signer { why };
    let child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| failed(format!("cannot be started: {error}")))?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let bytes = bytes.to_vec();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        // Nobody listens any more once it took too long.
        let _late = tell.send(converse(child, &bytes));
    });
    let Ok(ended) = told.recv_timeout(patience) else {
        if let Some(group) = group {
            // It may have ended just now.
            let _gone = kill_process_group(group, Signal::KILL);
        }
        let why = format!("took longer than {} s", patience.as_secs());
        return Err(failed(why));
    };
    let (status, output) = ended.map_err(|error| failed(format!("broke off: {error}")))?;
    if !status.success() {
        return Err(failed(how_it_ended(status)));
    }
    signature_of(&output).ok_or_else(|| {
        let length = output.len();
        failed(format!(
            "wrote {length} bytes that are no signature: 64 bytes, or base64 of them, were expected"
        ))
    })
}

fn converse(mut child: Child, bytes: &[u8]) -> std::io::Result<(ExitStatus, Vec<u8>)> {
    if let Some(mut stdin) = child.stdin.take() {
        // A command that needs none of it may have ended.
        let _unread = stdin.write_all(bytes);
    }
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let most = stdout.take(OUTPUT_BYTES_MAX + 1).read_to_end(&mut output)?;
        if u64::try_from(most).is_ok_and(|most| most > OUTPUT_BYTES_MAX) {
            child.kill()?;
            child.wait()?;
            let why = format!("it wrote more than {OUTPUT_BYTES_MAX} bytes");
            return Err(std::io::Error::other(why));
        }
    }
    Ok((child.wait()?, output))
}

fn how_it_ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "did not end well".to_owned(),
    }
}

fn signature_of(output: &[u8]) -> Option<[u8; SIGNATURE_BYTES]> {
    if let Ok(raw) = output.try_into() {
        return Some(raw);
    }
    let text: Vec<u8> = output
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    data_encoding::BASE64.decode(&text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(command: &str) -> String {
        refused_within(command, PATIENCE)
    }

    fn refused_within(command: &str, patience: Duration) -> String {
        let refused = run_within(command, b"bytes", patience);
        refused.unwrap_err().to_string()
    }

    #[test]
    fn a_command_gives_its_signature_raw_or_as_base64() {
        let raw = [b'A'; SIGNATURE_BYTES];
        let base64 = data_encoding::BASE64.encode(&raw);
        let (first, second) = base64.split_at(64);
        let patience = Duration::from_secs(10);
        for command in [
            format!("cat > /dev/null; printf {}", "A".repeat(64)),
            format!("printf {base64}"),
            format!("cat > /dev/null; echo {first}; echo {second}"),
        ] {
            assert_eq!(
                run_within(&command, b"x", patience).unwrap(),
                raw,
                "{command}"
            );
        }
    }

    #[test]
    fn a_command_that_fails_hangs_or_babbles_is_named_with_what_it_did() {
        assert!(refused("exit 7").contains("exit code 7"));
        assert!(refused("kill -9 $$").contains("signal 9"));
        assert!(refused("printf hello").contains("5 bytes that are no signature"));
        let moment = Duration::from_millis(1);
        assert!(refused_within("sleep 60", moment).contains("took longer"));
        // Whoever never ends to write is not read for ever.
        for babble in ["head -c 5000 /dev/zero", "yes"] {
            assert!(refused(babble).contains("more than"), "{babble}");
        }
    }

    #[test]
    fn a_signature_by_a_key_that_does_not_count_is_refused() {
        let [key, other] = [1, 2].map(|seed| PrivateKey::from_seed(&[seed; 32]));
        let signature = key.sign(Kind::Release, "", b"body");
        let command = format!(
            "cat > /dev/null; printf {}",
            data_encoding::BASE64.encode(&signature)
        );
        let signer = Signer::Command(command);
        let sign = |among: &[PublicKey]| signer.sign(Kind::Release, b"body", among);
        let both = [other.public(), key.public()];
        assert_eq!(sign(&both).unwrap().key, key.public());
        assert!(matches!(sign(&both[..1]), Err(KeysError::Signature)));
    }
}
