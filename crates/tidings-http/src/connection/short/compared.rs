//! Short requests as they are read here, beside the HTTP library's reading of the same bytes.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::runtime::Builder;

use super::request;
use crate::limits::{HEAD_BYTES_MAX, READ_BYTES_MAX};

/// Whether `message` is read here. If it is, the library reads one request from it, the same one.
pub(crate) fn is_read(message: &[u8]) -> bool {
    let Ok(here) = request::read(&Bytes::copy_from_slice(message), HEAD_BYTES_MAX) else {
        return false;
    };
    let [there] = &by_library(message)[..] else { panic!("not one request: {message:?}") };
    assert_eq!(here.method(), there.method());
    assert_eq!(here.uri(), there.uri());
    assert_eq!(here.version(), there.version());
    assert_eq!(here.headers(), there.headers());
    assert_eq!(here.body(), there.body());
    true
}

/// The requests that the library reads from these bytes.
fn by_library(message: &[u8]) -> Vec<Request<Bytes>> {
    let read = Arc::<Mutex<Vec<Request<Bytes>>>>::default();
    let service = service_fn(|request: Request<Incoming>| {
        let read = Arc::clone(&read);
        async move {
            let (parts, body) = request.into_parts();
            if let Ok(body) = body.collect().await {
                let request = Request::from_parts(parts, body.to_bytes());
                read.lock().unwrap_or_else(PoisonError::into_inner).push(request);
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(READ_BYTES_MAX);
        client.write_all(message).await.expect("there is room");
        client.shutdown().await.expect("it was open");
        let mut library = http1::Builder::new();
        library.max_header_size(HEAD_BYTES_MAX).half_close(true);
        // An error is about what comes after the last request.
        let _ = library.serve_connection(TokioIo::new(server), service).await;
    });
    std::mem::take(&mut *read.lock().unwrap_or_else(PoisonError::into_inner))
}
