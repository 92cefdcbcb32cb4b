//! Clients that are slow, or many (bad-inputs row 79). Each is closed by the server; the tests
//! wait for that, and how long it takes proves nothing.

use std::time::Duration;

use super::*;

/// Soon, but long enough for a loaded machine to send a request.
const SOON: Duration = Duration::from_millis(500);

pub(super) fn impatient() -> HttpLimits {
    HttpLimits {
        head: SOON,
        body: SOON,
        part: SOON,
        silence: Duration::from_secs(5),
        ..HttpLimits::default()
    }
}

/// All bytes that come until the server closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let read = stream.read_to_end(&mut all);
    // A reset is as good an end.
    let _ = tokio::time::timeout(Duration::from_secs(20), read)
        .await
        .expect("never closed");
    String::from_utf8(all).unwrap()
}

#[tokio::test]
async fn no_byte_half_a_head_and_a_slow_body_are_closed_in_time() {
    // bad-inputs row 79
    let site = Site::with(impatient()).await;
    let post = "POST /api/v1/plan HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer viewer\r\n\
                Idempotency-Key: r1\r\nContent-Length: 100\r\n\r\n{";
    let put = format!(
        "PUT /artifacts/{} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer deployer\r\n\
         Content-Length: 100\r\n\r\nabc",
        "0".repeat(32)
    );
    for (sent, status) in [
        ("", ""),
        ("GET /livez HT", ""),
        ("GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", ""),
        (post, "408"),
        (put.as_str(), "400"),
    ] {
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        let got = answer.split(' ').nth(1).unwrap_or_default();
        assert_eq!(got, status, "{sent:?}: {answer}");
    }
    site.wait_for_files(0).await;
}

#[tokio::test]
async fn a_connection_that_is_idle_after_its_request_is_closed() {
    let site = Site::with(impatient()).await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    let request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn whoever_comes_beyond_the_last_place_waits_for_one() {
    let limits = HttpLimits {
        connections: 2,
        ..impatient()
    };
    let site = Site::with(limits).await;
    let mut idle = Vec::new();
    for _ in 0..2 {
        idle.push(TcpStream::connect(site.address).await.unwrap());
    }
    let (status, _, body) = site.ask("GET /livez HTTP/1.1", b"").await;
    assert_eq!((status, body.as_slice()), (200, &b"ok\n"[..]));
    for mut stream in idle {
        // They had to go first.
        assert_eq!(rest(&mut stream).await, "");
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_keeps_no_server_from_its_end() {
    let site = Site::start().await;
    // More than the buffers of a connection hold.
    let id = "0".repeat(32);
    std::fs::File::create(site.dir.path().join(&id))
        .and_then(|file| file.set_len(1 << 26))
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async { drop(stopped.await) };
    let served = tokio::spawn(serve(listener, site.state.clone(), shutdown));
    let mut reader = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /artifacts/{id} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    reader.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 16];
    reader.read_exact(&mut first).await.unwrap();
    assert!(first.starts_with(b"HTTP/1.1 200"), "{first:?}");
    stop.send(()).unwrap();
    // Its silence would be borne for 75 s else.
    let ended = tokio::time::timeout(Duration::from_secs(30), served).await;
    ended.expect("it never ended").unwrap();
}
