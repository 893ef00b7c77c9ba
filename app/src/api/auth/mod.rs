//! Sign-in, refresh and sign-out: for programs (`token`), for browsers (`session`), and invitations.

use actix_web::HttpResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    auth::{
        browser, password as passwords,
        session::{AccessReply, Issued, Kind},
    },
    error::FieldError,
};

pub mod invitation;
pub mod password;
pub mod session;
pub mod token;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    #[schema(format = Email)]
    email: String,
    #[schema(format = Password, min_length = 1, max_length = 1024)]
    password: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct TokenReply {
    #[serde(flatten)]
    access: AccessReply,
    refresh_token: String,
}

impl Issued {
    /// A program gets the refresh token to keep, a browser a cookie that no script can read.
    pub(super) fn reply(self, kind: Kind) -> HttpResponse {
        let Self { access, refresh_token } = self;
        match kind {
            Kind::Program => HttpResponse::Ok().json(TokenReply { access, refresh_token }),
            Kind::Browser => HttpResponse::Ok().cookie(browser::keep(refresh_token)).json(access),
        }
    }
}

impl Credentials {
    /// What cannot be right is refused before anything costly: the e-mail address as it is stored,
    /// and the password.
    fn check(self) -> Result<(String, String), crate::error::ApiError> {
        let email = passwords::email(&self.email);
        let mut errors = Vec::new();
        if email.is_none() {
            errors.push(FieldError::new("email", "must be an e-mail address"));
        }
        if self.password.is_empty() || self.password.len() > passwords::LONGEST_BYTES {
            errors.push(FieldError::new("password", "must have 1 to 1024 bytes"));
        }
        match email {
            Some(email) if errors.is_empty() => Ok((email, self.password)),
            _ => Err(crate::error::ApiError::Invalid(errors)),
        }
    }
}
