//! One crate connects sockets and reads addresses with a scheme; who listens is a server.

use crate::harness::sources::sources;

/// The words of whoever connects, resolves a name, speaks MQTT or HTTP as a client, shakes hands by
/// TLS, or reads or writes an address with a scheme by hand.
const WORDS: [&str; 14] = [
    "TcpStream",
    "UdpSocket",
    "lookup_host",
    "to_socket_addrs",
    "AsyncClient",
    "MqttOptions",
    "MqttState",
    "rustls::",
    "hyper::client",
    "httparse",
    "strip_prefix(\"mqtt",
    "strip_prefix(\"http",
    "format!(\"mqtt",
    "format!(\"http:",
];

/// The home of all that.
const HOME: &str = "net/src/";

/// Those who listen: what comes in, and the proof that it can.
const LISTENERS: [&str; 3] = [
    "broker-config/src/embedded.rs",
    "broker-config/src/front_door/",
    "orchestrator/src/http/",
];

fn hits(text: &str) -> Vec<&'static str> {
    let code: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let is_said = |word: &&str| code.iter().any(|line| line.contains(word));
    WORDS.into_iter().filter(is_said).collect()
}

#[test]
fn sockets_and_schemes_stand_in_one_crate_and_in_the_listeners() {
    let (home, others): (Vec<_>, Vec<_>) = sources()
        .into_iter()
        .partition(|file| file.path.starts_with(HOME));
    let all: Vec<&str> = home.iter().flat_map(|file| hits(&file.text)).collect();
    for word in ["MqttState", "rustls::", "TcpStream"] {
        assert!(all.contains(&word), "{word}");
    }
    let listens = |path: &str| LISTENERS.iter().any(|listener| path.starts_with(listener));
    let elsewhere: Vec<_> = others
        .iter()
        .filter(|file| !listens(&file.path) && !file.path.contains("test"))
        .map(|file| (file.path.as_str(), hits(&file.text)))
        .filter(|(_, hits)| !hits.is_empty())
        .collect();
    assert_eq!(elsewhere, []);
}
