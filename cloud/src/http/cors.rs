//! Pages of other origins may call the API only where the configuration names them (`allowed_origins`); by default none
//! may.
//!
//! The layer that does it takes every OPTIONS for a browser's question whether it may ask, and answers it itself. tus has
//! a use of its own for OPTIONS. So one that is no such question (it lacks `Access-Control-Request-Method`) passes the
//! layer in disguise.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

use crate::app::App;
use crate::config::Config;

/// Marks a request whose method is OPTIONS, whatever it says.
#[derive(Clone, Copy, Debug)]
struct InTruthOptions;

/// The router, open to the pages of the origins that are named.
pub(super) fn around(router: Router<App>, config: &Config) -> Router<App> {
    let named: Vec<HeaderValue> =
        config.allowed_origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    if named.is_empty() {
        return router;
    }
    // Never with credentials: a foreign page may use a token it was given, not the session of whoever looks at it.
    // The headers by their names: `Authorization` is not among what `*` stands for (Fetch, 4.9).
    let layer = CorsLayer::new()
        .allow_origin(named)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PATCH, Method::PUT, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(Any);
    router.layer(middleware::from_fn(undisguised)).layer(layer).layer(middleware::from_fn(disguised))
}

async fn disguised(mut request: Request, next: Next) -> Response {
    let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if request.method() == Method::OPTIONS && !asks {
        request.extensions_mut().insert(InTruthOptions);
        *request.method_mut() = Method::GET;
    }
    next.run(request).await
}

async fn undisguised(mut request: Request, next: Next) -> Response {
    if request.extensions_mut().remove::<InTruthOptions>().is_some() {
        *request.method_mut() = Method::OPTIONS;
    }
    next.run(request).await
}
