//! Status codes and their standard phrases (RFC 9110 section 15).

/// The standard phrase of a status code, or `Undefined Reason`.
///
/// The set and the older spellings (413, 414, 416) are Pushpin's: publishers see these phrases.
#[must_use]
pub const fn reason_phrase(code: u16) -> &'static str {
    match code {
        100..=199 => informational(code),
        200..=299 => successful(code),
        300..=399 => redirection(code),
        400..=499 => client_error(code),
        500..=599 => server_error(code),
        _ => UNDEFINED,
    }
}

const UNDEFINED: &str = "Undefined Reason";

const fn informational(code: u16) -> &'static str {
    match code {
        100 => "Continue",
        101 => "Switching Protocols",
        102 => "Processing",
        _ => UNDEFINED,
    }
}

const fn successful(code: u16) -> &'static str {
    match code {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        208 => "Already Reported",
        226 => "IM Used",
        _ => UNDEFINED,
    }
}

const fn redirection(code: u16) -> &'static str {
    match code {
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        306 => "Reserved",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        _ => UNDEFINED,
    }
}

const fn client_error(code: u16) -> &'static str {
    match code {
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Requested Range Not Satisfiable",
        417 => "Expectation Failed",
        422 => "Unprocessable Entity",
        423 => "Locked",
        424 => "Failed Dependency",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        _ => UNDEFINED,
    }
}

const fn server_error(code: u16) -> &'static str {
    match code {
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        510 => "Not Extended",
        511 => "Network Authentication Required",
        _ => UNDEFINED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_documented_codes_have_a_phrase() {
        let ranges = [
            100..=102,
            200..=208,
            226..=226,
            300..=308,
            400..=417,
            422..=424,
            426..=426,
            428..=429,
            431..=431,
            500..=508,
            510..=511,
        ];
        for code in 0..=u16::MAX {
            let known = ranges.iter().any(|range| range.contains(&code));
            assert_eq!(reason_phrase(code) != UNDEFINED, known, "{code}");
        }
    }

    #[test]
    fn older_spellings_are_kept() {
        assert_eq!(reason_phrase(302), "Found");
        assert_eq!(reason_phrase(306), "Reserved");
        assert_eq!(reason_phrase(413), "Request Entity Too Large");
        assert_eq!(reason_phrase(414), "Request-URI Too Long");
        assert_eq!(reason_phrase(416), "Requested Range Not Satisfiable");
    }
}
