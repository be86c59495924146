//! The services that gRPC itself names: health, and reflection in both its versions. Neither asks for a
//! credential. Health says what `/readyz` says to everybody. Reflection says what `/api/openapi.json`
//! says and the sources do: nothing of this platform, and a tool asks for it before it can know what a
//! credential goes with.

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use futures_util::{StreamExt as _, stream};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{self, HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::server::{Builder, Error};
use tracing::error;

use super::{METHODS, PACKAGE, REQUEST_BYTES_MAX, rest};
use crate::platform::{Platform, stop_told};
use crate::schema::DESCRIPTORS;

/// The routes of all three.
pub(super) fn routes(platform: &Arc<Platform>) -> Router<Arc<Platform>> {
    let health = HealthServer::new(Readiness(platform.clone()));
    let health = health.max_decoding_message_size(REQUEST_BYTES_MAX);
    let router = Router::new().route_service("/grpc.health.v1.Health/{method}", health);
    match reflection() {
        Ok(reflection) => router.merge(reflection),
        Err(error) => {
            // The descriptors come with the program, and a test reads them.
            error!(%error, "no gRPC reflection: its descriptors cannot be read");
            router
        }
    }
}

fn reflection() -> Result<Router<Arc<Platform>>, Error> {
    let described = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(pb::FILE_DESCRIPTOR_SET)
    };
    let v1 = described().build_v1()?;
    // What older tools speak, grpcurl of Debian among them.
    let v1alpha = described().build_v1alpha()?;
    Ok(Router::new()
        .route_service(
            "/grpc.reflection.v1.ServerReflection/{method}",
            v1.max_decoding_message_size(REQUEST_BYTES_MAX),
        )
        .route_service(
            "/grpc.reflection.v1alpha.ServerReflection/{method}",
            v1alpha.max_decoding_message_size(REQUEST_BYTES_MAX),
        ))
}

/// Whether the platform takes work. Its services have it in common.
struct Readiness(Arc<Platform>);

impl Readiness {
    async fn of(&self, service: &str) -> Option<HealthCheckResponse> {
        let known = service.is_empty()
            || service.strip_prefix(PACKAGE).is_some_and(|name| {
                METHODS
                    .iter()
                    .any(|about| name.strip_prefix('.') == Some(about.service))
            });
        if !known {
            return None;
        }
        Some(status(match rest::readiness(&self.0).await {
            Ok(()) => ServingStatus::Serving,
            Err(_) => ServingStatus::NotServing,
        }))
    }
}

const fn status(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status as i32,
    }
}

#[tonic::async_trait]
impl Health for Readiness {
    type WatchStream =
        Pin<Box<dyn futures_util::Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let found = self.of(&request.get_ref().service).await;
        let unknown = || Status::not_found("there is no service of this name");
        found.map(Response::new).ok_or_else(unknown)
    }

    /// Says how it is, and then that the platform stops: nothing is asked in between, as there may be
    /// many who watch.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let found = self.of(&request.get_ref().service).await;
        let first = found.unwrap_or(status(ServingStatus::ServiceUnknown));
        let mut stopping = self.0.stopping.subscribe();
        let stops = stream::once(async move {
            stop_told(&mut stopping).await;
            status(ServingStatus::NotServing)
        });
        let told = stream::iter([first]).chain(stops).map(Ok);
        Ok(Response::new(told.boxed()))
    }
}
