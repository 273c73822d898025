//! `Modules`: the modules of a package, their files, and the names each one defines or imports.
//!
//! This is as much of Rust's name resolution as it takes to find the file that defines a name. Test
//! code is left out. A name that is not found (in another package, a local variable, a method) is
//! ignored.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree};

/// Maximum length of a chain of imports; a program that compiles has no endless ones.
const IMPORTS_MAX: usize = 16;

/// The path of a module inside its package: empty for the root.
type Path = Vec<String>;

/// The modules of one package.
#[derive(Debug, Default)]
pub(super) struct Modules {
    modules: BTreeMap<Path, Module>,
}

/// One module, which may be part of a file.
#[derive(Debug, Default)]
pub(super) struct Module {
    /// Path of its file, such as `src/answer.rs`.
    pub(super) file: String,
    /// Kinds of the items that it defines itself, other than modules and imports.
    pub(super) defines: Vec<&'static str>,
    names: Vec<String>,
    /// Imported names, each with the path it comes from.
    imports: Vec<(String, Vec<String>)>,
    /// Paths of glob imports.
    globs: Vec<Vec<String>>,
    /// Every path written in it.
    paths: Vec<Vec<String>>,
}

/// A use of a name in one file that another file defines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arrow {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) name: String,
}

impl std::fmt::Display for Arrow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} uses {} of {}", self.from, self.name, self.to)
    }
}

impl Modules {
    /// Reads the modules below the root file `root`, `src/lib.rs` or `src/main.rs`; `text` returns
    /// the text of a file.
    ///
    /// # Errors
    ///
    /// A message if a file is missing or is not Rust.
    pub(super) fn read(root: &str, text: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let mut modules = Self::default();
        modules.read_file(Vec::new(), root, text)?;
        Ok(modules)
    }

    /// Every module.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Module> {
        self.modules.values()
    }

    /// Which file uses which, sorted; without the arrows of a parent to its descendants.
    pub(super) fn arrows(&self) -> Vec<Arrow> {
        let mut arrows = Vec::new();
        for (path, module) in &self.modules {
            for written in &module.paths {
                let Some(definer) = self.resolve(path, written, IMPORTS_MAX) else { continue };
                let target = &self.modules[&definer];
                if target.file == module.file || definer.starts_with(path) {
                    continue;
                }
                let name = written.last().cloned().unwrap_or_default();
                let arrow = Arrow { from: module.file.clone(), to: target.file.clone(), name };
                arrows.push(arrow);
            }
        }
        arrows.sort();
        arrows.dedup();
        arrows
    }

    fn read_file(
        &mut self,
        path: Path,
        file: &str,
        text: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), String> {
        let source = text(file).ok_or_else(|| format!("{file}: does not exist"))?;
        let parsed = syn::parse_file(&source).map_err(|error| format!("{file}: {error}"))?;
        self.read_items(path, file, &parsed.items, text)
    }

    fn read_items(
        &mut self,
        path: Path,
        file: &str,
        items: &[Item],
        text: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), String> {
        let mut module = Module { file: file.to_owned(), ..Module::default() };
        for item in items.iter().filter(|item| !is_test(attributes(item))) {
            match item {
                Item::Mod(child) => {
                    let name = child.ident.to_string();
                    let child_path = [path.as_slice(), std::slice::from_ref(&name)].concat();
                    match &child.content {
                        Some((_, items)) => self.read_items(child_path, file, items, text)?,
                        None => {
                            let file = file_of(&child_path, text);
                            self.read_file(child_path, &file, text)?;
                        }
                    }
                }
                Item::Use(import) => module.import(&import.tree, Vec::new()),
                item => {
                    if let Some((name, kind)) = definition(item) {
                        module.names.push(name);
                        module.defines.push(kind);
                    } else if matches!(item, Item::Impl(_)) {
                        module.defines.push("impl");
                    }
                    PathReader(&mut module.paths).visit_item(item);
                }
            }
        }
        self.modules.insert(path, module);
        Ok(())
    }

    /// The module that defines the path `written` in the module `at`.
    fn resolve(&self, at: &[String], written: &[String], imports_left: usize) -> Option<Path> {
        let (mut at, mut names) = (at, written);
        while let Some((first, rest)) = names.split_first() {
            at = match first.as_str() {
                "crate" => &[],
                "self" => at,
                "super" => at.split_last()?.1,
                _ => break,
            };
            names = rest;
        }
        self.descend(at, names, imports_left)
    }

    /// The same for `names` that begin in the module `at`.
    fn descend(&self, at: &[String], names: &[String], imports_left: usize) -> Option<Path> {
        let module = self.modules.get(at)?;
        let (first, rest) = names.split_first()?; // a module alone is not a name of a file
        if module.names.contains(first) {
            return Some(at.to_vec());
        }
        let child = [at, std::slice::from_ref(first)].concat();
        if self.modules.contains_key(&child) {
            return self.descend(&child, rest, imports_left);
        }
        let imports_left = imports_left.checked_sub(1)?;
        let imported = module.imports.iter().filter(|(name, _)| name == first);
        let imported = imported.map(|(_, from)| [from.as_slice(), rest].concat());
        let globs = module.globs.iter().map(|from| [from.as_slice(), names].concat());
        imported.chain(globs).find_map(|written| self.resolve(at, &written, imports_left))
    }
}

impl Module {
    fn import(&mut self, tree: &UseTree, mut from: Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                from.push(path.ident.to_string());
                self.import(&path.tree, from);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, from.clone());
                }
            }
            UseTree::Glob(_) => self.globs.push(from),
            UseTree::Name(name) if name.ident == "self" => {
                let name = from.last().cloned().unwrap_or_default();
                self.import_as(name, from);
            }
            UseTree::Name(name) => {
                from.push(name.ident.to_string());
                self.import_as(name.ident.to_string(), from);
            }
            UseTree::Rename(rename) => {
                if rename.ident != "self" {
                    from.push(rename.ident.to_string());
                }
                self.import_as(rename.rename.to_string(), from);
            }
        }
    }

    fn import_as(&mut self, name: String, from: Vec<String>) {
        self.paths.push(from.clone());
        self.imports.push((name, from));
    }
}

/// The file of the module at `path`.
fn file_of(path: &[String], text: &dyn Fn(&str) -> Option<String>) -> String {
    let place = format!("src/{}", path.join("/"));
    let folder = format!("{place}/mod.rs");
    if text(&folder).is_some() { folder } else { format!("{place}.rs") }
}

/// The name that an item defines, and what it is.
fn definition(item: &Item) -> Option<(String, &'static str)> {
    let (name, kind) = match item {
        Item::Const(item) => (&item.ident, "const"),
        Item::Enum(item) => (&item.ident, "enum"),
        Item::Fn(item) => (&item.sig.ident, "fn"),
        Item::Macro(item) => (item.ident.as_ref()?, "macro"),
        Item::Static(item) => (&item.ident, "static"),
        Item::Struct(item) => (&item.ident, "struct"),
        Item::Trait(item) => (&item.ident, "trait"),
        Item::TraitAlias(item) => (&item.ident, "trait"),
        Item::Type(item) => (&item.ident, "type"),
        Item::Union(item) => (&item.ident, "union"),
        _ => return None,
    };
    Some((name.to_string(), kind))
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return false };
        let condition = list.tokens.to_string();
        let mut words = condition.split(|c: char| !c.is_alphanumeric());
        list.path.is_ident("cfg") && !condition.starts_with("not") && words.any(|w| w == "test")
    })
}

/// Collects the paths in code: parsed ones, and those in the arguments of macros.
struct PathReader<'a>(&'a mut Vec<Vec<String>>);

impl<'ast> Visit<'ast> for PathReader<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut names = path.segments.iter().map(|part| part.ident.to_string()).collect();
        if path.leading_colon.is_none() {
            self.finish(&mut names);
        }
        visit::visit_path(self, path);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_test(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.read_tokens(call.tokens.clone());
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {} // `pub(super)` uses nothing
}

impl PathReader<'_> {
    /// Names joined by `::`.
    fn read_tokens(&mut self, tokens: TokenStream) {
        let mut names: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.finish(&mut names);
                    }
                    names.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && !names.is_empty() => {
                    colons += 1;
                }
                TokenTree::Group(group) => {
                    self.finish(&mut names);
                    self.read_tokens(group.stream());
                }
                _ => self.finish(&mut names),
            }
        }
        self.finish(&mut names);
    }

    /// Records a path. A single name comes from an import or a definition.
    fn finish(&mut self, names: &mut Vec<String>) {
        let names = std::mem::take(names);
        if names.len() > 1 {
            self.0.push(names);
        }
    }
}
