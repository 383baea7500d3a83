"""Uses a server by a client that was made of its contract: use.py URL TOKEN SIGNED WAITING. Prints what it read."""

import json
import sys
import uuid

from platen_client import AuthenticatedClient
from platen_client.api.documents import approval_payload, list_, one
from platen_client.api.events import chain
from platen_client.api.review import review
from platen_client.models import ReviewReject, ReviewRejectAction

url, token, signed, waiting = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=token)
signed, waiting = uuid.UUID(signed), uuid.UUID(waiting)

payload = approval_payload.sync(signed, client=client)
events = chain.sync(signed, client=client)
unknown = one.sync_detailed(uuid.uuid4(), client=client)
no = ReviewReject(action=ReviewRejectAction.REJECT, comment="not ours")
review.sync(waiting, client=client, body=no, if_match="*")

print(
    json.dumps(
        {
            "payload": payload.to_dict(),
            "amount": payload.metadata.amount,
            "approver": payload.approvers[0].address,
            "documents": [document.to_dict() for document in list_.sync(client=client).items],
            "events": [event.to_dict() for event in events.items],
            "types": [type(event).__name__ for event in events.items],
            "unknown": {"status": unknown.status_code, "type": type(unknown.parsed).__name__},
        }
    )
)
