//! Request methods (RFC 9110 section 9). Methods are case-sensitive.

/// `GET`.
pub const GET: &str = "GET";
/// `HEAD`.
pub const HEAD: &str = "HEAD";
/// `POST`.
pub const POST: &str = "POST";
/// `PUT`.
pub const PUT: &str = "PUT";
/// `DELETE`.
pub const DELETE: &str = "DELETE";
/// `CONNECT`; a reverse proxy refuses it.
pub const CONNECT: &str = "CONNECT";
/// `OPTIONS`.
pub const OPTIONS: &str = "OPTIONS";
/// `TRACE`.
pub const TRACE: &str = "TRACE";
/// `PATCH` (RFC 5789).
pub const PATCH: &str = "PATCH";

/// Whether a request with `method` may be sent again after a connection failed under it.
///
/// RFC 9110 section 9.2.2. An unknown method is not.
#[must_use]
pub fn is_idempotent(method: &str) -> bool {
    matches!(method, GET | HEAD | OPTIONS | TRACE | PUT | DELETE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_methods_known_to_be_idempotent_may_be_repeated() {
        for method in [GET, HEAD, OPTIONS, TRACE, PUT, DELETE] {
            assert!(is_idempotent(method), "{method}");
        }
        for method in [POST, PATCH, CONNECT, "get", "LOCK", ""] {
            assert!(!is_idempotent(method), "{method}");
        }
    }
}
