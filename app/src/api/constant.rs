//! What changes only with the release: whoever has it already is told so (RFC 9110 section 13).

use actix_web::{
    HttpMessage as _, HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_ENCODING, ETag, EntityTag, IfNoneMatch},
    web::Bytes,
};

use crate::auth::secret;

pub struct Constant {
    kind: &'static str,
    gzip: bool,
    tag: EntityTag,
    body: Bytes,
}

impl Constant {
    pub fn new(kind: &'static str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let tag = EntityTag::new_strong(secret::encode(&secret::sha256(&body)[..12]));
        Self { kind, gzip: false, tag, body }
    }

    pub fn gzipped(kind: &'static str, body: impl Into<Bytes>) -> Self {
        Self { gzip: true, ..Self::new(kind, body) }
    }

    pub fn reply(&self, request: &HttpRequest) -> HttpResponse {
        let known = match request.get_header::<IfNoneMatch>() {
            Some(IfNoneMatch::Any) => true,
            // Weakly: what nginx compresses, it tags so.
            Some(IfNoneMatch::Items(tags)) => tags.iter().any(|tag| tag.weak_eq(&self.tag)),
            None => false,
        };
        let mut reply = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        reply
            .insert_header(ETag(self.tag.clone()))
            .insert_header((CACHE_CONTROL, "public, no-cache"));
        if known {
            return reply.finish();
        }
        if self.gzip {
            reply.insert_header((CONTENT_ENCODING, "gzip"));
        }
        reply.content_type(self.kind).body(self.body.clone())
    }
}
