//! What a JSON-P request really asks for.

use config::Jsonp;
use proto::http::{self, Field};
use proto::http1::{FIELDS_MAX, Framing, RequestHead};

use super::JsonpContext;
use super::query::Params;

/// Bytes of a callback's name, decoded.
const CALLBACK_LEN_MAX: usize = 256;

/// The request that the backend gets in place of the client's.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::core) struct JsonpRequest {
    method: String,
    target: String,
    fields: Vec<(String, Vec<u8>)>,
    content: Vec<u8>,
}

/// Why a JSON-P request is refused. Its text is what the client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(in crate::core) enum JsonpError {
    /// Empty, too long, or with characters that could be more than a name: it is put into a
    /// script as it is.
    #[error("Invalid callback parameter.")]
    Callback,
    /// No token (RFC 9110 section 9.1), or `CONNECT`.
    #[error("Invalid _method parameter.")]
    Method,
    /// No JSON object of strings that can be fields, or too many.
    #[error("Invalid _headers parameter.")]
    Headers,
    /// Empty, or there is content of the client's own beside it.
    #[error("Invalid body parameter.")]
    Body,
    /// The same, under its usual name.
    #[error("Invalid _body parameter.")]
    UnderscoreBody,
}

/// Reads the parameters of a request on a route with these options. `None`: it is no JSON-P.
///
/// # Errors
/// [`JsonpError`], to be answered with 400.
pub(in crate::core) fn read(
    head: &RequestHead<'_, '_>,
    options: &Jsonp,
) -> Result<Option<(JsonpRequest, JsonpContext)>, JsonpError> {
    if head.method != "GET" {
        return Ok(None);
    }
    let Some(mut params) = Params::of(head.target) else {
        return Ok(None);
    };
    let by_body = match (&options.default_callback, &options.body) {
        (Some(callback), Some(body)) if !callback.is_empty() && params.has(body) => Some(callback),
        _ => None,
    };
    let callback = match (params.take(&options.callback), by_body) {
        (Some(named), _) => checked_callback(named)?,
        // The operator's own, who may call what he likes.
        (None, Some(callback)) => callback.as_str().into(),
        (None, None) => return Ok(None),
    };
    let method = match params.take("_method") {
        Some(method) => checked_method(method)?,
        None => options.default_method.clone(),
    };
    let mut fields = match params.take("_headers") {
        Some(json) => checked_fields(&json)?,
        None => Vec::new(),
    };
    let content = take_content(&mut params, head, options)?;
    if content.is_some() && options.body.is_some() {
        fields.retain(|(name, _)| !name.eq_ignore_ascii_case("Content-Type"));
        fields.push(("Content-Type".to_owned(), b"application/json".to_vec()));
    }
    fields.push(("Accept".to_owned(), b"*/*".to_vec()));
    add_own_fields(&mut fields, head.fields);
    if fields.len() > FIELDS_MAX {
        return Err(JsonpError::Headers);
    }
    let request = JsonpRequest {
        method,
        target: params.target(),
        fields,
        content: content.unwrap_or_default(),
    };
    let mode = options.mode;
    Ok(Some((request, JsonpContext { callback, mode })))
}

impl JsonpRequest {
    /// The fields as a head borrows them.
    pub(in crate::core) fn fields(&self) -> Vec<Field<'_>> {
        let field = |(name, value)| Field { name, value };
        let parts = self.fields.iter().map(|(name, value)| (&**name, &**value));
        parts.map(field).collect()
    }

    /// The head of this request; `fields` are [`JsonpRequest::fields`], the rest is `client`'s.
    /// Its framing too: what the client sends as content is the content, unless it is in the query.
    pub(in crate::core) fn head<'a>(
        &'a self,
        fields: &'a [Field<'a>],
        client: &RequestHead<'_, 'a>,
    ) -> RequestHead<'a, 'a> {
        RequestHead {
            method: &self.method,
            target: &self.target,
            fields,
            version: client.version,
            framing: client.framing,
            persistent: client.persistent,
            expect_continue: client.expect_continue,
            host: client.host,
            upgrade: client.upgrade,
        }
    }

    /// The content out of the query. If there is any, the client has sent none of its own.
    pub(in crate::core) fn content(&self) -> &[u8] {
        &self.content
    }
}

/// Names, their members and their elements: `a.b_$[0]`. Everything else could be a script of
/// somebody else's in the name of this site.
fn checked_callback(name: Vec<u8>) -> Result<Box<str>, JsonpError> {
    let is_good = |b: &u8| b.is_ascii_alphanumeric() || b"_$.[]".contains(b);
    if name.is_empty() || name.len() > CALLBACK_LEN_MAX || !name.iter().all(is_good) {
        return Err(JsonpError::Callback);
    }
    let name = String::from_utf8(name).map_err(|_| JsonpError::Callback)?;
    Ok(name.into_boxed_str())
}

fn checked_method(method: Vec<u8>) -> Result<String, JsonpError> {
    if !http::is_token(&method) || method == b"CONNECT" {
        return Err(JsonpError::Method);
    }
    String::from_utf8(method).map_err(|_| JsonpError::Method)
}

/// The fields of a `_headers` parameter, without those that are not for it to set.
fn checked_fields(json: &[u8]) -> Result<Vec<(String, Vec<u8>)>, JsonpError> {
    let json: serde_json::Value = serde_json::from_slice(json).map_err(|_| JsonpError::Headers)?;
    let serde_json::Value::Object(members) = json else {
        return Err(JsonpError::Headers);
    };
    let mut fields = Vec::with_capacity(members.len());
    for (name, value) in members {
        let serde_json::Value::String(value) = value else {
            return Err(JsonpError::Headers);
        };
        let value = http::trim_ows(value.as_bytes());
        if !http::is_token(name.as_bytes()) || !http::is_field_value(value) {
            return Err(JsonpError::Headers);
        }
        if !is_reserved(&name) {
            fields.push((name, value.to_vec()));
        }
    }
    Ok(fields)
}

/// Fields that describe the message or the way it came: only the message itself can say these.
fn is_reserved(name: &str) -> bool {
    const NAMES: [&str; 5] = ["Accept", "Content-Length", "Expect", "Forwarded", "Host"];
    const FORWARDED: &str = "X-Forwarded-";
    let is_forwarded = name
        .get(..FORWARDED.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(FORWARDED));
    is_forwarded
        || http::is_hop_by_hop(name)
        || NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn take_content(
    params: &mut Params<'_>,
    head: &RequestHead<'_, '_>,
    options: &Jsonp,
) -> Result<Option<Vec<u8>>, JsonpError> {
    let (name, error) = match &options.body {
        Some(name) => (name.as_str(), JsonpError::Body),
        None => ("_body", JsonpError::UnderscoreBody),
    };
    let Some(content) = params.take(name) else {
        return Ok(None);
    };
    let is_alone = matches!(head.framing, Framing::None | Framing::Length(0));
    if content.is_empty() || !is_alone {
        return Err(error);
    }
    Ok(Some(content))
}

/// The client's own fields, behind and less those that the query gives.
fn add_own_fields(fields: &mut Vec<(String, Vec<u8>)>, own: &[Field<'_>]) {
    let given = fields.len();
    for field in own {
        let is_given = fields
            .iter()
            .take(given)
            .any(|(name, _)| name.eq_ignore_ascii_case(field.name));
        if !is_given {
            fields.push((field.name.to_owned(), field.value.to_vec()));
        }
    }
}

#[cfg(test)]
mod tests;
