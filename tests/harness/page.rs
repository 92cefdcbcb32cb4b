//! The pages of a server, in a browser and by plain requests.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use hoist_tests::browser::Browser;

use super::process::installed;
use super::server::Server;

/// A browser in front of a server.
pub struct Visit {
    pub browser: Browser,
    http: String,
}

impl Visit {
    /// A browser, where one is installed.
    pub fn start(server: &Server) -> Option<Self> {
        if !installed("chromium") || !installed("chromedriver") {
            return None;
        }
        let dir = server.scratch().join("browser");
        std::fs::create_dir_all(&dir).unwrap();
        Some(Self {
            browser: Browser::start(&dir),
            http: format!("http://{}", server.http()),
        })
    }

    /// The same, logged in with a token.
    pub fn logged_in(server: &Server, token: &str) -> Option<Self> {
        let visit = Self::start(server)?;
        visit.open("/login");
        visit.browser.write("#token", token);
        visit.browser.click("form button.primary");
        visit.browser.wait_text("h1", |text| text == "Fleet");
        Some(visit)
    }

    /// Opens a page of the server.
    pub fn open(&self, path: &str) {
        self.browser.open(&format!("{}{path}", self.http));
    }

    /// Leaves a mark on the page at hand, which is gone when it is loaded anew.
    pub fn mark(&self) {
        self.browser.run("window.mark = 1", &serde_json::json!([]));
    }

    /// True if the page at hand is the one that was marked.
    pub fn is_marked(&self) -> bool {
        let mark = self
            .browser
            .run("return window.mark", &serde_json::json!([]));
        mark == serde_json::json!(1)
    }

    /// The path of the page at hand.
    pub fn path(&self) -> String {
        self.browser.url().replace(&self.http, "")
    }
}

/// An answer to a plain request.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<String> {
        let lines = self.head.lines();
        let mut pairs = lines.filter_map(|line| line.split_once(':'));
        let found = pairs.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(found.1.trim().to_owned())
    }
}

/// Asks the server for something, with more headers and a body.
pub fn ask(server: &Server, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut stream = TcpStream::connect(server.http()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut head = format!(
        "{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
        server.http()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
        head.push_str(&format!("{kind}Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    // Who is refused early may not read it all.
    let _ = stream.write_all(body.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Answer {
        status: status.unwrap_or_default(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// The cookie of a new session, as a header says it.
pub fn log_in(server: &Server, token: &str) -> Option<String> {
    let answer = ask(server, "POST /login", &[], &format!("token={token}"));
    let cookie = answer.header("set-cookie")?;
    let pair = cookie.split(';').next()?.to_owned();
    (answer.status == 303).then_some(pair)
}

/// The text that forms of a session carry.
pub fn csrf(server: &Server, cookie: &str) -> String {
    let page = ask(server, "GET /fleet", &[("Cookie", cookie)], "").body;
    let (_, rest) = page.split_once("name=\"csrf\" value=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}
