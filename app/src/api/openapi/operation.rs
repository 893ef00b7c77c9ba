//! What of an operation follows from its route.

use actix_web::http::StatusCode;
use utoipa::openapi::{
    ContentBuilder, KnownFormat, Ref, RefOr, Required, Response, SchemaFormat,
    path::{Operation, Parameter, ParameterBuilder, ParameterIn},
    schema::{ObjectBuilder, Type},
    security::SecurityRequirement,
};

use crate::{
    api::{route::Route, simplejwt},
    error::PROBLEM_JSON,
};

pub fn complete(operation: &mut Operation, route: &Route) {
    name(operation, route);
    operation.parameters.get_or_insert_default().splice(..0, path_parameters(route.path));
    who(operation, route.who);
    for (status, code) in refusals(operation, route) {
        refuse(operation, status, code);
    }
    let django = route.path.starts_with(simplejwt::PREFIX);
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        let status = StatusCode::from_bytes(status.as_bytes()).expect("the handlers tell numbers");
        if status.is_client_error() || status.is_server_error() {
            failure(response, status, django);
        }
        if response.description.is_empty() {
            response.description = status.canonical_reason().unwrap_or_default().into();
        }
    }
}

/// In our shape, which is nginx's, too; or in Django REST framework's, which knows none of our codes.
fn failure(response: &mut Response, status: StatusCode, django: bool) {
    let mut tell = |kind: &str, schema: &str| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema)));
        response.content.insert(kind.into(), RefOr::T(content.build()));
    };
    tell(PROBLEM_JSON, "Problem");
    if django && status.is_client_error() {
        tell("application/json", "SimpleJwtRefusal");
        response.description.clear();
    }
}

/// A handler's doc comment is its route and what that does; its name is unique within its module, which is the tag.
fn name(operation: &mut Operation, route: &Route) {
    let tag = operation.tags.iter().flatten().next().cloned().unwrap_or_default();
    let function = operation.operation_id.take().unwrap_or_default();
    operation.operation_id = Some(format!("{tag}_{function}").replace("::", "_"));
    operation.tags = Some(vec![tag.replace("::", " ").replace('_', " ")]);
    let comment = operation.summary.take().unwrap_or_default();
    let words = comment.strip_prefix(&format!("`{} {}`: ", route.method, route.path));
    let words =
        words.unwrap_or_else(|| panic!("a handler's comment is not its route's: {comment}"));
    let (first, rest) = words.trim_end_matches('.').split_at(1);
    operation.summary = Some(first.to_uppercase() + rest);
}

/// All of them are ids.
fn path_parameters(path: &str) -> Vec<RefOr<Parameter>> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let id = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
        .build();
    let parameter = |name| {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path);
        parameter.required(Required::True).schema(Some(id.clone())).build().into()
    };
    names.map(parameter).collect()
}

fn who(operation: &mut Operation, who: &str) {
    let bearer = |scope: Option<&str>| SecurityRequirement::new("bearer", scope);
    let (words, security) = match who {
        "everyone" => ("For everyone.".to_owned(), vec![]),
        "everyone, without a bad token" => {
            let words = "For everyone, without a bad token.".to_owned();
            (words, vec![SecurityRequirement::default(), bearer(None)])
        }
        "signed in" => {
            ("For whoever has an access token or an API key.".into(), vec![bearer(None)])
        }
        scope => (format!("For whoever has `{scope}` in their scope."), vec![bearer(Some(scope))]),
    };
    operation.description = Some(words);
    operation.security.get_or_insert_default().extend(security);
}

fn refusals(operation: &Operation, route: &Route) -> Vec<(u16, &'static str)> {
    let parameter = |place: ParameterIn| {
        operation.parameters.iter().flatten().any(|parameter| match parameter {
            RefOr::T(parameter) => parameter.parameter_in == place,
            RefOr::Ref(_) => false,
        })
    };
    let mut refusals = Vec::new();
    if let Some(RefOr::T(body)) = &operation.request_body {
        let json = body.content.contains_key("application/json");
        refusals.push((400, if json { "bad_json" } else { "bad_request" }));
        refusals.extend([(413, "body_too_large"), (415, "unsupported_media_type")]);
    }
    if parameter(ParameterIn::Query) {
        refusals.push((400, "bad_request"));
    }
    if parameter(ParameterIn::Path) {
        refusals.push((404, "not_found"));
    }
    if parameter(ParameterIn::Header) {
        refusals.push((403, "cross_site"));
    }
    if route.who != "everyone" {
        refusals.push((400, "malformed_authorization"));
        if !route.who.starts_with("everyone") {
            refusals.push((401, "not_authenticated"));
        }
        refusals
            .extend(["token_invalid", "token_expired", "token_revoked"].map(|code| (401, code)));
    }
    if !route.who.starts_with("everyone") && route.who != "signed in" {
        refusals.push((403, "insufficient_scope"));
    }
    refusals.push((429, "rate_limited"));
    refusals.push((500, "internal"));
    refusals.extend(["overloaded", "unavailable", "deadline_exceeded"].map(|code| (503, code)));
    refusals
}

/// The description of a refusal is its codes.
fn refuse(operation: &mut Operation, status: u16, code: &str) {
    let known = operation.responses.responses.entry(status.to_string());
    let RefOr::T(response) = known.or_insert_with(|| Response::new("").into()) else { return };
    if !response.description.is_empty() {
        response.description += ", ";
    }
    response.description += &format!("`{code}`");
}
