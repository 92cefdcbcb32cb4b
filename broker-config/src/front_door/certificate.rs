//! The certificate of a client, as far as it says who that is.

use hoist_net::tls::server::Presented;

use crate::credentials::{ClientCertificate, issue_of};

/// The name in a certificate, and which of the device's certificates it is: one of another CA says
/// nothing of that.
pub(super) fn of(presented: Presented) -> ClientCertificate {
    let Presented {
        certificate,
        is_own,
    } = presented;
    ClientCertificate {
        issue: match is_own {
            true => issue_of(&certificate.serial).unwrap_or_default(),
            false => 0,
        },
        // Nothing else of its subject is a device's id.
        name: certificate.common_name.unwrap_or_default(),
        not_before_s: certificate.not_before,
        not_after_s: certificate.not_after,
    }
}
