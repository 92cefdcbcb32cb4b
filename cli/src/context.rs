//! The needs of every command: the settings, a connection, and the place for results.

use std::cell::OnceCell;
use std::io::{self, Write};
use std::time::SystemTime;

use hoist_orchestrator_core::api::command::Verb;
use hoist_protocol::code::Code;
use hoist_server::client_file::ClientFile;
use hoist_server::failure::Failure;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::client::{Client, Patience, found};
use crate::exit;
use crate::output::text::fitted;
use crate::output::{self, Format, Shape, Show, column};
use crate::settings::Settings;

/// Items that a page of any list can have: where more are wanted, as many come as fit.
const PAGE_ITEMS: usize = 20;

/// The settings of one command line.
pub(crate) struct Context {
    pub(crate) settings: Settings,
    /// Read once, so that what is wrong with it is said once.
    client_file: OnceCell<ClientFile>,
}

const SETTINGS: Shape = Shape {
    name: "setting",
    columns: &[
        column("SETTING", "/setting", Show::Plain),
        column("VALUE", "/value", Show::Plain),
    ],
};

const SETTINGS_WITH_ORIGIN: Shape = Shape {
    name: "setting",
    columns: &[
        column("SETTING", "/setting", Show::Plain),
        column("VALUE", "/value", Show::Plain),
        column("ORIGIN", "/origin", Show::Plain),
    ],
};

impl Context {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            client_file: OnceCell::new(),
        }
    }

    /// The form in which results are printed.
    pub(crate) fn format(&self) -> Format {
        self.settings.output.value
    }

    /// The user to connect as, and the address.
    pub(crate) fn client_file(&self) -> Result<ClientFile, Failure> {
        if let Some(file) = self.client_file.get() {
            return Ok(file.clone());
        }
        let file = found::find(&self.settings, &|name| std::env::var_os(name))?;
        Ok(self.client_file.get_or_init(|| file).clone())
    }

    /// Connects as the operator.
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        Client::connect(self.client_file()?, Patience::PERSON).await
    }

    /// Sends one command on a connection of its own.
    pub(crate) async fn command(
        &self,
        verb: Verb,
        body: &impl Serialize,
    ) -> Result<Value, Failure> {
        let mut client = self.client().await?;
        let result = client.command(verb, body).await;
        client.close().await;
        result
    }

    /// Prints one item.
    pub(crate) fn print_one(&self, shape: &Shape, item: &Value) -> Result<u8, Failure> {
        print(&output::one(self.format(), shape, item))?;
        Ok(exit::OK)
    }

    /// Prints a result of a change: a sentence for people, the item for programs.
    pub(crate) fn print_change(
        &self,
        shape: &Shape,
        item: &Value,
        sentence: &str,
    ) -> Result<u8, Failure> {
        match self.format() {
            Format::Table | Format::Wide => print(&fitted(sentence))?,
            _ => print(&output::one(self.format(), shape, item))?,
        }
        Ok(exit::OK)
    }

    /// Prints everything a list verb has, page after page, at most `limit` items.
    pub(crate) async fn print_list(
        &self,
        verb: Verb,
        filter: Map<String, Value>,
        limit: Option<usize>,
        shape: &Shape,
    ) -> Result<u8, Failure> {
        let mut client = self.client().await?;
        let items = list(&mut client, verb, filter, limit).await;
        client.close().await;
        print(&output::list(
            self.format(),
            shape,
            &items?,
            SystemTime::now(),
        ))?;
        Ok(exit::OK)
    }

    /// `config show`.
    pub(crate) fn show_settings(&self, origin: bool) -> Result<u8, Failure> {
        let items: Vec<Value> = self
            .settings
            .rows()
            .into_iter()
            .map(|(setting, value, from)| match origin {
                true => json!({"setting": setting, "value": value, "origin": from}),
                false => json!({"setting": setting, "value": value}),
            })
            .collect();
        let shape = if origin {
            &SETTINGS_WITH_ORIGIN
        } else {
            &SETTINGS
        };
        print(&output::list(
            self.format(),
            shape,
            &items,
            SystemTime::now(),
        ))?;
        Ok(exit::OK)
    }
}

/// Everything a list verb has, page after page, at most `limit` items.
pub(crate) async fn list(
    client: &mut Client,
    verb: Verb,
    filter: Map<String, Value>,
    limit: Option<usize>,
) -> Result<Vec<Value>, Failure> {
    let limit = limit.unwrap_or(usize::MAX);
    let mut items = Vec::new();
    let mut cursor = Value::Null;
    while items.len() < limit {
        let mut body = filter.clone();
        let left = limit - items.len();
        if left < PAGE_ITEMS {
            body.insert("limit".to_owned(), left.into());
        }
        if !cursor.is_null() {
            body.insert("after".to_owned(), cursor);
        }
        let mut page = client.command(verb, &body).await?;
        match page["items"].take() {
            Value::Array(more) => items.extend(more),
            _ => {
                return Err(Failure::new(
                    Code::Reply,
                    format!("the answer to {} has no items", verb.word()),
                ));
            }
        }
        cursor = page["next"].take();
        if cursor.is_null() {
            break;
        }
    }
    items.truncate(limit);
    Ok(items)
}

/// Writes a result. A reader that has seen enough and left is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::because(
            Code::System,
            "cannot write the result",
            &error,
        )),
        _ => Ok(()),
    }
}
