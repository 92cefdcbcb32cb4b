use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::timeout;

use super::*;

/// Serves one answer in pieces of `piece` bytes, then closes; returns its address and
/// what will have been asked.
async fn serve(answer: Vec<u8>, piece: usize) -> (Endpoint, tokio::task::JoinHandle<String>) {
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
    (Endpoint::parse(&url).unwrap(), asked)
}

async fn ask(address: &Endpoint, target: Target, range: Range<u64>) -> io::Result<Response> {
    let stream = connect(address, &Trust::default()).await.unwrap();
    get(stream, address, target, &range).await
}

async fn body(answer: &str, piece: usize) -> io::Result<Vec<u8>> {
    let (address, _asked) = serve(answer.as_bytes().to_vec(), piece).await;
    let read = async {
        let mut answer = ask(&address, Target::Origin, 0..11).await?;
        let mut body = Vec::new();
        while let Some(data) = answer.next().await? {
            assert!(!data.is_empty());
            body.extend(data);
        }
        Ok(body)
    };
    timeout(Duration::from_secs(20), read).await.unwrap()
}

#[tokio::test]
async fn a_request_names_host_path_and_the_range_it_wants() {
    let (address, asked) = serve(b"HTTP/1.1 204 No\r\n\r\n".to_vec(), 100).await;
    let answer = ask(&address, Target::Origin, 7..9).await.unwrap();
    assert_eq!(answer.status, 204);
    let host = address.authority();
    let expected = format!(
        "GET /a/b?c HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAccept-Encoding: identity\r\n\
         Range: bytes=7-8\r\n\r\n"
    );
    assert_eq!(asked.await.unwrap(), expected);
}

#[tokio::test]
async fn a_proxy_is_told_the_whole_address() {
    let (address, asked) = serve(b"HTTP/1.1 204 No\r\n\r\n".to_vec(), 100).await;
    ask(&address, Target::Absolute, 7..9).await.unwrap();
    let expected = format!("GET http://{}/a/b?c HTTP/1.1\r\n", address.authority());
    assert!(asked.await.unwrap().starts_with(&expected));
}

#[tokio::test]
async fn an_answer_says_its_encoding_and_when_to_come_back() {
    let head = async |headers: &str| {
        let answer = format!("HTTP/1.1 503 Busy\r\n{headers}\r\n");
        let (address, _asked) = serve(answer.into_bytes(), 100).await;
        let answer = ask(&address, Target::Origin, 0..1).await.unwrap();
        (answer.content_encoding, answer.retry_after_s)
    };
    let gzip = Some("gzip".to_owned());
    assert_eq!(
        head("Content-Encoding: gzip\r\nRetry-After: 3\r\n").await,
        (gzip, Some(3))
    );
    assert_eq!(head("content-encoding: Identity\r\n").await, (None, None));
    let date = "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n";
    assert_eq!(head(date).await, (None, None));
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
