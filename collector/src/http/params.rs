//! Query parameters as Prometheus and Loki clients send them: in the URL, or as a form.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

use super::QUERY_BODY_BYTES;

/// The parameters of a request, in order; names may repeat.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Params(Vec<(String, String)>);

/// Why parameters cannot be read, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadParams(pub(super) String);

impl Params {
    /// Those of a form body, then those of the URL.
    ///
    /// # Errors
    ///
    /// A body that is too large or no form, or bytes that are no UTF-8.
    pub(super) async fn read(request: Request) -> Result<(HeaderMap, Self), BadParams> {
        let (parts, body) = request.into_parts();
        let mut params = Vec::new();
        if parts.method == Method::POST && is_form(&parts.headers)? {
            let form = form_text(body).await?;
            parse_into(&form, &mut params)?;
        }
        parse_into(parts.uri.query().unwrap_or_default(), &mut params)?;
        Ok((parts.headers, Self(params)))
    }

    /// The first value of `name`; an empty one counts as absent, as Prometheus has it.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).find(|value| !value.is_empty())
    }

    /// Every value of `name`, in order.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(candidate, _)| candidate == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first value of `name`, or a sentence that says it is missing.
    pub(super) fn required(&self, name: &str) -> Result<&str, BadParams> {
        self.get(name)
            .ok_or_else(|| BadParams(format!("missing parameter {name:?}")))
    }

    /// How many at most; as many as there are when absent or 0.
    pub(super) fn limit(&self, name: &str) -> Result<usize, BadParams> {
        let limit = self.count(name)?.filter(|limit| *limit > 0);
        Ok(limit.unwrap_or(usize::MAX))
    }

    /// A non-negative whole number; `None` when absent.
    pub(super) fn count(&self, name: &str) -> Result<Option<usize>, BadParams> {
        self.get(name)
            .map(|text| {
                text.parse().map_err(|_| {
                    invalid(
                        name,
                        format!("expected a non-negative whole number, got {text:?}"),
                    )
                })
            })
            .transpose()
    }
}

/// A sentence about the value of `name`.
pub(super) fn invalid(name: &str, message: impl std::fmt::Display) -> BadParams {
    BadParams(format!("invalid parameter {name:?}: {message}"))
}

fn is_form(headers: &HeaderMap) -> Result<bool, BadParams> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(false);
    };
    let text = value.to_str().unwrap_or_default();
    let media_type = text.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Ok(true);
    }
    Err(BadParams(format!(
        "unsupported content type {text:?}; expected application/x-www-form-urlencoded"
    )))
}

async fn form_text(body: Body) -> Result<String, BadParams> {
    let bytes = axum::body::to_bytes(body, QUERY_BODY_BYTES)
        .await
        .map_err(|_| {
            BadParams(format!(
                "the form is larger than {QUERY_BODY_BYTES} bytes or ended early"
            ))
        })?;
    String::from_utf8(bytes.into()).map_err(|_| BadParams("the form is not UTF-8".to_owned()))
}

fn parse_into(text: &str, params: &mut Vec<(String, String)>) -> Result<(), BadParams> {
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        params.push((decode(name)?, decode(value)?));
    }
    Ok(())
}

fn decode(text: &str) -> Result<String, BadParams> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .map(|decoded| decoded.into_owned())
        .map_err(|_| BadParams(format!("the parameter value {text:?} is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Params, BadParams> {
        let mut params = Vec::new();
        parse_into(text, &mut params)?;
        Ok(Params(params))
    }

    #[test]
    fn names_repeat_and_values_are_decoded() {
        let params = parse("match[]=a&match%5B%5D=b%20c+d&limit=5&empty=&flag").unwrap();
        assert_eq!(params.all("match[]").collect::<Vec<_>>(), ["a", "b c d"]);
        assert_eq!(params.count("limit"), Ok(Some(5)));
        assert_eq!(params.limit("limit"), Ok(5));
        assert_eq!(parse("limit=0").unwrap().limit("limit"), Ok(usize::MAX));
        assert_eq!(params.get("empty"), None);
        assert_eq!(params.get("flag"), None);
        assert!(params.required("query").is_err());
        assert!(parse("limit=x").unwrap().count("limit").is_err());
    }

    #[test]
    fn bytes_that_are_no_utf8_are_refused() {
        assert!(parse("query=%ff%fe").is_err());
    }
}
