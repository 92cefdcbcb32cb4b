//! The rooms of the core are floors: an import goes down. In no crate whose files were untied
//! do two of them need each other.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Item, UseTree};

use crate::harness::sources::sources;

const CORE: &str = "orchestrator-core";

/// The crates whose files were untied, and fewer files than each has.
const UNTIED: [(&str, usize); 7] = [
    ("broker-config", 20),
    ("cli", 50),
    ("device-client", 20),
    ("net", 4),
    ("orchestrator", 20),
    ("server", 20),
    (CORE, 20),
];

/// The rooms, from the ground up.
const FLOORS: [&str; 6] = ["model", "rules", "reply", "query", "api", "engine"];

/// The imports of each module, by its path.
type Arrows = BTreeMap<String, BTreeSet<String>>;

fn module_of(path: &str, of: &str) -> Option<String> {
    let name = path.strip_prefix(of)?.strip_prefix("/src/")?;
    let name = name.strip_suffix(".rs")?;
    let name = name.strip_suffix("/mod").unwrap_or(name);
    (name != "lib").then(|| name.replace('/', "::"))
}

/// The paths that a use item names, in full.
fn named(tree: &UseTree, before: &str, paths: &mut Vec<String>) {
    let join = |name: String| match before {
        "" => name,
        before => format!("{before}::{name}"),
    };
    match tree {
        UseTree::Path(path) => named(&path.tree, &join(path.ident.to_string()), paths),
        UseTree::Name(name) => paths.push(join(name.ident.to_string())),
        UseTree::Rename(name) => paths.push(join(name.ident.to_string())),
        UseTree::Glob(_) => paths.push(before.to_owned()),
        UseTree::Group(group) => {
            for tree in &group.items {
                named(tree, before, paths);
            }
        }
    }
}

/// Paths that stand in the code itself.
fn inline(text: &str, paths: &mut Vec<String>) {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    for line in code {
        for (at, _) in line.match_indices("crate::") {
            let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            let path = line[at..].split(|c| !is_path(c)).next();
            paths.extend(path.map(str::to_owned));
        }
    }
}

/// The module of this crate that a path leads into.
fn target(path: &str, from: &str, modules: &BTreeSet<String>) -> Option<String> {
    let mut base: Vec<&str> = from.split("::").collect();
    let mut parts: Vec<&str> = path.split("::").filter(|part| !part.is_empty()).collect();
    match parts.first() {
        Some(&"crate") => base.clear(),
        Some(&"self") => {}
        Some(&"super") => {
            while parts.first() == Some(&"super") {
                parts.remove(0);
                base.pop();
            }
            parts.insert(0, "super");
        }
        _ => return None,
    }
    base.extend(parts.into_iter().skip(1));
    let prefixes = (1..=base.len()).rev().map(|count| base[..count].join("::"));
    prefixes.into_iter().find(|prefix| modules.contains(prefix))
}

fn arrows(of: &str) -> Arrows {
    let files: Vec<(String, String)> = sources()
        .into_iter()
        .filter_map(|file| Some((module_of(&file.path, of)?, file.text)))
        .filter(|(module, _)| !module.contains("test"))
        .collect();
    let modules: BTreeSet<String> = files.iter().map(|(module, _)| module.clone()).collect();
    let arrows = files.iter().map(|(module, text)| {
        let mut paths = Vec::new();
        for item in syn::parse_file(text).unwrap().items {
            if let Item::Use(item) = item {
                named(&item.tree, "", &mut paths);
            }
        }
        inline(text, &mut paths);
        let targets = paths
            .iter()
            .filter_map(|path| target(path, module, &modules));
        let others = targets.filter(|target| target != module).collect();
        (module.clone(), others)
    });
    arrows.collect()
}

fn floor(module: &str) -> usize {
    let room = module.split("::").next();
    let floor = FLOORS.iter().position(|floor| Some(*floor) == room);
    floor.unwrap_or_else(|| panic!("{module} is in no room"))
}

fn is_within(inner: &str, outer: &str) -> bool {
    inner.starts_with(&format!("{outer}::"))
}

#[test]
fn nothing_in_the_core_imports_from_a_room_above() {
    let arrows = arrows(CORE);
    assert!(arrows.len() > 70, "only {} files were found", arrows.len());
    let pairs = arrows
        .iter()
        .flat_map(|(from, tos)| tos.iter().map(move |to| (from, to)));
    let upwards: Vec<_> = pairs.filter(|(from, to)| floor(to) > floor(from)).collect();
    assert_eq!(upwards, []);
}

/// The modules that are left when each that needs nobody is taken away, again and again: a module
/// and its own parts may need each other.
fn circles(mut arrows: Arrows) -> Arrows {
    for (from, tos) in &mut arrows {
        tos.retain(|to| !is_within(to, from) && !is_within(from, to));
    }
    loop {
        let free: BTreeSet<String> = arrows
            .iter()
            .filter(|(_, tos)| tos.is_empty())
            .map(|(from, _)| from.clone())
            .collect();
        if free.is_empty() {
            return arrows;
        }
        arrows.retain(|from, _| !free.contains(from));
        for tos in arrows.values_mut() {
            tos.retain(|to| !free.contains(to));
        }
    }
}

#[test]
fn no_files_of_a_crate_need_each_other_but_a_module_and_its_own_parts() {
    for (of, fewer) in UNTIED {
        let arrows = arrows(of);
        assert!(arrows.len() > fewer, "only {} files of {of}", arrows.len());
        let circles = circles(arrows);
        assert_eq!(
            circles,
            Arrows::new(),
            "of {of} these are in circles or need one"
        );
    }
}
