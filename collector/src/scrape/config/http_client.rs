//! How requests are made, in Prometheus' words: who asks, through what, and whom it trusts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::config::Secret;

/// A text that stands in the configuration or in a file of its own, which is read at each use.
#[derive(Debug, Clone)]
pub(crate) enum SecretSource {
    Inline(Secret),
    File(PathBuf),
}

impl SecretSource {
    /// The field's name and value for those who ask what is configured.
    fn shown(&self, name: &str) -> (String, Value) {
        match self {
            Self::Inline(_) => (name.to_owned(), HIDDEN.into()),
            Self::File(path) => (format!("{name}_file"), path.to_string_lossy().into()),
        }
    }

    /// The text; a file's without the blanks and line ends around it.
    ///
    /// # Errors
    ///
    /// The file and why it cannot be read.
    pub(crate) async fn read(&self) -> Result<String, String> {
        match self {
            Self::Inline(secret) => Ok(secret.0.clone()),
            Self::File(path) => match tokio::fs::read_to_string(path).await {
                Ok(text) => Ok(text.trim().to_owned()),
                Err(err) => Err(format!("read {}: {err}", path.display())),
            },
        }
    }

    /// The one of both that is written.
    fn either(
        name: &str,
        inline: Option<Secret>,
        file: Option<PathBuf>,
        base: &Path,
    ) -> Result<Option<Self>, String> {
        match (inline, file) {
            (Some(_), Some(_)) => Err(format!("{name} and {name}_file exclude each other")),
            (Some(text), None) => Ok(Some(Self::Inline(text))),
            (None, Some(path)) => Ok(Some(Self::File(base.join(path)))),
            (None, None) => Ok(None),
        }
    }
}

/// How a client shows who it is.
#[derive(Debug, Clone)]
pub(crate) enum Auth {
    /// A name and a password.
    Basic {
        username: SecretSource,
        password: Option<SecretSource>,
    },
    /// The header `Authorization: <scheme> <credentials>`.
    Header {
        scheme: String,
        credentials: SecretSource,
    },
}

/// A certificate or key: its PEM text, or the file that it is in.
pub(crate) type Pem = Option<SecretSource>;

/// Whom a client trusts and as whom it appears.
#[derive(Debug, Clone, Default)]
pub(crate) struct TlsSettings {
    /// Who signs the targets' certificates; without it, those whom the system trusts.
    pub(crate) ca: Pem,
    /// The client's own certificate.
    pub(crate) certificate: Pem,
    /// The key to it.
    pub(crate) key: Pem,
    /// Whether any certificate is good.
    pub(crate) insecure: bool,
    pub(crate) least: Option<TlsVersion>,
    pub(crate) most: Option<TlsVersion>,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) enum TlsVersion {
    /// Not spoken; a lower bound that everything meets.
    #[serde(rename = "TLS10", alias = "TLS11")]
    Older,
    #[serde(rename = "TLS12")]
    V1_2,
    #[serde(rename = "TLS13")]
    V1_3,
}

/// Everything about making requests.
#[derive(Debug, Clone)]
pub(crate) struct HttpSettings {
    pub(crate) auth: Option<Auth>,
    pub(crate) tls: TlsSettings,
    pub(crate) follow_redirects: bool,
    /// The proxy's URL, which may hold a password.
    pub(crate) proxy: Option<Secret>,
    /// Hosts that are reached without the proxy, separated by commas.
    pub(crate) no_proxy: Option<String>,
    /// Further headers.
    pub(crate) headers: Vec<(String, SecretSource)>,
}

/// What is shown in the place of a secret, in Prometheus' words.
const HIDDEN: &str = "<secret>";

impl HttpSettings {
    /// The fields as they are configured, but for secrets.
    pub(super) fn shown(&self) -> Vec<(&'static str, Value)> {
        let mut fields = Vec::new();
        match &self.auth {
            None => {}
            Some(Auth::Basic { username, password }) => {
                let mut shown = Map::new();
                match username {
                    SecretSource::Inline(Secret(name)) => {
                        shown.insert("username".to_owned(), name.as_str().into());
                    }
                    file @ SecretSource::File(_) => shown.extend([file.shown("username")]),
                }
                shown.extend(password.iter().map(|password| password.shown("password")));
                fields.push(("basic_auth", shown.into()));
            }
            Some(Auth::Header {
                scheme,
                credentials,
            }) => {
                let mut shown = Map::new();
                shown.insert("type".to_owned(), scheme.as_str().into());
                shown.extend([credentials.shown("credentials")]);
                fields.push(("authorization", shown.into()));
            }
        }
        let tls = self.tls.shown();
        if !tls.is_empty() {
            fields.push(("tls_config", tls.into()));
        }
        if !self.follow_redirects {
            fields.push(("follow_redirects", false.into()));
        }
        if self.proxy.is_some() {
            fields.push(("proxy_url", HIDDEN.into()));
        }
        if let Some(hosts) = &self.no_proxy {
            fields.push(("no_proxy", hosts.as_str().into()));
        }
        if !self.headers.is_empty() {
            fields.push(("http_headers", self.shown_headers()));
        }
        fields
    }

    /// Every value may be a secret: which of them were written as one is not kept.
    fn shown_headers(&self) -> Value {
        let mut shown = json!({});
        for (name, source) in &self.headers {
            let (kind, value) = match source {
                SecretSource::Inline(_) => ("secrets", Value::from(HIDDEN)),
                SecretSource::File(path) => ("files", Value::from(path.to_string_lossy())),
            };
            let values = &mut shown[name.as_str()][kind];
            match values.as_array_mut() {
                Some(values) => values.push(value),
                None => *values = json!([value]),
            }
        }
        shown
    }
}

impl TlsSettings {
    fn shown(&self) -> Map<String, Value> {
        let pems = [
            ("ca", &self.ca),
            ("cert", &self.certificate),
            ("key", &self.key),
        ];
        let pems = pems.into_iter();
        let mut shown: Map<String, Value> = pems
            .filter_map(|(name, pem)| Some(pem.as_ref()?.shown(name)))
            .collect();
        if self.insecure {
            shown.insert("insecure_skip_verify".to_owned(), true.into());
        }
        for (name, version) in [("min_version", self.least), ("max_version", self.most)] {
            if let Some(version) = version {
                shown.insert(name.to_owned(), version.name().into());
            }
        }
        shown
    }
}

impl TlsVersion {
    fn name(self) -> &'static str {
        match self {
            Self::Older => "TLS10",
            Self::V1_2 => "TLS12",
            Self::V1_3 => "TLS13",
        }
    }
}

/// Headers that the client writes itself, or that other fields are for; a second one would not be
/// understood.
const RESERVED_HEADERS: [&str; 13] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "user-agent",
    "www-authenticate",
    "x-prometheus-scrape-timeout-seconds",
];

/// Declares a section that has all fields of an HTTP client beside its own.
macro_rules! with_http_client {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            $($(#[$field_doc])* $field: $type,)*
            basic_auth: Option<crate::scrape::config::http_client::BasicAuthFields>,
            authorization: Option<crate::scrape::config::http_client::AuthorizationFields>,
            bearer_token: Option<crate::config::Secret>,
            bearer_token_file: Option<std::path::PathBuf>,
            tls_config: Option<crate::scrape::config::http_client::TlsFields>,
            follow_redirects: Option<bool>,
            /// Both versions are asked for the same things; we speak HTTP/1.1.
            #[serde(rename = "enable_http2")]
            _enable_http2: Option<bool>,
            proxy_url: Option<crate::config::Secret>,
            no_proxy: Option<String>,
            http_headers: Option<
                std::collections::BTreeMap<
                    String,
                    crate::scrape::config::http_client::HeaderFields,
                >,
            >,
        }

        impl $name {
            /// The client's settings; files are relative to `base`.
            fn http_client(
                &mut self,
                base: &std::path::Path,
            ) -> Result<crate::scrape::config::http_client::HttpSettings, String> {
                crate::scrape::config::http_client::ClientFields {
                    basic_auth: self.basic_auth.take(),
                    authorization: self.authorization.take(),
                    bearer_token: self.bearer_token.take(),
                    bearer_token_file: self.bearer_token_file.take(),
                    tls_config: self.tls_config.take(),
                    follow_redirects: self.follow_redirects,
                    proxy_url: self.proxy_url.take(),
                    no_proxy: self.no_proxy.take(),
                    http_headers: self.http_headers.take(),
                }
                .check(base)
            }
        }
    };
}
pub(super) use with_http_client;

/// The fields of an HTTP client, as written.
pub(super) struct ClientFields {
    pub(super) basic_auth: Option<BasicAuthFields>,
    pub(super) authorization: Option<AuthorizationFields>,
    pub(super) bearer_token: Option<Secret>,
    pub(super) bearer_token_file: Option<PathBuf>,
    pub(super) tls_config: Option<TlsFields>,
    pub(super) follow_redirects: Option<bool>,
    pub(super) proxy_url: Option<Secret>,
    pub(super) no_proxy: Option<String>,
    pub(super) http_headers: Option<BTreeMap<String, HeaderFields>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BasicAuthFields {
    username: Option<Secret>,
    username_file: Option<PathBuf>,
    password: Option<Secret>,
    password_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuthorizationFields {
    r#type: Option<String>,
    credentials: Option<Secret>,
    credentials_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TlsFields {
    ca: Option<Secret>,
    ca_file: Option<PathBuf>,
    cert: Option<Secret>,
    cert_file: Option<PathBuf>,
    key: Option<Secret>,
    key_file: Option<PathBuf>,
    insecure_skip_verify: bool,
    min_version: Option<TlsVersion>,
    max_version: Option<TlsVersion>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HeaderFields {
    values: Vec<Secret>,
    secrets: Vec<Secret>,
    files: Vec<PathBuf>,
}

impl ClientFields {
    pub(super) fn check(self, base: &Path) -> Result<HttpSettings, String> {
        let auth = auth(
            self.basic_auth,
            self.authorization,
            SecretSource::either(
                "bearer_token",
                self.bearer_token,
                self.bearer_token_file,
                base,
            )?,
            base,
        )?;
        if let Some(Secret(url)) = &self.proxy_url {
            reqwest::Proxy::all(url).map_err(|_| "proxy_url is no URL".to_owned())?;
        } else if self.no_proxy.is_some() {
            return Err("no_proxy without proxy_url".to_owned());
        }
        let headers = self.http_headers.unwrap_or_default();
        Ok(HttpSettings {
            auth,
            tls: self.tls_config.unwrap_or_default().check(base)?,
            follow_redirects: self.follow_redirects.unwrap_or(true),
            proxy: self.proxy_url,
            no_proxy: self.no_proxy,
            headers: headers
                .into_iter()
                .map(|(name, fields)| fields.check(&name, base))
                .collect::<Result<Vec<_>, String>>()?
                .concat(),
        })
    }
}

/// The one way of authentication that is configured.
fn auth(
    basic: Option<BasicAuthFields>,
    header: Option<AuthorizationFields>,
    bearer: Option<SecretSource>,
    base: &Path,
) -> Result<Option<Auth>, String> {
    let count = [basic.is_some(), header.is_some(), bearer.is_some()]
        .into_iter()
        .filter(|is_some| *is_some)
        .count();
    if count > 1 {
        return Err(
            "at most one of basic_auth, authorization and bearer_token can be set".to_owned(),
        );
    }
    if let Some(fields) = basic {
        let user = SecretSource::either("username", fields.username, fields.username_file, base)?;
        return Ok(Some(Auth::Basic {
            username: user.ok_or("basic_auth needs a username")?,
            password: SecretSource::either(
                "password",
                fields.password,
                fields.password_file,
                base,
            )?,
        }));
    }
    if let Some(fields) = header {
        let scheme = fields.r#type.unwrap_or_else(|| "Bearer".to_owned());
        if scheme.trim().eq_ignore_ascii_case("basic") {
            return Err("authorization type Basic is written as basic_auth".to_owned());
        }
        let credentials = SecretSource::either(
            "credentials",
            fields.credentials,
            fields.credentials_file,
            base,
        )?;
        return Ok(Some(Auth::Header {
            scheme: scheme.trim().to_owned(),
            credentials: credentials.ok_or("authorization needs credentials")?,
        }));
    }
    Ok(bearer.map(|credentials| Auth::Header {
        scheme: "Bearer".to_owned(),
        credentials,
    }))
}

impl TlsFields {
    fn check(self, base: &Path) -> Result<TlsSettings, String> {
        let settings = TlsSettings {
            ca: SecretSource::either("ca", self.ca, self.ca_file, base)?,
            certificate: SecretSource::either("cert", self.cert, self.cert_file, base)?,
            key: SecretSource::either("key", self.key, self.key_file, base)?,
            insecure: self.insecure_skip_verify,
            least: self.min_version,
            most: self.max_version,
        };
        if settings.certificate.is_some() != settings.key.is_some() {
            return Err("a client's certificate and its key are needed together".to_owned());
        }
        if settings.most == Some(TlsVersion::Older) {
            return Err("max_version: TLS before 1.2 is not spoken".to_owned());
        }
        if settings
            .most
            .is_some_and(|most| settings.least > Some(most))
        {
            return Err("min_version is above max_version".to_owned());
        }
        Ok(settings)
    }
}

impl HeaderFields {
    fn check(self, name: &str, base: &Path) -> Result<Vec<(String, SecretSource)>, String> {
        if name.parse::<axum::http::HeaderName>().is_err() {
            return Err(format!("{name:?} is no header's name"));
        }
        if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(format!("http_headers cannot set {name:?}"));
        }
        let texts = self.values.into_iter().chain(self.secrets);
        let files = self.files.into_iter();
        Ok(texts
            .map(SecretSource::Inline)
            .chain(files.map(|file| SecretSource::File(base.join(file))))
            .map(|source| (name.to_owned(), source))
            .collect())
    }
}
