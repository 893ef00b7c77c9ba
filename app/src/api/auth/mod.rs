//! Sign-in, refresh and sign-out: for programs (`token`), for browsers (`session`), and invitations.

use serde::Deserialize;

use crate::{auth::password, error::FieldError};

pub mod invitation;
pub mod session;
pub mod token;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    email: String,
    password: String,
}

impl Credentials {
    /// What cannot be right is refused before anything costly: the e-mail address as it is stored,
    /// and the password.
    fn check(self) -> Result<(String, String), crate::error::ApiError> {
        let email = password::email(&self.email);
        let mut errors = Vec::new();
        if email.is_none() {
            errors.push(FieldError::new("email", "must be an e-mail address"));
        }
        if self.password.is_empty() || self.password.len() > password::LONGEST_BYTES {
            errors.push(FieldError::new("password", "must have 1 to 1024 bytes"));
        }
        match email {
            Some(email) if errors.is_empty() => Ok((email, self.password)),
            _ => Err(crate::error::ApiError::Invalid(errors)),
        }
    }
}
