//! Paths in `tech.toml`: relative to it, or behind an environment variable.

use std::path::{Path, PathBuf};

/// A path as written, and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// As written.
    pub written: String,
    /// Where it leads; `None` if a variable in it is not set.
    pub path: Option<PathBuf>,
    /// The variable that is not set.
    pub unset: Option<String>,
}

impl Place {
    /// Resolves a path of a file in `folder`: `$NAME` and `${NAME}` stand for `variable(NAME)`, everything else is relative to
    /// `folder` unless absolute. An empty variable counts as one that is not set.
    pub fn resolve(written: &str, folder: &Path, variable: &dyn Fn(&str) -> Option<String>) -> Place {
        let (mut text, mut rest) = (String::new(), written);
        while let Some(start) = rest.find('$') {
            text.push_str(&rest[..start]);
            let after = &rest[start + 1..];
            let (name, tail) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
                Some(found) => found,
                None => {
                    after.split_at(after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len()))
                }
            };
            match variable(name).filter(|value| !value.is_empty()) {
                Some(value) => text.push_str(&value),
                None => return Place { written: written.to_string(), path: None, unset: Some(name.to_string()) },
            }
            rest = tail;
        }
        text.push_str(rest);
        Place { written: written.to_string(), path: Some(folder.join(text)), unset: None }
    }

    /// What is wrong with it, if no file stands there.
    pub fn missing(&self) -> Option<String> {
        match (&self.path, &self.unset) {
            (_, Some(name)) => Some(format!("{} (${name} is not set)", self.written)),
            (Some(path), None) if !path.is_file() => Some(format!("{} (no such file)", self.shown(path))),
            _ => None,
        }
    }

    fn shown(&self, path: &Path) -> String {
        if self.written.contains('$') { path.display().to_string() } else { self.written.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_stand_for_their_values() {
        let variable = |name: &str| match name {
            "PDK_ROOT" => Some("/my pdks".to_string()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let place = |text: &str| Place::resolve(text, Path::new("/tech"), &variable);
        assert_eq!(place("$PDK_ROOT/a/b.lib").path, Some("/my pdks/a/b.lib".into()));
        assert_eq!(place("${PDK_ROOT}x.lib").path, Some("/my pdksx.lib".into()));
        assert_eq!(place("models.lib").path, Some("/tech/models.lib".into()));
        assert_eq!(place("$EMPTY/b.lib").unset.as_deref(), Some("EMPTY"));
        assert_eq!(place("$NONE/b.lib").missing().unwrap(), "$NONE/b.lib ($NONE is not set)");
        assert_eq!(place("models.lib").missing().unwrap(), "models.lib (no such file)");
    }
}
