//! A server's own small CA: made once, because devices pin it, and the certificate that it makes
//! for the server, renewed long before it ends.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hoist_net::tls::{Certificate, Pem, certificates};
use hoist_protocol::code::Code;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::Place;
use super::ca::{Ca, CaFiles, not_made, unusable};
use crate::client_file::ClientFile;
use crate::failure::Failure;
use crate::private_file;

pub(super) const DAY: Duration = Duration::from_secs(24 * 3_600);
/// The life of the CA: that of the devices, which pin it.
pub(super) const CA_LIFE: Duration = Duration::from_secs(30 * 365 * 24 * 3_600);
/// The life of a certificate that it makes.
const LIFE: Duration = Duration::from_secs(365 * 24 * 3_600);
/// A certificate is renewed when no more than this is left of it.
const LEFT_LEAST: Duration = Duration::from_secs(120 * 24 * 3_600);
/// The name of every CA that is made here.
const SUBJECT: &str = "Hoist CA";
/// The hosts that every server is as well, for programs beside it.
const HERE: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Where certificate, chain and key of the server are: one file, so that they are exchanged at
/// once.
pub(super) fn server_file(folder: &Path) -> PathBuf {
    folder.join("server.pem")
}

/// Makes what is missing: the CA at the first time, and a certificate for these names in a file when
/// there is none, or it is for others, or it ends soon.
///
/// # Errors
/// `E_RECOVER` for a CA that clients pin and that is gone, `E_CERT` for a name that no certificate
/// can have, `E_DATA_DIR`.
pub(super) fn ensure(
    place: &Place,
    (file, names): (&Path, &[String]),
    now: SystemTime,
) -> Result<(), Failure> {
    let files = CaFiles::of(&place.folder, "ca");
    files.ensure(|| refuse_another(place), |_| of_ca(now))?;
    let mut wanted = names.to_vec();
    for here in HERE {
        if !names.iter().any(|name| name == here) {
            wanted.push(here.to_owned());
        }
    }
    if is_good(file, &wanted, now) {
        return Ok(());
    }
    let Ca { pem: ca, key } = files.read()?;
    let issuer = Issuer::new(of_ca(now), key);
    let (certificate, key) = made(&issuer, &wanted, now)?;
    let text = format!("{key}{certificate}{ca}");
    private_file::write(file, text.as_bytes()).map_err(|error| unusable(&error))?;
    tracing::info!(names = names.join(","), "a certificate was made");
    Ok(())
}

/// A CA that is gone is not replaced in silence: nobody who pins it would believe the server.
fn refuse_another(Place { folder, client }: &Place) -> Result<(), Failure> {
    let pinned = ClientFile::read(client).ok().and_then(|file| file.ca);
    if !pinned.is_some_and(|ca| is_own_ca(&ca)) {
        return Ok(());
    }
    let what = format!(
        "{} is missing, and clients pin it",
        folder.join("ca.pem").display()
    );
    Err(Failure::new(Code::Recover, what).help(format!(
        "put {} back from a backup; or, for a new CA, take `ca` out of {} and start again: every device and user then needs a new file",
        folder.display(),
        client.display()
    )))
}

/// True if a text pins a CA that a server has made for itself.
fn is_own_ca(text: &str) -> bool {
    let text = text.as_bytes();
    let all = certificates(Pem { name: "ca", text });
    all.is_ok_and(|all| all.iter().any(|ca| ca.subject == SUBJECT))
}

fn of_ca(now: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, SUBJECT);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now - DAY).into();
    params.not_after = (now + CA_LIFE).into();
    params
}

/// A certificate for these hosts and its key, as PEM.
fn made(
    issuer: &Issuer<'_, KeyPair>,
    names: &[String],
    now: SystemTime,
) -> Result<(String, String), Failure> {
    let mut params = CertificateParams::new(names).map_err(|error| {
        let what = format!("no certificate can be for {}", names.join(", "));
        Failure::because(Code::Certificate, what, &error)
            .help("write --name like fleet.example.com")
    })?;
    let subject = names.first().map_or("localhost", String::as_str);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = (now - DAY).into();
    params.not_after = (now + LIFE).into();
    let key = KeyPair::generate().map_err(|error| not_made(&error))?;
    let certificate = params.signed_by(&key, issuer);
    let certificate = certificate.map_err(|error| not_made(&error))?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// True if there is a certificate for all these names, and for long enough.
fn is_good(path: &Path, names: &[String], now: SystemTime) -> bool {
    let Ok(text) = private_file::read(path) else {
        return false;
    };
    let pem = Pem {
        name: "server.pem",
        text: &text,
    };
    let Some(first) = certificates(pem)
        .ok()
        .and_then(|all| all.into_iter().next())
    else {
        return false;
    };
    let Certificate {
        names: certified,
        not_before,
        not_after,
        ..
    } = first;
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let fits = at(not_before) <= now && now + LEFT_LEAST <= at(not_after);
    fits && names.iter().all(|name| certified.contains(name))
}
