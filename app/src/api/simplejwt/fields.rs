//! What a request brings, read as Django REST framework reads it: JSON or a form, unknown fields ignored, numbers taken
//! for text.

use std::collections::HashMap;

use actix_web::{
    FromRequest, HttpMessage as _, HttpRequest,
    dev::Payload,
    http::header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    web::{Form, Json},
};
use futures_util::future::{FutureExt as _, LocalBoxFuture, ready};
use serde_json::{Map, Value};

use crate::error::{ApiError, FieldError};

/// The name of what concerns no field.
pub const NONE: &str = "non_field_errors";

pub struct Fields(Map<String, Value>);

impl FromRequest for Fields {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let headers = request.headers();
        let none = headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0")
            && !headers.contains_key(TRANSFER_ENCODING);
        match &*request.content_type().to_ascii_lowercase() {
            // Of whatever type.
            _ if none => ready(Ok(Self(Map::new()))).boxed_local(),
            "application/json" => Json::<Value>::from_request(request, payload)
                .map(|json| Ok(Self(object(json?.into_inner())?)))
                .boxed_local(),
            "application/x-www-form-urlencoded" => {
                Form::<HashMap<String, String>>::from_request(request, payload)
                    .map(|form| {
                        let fields = form?.into_inner().into_iter();
                        Ok(Self(fields.map(|(name, text)| (name, text.into())).collect()))
                    })
                    .boxed_local()
            }
            _ => {
                ready(Err(ApiError::UnsupportedMediaType("application/json").into())).boxed_local()
            }
        }
    }
}

fn object(value: Value) -> Result<Map<String, Value>, ApiError> {
    let python = match value {
        Value::Object(fields) => return Ok(fields),
        Value::Null => return Err(invalid(FieldError::new(NONE, "No data provided"))),
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
    };
    let message = format!("Invalid data. Expected a dictionary, but got {python}.");
    Err(invalid(FieldError::new(NONE, message)))
}

fn invalid(error: FieldError) -> ApiError {
    ApiError::Invalid(vec![error])
}

impl Fields {
    /// The address is in `email`; in `username`, where a client kept to Django's own model of a user.
    pub fn credentials(&self) -> Result<(String, String), ApiError> {
        let only_username = !self.0.contains_key("email") && self.0.contains_key("username");
        let email = self.text(if only_username { "username" } else { "email" });
        match (email, self.text("password")) {
            (Ok(email), Ok(password)) => Ok((email.trim().to_owned(), password)),
            (email, password) => Err(ApiError::Invalid(
                [email.err(), password.err()].into_iter().flatten().collect(),
            )),
        }
    }

    pub fn token(&self, name: &'static str) -> Result<String, ApiError> {
        self.text(name).map(|text| text.trim().to_owned()).map_err(invalid)
    }

    fn text(&self, name: &'static str) -> Result<String, FieldError> {
        let problem = match self.0.get(name) {
            None => "This field is required.",
            Some(Value::Null) => "This field may not be null.",
            Some(Value::String(text)) if text.trim().is_empty() => "This field may not be blank.",
            Some(Value::String(text)) if text.contains('\0') => "Null characters are not allowed.",
            Some(Value::String(text)) => return Ok(text.clone()),
            Some(Value::Number(number)) => return Ok(number.to_string()),
            Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => "Not a valid string.",
        };
        Err(FieldError::new(name, problem))
    }
}
