//! The certificate of a broker that others run: a given one, or one of the server's own CA.

use std::time::SystemTime;

use super::{Encryption, Place, Shown, TlsTerms, authority, ca, read};
use crate::data_dir::DataDir;
use crate::failure::Failure;
use crate::private_file;

/// The begin of the first certificate in a file that has the key before it.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// A certificate with its chain, its key and what clients pin, as PEM.
pub struct BrokerCertificate {
    /// The chain, the broker's own certificate first.
    pub chain: String,
    /// The key.
    pub key: String,
    /// The CA.
    pub ca: String,
}

/// The certificate of a broker by these names; none without encryption.
///
/// # Errors
/// `E_CERT` and its siblings, `E_CONFIG` for a file that cannot be read, `E_SECRET` for a key that
/// others can read, `E_RECOVER` without the CA that a fleet pins, `E_DATA_DIR`.
pub fn for_broker(
    data_dir: &DataDir,
    encryption: &Encryption,
    names: &[String],
) -> Result<Option<BrokerCertificate>, Failure> {
    let place = Place {
        folder: data_dir.authority(),
        client: data_dir.client(),
    };
    match encryption {
        Encryption::None => Ok(None),
        Encryption::Own => own(&place, names).map(Some),
        Encryption::Given { certificate, key } => {
            // All that is wrong with it is said as of the server's own.
            let shown = Shown::open((encryption, &TlsTerms::default()), names, place)?;
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            let key = private_file::read(key).map_err(|error| data_dir.unusable(error))?;
            Ok(Some(BrokerCertificate {
                chain: text(read("--tls-cert", certificate)?),
                key: text(key),
                ca: shown.map(|shown| shown.ca).unwrap_or_default(),
            }))
        }
    }
}

/// One of the server's own CA, beside the server's own.
fn own(place: &Place, names: &[String]) -> Result<BrokerCertificate, Failure> {
    let file = place.folder.join("broker.pem");
    authority::ensure(place, (&file, names), SystemTime::now())?;
    let text = ca::read(&file)?;
    let (key, chain) = text.split_at(text.find(CERTIFICATE).unwrap_or_default());
    Ok(BrokerCertificate {
        chain: chain.to_owned(),
        key: key.to_owned(),
        ca: ca::read(&place.folder.join("ca.pem"))?,
    })
}
