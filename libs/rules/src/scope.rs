//! What a path or placeholder may read where it stands: the roots that exist there.

use crate::rejection::quoted;

/// The root names that templates know beside the object's.
pub(crate) const REQUEST_ROOTS: [&str; 4] = ["previous", "event", "account", "automation"];

/// The root names that conditions know beside the object's.
pub(crate) const CONDITION_ROOTS: [&str; 2] = ["previous", "event"];

/// The object whose events a rule is written for, known when it is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Events of this object only.
    Object(String),
    /// Events of any object (a wildcard trigger): any name may be an object's, but the fixed roots' names.
    AnyObject,
}

impl Scope {
    /// Whether `root` is the object's own name, which for any object the fixed roots are not.
    pub(crate) fn is_record(&self, root: &str) -> bool {
        match self {
            Self::Object(object) => object == root,
            Self::AnyObject => !REQUEST_ROOTS.contains(&root),
        }
    }

    /// Says what may stand there, when `root` may not.
    pub(crate) fn refuse(&self, root: &str, fixed: &[&str]) -> Option<String> {
        if fixed.contains(&root) || self.is_record(root) {
            return None;
        }
        let object = match self {
            Self::Object(object) => object,
            Self::AnyObject => "the object's name",
        };
        let (root, fixed) = (quoted(root), fixed.join(", "));
        Some(format!("{root:?} is not known here; a path begins with one of: {object}, {fixed}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_does_not_make_objects_of_roots_that_are_not_there() {
        for (root, condition, request) in [
            ("person", true, true),
            ("previous", true, true),
            ("event", true, true),
            ("account", false, true),
            ("automation", false, true),
        ] {
            assert_eq!(Scope::AnyObject.refuse(root, &CONDITION_ROOTS).is_none(), condition, "{root}");
            assert_eq!(Scope::AnyObject.refuse(root, &REQUEST_ROOTS).is_none(), request, "{root}");
        }
        let account = Scope::Object("account".to_owned());
        assert_eq!(account.refuse("account", &CONDITION_ROOTS), None, "an object may have this name");
    }
}
