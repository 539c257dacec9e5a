//! Access tokens: signed JSON web tokens (HS256) that name a user for an hour.

use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::config::Secret;

const ISSUER: &str = "task-api";

/// Issues and checks tokens.
pub(crate) struct Tokens {
    sign: EncodingKey,
    check: DecodingKey,
    rules: Validation,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    iat: i64,
    exp: i64,
}

impl Tokens {
    /// How long a token is valid.
    pub(crate) const LIFETIME: Duration = Duration::from_secs(60 * 60);

    /// Signs with `secret`; without one, with a key that ends with the process.
    pub(crate) fn new(secret: Option<&Secret>) -> Self {
        let random = || format!("{}{}", Uuid::new_v4(), Uuid::new_v4());
        let key = secret.map_or_else(random, |secret| secret.reveal().to_owned());
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_issuer(&[ISSUER]);
        Self {
            sign: EncodingKey::from_secret(key.as_bytes()),
            check: DecodingKey::from_secret(key.as_bytes()),
            rules,
        }
    }

    /// A token for `user_id`, valid from `now` for [`Tokens::LIFETIME`].
    pub(crate) fn issue(
        &self,
        user_id: &str,
        now: Timestamp,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let iat = now.as_second();
        let exp = iat.saturating_add_unsigned(Self::LIFETIME.as_secs());
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: user_id.to_owned(),
            iat,
            exp,
        };
        jsonwebtoken::encode(&Header::default(), &claims, &self.sign)
    }

    /// The user `token` names, if we signed it and it has not expired.
    pub(crate) fn user_of(&self, token: &str) -> Option<String> {
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.check, &self.rules);
        decoded.ok().map(|token| token.claims.sub)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_user_until_it_expires_and_only_to_its_issuer() {
        let tokens = Tokens::new(Some(&Secret::from("key".to_owned())));
        let token = tokens.issue("u1", Timestamp::now()).unwrap();
        assert_eq!(tokens.user_of(&token).as_deref(), Some("u1"));

        let old = tokens
            .issue("u1", Timestamp::from_second(1_000_000_000).unwrap())
            .unwrap();
        assert_eq!(tokens.user_of(&old), None, "expired");

        let other = Tokens::new(None);
        assert_eq!(other.user_of(&token), None, "another key");
        assert_eq!(tokens.user_of(&token[..token.len() - 2]), None, "cut short");
        assert_eq!(tokens.user_of(""), None);
    }
}
