//! What a path or placeholder may read where it stands: the roots that exist there.

/// The root names that templates know beside the object's.
pub(crate) const REQUEST_ROOTS: [&str; 4] = ["previous", "event", "account", "automation"];

/// The root names that conditions know beside the object's.
pub(crate) const CONDITION_ROOTS: [&str; 2] = ["previous", "event"];

/// The object whose events a rule is written for, known when it is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Events of this object only.
    Object(String),
    /// Events of any object (a wildcard trigger): any name may be an object's.
    AnyObject,
}

impl Scope {
    fn is_object(&self, root: &str) -> bool {
        match self {
            Self::Object(object) => object == root,
            Self::AnyObject => true,
        }
    }

    /// Whether `root` is the object's own name, which the fixed roots are not.
    pub(crate) fn is_record(&self, root: &str) -> bool {
        match self {
            Self::Object(object) => object == root,
            Self::AnyObject => !REQUEST_ROOTS.contains(&root),
        }
    }

    /// Says what may stand there, when `root` may not.
    pub(crate) fn refuse(&self, root: &str, fixed: &[&str]) -> Option<String> {
        if fixed.contains(&root) || self.is_object(root) {
            return None;
        }
        let object = match self {
            Self::Object(object) => object,
            Self::AnyObject => "the object's name",
        };
        Some(format!("{root:?} is not known here; a path begins with one of: {object}, {}", fixed.join(", ")))
    }
}
