"""Asks a platform's gRPC door for what every gRPC server has, with gRPC's own client: health, and reflection in both
its versions, out of which a call of the API is made without its schema at hand.

usage: standard.py HOST:PORT, with the credential in FLEETWIRE_TOKEN. What was found is printed as JSON."""

import json
import os
import sys

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.json_format import MessageToDict
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

PACKAGE = "fleetwire.api.v1"
TIMEOUT_SECONDS = 30


def health(channel, service):
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service=service)
    try:
        status = stub.Check(request, timeout=TIMEOUT_SECONDS).status
    except grpc.RpcError as error:
        return error.code().name
    watched = next(iter(stub.Watch(request, timeout=TIMEOUT_SECONDS)))
    assert watched.status == status
    return health_pb2.HealthCheckResponse.ServingStatus.Name(status)


def services(channel, version):
    """Asked with the messages of v1alpha, which are those of v1 byte for byte."""
    ask = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    answer = next(iter(ask(iter([request]), timeout=TIMEOUT_SECONDS)))
    return sorted(service.name for service in answer.list_services_response.service)


def hosts(channel, token):
    pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    method = pool.FindServiceByName(f"{PACKAGE}.HostService").FindMethodByName("ListHosts")
    call = channel.unary_unary(
        f"/{PACKAGE}.HostService/ListHosts",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
    )
    request = message_factory.GetMessageClass(method.input_type)()
    answer = call(request, timeout=TIMEOUT_SECONDS, metadata=[("authorization", f"Bearer {token}")])
    return MessageToDict(answer)


def main():
    with grpc.insecure_channel(sys.argv[1]) as channel:
        found = {
            "health": {
                name: health(channel, name) for name in ["", f"{PACKAGE}.HostService", "none"]
            },
            "v1": services(channel, "v1"),
            "v1alpha": services(channel, "v1alpha"),
            "hosts": hosts(channel, os.environ["FLEETWIRE_TOKEN"]),
        }
    print(json.dumps(found))


main()
