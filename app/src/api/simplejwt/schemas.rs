//! What the document tells of requests and failures. `Fields` reads the ones, more forgivingly, and `refusal` writes the others.

#![expect(dead_code, reason = "types for the document only")]

use utoipa::ToSchema;

#[derive(ToSchema)]
pub struct SimpleJwtCredentials {
    /// Or `username`, with the address in it.
    #[schema(format = Email)]
    email: String,
    #[schema(format = Password)]
    password: String,
}

#[derive(ToSchema)]
pub struct SimpleJwtRefresh {
    refresh: String,
}

#[derive(ToSchema)]
pub struct SimpleJwtToken {
    token: String,
}

/// Either these, or the names of fields, each with a list of what is wrong with it.
#[derive(ToSchema)]
pub struct SimpleJwtRefusal {
    detail: Option<String>,
    /// `token_not_valid`, for instance.
    code: Option<String>,
}
