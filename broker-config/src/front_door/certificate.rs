//! The certificate of a client, as far as it says who that is.

use hoist_net::tls::server::{Maker, Presented};

use crate::credentials::{ClientCertificate, issue_of};

/// The name in a certificate, and which of the device's certificates it is: one of another CA says
/// nothing of that.
pub(super) fn of(presented: Presented) -> ClientCertificate {
    let Presented { certificate, by } = presented;
    let (issue, authority) = match by {
        Maker::Own => (issue_of(&certificate.serial).unwrap_or_default(), [0; 32]),
        Maker::Other(authority) => (0, authority),
        // Nobody is called like that.
        Maker::Nobody => (0, [0; 32]),
    };
    ClientCertificate {
        issue,
        authority,
        // Nothing else of its subject is a device's id.
        name: certificate.common_name.unwrap_or_default(),
        not_before_s: certificate.not_before,
        not_after_s: certificate.not_after,
    }
}
