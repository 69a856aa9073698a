//! Paths of request targets (RFC 3986 section 5.2.4).

use std::borrow::Cow;

/// Resolves the dot segments of a path and changes nothing else.
///
/// `path` begins with `/`; a query behind it is kept as it is. Only literal dots count: bytes that
/// are percent-encoded, doubled slashes and broken percent signs go to the backend as the client
/// wrote them. The result never climbs above the root.
#[must_use]
pub fn normalize_path(path: &str) -> Cow<'_, str> {
    let query_at = memchr::memchr(b'?', path.as_bytes()).unwrap_or(path.len());
    let (path_only, query) = path.split_at_checked(query_at).unwrap_or((path, ""));
    if !has_dot_segment(path_only) {
        return Cow::Borrowed(path);
    }
    let mut resolved = resolve(path_only, path.len());
    resolved.push_str(query);
    Cow::Owned(resolved)
}

fn has_dot_segment(path: &str) -> bool {
    memchr::memmem::find(path.as_bytes(), b"/.").is_some()
        && path.split('/').any(|segment| matches!(segment, "." | ".."))
}

fn resolve(path: &str, capacity: usize) -> String {
    let mut out = String::with_capacity(capacity);
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if segment == ".." {
            out.truncate(out.rfind('/').unwrap_or(0));
        } else if segment != "." {
            out.push('/');
            out.push_str(segment);
        }
        // `/a/..` and `/a/.` name directories: the slash at the end stays.
        if is_last && matches!(segment, "." | "..") {
            out.push('/');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_segments_are_resolved() {
        for (path, expected) in [
            ("/y/../x/./a", "/x/a"),
            ("/a/b/c/./../../g", "/a/g"),
            ("/..", "/"),
            ("/.", "/"),
            ("/../../a", "/a"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/a//../b", "/a/b"),
            ("/a//./b", "/a//b"),
            ("/a/../b?x=/../y", "/b?x=/../y"),
            ("/./?", "/?"),
        ] {
            assert_eq!(normalize_path(path), expected, "{path}");
        }
    }

    #[test]
    fn everything_else_passes_without_a_copy() {
        for path in [
            "/",
            "/a//b",
            "/%41%2f",
            "/%zz",
            "/%2F%20x?%25",
            "/a;p=1?x",
            "/a?/../b",
            "/.a/..b/c.",
            "/...",
            "/%2e%2e/a",
            "/a/.b",
            "*",
        ] {
            assert!(
                matches!(normalize_path(path), Cow::Borrowed(same) if same == path),
                "{path}"
            );
        }
    }
}
