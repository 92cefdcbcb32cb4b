use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::timeout;

use super::*;

/// Serves one answer in pieces of `piece` bytes, then closes; returns its address and
/// what will have been asked.
async fn serve(answer: Vec<u8>, piece: usize) -> (Address, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/a/b?c", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut request = vec![0; 1024];
        let count = stream.read(&mut request).await.unwrap();
        for piece in answer.chunks(piece) {
            if stream.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        request.truncate(count);
        String::from_utf8(request).unwrap()
    });
    (Address::parse(&url).unwrap(), asked)
}

async fn body(answer: &str, piece: usize) -> io::Result<Vec<u8>> {
    let (address, _asked) = serve(answer.as_bytes().to_vec(), piece).await;
    let read = async {
        let mut answer = get(&address, &(0..11)).await?;
        let mut body = Vec::new();
        while let Some(data) = answer.next().await? {
            assert!(!data.is_empty());
            body.extend(data);
        }
        Ok(body)
    };
    timeout(Duration::from_secs(20), read).await.unwrap()
}

#[test]
fn an_address_has_a_host_a_port_and_a_path() {
    let parts = |url| {
        let address = Address::parse(url)?;
        let port = address.port()?;
        Some((address.host().to_owned(), port, address.path))
    };
    let is = |host: &str, port, path: &str| Some((host.to_owned(), port, path.to_owned()));
    assert_eq!(parts("http://a.b"), is("a.b", 80, "/"));
    assert_eq!(parts("HTTP://a:8/x/y?z#w"), is("a", 8, "/x/y?z"));
    assert_eq!(parts("http://a?x"), is("a", 80, "/?x"));
    assert_eq!(parts("http://[::1]:81/"), is("::1", 81, "/"));
    assert_eq!(parts("http://[::1]"), is("::1", 80, "/"));
    for url in [
        "a.b/x",
        "ftp://a/",
        "http://",
        "http:///x",
        "http://a:b/",
        "http://a:70000/",
        "http://u:p@a/",
        "http://a/x y",
        "http://a/\r\nx: y",
    ] {
        assert_eq!(parts(url), None, "{url}");
    }
}

#[tokio::test]
async fn a_request_names_host_path_and_the_range_it_wants() {
    let (address, asked) = serve(b"HTTP/1.1 204 No\r\n\r\n".to_vec(), 100).await;
    let answer = get(&address, &(7..9)).await.unwrap();
    assert_eq!(answer.status, 204);
    let host = &address.authority;
    let expected = format!(
        "GET /a/b?c HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nRange: bytes=7-8\r\n\r\n"
    );
    assert_eq!(asked.await.unwrap(), expected);
}

#[tokio::test]
async fn a_body_is_the_same_however_it_is_framed_and_cut() {
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
        "HTTP/1.1 200 OK\r\n\r\nhello world",
        "HTTP/1.1 103 Early\r\nx: y\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: Chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\ncontent-length: 11\r\n\r\nhello world and more that was not declared",
    ];
    for answer in answers {
        for piece in [1, 2, 3, 7, 1000] {
            let body = body(answer, piece).await.unwrap();
            assert_eq!(body, b"hello world", "{answer:?} in pieces of {piece}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_broken_or_endless_is_given_up() {
    let long_head = format!(
        "HTTP/1.1 200 OK\r\nx: {}\r\n\r\n",
        "y".repeat(HEAD_BYTES_MAX)
    );
    let long_size = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;{}\r\n",
        "y".repeat(2 * SIZE_LINE_BYTES_MAX)
    );
    let answers = [
        "",
        "HTTP/1.1 200 OK\r\n",
        "SSH-2.0-x\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\nhello world",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nworld\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\nx",
        &long_head,
        &long_size,
    ];
    for answer in answers {
        assert!(body(answer, 100).await.is_err(), "{answer:?}");
    }
}
