//! Who says and hears what: by the rule table, and no more. What is said and must not be carries a
//! mark of this examination, and is heard by whoever may hear that topic.

use hoist_net::mqtt::Message;
use hoist_protocol::access::{Principal, Role, may_subscribe};
use hoist_protocol::filter::{Family, Filter};
use hoist_protocol::topic::Topics;

use super::doors::{NO_KEY, NO_USER};
use super::peer::{LOST, NO_CANARY, Peer, Terms};
use super::report::{COMMAND, FORGED, Probe, READ, Report, SPEC, SYS, USER_READ, USER_SPEC, WILL};
use super::{Login, Places, Subject, device};
use crate::failure::Failure;
use crate::token::random_token;

/// Everything that is tried here.
const ALL: [Probe; 8] = [FORGED, SPEC, WILL, COMMAND, USER_SPEC, READ, SYS, USER_READ];
/// Times that something is asked for where the connection ends.
const TRIES: usize = 2;
/// What a device must not hear, below the namespace.
const WIDE: [Filter; 5] = [
    Filter::All,
    Filter::Below(Family::Command),
    Filter::Below(Family::Needs),
    Filter::Every(Family::DeviceSpec),
    Filter::Below(Family::Reply),
];
/// The same of a user.
const USER_WIDE: [Filter; 4] = [
    Filter::Below(Family::Command),
    Filter::Below(Family::Needs),
    Filter::Every(Family::DeviceSpec),
    Filter::Every(Family::GroupSpec),
];

/// The client id of users and of the orchestrator, which is nobody's.
pub(super) fn client_id() -> Result<String, Failure> {
    Ok(format!("hoist-doctor-{}", &random_token()?[..8]))
}

/// Those who try.
struct Cast<'a> {
    subject: &'a Subject,
    places: Places,
    login: &'a Login,
    /// Hears what is written by others where it reads.
    other: Peer,
    user: Option<(Peer, &'a Login)>,
}

/// Tries all of it.
pub(super) async fn examine(subject: &Subject, report: &mut Report) -> Result<(), Failure> {
    let Some([login, other]) = &subject.canaries else {
        report.untried(&ALL, NO_KEY);
        return Ok(());
    };
    let listener = Peer::connect(subject, Terms::device(subject, other)).await;
    let (Some(places), Ok(other)) = (Places::of(subject), listener) else {
        report.lost(&ALL, NO_CANARY);
        return Ok(());
    };
    let id = client_id()?;
    let mut user = None;
    if let Some(login) = &subject.user {
        let peer = Peer::connect(subject, Terms::person(subject, login, &id)).await;
        user = peer.ok().map(|peer| (peer, login));
    }
    let mut cast = Cast {
        subject,
        places,
        login,
        other,
        user,
    };
    cast.writes(report).await?;
    cast.commands(report).await?;
    cast.reads(report).await?;
    if let Some((user, _)) = cast.user {
        user.close().await;
    }
    cast.other.close().await;
    Ok(())
}

impl Cast<'_> {
    /// Nothing arrives that a device or a user must not write.
    async fn writes(&mut self, report: &mut Report) -> Result<(), Failure> {
        let (forged, server) = (self.places.of_other(), self.places.of_server());
        for topic in forged.iter().chain(&server) {
            self.other.subscribe(topic).await;
        }
        let mark = random_token()?;
        for topic in forged.iter().chain(&server) {
            self.says(self.as_device(), topic, mark.as_bytes()).await;
        }
        let by_user = random_token()?;
        if let Some((_, login)) = &self.user {
            let id = client_id()?;
            for topic in &server {
                let terms = Terms::person(self.subject, login, &id);
                self.says(terms, topic, by_user.as_bytes()).await;
            }
        }
        let will = random_token()?;
        if let Some(topic) = server.first() {
            self.leaves(topic, will.as_bytes()).await;
        }
        self.other.listen().await;
        let heard = |topics: &[String], mark: &str| {
            let mut topics = topics.iter();
            topics
                .find(|topic| self.other.has_heard(topic, mark.as_bytes()))
                .cloned()
        };
        if self.other.is_lost() {
            report.lost(&[FORGED, SPEC, WILL, USER_SPEC], LOST);
            return Ok(());
        }
        let device = &self.login.user;
        let written = |topic| format!("{device} wrote {topic}");
        report.judge(FORGED, heard(&forged, &mark).map(written));
        report.judge(SPEC, heard(&server, &mark).map(written));
        let left = |topic| format!("a last will of {device} was published at {topic}");
        report.judge(WILL, heard(&server, &will).map(left));
        match &self.user {
            None => report.untried(&[USER_SPEC], NO_USER),
            Some((_, login)) => {
                let written = |topic| format!("user {} wrote {topic}", login.user);
                report.judge(USER_SPEC, heard(&server, &by_user).map(written));
            }
        }
        Ok(())
    }

    fn as_device(&self) -> Terms<'_> {
        Terms::device(self.subject, self.login)
    }

    /// Somebody says something on a connection of its own: a broker may end it for that.
    async fn says(&self, terms: Terms<'_>, topic: &str, payload: &[u8]) {
        if let Ok(mut peer) = Peer::connect(self.subject, terms).await {
            peer.publish(topic, payload, false).await;
            peer.close().await;
        }
    }

    /// The device leaves a last will, and is gone.
    async fn leaves(&self, topic: &str, payload: &[u8]) {
        let terms = Terms {
            will: Some(Message {
                topic: topic.to_owned(),
                payload: payload.to_vec(),
                retain: false,
            }),
            ..Terms::device(self.subject, self.login)
        };
        drop(Peer::connect(self.subject, terms).await);
    }

    /// No device commands as a user.
    async fn commands(&mut self, report: &mut Report) -> Result<(), Failure> {
        let random = random_token()?;
        let id = client_id()?;
        let listener = match &self.subject.orchestrator {
            Some(login) => {
                let terms = Terms::person(self.subject, login, &id);
                Peer::connect(self.subject, terms).await.ok()
            }
            None => None,
        };
        let Some(name) = self.user.as_ref().map(|(_, login)| login.user.clone()) else {
            report.untried(&[COMMAND], NO_USER);
            return Ok(());
        };
        let (own, of_device) = (format!("o{}", &random[..8]), format!("d{}", &random[..8]));
        let (Some(own), Some(of_device)) = (
            self.places.question(&name, &own),
            self.places.question(&name, &of_device),
        ) else {
            report.untried(&[COMMAND], NO_USER);
            return Ok(());
        };
        self.says_command(report, listener, (own, of_device)).await;
        Ok(())
    }

    async fn says_command(
        &mut self,
        report: &mut Report,
        mut listener: Option<Peer>,
        (own, of_device): ((String, String), (String, String)),
    ) {
        let Some((user, login)) = &mut self.user else {
            return;
        };
        let name = login.user.clone();
        user.subscribe(&own.1).await;
        user.subscribe(&of_device.1).await;
        let answers = user.publish(&own.0, b"{}", false).await && user.is_answered(&own.1).await;
        if let Some(listener) = &mut listener {
            listener.subscribe(&of_device.0).await;
        }
        self.says(self.as_device(), &of_device.0, b"{}").await;
        let mut arrived = false;
        if let Some(mut listener) = listener {
            listener.listen().await;
            arrived = listener.has_heard(&of_device.0, b"{}");
            listener.close().await;
        } else if !answers {
            report.untried(&[COMMAND], "no server answers commands of the user");
            return;
        }
        if let Some((user, _)) = &mut self.user {
            user.listen().await;
            arrived |= user.topics().any(|topic| topic == of_device.1);
        }
        let device = &self.login.user;
        let said = || format!("{device} sent a command as user {name}, and it arrived");
        report.judge(COMMAND, arrived.then(said));
    }

    /// Nobody hears what is for others.
    async fn reads(&mut self, report: &mut Report) -> Result<(), Failure> {
        let topics = &self.places.topics;
        let mut filters = WIDE.map(|filter| topics.filter(filter)).to_vec();
        let needs = topics.filter(Filter::Below(Family::Needs));
        filters.push(format!("$share/hoist-canary/{needs}"));
        filters.extend(["#", "$SYS/#"].map(str::to_owned));
        let Some(mut reader) = asking(self.subject, || self.as_device(), &filters).await else {
            report.lost(&[READ, SYS, USER_READ], NO_CANARY);
            return Ok(());
        };
        let id = client_id()?;
        let mut user = None;
        if let Some((_, login)) = &self.user {
            let filters = USER_WIDE.map(|filter| topics.filter(filter));
            let terms = || Terms::person(self.subject, login, &id);
            let peer = asking(self.subject, terms, &filters).await;
            user = peer.map(|peer| (peer, *login));
        }
        let needs = self.places.needs();
        self.other
            .publish(&needs, random_token()?.as_bytes(), false)
            .await;
        reader.listen().await;
        let of_broker = |topic: &&str| topic.starts_with('$');
        let canary = device(self.login);
        let heard = canary.and_then(|canary| forbidden(&reader, &canary, topics));
        let name = &self.login.user;
        report.judge(READ, heard.map(|topic| format!("{name} heard {topic}")));
        let heard = reader.topics().find(of_broker);
        report.judge(SYS, heard.map(|topic| format!("{name} heard {topic}")));
        match &mut user {
            None => report.untried(&[USER_READ], NO_USER),
            Some((user, login)) => {
                user.listen().await;
                let person = person(login);
                let heard = person.and_then(|person| forbidden(user, &person, topics));
                let said = |topic| format!("user {} heard {topic}", login.user);
                report.judge(USER_READ, heard.map(said));
            }
        }
        reader.close().await;
        Ok(())
    }
}

/// A connection that has asked for all of it. A broker may end one for what it refuses; the next one
/// asks for the rest.
async fn asking<'a>(
    subject: &Subject,
    terms: impl Fn() -> Terms<'a>,
    filters: &[String],
) -> Option<Peer> {
    let mut peer = Peer::connect(subject, terms()).await.ok()?;
    let mut granted = Vec::new();
    for filter in filters {
        // It may end a moment after the filter before this one.
        for _ in 0..TRIES {
            peer.subscribe(filter).await;
            if !peer.is_lost() {
                granted.push(filter);
                break;
            }
            peer = Peer::connect(subject, terms()).await.ok()?;
            for before in &granted {
                peer.subscribe(before).await;
            }
        }
    }
    Some(peer)
}

/// The first topic that somebody heard and that no rule lets them hear.
fn forbidden(peer: &Peer, who: &Principal, topics: &Topics) -> Option<String> {
    let is_ours = |topic: &&str| !topic.starts_with('$');
    let mut heard = peer.topics().filter(is_ours);
    let found = heard.find(|topic| may_subscribe(who, topics, topic).is_err());
    found.map(str::to_owned)
}

/// A user by the rule table: in it, roles do not differ.
fn person(login: &Login) -> Option<Principal> {
    let user = login.user.parse().ok()?;
    Some(Principal::User {
        user,
        role: Role::Viewer,
        groups: Vec::new(),
    })
}
