//! A real browser under test: headless Chromium by the W3C's WebDriver, in the few words that tests say.

mod driver;
pub mod pictures;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use serde_json::{Value, json};

use driver::Driver;

/// Longest wait for anything that a page does.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks at a page.
const PAUSE: Duration = Duration::from_millis(25);
/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window.
pub struct Browser {
    driver: Driver,
    session: String,
}

/// An element of the page at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element(String);

impl Browser {
    /// Starts a browser whose files lie in `dir`.
    ///
    /// # Panics
    /// When it does not start: Chromium and its driver must be installed.
    #[must_use]
    pub fn start(dir: &Path) -> Self {
        let driver = Driver::start(&dir.join("chromedriver.log"));
        let profile = dir.join("profile");
        let args = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--hide-scrollbars".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            format!("--user-data-dir={}", profile.display()),
        ];
        let asked = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "unhandledPromptBehavior": "ignore",
            "goog:chromeOptions": {"args": args},
        }}});
        let made = driver.call("POST", "/session", Some(&asked));
        let session = made["sessionId"].as_str().expect("a session").to_owned();
        Self { driver, session }
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let path = format!("/session/{}{path}", self.session);
        self.driver.call(method, &path, body)
    }

    /// Opens an address, and waits until it is loaded.
    pub fn open(&self, url: &str) {
        self.call("POST", "/url", Some(&json!({"url": url})));
    }

    /// The address at hand.
    #[must_use]
    pub fn url(&self) -> String {
        text(&self.call("GET", "/url", None))
    }

    /// The title at hand.
    #[must_use]
    pub fn title(&self) -> String {
        text(&self.call("GET", "/title", None))
    }

    /// Elements that a CSS selector names now.
    #[must_use]
    pub fn all(&self, css: &str) -> Vec<Element> {
        let by = json!({"using": "css selector", "value": css});
        let found = self.call("POST", "/elements", Some(&by));
        let ids = found.as_array().into_iter().flatten();
        ids.filter_map(|id| Some(Element(id[ELEMENT].as_str()?.to_owned())))
            .collect()
    }

    /// The first element that a CSS selector names, once there is one.
    #[must_use]
    pub fn find(&self, css: &str) -> Element {
        self.wait(css, || self.all(css).into_iter().next())
    }

    /// The text of the first element that a CSS selector names, as it is seen.
    #[must_use]
    pub fn text(&self, css: &str) -> String {
        let script = "const e = document.querySelector(arguments[0]); return e ? e.innerText : ''";
        text(&self.run(script, &json!([css])))
    }

    /// Waits until the text of an element fits.
    pub fn wait_text(&self, css: &str, fits: impl Fn(&str) -> bool) -> String {
        self.wait(css, || Some(self.text(css)).filter(|text| fits(text)))
    }

    /// Clicks the first element that a CSS selector names.
    pub fn click(&self, css: &str) {
        let Element(id) = self.find(css);
        self.call("POST", &format!("/element/{id}/click"), Some(&json!({})));
    }

    /// Types into the first element that a CSS selector names.
    pub fn write(&self, css: &str, text: &str) {
        let Element(id) = self.find(css);
        let path = format!("/element/{id}/value");
        self.call("POST", &path, Some(&json!({"text": text})));
    }

    /// The result of a script in the page.
    pub fn run(&self, script: &str, args: &Value) -> Value {
        let body = json!({"script": script, "args": args});
        self.call("POST", "/execute/sync", Some(&body))
    }

    /// Forgets all cookies of the page at hand.
    pub fn forget_cookies(&self) {
        self.call("DELETE", "/cookie", None);
    }

    /// The cookies of the page at hand.
    #[must_use]
    pub fn cookies(&self) -> Value {
        self.call("GET", "/cookie", None)
    }

    /// Gives the window a width and height, and the page light or dark colors.
    pub fn look(&self, (width, height): (u32, u32), scheme: &str) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// A command of Chromium's own.
    fn devtools(&self, cmd: &str, params: &Value) -> Value {
        let body = json!({"cmd": cmd, "params": params});
        self.call("POST", "/goog/cdp/execute", Some(&body))
    }

    /// A picture of the window, as WebP: a quarter of a PNG's size.
    #[must_use]
    pub fn picture(&self) -> Vec<u8> {
        let form = json!({"format": "webp", "quality": 80});
        let taken = self.devtools("Page.captureScreenshot", &form);
        let picture = text(&taken["data"]);
        BASE64.decode(picture.as_bytes()).expect("base64")
    }

    /// Waits until `condition` gives a value.
    ///
    /// # Panics
    /// When nothing came in time.
    pub fn wait<T>(&self, what: &str, condition: impl Fn() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(value) = condition() {
                return value;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "waited in vain for {what} at {}:\n{}",
                self.url(),
                self.text("body")
            );
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let path = format!("/session/{}", self.session);
        self.driver.say("DELETE", &path, None).ok();
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The programs of a browser, where both are installed.
#[must_use]
pub fn programs() -> Option<(PathBuf, PathBuf)> {
    let path = std::env::var_os("PATH")?;
    let find = |name: &str| {
        let files = std::env::split_paths(&path).map(|dir| dir.join(name));
        files.into_iter().find(|file| file.is_file())
    };
    Some((find("chromium")?, find("chromedriver")?))
}
