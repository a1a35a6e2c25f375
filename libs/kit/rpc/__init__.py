"""gRPC between services: every call has a deadline, errors keep their code, traces continue."""

from kit.rpc.client import call as call
from kit.rpc.client import connect as connect
from kit.rpc.client import probe as probe
from kit.rpc.server import GrpcServer as GrpcServer
from kit.rpc.server import shares_port as shares_port
from kit.rpc.wire import timestamp as timestamp
