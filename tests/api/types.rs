//! Reads the types of the JSON API from their sources: what a field is called in JSON, of
//! which type it is, whether it may be left out, and what its comment says.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hoist_orchestrator_core::api::command::Verb;
use syn::{Attribute, Fields, Item, Lit, Meta, Type};

/// The sources of the API's types.
const SOURCES: [&str; 7] = [
    "api/",
    "reply",
    "query/body",
    "query/explain",
    "model/effect",
    "model/state",
    "model/counter",
];

/// A field, as people write it in JSON.
pub struct Field {
    pub name: String,
    pub kind: String,
    /// True if it may be left out of a command.
    pub optional: bool,
    pub says: String,
    /// Its fields are among those of the object around it.
    pub flat: bool,
}

/// A struct, or one named variant of an enum.
pub struct Object {
    pub says: String,
    pub fields: Vec<Field>,
    /// True if a field that is not listed is refused.
    pub strict: bool,
}

/// A closed list of words: with what each means.
pub struct Words {
    pub says: String,
    pub words: Vec<(String, String)>,
}

/// Everything that the sources define.
#[derive(Default)]
pub struct Types {
    pub objects: BTreeMap<String, Object>,
    /// Bodies of commands, apart because replies have types of the same names.
    pub bodies: BTreeMap<String, Object>,
    pub words: BTreeMap<String, Words>,
    /// Bodies that are written as another one is.
    pub same: BTreeMap<String, String>,
    /// Enums that are one of several types: variant, comment, type.
    pub choices: BTreeMap<String, Vec<(String, String, String)>>,
    /// Enums with named fields: variant and object.
    pub variants: BTreeMap<String, Vec<(String, Object)>>,
}

impl Types {
    /// The types of the command table, the replies, the views and the events.
    pub fn read() -> Self {
        let mut types = Self::default();
        for file in crate::harness::sources::sources() {
            let name = file.path.strip_prefix("orchestrator-core/src/");
            let is_source = |name: &str| SOURCES.iter().any(|source| name.starts_with(source));
            let is_body = |name: &str| name.starts_with("api/") || name == "query/body.rs";
            if name.is_some_and(is_source)
                || file.path == "orchestrator-core/src/rules/rollout/admission.rs"
                || file.path == "protocol/src/access.rs"
            {
                let parsed = syn::parse_file(&file.text).unwrap();
                parsed
                    .items
                    .iter()
                    .for_each(|item| types.item(item, name.is_some_and(is_body)));
            }
        }
        types
    }

    /// The body of a verb, as it is written.
    pub fn body(&self, verb: Verb) -> &str {
        let name = verb.body();
        self.same.get(name).map_or(name, String::as_str)
    }

    fn item(&mut self, item: &Item, is_command: bool) {
        match item {
            Item::Struct(item) if serde_of(&item.attrs).contains("transparent") => {
                if let Some(syn::Type::Path(only)) = item.fields.iter().next().map(|it| &it.ty)
                    && let Some(name) = only.path.get_ident()
                {
                    self.same.insert(item.ident.to_string(), name.to_string());
                }
            }
            Item::Struct(item) if is_serialized(&item.attrs) => {
                let serde = serde_of(&item.attrs);
                let object = Object {
                    says: comment(&item.attrs),
                    fields: fields(&item.fields, rename_of(&serde)),
                    strict: serde.contains("deny_unknown_fields"),
                };
                let known = match is_command && is_body(&item.ident) {
                    true => &mut self.bodies,
                    false => &mut self.objects,
                };
                known.insert(item.ident.to_string(), object);
            }
            Item::Enum(item) if is_serialized(&item.attrs) => self.choice(item),
            Item::Macro(list) if list.mac.path.is_ident("explained") => {
                let item = list.mac.parse_body().unwrap();
                self.item(&Item::Enum(item), is_command);
            }
            _ => {}
        }
    }

    fn choice(&mut self, item: &syn::ItemEnum) {
        let (name, serde) = (item.ident.to_string(), serde_of(&item.attrs));
        let variants = item.variants.iter();
        if variants.clone().all(|variant| variant.fields.is_empty()) {
            let words = variants.map(|variant| {
                let word = renamed(&variant.ident.to_string(), rename_of(&serde));
                (word, comment(&variant.attrs))
            });
            let says = comment(&item.attrs);
            let words = words.collect();
            self.words.insert(name, Words { says, words });
        } else if serde.contains("untagged") && serde.contains("rename_all_fields") {
            let objects = variants.map(|variant| {
                let object = Object {
                    says: comment(&variant.attrs),
                    fields: fields(&variant.fields, Some("camelCase")),
                    strict: false,
                };
                (variant.ident.to_string(), object)
            });
            self.variants.insert(name, objects.collect());
        } else if serde.contains("untagged") {
            let choices = variants.filter_map(|variant| {
                let field = variant.fields.iter().next()?;
                let says = comment(&variant.attrs);
                Some((variant.ident.to_string(), says, kind(&field.ty)))
            });
            self.choices.insert(name, choices.collect());
        }
    }
}

fn is_body(name: &syn::Ident) -> bool {
    Verb::ALL.iter().any(|verb| name == verb.body())
}

fn is_serialized(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("derive")
            && attribute
                .meta
                .require_list()
                .is_ok_and(|list| list.tokens.to_string().contains("Serialize"))
    })
}

/// Everything that is said to serde, as text without spaces.
fn serde_of(attributes: &[Attribute]) -> String {
    let mut said = String::new();
    for attribute in attributes.iter().filter(|a| a.path().is_ident("serde")) {
        if let Ok(list) = attribute.meta.require_list() {
            let _ = write!(said, ",{}", list.tokens.to_string().replace(' ', ""));
        }
    }
    said
}

fn value_of<'a>(serde: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = serde.split_once(&format!(",{name}=\""))?;
    rest.split('"').next()
}

fn rename_of(serde: &str) -> Option<&str> {
    value_of(serde, "rename_all")
}

pub fn renamed(name: &str, rule: Option<&str>) -> String {
    let is_variant = name.starts_with(|c: char| c.is_ascii_uppercase());
    let mut words: Vec<String> = Vec::new();
    for c in name.chars() {
        match (c, words.last_mut()) {
            ('_', _) => words.push(String::new()),
            (c, _) if is_variant && c.is_ascii_uppercase() => {
                words.push(c.to_ascii_lowercase().to_string());
            }
            (c, Some(word)) => word.push(c),
            (c, None) => words.push(c.to_string()),
        }
    }
    let capital = |word: &String| word[..1].to_ascii_uppercase() + &word[1..];
    match rule {
        None => name.to_owned(),
        Some("camelCase") => words[0].clone() + &words[1..].iter().map(capital).collect::<String>(),
        Some("kebab-case") => words.join("-"),
        Some("lowercase") => words.concat(),
        Some(rule) => panic!("{name}: the rule {rule} is not known here"),
    }
}

/// The comment of an item in one line, without the numbers of rules.
fn comment(attributes: &[Attribute]) -> String {
    let mut lines = Vec::new();
    for attribute in attributes.iter().filter(|a| a.path().is_ident("doc")) {
        if let Meta::NameValue(said) = &attribute.meta
            && let syn::Expr::Lit(literal) = &said.value
            && let Lit::Str(text) = &literal.lit
        {
            lines.push(text.value().trim().to_owned());
        }
    }
    let mut says = lines
        .join(" ")
        .trim()
        .replace("[`API_VERSION`]", "`hoist/v1`");
    while let Some(at) = says.find(" (S").or(says.find(" (W")) {
        let Some(end) = says[at..].find(')') else {
            break;
        };
        says.replace_range(at..=at + end, "");
    }
    says
}

fn fields(all: &Fields, rule: Option<&str>) -> Vec<Field> {
    let all = all.iter().filter_map(|field| {
        let serde = serde_of(&field.attrs);
        if serde.split(',').any(|said| said == "skip") {
            return None;
        }
        let name = field.ident.as_ref()?.to_string();
        let written = kind(&field.ty);
        Some(Field {
            name: match value_of(&serde, "rename") {
                Some(name) => name.to_owned(),
                None => renamed(&name, rule),
            },
            optional: serde.contains(",default") || written.ends_with("or null"),
            kind: written,
            says: comment(&field.attrs),
            flat: serde.contains(",flatten"),
        })
    });
    all.collect()
}

/// A type of Rust as a type of JSON.
fn kind(ty: &Type) -> String {
    let Type::Path(path) = ty else {
        return "object".to_owned();
    };
    let Some(last) = path.path.segments.last() else {
        return "object".to_owned();
    };
    let mut inner = Vec::new();
    if let syn::PathArguments::AngleBracketed(list) = &last.arguments {
        for argument in &list.args {
            if let syn::GenericArgument::Type(ty) = argument {
                inner.push(kind(ty));
            }
        }
    }
    let name = last.ident.to_string();
    match (name.as_str(), &inner[..]) {
        ("String" | "Word" | "DeviceId" | "GroupId" | "UserId", _) => "text".to_owned(),
        // The only JSON that replies hand on as it was put.
        ("Value", _) => "[Rollout](#rollout)".to_owned(),
        ("Map", _) => "object".to_owned(),
        ("bool", _) => "boolean".to_owned(),
        ("Percent" | "u8" | "u16" | "u32" | "u64" | "i32" | "usize" | "DeploymentId", _) => {
            "number".to_owned()
        }
        ("Box", [of]) => of.clone(),
        ("Option", [of]) => format!("{of} or null"),
        ("Vec", [of]) => format!("list of {of}"),
        ("BTreeMap", [_, of]) => format!("object of {of}"),
        ("ListResult", [of]) => format!("page of {of}"),
        ("R" | "T", _) => "the result".to_owned(),
        _ => format!("[{name}](#{})", name.to_ascii_lowercase()),
    }
}
