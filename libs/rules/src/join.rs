//! Joining a rendered path and query to a webhook's URL, when the request is sent.

use url::Url;

use crate::rejection::Reason;

/// The URL with a rendered suffix appended ([`crate::RenderedRequest::path_and_query_suffix`]).
///
/// An empty suffix changes nothing. Otherwise the URL must end in `/`, `&`, `?` or `=`:
///
/// | URL | suffix | joined |
/// |---|---|---|
/// | `https://a.net/hook/` | `deals/7?x=1` | `https://a.net/hook/deals/7?x=1` |
/// | `https://a.net/hook?` | `?x=1` | `https://a.net/hook?x=1` |
/// | `https://a.net/hook?k=v&` | `?x=1` | `https://a.net/hook?k=v&x=1` |
/// | `https://a.net/hook?id=` | `7?x=1` | `https://a.net/hook?id=7&x=1` |
///
/// So where the URL has a query already, the suffix's path becomes a part of it. Joined is the text; the result is
/// parsed anew and must have the same scheme, user info, host and port, exactly the path and query meant, and no
/// fragment.
///
/// # Errors
/// [`Reason::UrlNotOpen`] when the URL does not end so, [`Reason::UrlChanged`] when the result is another URL
/// than meant.
pub fn join_url(base: &Url, suffix: &str) -> Result<Url, Reason> {
    if suffix.is_empty() {
        return Ok(base.clone());
    }
    let text = base.as_str();
    if base.fragment().is_some() || !text.ends_with(['/', '&', '?', '=']) {
        return Err(Reason::UrlNotOpen);
    }
    let (path, query) = match suffix.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (suffix, None),
    };
    let (expected_path, expected_query) = match base.query() {
        None if !text.ends_with('/') => return Err(Reason::UrlNotOpen),
        None => (format!("{}{path}", base.path()), query.map(str::to_owned)),
        Some(own) => {
            let separator = if path.is_empty() && (own.is_empty() || own.ends_with('&')) { "" } else { "&" };
            let added = query.map(|query| format!("{separator}{query}")).unwrap_or_default();
            (base.path().to_owned(), Some(format!("{own}{path}{added}")))
        }
    };
    let before_path =
        &text[..text.len() - base.path().len() - base.query().map_or(0, |query| query.len() + 1)];
    let joined = match &expected_query {
        Some(query) => format!("{before_path}{expected_path}?{query}"),
        None => format!("{before_path}{expected_path}"),
    };
    let joined = Url::parse(&joined).map_err(|_| Reason::UrlChanged)?;
    let same_target = joined.scheme() == base.scheme()
        && joined.username() == base.username()
        && joined.password() == base.password()
        && joined.host_str() == base.host_str()
        && joined.port() == base.port();
    let as_meant = joined.path() == expected_path
        && joined.query() == expected_query.as_deref()
        && joined.fragment().is_none();
    if same_target && as_meant && joined.path().split('/').count() == segments(base, path) {
        Ok(joined)
    } else {
        Err(Reason::UrlChanged)
    }
}

/// How many pieces between slashes the joined path must have.
fn segments(base: &Url, path: &str) -> usize {
    let own = base.path().split('/').count();
    if base.query().is_some() { own } else { own + path.matches('/').count() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(base: &str, suffix: &str) -> Result<String, Reason> {
        join_url(&Url::parse(base).unwrap(), suffix).map(String::from)
    }

    #[test]
    fn the_suffix_goes_where_the_url_is_open() {
        for (base, suffix, joined) in [
            ("https://a.net/hook", "", "https://a.net/hook"),
            ("https://a.net", "deals/7", "https://a.net/deals/7"),
            ("https://a.net/hook/", "deals/7", "https://a.net/hook/deals/7"),
            ("https://a.net:8443/hook/", "deals/7?x=1&y=2", "https://a.net:8443/hook/deals/7?x=1&y=2"),
            ("https://a.net/hook/", "?x=1", "https://a.net/hook/?x=1"),
            ("https://a.net/hook/", "deals/", "https://a.net/hook/deals/"),
            ("https://a.net/hook?", "?x=1", "https://a.net/hook?x=1"),
            ("https://a.net/hook?", "id", "https://a.net/hook?id"),
            ("https://a.net/hook?k=v&", "?x=1", "https://a.net/hook?k=v&x=1"),
            ("https://a.net/hook?id=", "7", "https://a.net/hook?id=7"),
            ("https://a.net/hook?id=", "7?x=1", "https://a.net/hook?id=7&x=1"),
            ("https://a.net/hook?dir=/", "a%2Fb", "https://a.net/hook?dir=/a%2Fb"),
        ] {
            assert_eq!(join(base, suffix).as_deref(), Ok(joined), "{base} {suffix}");
        }
    }

    #[test]
    fn a_closed_url_takes_no_suffix() {
        for base in ["https://a.net/hook", "https://a.net/hook?a=b", "https://a.net/a=", "https://a.net/#/"] {
            assert_eq!(join(base, "x"), Err(Reason::UrlNotOpen), "{base}");
        }
    }

    #[test]
    fn no_suffix_changes_the_url_itself() {
        for suffix in
            ["../x", "./x", "a/../../x", "%2e%2e/x", "a\\b", "a#b", "a\tb", "a b", "a?b#c", "a/%2E", "é"]
        {
            assert_eq!(join("https://a.net/hook/", suffix), Err(Reason::UrlChanged), "{suffix:?}");
        }
        for suffix in ["/evil.net", "//evil.net", "@evil.net", ":80", "http://evil.net/"] {
            let joined = join_url(&Url::parse("https://a.net/").unwrap(), suffix).unwrap();
            assert_eq!((joined.host_str(), joined.port()), (Some("a.net"), None), "{suffix}");
        }
    }
}
