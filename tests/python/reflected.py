"""A gRPC client that knows of a server only what its reflection tells: nothing generated for Sluice, nothing read from proto/."""

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

# How long a call may take, in seconds.
TIMEOUT = 20


class Refused(Exception):
    """A call that was refused, as google.rpc has it."""

    def __init__(self, code, message, details):
        """`details` is the value of `grpc-status-details-bin`; empty when there is none."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.reason = self.domain = None
        self.metadata = {}
        self.fields = {}
        self.retry_after = None
        for detail in status_pb2.Status.FromString(details).details:
            for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo):
                if detail.Is(kind.DESCRIPTOR):
                    self._read(kind.FromString(detail.value))

    def _read(self, detail):
        if isinstance(detail, error_details_pb2.ErrorInfo):
            self.reason, self.domain, self.metadata = detail.reason, detail.domain, dict(detail.metadata)
        elif isinstance(detail, error_details_pb2.BadRequest):
            self.fields = {violation.field: violation.description for violation in detail.field_violations}
        else:
            self.retry_after = detail.retry_delay.ToTimedelta().total_seconds()

    def told(self):
        """As JSON."""
        return vars(self)


class AsVersion1(grpc.StreamStreamClientInterceptor):
    """Asks `grpc.reflection.v1`, which has the messages of `v1alpha`, for a client that knows only the latter."""

    def intercept_stream_stream(self, continuation, details, requests):
        return continuation(details._replace(method=details.method.replace(".v1alpha.", ".v1.")), requests)


class Listener:
    """One address, and the contracts it tells."""

    def __init__(self, address, version):
        """`version` is the one of the reflection service: `v1` or `v1alpha`."""
        self.address = address
        self.channel = grpc.insecure_channel(address)
        asked = grpc.intercept_channel(self.channel, AsVersion1()) if version == "v1" else self.channel
        database = ProtoReflectionDescriptorDatabase(asked)
        self.pool = descriptor_pool.DescriptorPool(database)
        self.services = sorted(database.get_services())

    def method(self, path):
        """What is told of `package.Service/Method`; fails when it is not told of."""
        service, _, method = path.partition("/")
        return self.pool.FindServiceByName(service).methods_by_name[method]

    def encode(self, path, request):
        """The bytes of a request that is given as JSON."""
        message = message_factory.GetMessageClass(self.method(path).input_type)()
        return json_format.ParseDict(request, message).SerializeToString()

    def decode(self, path, answer):
        """An answer's bytes as JSON, with all fields of the contract that can be told from absent ones."""
        message = message_factory.GetMessageClass(self.method(path).output_type).FromString(answer)
        return json_format.MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )

    def call(self, path, request, token=None, **headers):
        """Calls with JSON and answers with JSON; raises `Refused`."""
        call = self.channel.unary_unary(f"/{path}")
        metadata = list(headers.items()) + ([("authorization", f"Bearer {token}")] if token else [])
        try:
            answer = call(self.encode(path, request), timeout=TIMEOUT, metadata=metadata)
        except grpc.RpcError as error:
            details = dict(error.trailing_metadata() or []).get("grpc-status-details-bin", b"")
            raise Refused(error.code().name, error.details(), details) from None
        return self.decode(path, answer)

    def watch(self, path, request, token):
        """Yields the answers of a stream as JSON until it is left."""
        call = self.channel.unary_stream(f"/{path}")
        stream = call(self.encode(path, request), timeout=TIMEOUT, metadata=[("authorization", f"Bearer {token}")])
        try:
            for answer in stream:
                yield self.decode(path, answer)
        finally:
            stream.cancel()


class Suite:
    """All public listeners; a call goes to the one that tells of its service."""

    def __init__(self, addresses, version):
        self.listeners = [Listener(address, version) for address in addresses]

    def at(self, path):
        """The listener of `package.Service/Method`."""
        service = path.partition("/")[0]
        return next(listener for listener in self.listeners if service in listener.services)

    def call(self, path, request, token=None, **headers):
        return self.at(path).call(path, request, token, **headers)

    def watch(self, path, request, token):
        return self.at(path).watch(path, request, token)
