//! The table itself: each code with its meaning, its class, its title and its advice.

use serde::{Deserialize, Serialize};

use super::Class;

codes! {
    /// The JSON of a command has a field too many, too few or of another type or range; the reply names the field.
    Command = "E_CMD", Usage, "the command is malformed", "compare the named field with the command table";
    /// The last level of the topic, or of the path, is not a verb of the command table.
    Verb = "E_VERB", Usage, "there is no such command", "see `hoist --help` for the commands";
    /// The user's role or groups do not cover what was asked. Viewers read, deployers deploy to their groups, admins do everything.
    Role = "E_ROLE", Forbidden, "not allowed for this user", "ask an admin for the role or the group";
    /// A request id stands for one command for 7 days, so that a repeat is answered and not executed twice. This one was used for a command with other content.
    RequestReused = "E_REQUEST_REUSED", Conflict, "the request id was used for another command", "choose a new request id for every new command";
    /// A retained message is delivered again after every connect; as a command it would run at times that nobody chose. It is cleared.
    Retained = "E_RETAINED", Failed, "a retained command is never executed", "publish commands without the retain flag";
    /// Names and ids are levels of topics and parts of paths, therefore their alphabet is small. A name is either a device's or a user's, and a few are the server's own: a broker may know clients by names alone.
    Name = "E_NAME", Usage, "the name is not allowed", "use 1 to 64 of A-Z a-z 0-9 _ -";
    /// It is not written as RFC 3339 says, or it lies where it makes no sense.
    Time = "E_TIME", Usage, "the time is not usable", "write times as 2026-01-31T06:00:00Z";
    /// The field is part of the interface, and this version of the server does not carry it out yet. Nothing was changed.
    NotYet = "E_NOT_YET", Usage, "not supported by this version", "leave the named field out";
    /// No release of this name and version is on the server, or the file or directory given has none in it.
    Release = "E_RELEASE", NotFound, "release not found", "list the releases with `hoist release list`";
    /// A name and version stand for one content for ever. The same content again is not refused.
    ReleaseExists = "E_RELEASE_EXISTS", Conflict, "name and version are taken by other content", "raise the version of the release";
    /// A file of the release is missing, malformed or contradicts another one; file and line are named where there are some.
    ReleaseInvalid = "E_RELEASE_INVALID", Failed, "the release is not usable", "mend what is named and pack it again with `hoist release create DIR`";
    /// The server has no artifact of this id, though a release or a device asks for it.
    Artifact = "E_ARTIFACT", Failed, "the artifact is missing", "upload every artifact before adding the release";
    /// No group of this name exists.
    Group = "E_GROUP", NotFound, "group not found", "list the groups with `hoist group list`, or create it";
    /// A group is only removed when it has no members and no deployment that has not ended.
    GroupInUse = "E_GROUP_IN_USE", Conflict, "the group is in use", "move its devices and end its deployments first";
    /// No device of this id is registered.
    Device = "E_DEVICE", NotFound, "device not found", "list the devices with `hoist device list`";
    /// A device of this id is registered with another type, group, key or other labels. The same again is not refused.
    DeviceExists = "E_DEVICE_EXISTS", Conflict, "the device exists with other properties", "choose another id, or change the existing device";
    /// No deployment of this number exists, or a device reported one that it was never given.
    Deployment = "E_DEPLOYMENT", NotFound, "deployment not found", "list the deployments with `hoist deployment list`";
    /// A deployment that is over stays as it was recorded.
    Ended = "E_ENDED", Conflict, "the deployment has ended", "create a new deployment";
    /// An active deployment of the group installs some of the same artifacts, and the new release does not contain all of them; nobody could say which of the two is to win.
    Conflict = "E_CONFLICT", Conflict, "overlaps with an active deployment", "wait for it, abort it, or release a superset of its artifacts";
    /// The one message that tells a group what to install names at most 8 deployments.
    GroupFull = "E_GROUP_FULL", Conflict, "the group has 8 active deployments", "abort one or wait until one completes";
    /// Somebody reports under the id of a device that is not registered, or was removed.
    Unknown = "E_UNKNOWN", Failed, "the device is not registered", "register it with `hoist device add ID`";
    /// The device was removed or revoked, or the user was removed or may do something else by now: what it came in with is worth nothing any more.
    Revoked = "E_REVOKED", Forbidden, "what it came in with was revoked", "let a revoked device in again with `hoist device token rotate ID`, and register a removed one with `hoist device add ID`: both give it another token";
    /// The device is known, and an operator has not accepted it yet.
    Pending = "E_PENDING", Failed, "the device waits for approval", "approve it with `hoist device approve ID --fingerprint F`; `hoist enroll waiting` lists who waits, with which key";
    /// A device is known by the first key it shows. It shows another one now: its storage was replaced or erased, or somebody else has its token.
    Reenrol = "E_REENROL", Failed, "the device presents another key than the pinned one", "if its storage was replaced: `hoist device approve ID --fingerprint F`, with the one that the device says";
    /// A message is not signed by a key that is trusted for it, or was changed on the way.
    Signature = "E_SIG", Failed, "signature missing or wrong", "nothing, unless it repeats: then look at the sender";
    /// A device reports another end of what it has ended before, in the same round. The first one stands.
    Regress = "E_REGRESS", Failed, "a final outcome never changes inside a round", "nothing; the recorded outcome stands";
    /// Two devices report under one id, as after a disk image with its state directory was copied.
    Clone = "E_CLONE", Failed, "two devices use the same id", "take one of them out of service and register it under an id of its own with `hoist device add ID`";
    /// Bytes are missing, too many, out of bounds or not in the one canonical form.
    Decode = "E_DECODE", Failed, "the payload is malformed", "look at the sender";
    /// The sender speaks a newer version of the format than the reader understands.
    Version = "E_VERSION", Failed, "the payload is of a newer version", "update the reader: the server before the agents, an agent before what is released for it";
    /// Nothing may be published or subscribed outside the topic table.
    Topic = "E_TOPIC", Failed, "the topic is not in the topic table", "see the topic table in docs/wire.md";
    /// There is a limit to every message, upload and reply.
    Size = "E_SIZE", Failed, "larger than allowed", "send less";
    /// A cursor only means something to the list and the filter that gave it.
    Cursor = "E_CURSOR", Usage, "the cursor is not one of this list", "start the list again without `after`";
    /// No user of this name exists.
    User = "E_USER", NotFound, "user not found", "list the users with `hoist user list`";
    /// A user of this name exists with another token. With the same token it is given another role or other groups.
    UserExists = "E_USER_EXISTS", Conflict, "the user exists", "`hoist user remove NAME` ends that token, then add it again; role and groups can also be changed in users.toml";
    /// The server failed at something that is not the command's fault.
    Internal = "E_INTERNAL", Failed, "the server could not do it", "look at the server's log";
    /// A retry is for devices whose deployment failed; this one has none to repeat.
    NotFailed = "E_NOT_FAILED", Conflict, "the device has nothing to try again", "list those that have with `hoist device list --status failed --deployment N`";
    /// A device reports a round of a deployment that no retry has opened. The report is not believed and changes no count.
    Round = "E_ROUND", Failed, "the round was never opened for this device", "nothing, unless it repeats: then look at the device; only `hoist deployment retry` opens rounds";
    /// A device counts its reports upwards within a session. This one counts from below what was seen, so it is old, or the device has lost its count; the server asks it for everything anew.
    Seq = "E_SEQ", Failed, "the device counts its reports from a lower number again", "nothing, unless it repeats: then its storage was lost, or two devices use one id";
    /// Without an administrator nobody could add one.
    LastAdmin = "E_LAST_ADMIN", Conflict, "the last administrator cannot be removed", "add another one first with `hoist user add NAME --role admin`";
    /// A dependency is not written as a requirement on versions; file, line and the allowed forms are named.
    Requirement = "E_REQUIREMENT", Failed, "a requirement that is none", "write it as `>=1.2, <2`, `^1.2`, `~1.2.3`, `=1.2.3` or `*`";
    /// A script of the release ended with another exit code than 0, or cannot be started at all.
    Script = "E_SCRIPT", Failed, "a script fails", "read what the script printed, mend it and release it under a new version";
    /// A line of the table of devices cannot be read. Nothing was imported; the lines are named.
    Csv = "E_CSV", Usage, "the table of devices is malformed", "mend the named lines: id,type,group,public_key,labels";
    /// The script did not end within its `timeout`, and was killed with what it had started.
    ScriptTimeout = "E_SCRIPT_TIMEOUT", Failed, "a script ran too long", "mend the script, or raise its `timeout` and release it under a new version";
    /// Of a device: the time that the deployment gives ended before it was done. Of a connection: no complete CONNECT came in time.
    Timeout = "E_TIMEOUT", Failed, "it took too long", "look at what the device did with its time, and deploy again with a longer --device-timeout if it needs one";
    /// The server asked the device for its state and never got an answer.
    Unreachable = "E_UNREACHABLE", Failed, "the device does not answer", "bring it back into contact; then it can be tried again with `hoist deployment retry N`";
    /// Bytes do not have the hash that was signed or announced for them.
    Hash = "E_HASH", Failed, "the content is not what was announced", "transfer it again; if it repeats, look at what lies between";
    /// Something is shorter or longer than was signed or announced.
    Length = "E_LENGTH", Failed, "the length is not what was announced", "transfer it again; if it repeats, look at what lies between";
    /// A path of a payload leads outside, two of them collide, or something is not a regular file.
    Archive = "E_ARCHIVE", Failed, "the payload cannot be unpacked safely", "mend the payload of the release and release it under a new version";
    /// The release is for other device types, or for other attributes than the device has.
    Incompatible = "E_HW", Failed, "the release does not fit the device", "deploy a release that names the device's type and attributes";
    /// The release's counter is below what is installed, or below the floor that a release has set.
    Downgrade = "E_ROLLBACK", Failed, "the release is older than what is installed", "release it with a higher counter";
    /// The release needs another artifact, or another version of one, than the device has.
    Depends = "E_DEPENDS", Failed, "something that the release needs is not installed", "deploy what is needed first";
    /// Of a device: there is not enough space for the payload, for unpacking it and for the way back. Of the server: its disk is full, or nearly. Then nothing is changed, reports of devices wait, and both go on by themselves when there is space.
    Space = "E_SPACE", Failed, "not enough space", "free some space where it is named";
    /// The file system refused to read or write: it is read-only, permission is missing, or the medium fails. What a server was sent meanwhile was not carried out.
    Storage = "E_STORAGE", Failed, "the storage failed", "look at the file system and the medium";
    /// The artifact did not arrive before the deadline.
    Download = "E_DOWNLOAD", Failed, "the download did not succeed", "look at the address `artifacts` of agent.toml and at the network between";
    /// The device did not come back from the reboot that the update wants, or not into the new system.
    Reboot = "E_REBOOT", Failed, "the reboot failed", "look at `reboot_command` of agent.toml and at the boot loader";
    /// Of a device: power was lost in a script that must not be repeated, in every attempt.
    Interrupted = "E_INTERRUPTED", Failed, "interrupted in a script that is not idempotent", "make the script repeatable and say `idempotent = true`, or allow more attempts";
    /// The way back did not work either. What is installed now is unknown.
    RollbackFailed = "E_ROLLBACK_FAILED", Failed, "a rollback script failed", "look at the device itself before anything else is deployed to it";
    /// A newer deployment of the same artifacts took its place before it began on this device.
    Superseded = "E_SUPERSEDED", Failed, "a newer deployment took its place", "nothing; see the newer deployment";
    /// The device's record of its progress is damaged or gone.
    State = "E_STATE", Failed, "the device's memory is damaged", "look at the medium of its state directory; the device asks the server for what it has lost";
    /// No rule lets this client publish to, or subscribe, that topic. In `/readyz`: an external broker gives nothing back of what the server publishes.
    Access = "E_ACCESS", Failed, "the client may not use that topic", "see who may use which topic in docs/wire.md";
    /// MQTT wants acknowledgments in the order of the messages; a client that breaks this loses some.
    Ack = "E_ACK", Failed, "the client acknowledged another message than the next", "mend the client";
    /// The server does not know this token, or not for this name and client id.
    Auth = "E_AUTH", Forbidden, "name and token do not belong together", "a user: take the client.toml of this server; a device: take a new agent.toml of `hoist device token rotate ID`, or of `hoist device add ID` where it is not registered";
    /// Of a broker: as many connections are open as it allows. Of `hoist-agent apply`: a deployment has started on the device and comes first. Of a query: its user asks more at once, or more often, than is answered; the reply says when to come again. Of `plan`: others are being counted.
    Busy = "E_BUSY", Failed, "something else comes first", "wait until it has ended";
    /// The socket closed without a goodbye, or does not take bytes any more.
    Gone = "E_GONE", Failed, "the connection broke", "nothing, unless it repeats: then look at the network";
    /// The client was silent for one and a half times its keep-alive.
    KeepAlive = "E_KEEP_ALIVE", Failed, "the client was silent for too long", "nothing, unless it repeats: then look at the network, or lower `keep_alive` of agent.toml";
    /// More messages wait for the client than it may leave waiting. It gets everything retained when it connects again.
    Overflow = "E_OVERFLOW", Failed, "the client reads too slowly", "subscribe less, or read faster";
    /// It is not MQTT 3.1.1, or not at this point of the conversation.
    Packet = "E_PACKET", Failed, "a packet is malformed or out of place", "mend the client";
    /// QoS 2 is not spoken here.
    Qos = "E_QOS", Failed, "QoS 2 is not spoken", "use QoS 0 or 1";
    /// A part of the embedded broker failed and is started again.
    Router = "E_ROUTER", Failed, "the broker's router is being replaced", "connect again";
    /// The server is shutting down.
    Stopped = "E_STOPPED", Failed, "the broker stops", "connect again when it is back";
    /// The same client connected again, which ends its connection from before.
    TakenOver = "E_TAKEN_OVER", Failed, "the same client connected again", "nothing, unless it repeats: then two clients use one id";
    /// The client speaks another version of MQTT.
    MqttVersion = "E_MQTT_VERSION", Failed, "only MQTT 3.1.1 is spoken here", "for the mosquitto clients: -V 311";
    /// A command line cannot be read.
    Usage = "E_USAGE", Usage, "the command line is wrong", "see `hoist --help` or `hoist-agent --help`";
    /// A setting is wrong: file and line, variable or flag are named.
    Config = "E_CONFIG", Usage, "a setting is wrong", "mend what is named";
    /// The answer of the server is not one that this program knows.
    Reply = "E_REPLY", Failed, "the answer cannot be read", "use the same version of program and server";
    /// The directory of the server's data, or something in it, cannot be used.
    DataDir = "E_DATA_DIR", Failed, "the data directory cannot be used", "look at its owner, its mode and the space left";
    /// The operating system refused something that is needed.
    System = "E_SYSTEM", Failed, "the system refused", "look at what it said";
    /// No connection to the broker comes about. In `/readyz` and `view/health`: the server has none.
    Broker = "E_BROKER", Unreachable, "the broker cannot be reached", "start the server with `hoist serve`, or name its client.toml with --client";
    /// The server or a deployment did not get so far in the time given. What was begun goes on.
    Wait = "E_WAIT", TimedOut, "waited for long enough", "look again with `hoist status N`";
    /// A part of the server ended or did not become ready.
    Server = "E_SERVER", Failed, "the server does not work", "look at its log";
    /// A file with a secret can be read by others.
    Secret = "E_SECRET", Failed, "a secret is readable by others", "chmod 600 the file, and replace the secret if others may have seen it";
    /// The address that the server is to listen on is taken, or not of this machine.
    Port = "E_PORT", Failed, "the address cannot be listened on", "name another one with --mqtt and --http; port 0 takes a free one";
    /// One program at a time uses a directory; its process id is named.
    Locked = "E_LOCKED", Failed, "another process uses the directory", "stop the named process first";
    /// The store of the server is of a newer version, or its files cannot be read or written. Nothing is damaged.
    Store = "E_STORE", Failed, "the store cannot be used", "do as is said, and start again";
    /// Keys, store or users are missing beside the others, or the store is older than what was signed with its keys, or a recovery is not over: starting would make new ones, and the fleet would not obey them, be forgotten, or have a new master.
    Recover = "E_RECOVER", Failed, "a part of the data directory is lost or older than it was", "bring a backup back with `hoist restore`, or what the fleet knows with `hoist recover`";
    /// Tokens would travel unencrypted beyond this machine.
    Insecure = "E_INSECURE", Usage, "not without encryption", "let the server speak TLS (`hoist serve --listen 0.0.0.0 --name NAME`), or listen on a loopback address";
    /// The server's HTTP address cannot be reached, or it refused an upload.
    Http = "E_HTTP", Failed, "the upload did not succeed", "look at the address `http` of client.toml";
    /// A file cannot be read or written, or changed meanwhile.
    File = "E_FILE", Failed, "the file cannot be used", "look at its path, its owner and its mode";
    /// Something that cannot be taken back wants a yes, and there is nobody to ask.
    Confirm = "E_CONFIRM", Usage, "it wants to be confirmed", "repeat it with --yes";
    /// The operating system gives no random numbers, without which no key and no token can be made.
    Random = "E_RANDOM", Failed, "no random numbers", "look at the system's random device";
    /// A key is missing, cannot be read, or cannot be made.
    Key = "E_KEY", Failed, "there is no usable key", "look at the named file";
    /// The demo did not go as it is told.
    Demo = "E_DEMO", Failed, "the demo went another way", "repeat it with `hoist demo --keep` and look at the server's log";
    /// Ctrl-C or a signal ended the program before it was done.
    Canceled = "E_CANCELED", Interrupted, "ended from outside", "start it again";
    /// The header Idempotency-Key, which says whether this is a repeat, is missing, or there more than once.
    Request = "E_REQUEST", Usage, "the request has no id", "send a header Idempotency-Key with an id of your own";
    /// The server is starting, stopping or cut off from its broker.
    Unavailable = "E_UNAVAILABLE", Failed, "the server is not available now", "send it again with the same request id";
    /// There is nothing at this path.
    Path = "E_PATH", NotFound, "there is nothing here", "see the paths in docs/api.md";
    /// The signed spec of a group has expired; nothing new starts until a fresh one comes.
    Stale = "E_STALE", Failed, "the group's spec has expired", "nothing, unless it repeats: then look at the clocks of server and device";
    /// The signed spec of a group is older than one seen before: somebody may be repeating it.
    Replayed = "E_REPLAY", Failed, "the group's spec is an old one", "nothing, unless it repeats: then look at who can publish to the broker";
    /// There is no root document, which says whose signatures the device believes.
    Root = "E_ROOT", Failed, "there is no root document", "let the device connect once, or put root.bin where it is named";
    /// A file named `hold` lies in the state directory and vetoes new starts.
    Held = "E_HELD", Failed, "the device is held", "remove the named file";
    /// The agent cannot use the operating system as it must.
    Agent = "E_AGENT", Failed, "the agent cannot start", "look at what the system said";
    /// The id of the boot cannot be read, so a reboot could not be proven.
    BootId = "E_BOOT_ID", Failed, "the boot id cannot be read", "look at `boot_id_file` of agent.toml";
    /// A file that holds a secret can be read by others: agent.toml with its token, the key of a certificate, or the text of a claim.
    Exposed = "E_EXPOSED", Failed, "a secret is readable by others", "chmod 600 the file; if others may have seen it, take another token of `hoist device token rotate ID` or another text of `hoist enroll create`";
    /// It is neither a code nor a reason; perhaps one of a newer version.
    Word = "E_WORD", NotFound, "no such code or reason", "list all with `hoist explain`";
    /// Only a key that a device shows in the place of its pinned one, or waits with, can be approved: the very one that somebody has looked at, named by its fingerprint.
    NotOffered = "E_NOT_OFFERED", Conflict, "the device offers no such key", "look at its keys with `hoist device show ID` and `hoist enroll waiting`, and name one with --fingerprint";
    /// Rows of the store are gone or changed, or it went back to what it was earlier: every row is compared with what the last commit left. Starting would forget devices and deployments.
    StoreDamaged = "E_STORE_DAMAGED", Failed, "the store lost something", "keep a copy, then `hoist restore FILE --data-dir D`, or without a backup `hoist recover --data-dir D`; see docs/operations.md";
    /// A client sends or connects more often than one client may. A device is closed and let in again after a while; a user is read more slowly.
    Flood = "E_FLOOD", Failed, "the client sends or connects too often", "look at what the client does; it is let in again after a while";
    /// A release is only removed when every deployment of it has ended, and no device is at work on one.
    ReleaseInUse = "E_RELEASE_IN_USE", Conflict, "the release is in use", "wait for its deployments or end them first";
    /// One side speaks TLS at this port and the other does not, or they have no version of it in common: TLS 1.3 is spoken here.
    Tls = "E_TLS", Unreachable, "no TLS comes about", "compare the address, mqtts:// or mqtt://, with what the server says when it is ready";
    /// A file or setting has no certificate in it, a malformed one, or a chain that is not in order; or a server shows one that is no server's.
    Certificate = "E_CERT", Failed, "the certificate cannot be used", "mend what is named";
    /// A certificate is valid until a certain time, and that is over, by the clock of whoever looks at it.
    CertificateExpired = "E_CERT_EXPIRED", Failed, "the certificate has expired", "renew it; the server reads its files again by itself";
    /// A certificate is valid from a certain time on, which has not come, by the clock of whoever looks at it.
    CertificateNotYet = "E_CERT_NOT_YET", Failed, "the certificate is not valid yet", "set the clock that is wrong";
    /// The server was reached by a name or address that its certificate is not for.
    CertificateName = "E_CERT_NAME", Failed, "the certificate is for another host", "connect by one of its names, or start the server with this one too in the list of --name";
    /// The certificate of the server was made by no CA that the client pins with `ca`.
    CertificateIssuer = "E_CERT_CA", Failed, "the certificate is of an unknown CA", "take `ca` from the client.toml of the server";
    /// The key of a certificate is missing, encrypted, or belongs to another certificate.
    CertificateKey = "E_CERT_KEY", Failed, "the key of the certificate cannot be used", "name the certificate and the key that were made together";
    /// A given certificate ends within two weeks. Until then everything works; afterwards nobody gets in.
    CertificateEnds = "E_CERT_ENDS", Failed, "the certificate ends soon", "renew it; the server reads its files again by itself";
    /// A browser sent a request for a page of another site, or by a name that is none of the server's, as it does when such a name was made to lead here. Who is asking is said by a bearer token alone, and no other site's page has a use for it.
    Origin = "E_ORIGIN", Forbidden, "a page of another site asks", "open the server's own address, or tell the server with --name what else it is reached by; a program leaves the headers Origin and Sec-Fetch-Site out";
    /// The claim by which a device enrolls is not one of this server: it was revoked, or the text is of another server.
    Claim = "E_CLAIM", NotFound, "there is no such claim", "make another enrollment text with `hoist enroll create`";
    /// As many devices have registered by this claim as it says.
    ClaimUsed = "E_CLAIM_USED", Forbidden, "the claim is used up", "make another enrollment text with `hoist enroll create --uses N`";
    /// A claim is good until a certain time.
    ClaimExpired = "E_CLAIM_EXPIRED", Forbidden, "the claim has expired", "make another enrollment text with `hoist enroll create`";
    /// A claim can be for ids of one pattern alone.
    ClaimDevice = "E_CLAIM_DEVICE", Forbidden, "the claim is for devices of other names", "enroll under a name that the claim is for, or make one with `hoist enroll create --ids PATTERN`";
    /// The request for a certificate names another device than the one under whose id it was sent.
    EnrollName = "E_ENROLL_NAME", Forbidden, "a certificate is wanted for another device", "look at the sender";
    /// By the key that is shown, signatures can be made up: it is none that a device draws by chance.
    WeakKey = "E_WEAK_KEY", Forbidden, "the key is weak", "take the key file away, so that the device makes another one";
    /// A thousand devices wait for approval already, or as many as may by one claim or under one id.
    EnrollFull = "E_ENROLL_FULL", Conflict, "too many devices wait for approval", "approve those that are yours with `hoist device approve ID --fingerprint F`; the others are forgotten after a week";
    /// Certificates are shown by TLS, which this server does not speak.
    EnrollPlain = "E_ENROLL_TLS", Failed, "this server gives no certificates", "let it speak TLS: `hoist serve --listen 0.0.0.0 --name NAME`";
    /// A client that shows neither name nor password is let in, and is whoever it says it is where names decide.
    BrokerAnonymous = "E_BROKER_ANONYMOUS", Failed, "the broker lets in anybody", "allow no anonymous clients: `hoist broker render mosquitto --out DIR` writes a configuration that does not";
    /// A device came in with a token that is not its own: whoever knows an id is that device.
    BrokerPassword = "E_BROKER_PASSWORD", Failed, "the broker looks at no password", "give the broker the passwords that `hoist broker render mosquitto --out DIR` writes";
    /// What passes between the broker and its clients can be read and changed on the way, tokens too.
    BrokerPlain = "E_BROKER_PLAIN", Failed, "nothing is encrypted on the way to the broker", "let the broker listen with TLS: `hoist broker render mosquitto --out DIR --listen 0.0.0.0 --name NAME`";
    /// A client took the client id of another one, whose session ended: a device can keep others from working.
    BrokerTakeover = "E_BROKER_TAKEOVER", Failed, "a client can end another's session", "let names be client ids, in Mosquitto `use_username_as_clientid true`, on a listener for devices alone";
    /// A device was heard under the id of another one: what the server knows of devices can be made up, but for outcomes, which are signed.
    BrokerForged = "E_BROKER_FORGED", Failed, "a device can write what another one says", "use the access list that `hoist broker render mosquitto --out DIR` writes";
    /// Who is not the server wrote where only the server writes. Nothing of it is obeyed, because it is signed by nobody, but devices can be kept from what is.
    BrokerSpec = "E_BROKER_SPEC", Failed, "others than the server can write its topics", "use the access list that `hoist broker render mosquitto --out DIR` writes";
    /// The last will of a device was published where the device may not write.
    BrokerWill = "E_BROKER_WILL", Failed, "a last will can be left anywhere", "use the access list that `hoist broker render mosquitto --out DIR` writes; some brokers check wills by a setting of their own";
    /// A device published a command under a user's name, and it got as far as the server: every device can do what every user may do.
    BrokerCommand = "E_BROKER_COMMAND", Failed, "a device can command as a user", "use the access list that `hoist broker render mosquitto --out DIR` writes";
    /// A client heard what is for others: who has which device, what people command, and what they are answered.
    BrokerRead = "E_BROKER_READ", Failed, "a client can read what is for others", "use the access list that `hoist broker render mosquitto --out DIR` writes";
    /// Every device can see how many clients there are, and what the broker is.
    BrokerSys = "E_BROKER_SYS", Failed, "a device can read what the broker says of itself", "keep `$SYS` from devices by the access list";
    /// Devices read what a retained message says when they connect; without it they start nothing.
    BrokerRetained = "E_BROKER_RETAINED", Failed, "the broker gives no retained messages", "let it keep retained messages, in Mosquitto `retain_available true`";
    /// One subscription with a wildcard did not bring all that was retained. Devices subscribe without wildcards; lists of people can lack something.
    BrokerWildcard = "E_BROKER_WILDCARD", Failed, "a wildcard brings a part of what is retained", "raise the broker's limit of retained messages for each subscription";
    /// A message that Hoist sends did not arrive.
    BrokerSmall = "E_BROKER_SMALL", Failed, "the broker takes no messages of the size that Hoist sends", "raise the broker's limit of packets to 1 MiB";
    /// A message arrived that is larger than the server reads: one such message ends its connection again and again.
    BrokerLarge = "E_BROKER_LARGE", Failed, "the broker takes messages of any size", "bound messages to 1 MB, in Mosquitto `max_packet_size 1048576`";
    /// Messages that were acknowledged to their sender did not arrive: reports of a large fleet are lost while the server is busy or away.
    BrokerQueue = "E_BROKER_QUEUE", Failed, "the broker drops messages that it has acknowledged", "let it queue what a whole fleet says, in Mosquitto `max_queued_messages 100000`";
    /// What was retained outlived a restart. After a crash, a broker that reads it from a file holds what it held when it last wrote that: a device can start what was aborted since, until the server has put it right.
    BrokerStale = "E_BROKER_STALE", Failed, "the broker can come back with older messages", "let it keep nothing on disk, in Mosquitto `persistence false`";
    /// The broker lets in none of the devices that it is tried with, so nobody knows what devices may do there.
    BrokerUntried = "E_BROKER_UNTRIED", Failed, "it was not tried what devices may do", "let in `hoist-canary-1` and `hoist-canary-2`, as `hoist broker render mosquitto --out DIR` does";
    /// The broker lets happen what must be impossible. The server does not work with it unless it is told to.
    BrokerUnsafe = "E_BROKER_UNSAFE", Failed, "the broker is not safe to work with", "look at all that is open with `hoist doctor`; mend it, or take the risk with `hoist serve --accept-risk CODE`";
    /// Root documents are followed one by one: each is signed by the keys of the one before it.
    RootSkipped = "E_ROOT_SKIPPED", Failed, "a root document between the two is missing", "let the server publish every root document: look for them in keys/ of its data directory";
    /// The number of a root document only rises; somebody may be repeating an old one.
    RootOld = "E_ROOT_OLD", Failed, "the root document is an old one", "nothing, unless it repeats: then look at who can publish to the broker";
    /// A root document is for one namespace.
    RootNamespace = "E_ROOT_NAMESPACE", Failed, "the root document is for another namespace", "compare `namespace` of the settings with the one that `hoist keys list` shows";
    /// A root document is signed by enough root keys of the one before it, and by enough of its own.
    RootSignatures = "E_ROOT_SIGNATURES", Failed, "root keys have not signed the root document", "let the missing keys sign its request with `hoist keys sign`";
    /// A root document that has an end is not followed after it.
    RootExpired = "E_ROOT_EXPIRED", Failed, "the root document has expired", "make the next one with `hoist keys rotate`";
    /// The command of `--sign-with` failed, took too long, or gave no signature of 64 bytes.
    Signer = "E_SIGNER", Failed, "the signing command gave no signature", "run it by hand: it reads the bytes to sign and writes the signature, 64 bytes or base64";
    /// Labels are selected by terms with commas between them, all of which must hold. The reply names the column in which the text is none.
    Selector = "E_SELECTOR", Usage, "the selector is malformed", "write it as `site=eu,board in (a,b),!broken`; quotes go around a value with spaces";
    /// Phases grow from one to the next up to all devices, are 16 at most, and each is a percentage or a
    /// number of devices.
    Phases = "E_PHASES", Usage, "the phases cannot be carried out", "let each phase reach more devices than the one before, up to 100 %: `hoist deploy fw@1.0.0 --group eu --phases 1%,10%,50%,100%`";
    /// A gate that no phase could pass, or that says nothing.
    Gate = "E_GATE", Usage, "the gate cannot be passed", "ask for at most 100 % and for no more devices than the phase has";
    /// A budget bounds the devices of each value of a label by a number or a percentage.
    Budget = "E_BUDGET", Usage, "the budget cannot be kept", "name a label and how many of its devices may be at work at once: `hoist deploy fw@1.0.0 --group eu --budget site=1`";
    /// A rollout falls back to another release of the same artifacts, which the floor of the one that
    /// failed allows.
    Fallback = "E_FALLBACK", Usage, "nothing can fall back to this release", "name an older release of the same artifacts: `hoist release list`";
    /// No policy of this name, or no such version of it, was put.
    Policy = "E_POLICY", NotFound, "policy not found", "list the policies with `hoist policy list`";
    /// Windows are said in the local time of a place, by its name in the IANA database.
    TimeZone = "E_TIME_ZONE", Usage, "the time zone is not known", "name a place of the IANA time zones, such as Europe/Berlin, or UTC";
    /// A window has days, a time, and 1 minute to a week; days that touch are one, and 7 a week are
    /// what devices can be told.
    Window = "E_WINDOW", Usage, "the window cannot be kept", "write it as `--window 'mon-fri 02:00 120m Europe/Berlin'`";
    /// Where a phase needs two approvals, neither is of the one who made the deployment.
    SelfApproval = "E_SELF_APPROVAL", Forbidden, "nobody approves their own deployment", "ask somebody else to approve it with `hoist deployment approve NUMBER`";
    /// No phase of the deployment waits for people, or another one does.
    Approval = "E_APPROVAL", Conflict, "this phase does not wait for approval", "see where it is with `hoist deployment show NUMBER`";
    /// Only a paused deployment can go on, and only one that has begun can be paused.
    NotPaused = "E_NOT_PAUSED", Conflict, "the deployment is not paused", "see where it is with `hoist deployment show NUMBER`";
    /// Everything of the release was installed and verified, its policy wants the device to come online with it, and the device did not in time: what was there before is back.
    Unconfirmed = "E_UNCONFIRMED", Failed, "the device did not come online with the release", "look at what the release does to the network of the device, or give it more time";
    /// Nobody starts anything while a group, or everything, is frozen. The command asks for something that only the end of the other freeze could bring.
    Frozen = "E_FROZEN", Conflict, "it is frozen", "lift the freeze with `hoist unfreeze`, or of one group with `hoist unfreeze GROUP`";
    /// Devices come into a dynamic group and leave it as their labels say, never by hand; a group into which operators put devices does not become one.
    Dynamic = "E_DYNAMIC", Conflict, "members of the group follow from labels", "change the labels: `hoist device label ID NAME=VALUE`";
}
