"""What Schemathesis must be told to send bytes of an upload."""

import schemathesis


@schemathesis.serializer("application/offset+octet-stream")
def octets(ctx, value):
    return value if isinstance(value, bytes) else bytes(str(value), "utf-8")
