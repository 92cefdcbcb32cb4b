//! `hoist-agent enroll`: one text sets a device up. The device makes its key, proves it together
//! with the claim in the text, and keeps the certificate that it is given; the configuration is
//! written last, so that it is there when everything else is.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hoist_net::backoff::Backoff;
use hoist_net::endpoint::{Endpoint, EndpointError};
use hoist_net::mqtt::{self, Acks, Cause, Ended, Event, Message, Options, Reader, Refusal, Writer};
use hoist_net::tls::{Pem, TlsError, Trust, certificate_pem};
use hoist_protocol::code::Code;
use hoist_protocol::codec::{DecodeError, decode};
use hoist_protocol::enroll::{
    ClaimProof, EnrollAnswer, EnrollRefused, EnrollRequest, EnrollText, Enrolled, TEXT_PREFIX,
    USER_PREFIX,
};
use hoist_protocol::envelope::PrivateKey;
use hoist_protocol::id::{DeviceId, IdError, Namespace};
use hoist_protocol::limit::CLIENT_PACKET_BYTES_MAX;
use hoist_protocol::topic::{Topic, Topics};
use tokio::time::{sleep, timeout};

use super::clock::DeviceClock;
use super::config::{CertificateFiles, CertificateTexts, NewAgent, render};
use super::files::{Files, PRIVATE_FILE, SystemFiles, folder_of, write_atomic};
use super::identity::{IdentityError, load_or_create_key};
use super::said;
use super::state_dir::{StateDir, StateDirError};

mod given;

use given::{name, read_text};

/// File name of the device's certificate in its state directory.
pub(super) const CERTIFICATE_FILE: &str = "client.pem";
/// An answer comes in a moment, or the connection is as good as lost.
const ANSWER: Duration = Duration::from_secs(20);
/// Attempts to reach the server before somebody has to look.
const ATTEMPTS: u32 = 5;

/// Why a device is not set up.
#[derive(Debug, thiserror::Error)]
pub(super) enum EnrollError {
    /// The text is not one of enrollment.
    #[error("this is no enrollment text, which begins with {TEXT_PREFIX}")]
    Text,
    /// It is damaged.
    #[error("the enrollment text is not whole: copy all of it, in one line")]
    Damaged(#[source] DecodeError),
    /// The device has no name that could be its id.
    #[error("{name:?} cannot be the id of a device ({source}): name it with --device ID")]
    Name {
        /// The name that was found.
        name: String,
        /// The fault in it.
        source: IdError,
    },
    /// Nothing says how the device is called.
    #[error("this host has no name and no machine id: name the device with --device ID")]
    Nameless,
    /// There is a configuration already.
    #[error("{} is there already, and is never replaced: move it away, or name another file with --config", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The state directory cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// There is no device key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The address in the text is none.
    #[error("the address of the server in the text cannot be used")]
    Address(#[source] EndpointError),
    /// Neither the CA in the text nor the certificate can be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server cannot be reached.
    #[error("the server cannot be reached: {0}")]
    Unreached(String),
    /// The server does not know the claim.
    #[error("the server does not know this claim: make another text with `hoist enroll create`")]
    Unknown,
    /// The server refuses.
    #[error("{}: {}", .0.detail, .0.hint)]
    Refused(Box<EnrollRefused>),
}

impl EnrollError {
    /// The stable code.
    pub(super) fn code(&self) -> Code {
        match self {
            Self::Text | Self::Damaged(_) | Self::Address(_) => Code::Usage,
            Self::Name { .. } | Self::Nameless => Code::Name,
            Self::Exists { .. } | Self::File { .. } => Code::File,
            Self::StateDir(StateDirError::Locked { .. }) => Code::Locked,
            Self::StateDir(StateDirError::File { .. }) => Code::Storage,
            Self::Identity(_) => Code::Key,
            Self::Tls(error) => error.code(),
            Self::Unreached(_) => Code::Broker,
            Self::Unknown => Code::Claim,
            Self::Refused(refused) => Code::parse(&refused.code).unwrap_or(Code::Reply),
        }
    }

    /// True if the server said no.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self, Self::Unknown | Self::Refused(_))
    }
}

/// A device that is set up.
#[derive(Debug)]
pub(super) struct SetUp {
    /// The device.
    pub(super) device: DeviceId,
    /// Its configuration.
    pub(super) config: PathBuf,
}

/// Sets a device up by a text. It waits as long as somebody has to approve it.
///
/// # Errors
/// [`EnrollError`].
pub(super) async fn enroll(
    text: &str,
    device: Option<&str>,
    config: Option<PathBuf>,
) -> Result<SetUp, EnrollError> {
    let text = read_text(text)?;
    let device = name(device)?;
    let config = config.unwrap_or_else(|| PathBuf::from(format!("{device}.toml")));
    if config.exists() {
        return Err(EnrollError::Exists { path: config });
    }
    let state_dir = folder_of(&config).join(format!("{device}.state"));
    let dir = StateDir::open(&state_dir)?;
    let key = load_or_create_key(dir.path())?;
    let ca: String = text.ca.iter().map(|der| certificate_pem(der)).collect();
    let trust = Trust::pinned(Pem {
        name: "the enrollment text",
        text: ca.as_bytes(),
    })?;
    trust.set_time(DeviceClock::new(0).of_certificates(0));
    let asking = Asking {
        text: &text,
        device: &device,
        key: &key,
        trust: &trust,
    };
    let chain = asking.until_granted().await?;
    let files = CertificateFiles {
        certificate: dir.path().join(CERTIFICATE_FILE),
        key: None,
    };
    keep(&files, &chain, (&trust, &device), &key)?;
    if let Some(CertificateFiles { certificate, .. }) = files.renewed() {
        // Of an earlier life: this one is newer.
        let removed = SystemFiles.remove(&certificate);
        removed.map_err(|source| EnrollError::File {
            path: certificate,
            source,
        })?;
    }
    let default = Namespace::default();
    let certificate = format!("{device}.state/{CERTIFICATE_FILE}");
    let body = render(&NewAgent {
        device: &device,
        namespace: (text.namespace != default).then_some(&text.namespace),
        broker: &text.mqtt,
        ca: Some(&ca),
        client_cert: Some(&certificate),
        token: None,
        root_sha256: &data_encoding::HEXLOWER.encode(&text.root_sha256),
        root_number: (text.root_number > 1).then_some(text.root_number),
        artifacts: Some(&text.artifacts),
        device_type: None,
    });
    written(&config, body.as_bytes())?;
    Ok(SetUp { device, config })
}

/// Proves that a chain is the certificate of this device and key, and keeps it.
///
/// # Errors
/// `E_CERT` and its siblings, or [`EnrollError::File`].
pub(super) fn keep(
    files: &CertificateFiles,
    chain: &[Vec<u8>],
    whose: (&Trust, &DeviceId),
    key: &PrivateKey,
) -> Result<(), EnrollError> {
    let pem: String = chain.iter().map(|der| certificate_pem(der)).collect();
    files.showing(&CertificateTexts::of(pem.clone()), whose, key)?;
    written(&files.certificate, pem.as_bytes())
}

fn written(path: &Path, content: &[u8]) -> Result<(), EnrollError> {
    write_atomic(&SystemFiles, path, content, PRIVATE_FILE).map_err(|source| EnrollError::File {
        path: path.to_path_buf(),
        source,
    })
}

/// A request for a device of a key, on its topic.
pub(super) fn request(
    (device, key): (&DeviceId, &PrivateKey),
    topics: &Topics,
    claim: Option<&EnrollText>,
) -> Result<([u8; 16], Message), IdentityError> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|error| IdentityError::Randomness {
        detail: error.to_string(),
    })?;
    let topic = topics.format(&Topic::EnrollRequest(device.clone()));
    let request = EnrollRequest {
        device: device.clone(),
        key: key.public(),
        nonce,
        device_type: String::new(),
        claim: claim.map(|text| ClaimProof {
            claim: text.claim.clone(),
            proof: text.secret.proof(&topic, &key.public(), &nonce),
        }),
    };
    let payload = request.seal(key, &topic);
    let retain = false;
    Ok((
        nonce,
        Message {
            topic,
            payload,
            retain,
        },
    ))
}

/// The answer in a payload, if it is the one to this request.
pub(super) fn answer(payload: &[u8], nonce: [u8; 16]) -> Option<Enrolled> {
    let answer = decode::<EnrollAnswer>(payload).ok()?;
    (answer.nonce == nonce).then_some(answer.result)
}

struct Asking<'a> {
    text: &'a EnrollText,
    device: &'a DeviceId,
    key: &'a PrivateKey,
    trust: &'a Trust,
}

impl Asking<'_> {
    /// Asks until there is a certificate, or it is refused for good.
    async fn until_granted(&self) -> Result<Vec<Vec<u8>>, EnrollError> {
        let mut pause = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let mut in_vain = 0;
        let mut has_said = false;
        loop {
            match self.once().await {
                Ok(Enrolled::Certificate(chain)) => return Ok(chain),
                Ok(Enrolled::Refused(refused)) if refused.waits => {
                    if !std::mem::replace(&mut has_said, true) {
                        let EnrollRefused {
                            code, detail, hint, ..
                        } = &refused;
                        said::say(format_args!("waiting[{code}]: {detail}\nhelp: {hint}"));
                    }
                    in_vain = 0;
                }
                Ok(Enrolled::Refused(refused)) => {
                    return Err(EnrollError::Refused(Box::new(refused)));
                }
                Err(EnrollError::Unreached(why)) if in_vain + 1 < ATTEMPTS => {
                    in_vain += 1;
                    said::say(format_args!("not connected: {why}"));
                }
                Err(error) => return Err(error),
            }
            sleep(pause.pause()).await;
            pause.lengthen();
        }
    }

    /// Asks once, on a connection of its own.
    async fn once(&self) -> Result<Enrolled, EnrollError> {
        let topics = Topics::new(self.text.namespace.clone());
        let (nonce, message) = request((self.device, self.key), &topics, Some(self.text))?;
        let answers = topics.format(&Topic::EnrollAnswer(self.device.clone()));
        let (writer, reader) = mqtt::open(self.options()?);
        let answered = timeout(
            ANSWER,
            answered((&writer, reader), &answers, (nonce, message)),
        );
        match answered.await {
            Ok(answered) => answered.map_err(|ended| unreached(&ended)),
            Err(_) => Err(EnrollError::Unreached("it does not answer".to_owned())),
        }
    }

    fn options(&self) -> Result<Options, EnrollError> {
        let broker = Endpoint::parse(&self.text.mqtt);
        Ok(Options {
            broker: broker.map_err(EnrollError::Address)?,
            trust: self.trust.clone(),
            client_id: self.device.to_string(),
            user: format!("{USER_PREFIX}{}", self.text.claim),
            token: self.text.secret.password(),
            keep_alive: ANSWER,
            session: mqtt::Session::Clean,
            acks: Acks::Automatic,
            inflight_max: None,
            packet_bytes_max: CLIENT_PACKET_BYTES_MAX,
            requests_max: 4,
            will: None,
        })
    }
}

/// The answer to a request, once it is heard on its topic.
async fn answered(
    (writer, mut reader): (&Writer, Reader),
    answers: &str,
    (nonce, message): ([u8; 16], Message),
) -> Result<Enrolled, Ended> {
    loop {
        match reader.next().await? {
            Event::Connected { .. } => {
                let _closed_soon = writer.try_subscribe(answers);
            }
            Event::Subscribed { granted: true } => {
                let _closed_soon = writer.try_publish(message.clone());
            }
            Event::Delivered(delivered) if delivered.topic == answers => {
                if let Some(answer) = answer(&delivered.payload, nonce) {
                    return Ok(answer);
                }
            }
            _ => {}
        }
    }
}

/// The end of a connection: refused for good, or something that time may cure.
fn unreached(ended: &Ended) -> EnrollError {
    match &ended.cause {
        Cause::Refused(Refusal::BadUserNamePassword | Refusal::NotAuthorized) => {
            EnrollError::Unknown
        }
        Cause::Tls(error) => EnrollError::Tls(error.clone()),
        _ => EnrollError::Unreached(ended.to_string()),
    }
}
