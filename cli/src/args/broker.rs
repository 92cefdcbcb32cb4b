//! `hoist broker …` and `hoist doctor`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use hoist_server::broker_files::Kind;

use super::Serve;

#[derive(Debug, Subcommand)]
pub(crate) enum Broker {
    /// Write configuration, access lists and passwords of a broker that you run yourself
    ///
    /// The same command writes them anew when devices or users were added or removed: let the
    /// broker read them again then.
    Render(Render),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Render {
    /// Which broker
    pub(crate) broker: BrokerKind,
    /// Folder to write them to
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Folder in which the broker will find them [default: the one of --out]
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<String>,
    /// Where it listens for others: 0.0.0.0. With TLS [default: 127.0.0.1]
    #[arg(long, value_name = "HOST")]
    pub(crate) listen: Option<String>,
    /// What clients connect to: names or addresses, with commas. Without --tls-cert, its
    /// certificate is made by the CA of the data directory
    #[arg(long, value_name = "NAMES")]
    pub(crate) name: Option<String>,
    /// A given certificate with its chain, as PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its key, as PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Nothing is encrypted: only on this machine
    #[arg(long)]
    pub(crate) no_tls: bool,
    /// The CA of the certificates that devices come in with, as PEM: on a port of their own
    #[arg(long, value_name = "FILE")]
    pub(crate) client_ca: Option<PathBuf>,
    /// Port for devices; people have the next one, devices with certificates the one after
    /// [default: 8883, without TLS 1883]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..=65_533))]
    pub(crate) port: Option<u16>,
    /// client.toml of a user, as `hoist user add` wrote it: the password is made of its token.
    /// Several times
    #[arg(long = "login", value_name = "FILE")]
    pub(crate) logins: Vec<PathBuf>,
}

impl Render {
    /// The settings of its doors, which are those of a server's.
    pub(crate) fn doors(&self) -> Serve {
        Serve {
            listen: self.listen.clone(),
            name: self.name.clone(),
            tls_cert: self.tls_cert.clone(),
            tls_key: self.tls_key.clone(),
            no_tls: self.no_tls,
            client_ca: self.client_ca.clone(),
            ..Serve::default()
        }
    }
}

/// The brokers that files can be made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BrokerKind {
    /// Mosquitto 2.0
    Mosquitto,
    /// EMQX 5.8
    Emqx,
    /// NATS 2.10
    Nats,
    /// RabbitMQ with its MQTT plugin
    Rabbitmq,
}

impl From<BrokerKind> for Kind {
    fn from(kind: BrokerKind) -> Self {
        match kind {
            BrokerKind::Mosquitto => Self::Mosquitto,
            BrokerKind::Emqx => Self::Emqx,
            BrokerKind::Nats => Self::Nats,
            BrokerKind::Rabbitmq => Self::RabbitMq,
        }
    }
}

/// `hoist doctor`
#[derive(Debug, Clone, Args)]
pub(crate) struct Doctor {
    /// Which broker: mqtts://HOST:PORT or mqtt://127.0.0.1:PORT [default: that of client.toml]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) broker: Option<String>,
    /// Where devices reach it, when it is not where people do
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) device_broker: Option<String>,
    /// Its CA, as PEM, for mqtts:// [default: `ca` of client.toml]
    #[arg(long, value_name = "FILE")]
    pub(crate) broker_ca: Option<PathBuf>,
    /// Command that restarts the broker, to see what outlives that: every client is
    /// disconnected for a moment
    #[arg(long, value_name = "COMMAND")]
    pub(crate) restart: Option<String>,
    /// File with the orchestrator's password there: without it, nothing is tried that only the
    /// orchestrator can show
    #[arg(long, value_name = "FILE")]
    pub(crate) orchestrator_token: Option<PathBuf>,
}
