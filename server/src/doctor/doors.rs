//! Who comes in: nobody without a name, nobody by a wrong password, nobody as somebody else.

use hoist_net::endpoint::Endpoint;
use hoist_net::mqtt::Ended;

use super::peer::{Peer, Terms, is_refusal};
use super::report::{ANONYMOUS, CANARY, ENCRYPTION, PASSWORD, Report, TAKEOVER, USER_TAKEOVER};
use super::{Login, Places, Subject, unreachable};
use crate::failure::Failure;
use crate::token::random_token;

/// The reason that nothing is known of devices.
pub(super) const NO_KEY: &str =
    "the key of device tokens is not here: run it where the server's data directory is";
/// The reason that nothing is known of users.
pub(super) const NO_USER: &str =
    "no user comes in: there is no client.toml, or the broker does not know its user";
/// The reason that something only the orchestrator can show.
pub(super) const NO_ORCHESTRATOR: &str =
    "the orchestrator's password is not known here: name its file with --orchestrator-token";

/// The reason that nobody can take over anything.
const NO_SESSION: &str = "no canary comes in, or its session ends by itself";

/// Nothing may pass openly but on this machine.
pub(super) fn encryption(subject: &Subject, report: &mut Report) {
    let is_open = |at: &&Endpoint| !at.scheme().is_encrypted() && !is_here(at);
    let open = [&subject.broker, &subject.devices]
        .into_iter()
        .find(is_open);
    report.judge(
        ENCRYPTION,
        open.map(|at| format!("{at} is on another machine, and is reached without TLS")),
    );
}

fn is_here(at: &Endpoint) -> bool {
    let found = at.resolve().unwrap_or_default();
    !found.is_empty() && found.iter().all(|socket| socket.ip().is_loopback())
}

/// Each door that there is.
fn all(subject: &Subject) -> Vec<&Endpoint> {
    let mut all = vec![&subject.broker];
    if subject.devices != subject.broker {
        all.push(&subject.devices);
    }
    all
}

/// The door's answer: true if it let somebody in.
fn came_in(at: &Endpoint, peer: Result<Peer, Ended>) -> Result<Option<Peer>, Failure> {
    match peer {
        Ok(peer) => Ok(Some(peer)),
        Err(ended) if is_refusal(&ended) => Ok(None),
        Err(ended) => Err(unreachable(at, &ended)),
    }
}

/// Somebody without a name is let in nowhere. Where no device comes in, nothing more is known.
pub(super) async fn anonymous(subject: &Subject, report: &mut Report) -> Result<(), Failure> {
    let nobody = Login {
        user: String::new(),
        token: String::new(),
    };
    let mut open = None;
    for at in all(subject) {
        let terms = Terms {
            at,
            ..Terms::person(subject, &nobody, "hoist-canary")
        };
        match came_in(at, Peer::connect(subject, terms).await) {
            Ok(None) => {}
            Ok(Some(peer)) => {
                peer.close().await;
                open = Some(format!("{at} lets in a client without a name"));
            }
            Err(failure) if *at == subject.broker => return Err(failure),
            Err(failure) => {
                if open.is_some() {
                    report.judge(ANONYMOUS, open);
                }
                report.cut_off(format!("where devices come in, {}", failure.what));
                return Ok(());
            }
        }
    }
    report.judge(ANONYMOUS, open);
    Ok(())
}

/// A device is let in by its own token and by no other.
pub(super) async fn passwords(subject: &Subject, report: &mut Report) -> Result<(), Failure> {
    let Some([canary, other]) = &subject.canaries else {
        report.untried(&[PASSWORD, CANARY], NO_KEY);
        return Ok(());
    };
    let wrong = Login {
        user: canary.user.clone(),
        token: random_token()?,
    };
    let at = &subject.devices;
    let peer = Peer::connect(subject, Terms::device(subject, &wrong)).await;
    let mut open = None;
    if let Some(peer) = came_in(at, peer)? {
        peer.close().await;
        open = Some(format!(
            "{at} lets in {} by a token that is not its own",
            canary.user
        ));
    }
    report.judge(PASSWORD, open);
    for login in [canary, other] {
        let peer = Peer::connect(subject, Terms::device(subject, login)).await;
        let Some(peer) = came_in(at, peer)? else {
            let refused = format!("{at} does not let in {}", login.user);
            report.judge(CANARY, Some(refused));
            return Ok(());
        };
        peer.close().await;
    }
    report.judge(CANARY, None);
    Ok(())
}

/// Nobody's session ends because another one uses its client id.
pub(super) async fn takeover(subject: &Subject, report: &mut Report) -> Result<(), Failure> {
    let Some([victim, thief]) = &subject.canaries else {
        report.untried(&[TAKEOVER, USER_TAKEOVER], NO_KEY);
        return Ok(());
    };
    let mut open = None;
    for at in all(subject) {
        let thief = Terms {
            at,
            ..Terms::person(subject, thief, &victim.user)
        };
        match takes(subject, victim, thief).await? {
            Some(true) => open = Some(format!("{at} let one device end the session of another")),
            Some(false) => {}
            None => {
                report.lost(&[TAKEOVER, USER_TAKEOVER], NO_SESSION);
                return Ok(());
            }
        }
    }
    report.judge(TAKEOVER, open);
    match &subject.user {
        None => report.untried(&[USER_TAKEOVER], NO_USER),
        Some(user) => {
            let thief = Terms::person(subject, user, &victim.user);
            let at = &subject.broker;
            let said = || format!("{at} let a user end the session of a device");
            match takes(subject, victim, thief).await? {
                Some(open) => report.judge(USER_TAKEOVER, open.then(said)),
                None => report.lost(&[USER_TAKEOVER], NO_SESSION),
            }
        }
    }
    Ok(())
}

/// True if a session ends by another client; nothing where there is no session to end, or where it
/// ends without one.
async fn takes(
    subject: &Subject,
    victim: &Login,
    thief: Terms<'_>,
) -> Result<Option<bool>, Failure> {
    let ended = ends(subject, victim, Some(thief)).await?;
    if ended == Some(true) && ends(subject, victim, None).await? == Some(true) {
        return Ok(None);
    }
    Ok(ended)
}

/// True if a session ends while a thief comes in, or nobody.
async fn ends(
    subject: &Subject,
    victim: &Login,
    thief: Option<Terms<'_>>,
) -> Result<Option<bool>, Failure> {
    let victim = Peer::connect(subject, Terms::device(subject, victim)).await;
    let Some(mut victim) = came_in(&subject.devices, victim)? else {
        return Ok(None);
    };
    let thief = match thief {
        Some(thief) => {
            let at = thief.at;
            came_in(at, Peer::connect(subject, thief).await)?
        }
        None => None,
    };
    let filter = Places::of(subject).and_then(|places| places.blocks(0));
    victim.subscribe(&filter.unwrap_or_default()).await;
    // A broker may end it a moment after it answered.
    victim.listen().await;
    let is_over = victim.is_lost();
    victim.close().await;
    if let Some(thief) = thief {
        thief.close().await;
    }
    Ok(Some(is_over))
}
